//! What a secret costs: sealing, opening, asking for a token that is at hand, signing and verifying a state.
//!
//! `cargo bench --bench vault` prints the time of one of each: the median of `BENCH_ROUNDS` rounds (9), and the fastest and slowest. The
//! goal is 10 µs each.

use std::{
    env,
    hint::black_box,
    time::{Duration, Instant},
};

use syncline::{
    Connection, Credentials, Keyring, SqliteStorage, Syncline,
    core::{
        Account, AuthScheme, Descriptor, IntegrationSync, Partitions, PullPage, PullRequest, Result, Stream, StreamName, SyncContext,
        async_trait,
    },
    vault_bench,
};

/// What is done in one round.
const TIMES: u32 = 20_000;

/// A provider that takes every key.
#[derive(Debug)]
struct Open(Descriptor);

#[async_trait]
impl IntegrationSync for Open {
    fn descriptor(&self) -> &Descriptor {
        &self.0
    }

    async fn validate_credentials(&self, _: &SyncContext) -> Result<Account> {
        Ok(Account { id: "a".into(), name: None })
    }

    async fn streams(&self, _: &SyncContext) -> Result<Vec<Stream>> {
        Ok(Vec::new())
    }

    async fn partitions(&self, _: &SyncContext, _: &StreamName) -> Result<Partitions> {
        Ok(Partitions::whole())
    }

    async fn pull(&self, _: &SyncContext, _: &PullRequest) -> Result<PullPage> {
        unreachable!("nothing is pulled here")
    }
}

fn main() {
    let rounds: usize = env::var("BENCH_ROUNDS").map_or(9, |text| text.parse().expect("BENCH_ROUNDS is a whole number"));
    let keyring = Keyring::parse(&Keyring::generate("2026-11")).expect("well formed");
    println!("{:<34} {:>10} {:>22}   goal 10 µs", "", "median", "fastest – slowest");
    for (name, mut once) in vault_bench::all(&keyring) {
        report(name, (0..rounds).map(|_| timed(&mut *once)).collect());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    runtime.block_on(async {
        let storage = SqliteStorage::open(folder.path().join("bench.db")).await.expect("opens");
        let provider = Open(Descriptor { auth: AuthScheme::Bearer, ..Descriptor::new("open", "Open") });
        let syncline = Syncline::builder().storage(storage).keyring(keyring).provider(provider).build().await.expect("an engine");
        let connection: Connection = syncline.workspace("bench").connect("open", Credentials::api_key("key")).await.expect("connected");
        let mut times = Vec::new();
        for _ in 0..rounds {
            let begun = Instant::now();
            for _ in 0..TIMES {
                black_box(connection.ensure_valid_token().await.expect("a token"));
            }
            times.push(begun.elapsed() / TIMES);
        }
        report("a token that is at hand", times);
    });
}

fn timed(once: &mut dyn FnMut()) -> Duration {
    let begun = Instant::now();
    (0..TIMES).for_each(|_| once());
    begun.elapsed() / TIMES
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
    let (fastest, slowest) = (micros(times[0]), micros(times[times.len() - 1]));
    println!("{name:<34} {:>7.2} µs {:>22}", micros(times[times.len() / 2]), format!("{fastest:.2} – {slowest:.2}"));
}
