//! The pull into SQLite beside the bare limit, in turn, each run in a process of its own.
//!
//! `cargo bench --bench pull` prints the figures. From the environment: `BENCH_API` points it at another server of the same shape
//! (`http://host:port`, members of list `x`; then only the first pull is measured, since the others change the members),
//! `BENCH_MEMBERS` says how many are made up (100,000), `BENCH_ROUNDS` how often each contestant runs (3), `BENCH_MEMORY=1` adds the
//! peak memory at 1,000,000.
//!
//! A contestant is a mode of this program: the child reads from the service, writes into the database it is given and prints one
//! `Sample` as JSON; `main` knows the modes and `compare` lets them run.

mod support;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use support::{
    limit,
    measure::{self, Contestant, Sample},
    member::World,
    members,
    pipeline::{self, Options},
};

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["server", members] => members::serve(members.parse().expect("server takes the number of members")),
        ["drain", api] => print_sample(limit::drain(api)),
        ["limit", api, database] => print_sample(limit::run(api, Path::new(database))),
        ["ours", api, database, lineage, mode] => {
            let options = Options { lineage: lineage == "lineage", full: mode == "full" };
            print_sample(pipeline::run(api, Path::new(database), options));
        }
        // cargo itself adds `--bench`.
        [] | ["--bench"] => compare(),
        _ => panic!("unknown mode {args:?}"),
    }
}

fn print_sample(sample: Sample) {
    println!("{}", serde_json::to_string(&sample).expect("a sample is plain numbers"));
}

/// Databases of the contestants: one each and per round, copied from a prepared one where the rows have to be there already.
struct Databases(tempfile::TempDir);

impl Databases {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.db"))
    }

    fn copy(&self, from: &str, to: &str) -> PathBuf {
        let path = self.path(to);
        fs::copy(self.path(from), &path).expect("the prepared database can be copied");
        path
    }
}

fn limit(api: &str, database: &Path) -> Sample {
    measure::in_child("limit", &[api, database.to_str().expect("the path is UTF-8")])
}

fn ours(api: &str, database: &Path, lineage: bool, full: bool) -> Sample {
    let lineage = if lineage { "lineage" } else { "plain" };
    let mode = if full { "full" } else { "incremental" };
    measure::in_child("ours", &[api, database.to_str().expect("the path is UTF-8"), lineage, mode])
}

fn compare() {
    let members = number("BENCH_MEMBERS", 100_000);
    let rounds = number("BENCH_ROUNDS", 3);
    let own = env::var("BENCH_API").is_err().then(|| members::Child::start(members));
    let api = own.as_ref().map_or_else(|| env::var("BENCH_API").expect("it is set"), |service| service.url.clone());
    let databases = Databases(tempfile::tempdir().expect("the temporary folder takes a new one"));
    // Renders every page once, and says how many there are.
    let rows = measure::in_child("drain", &[&api]).rows;
    println!("{rows} members from {api}, {rounds} rounds");

    let lines = measure::in_turn(rounds, rows, &mut [Contestant::new("drain, one connection", |_| measure::in_child("drain", &[&api]))]);
    measure::print("reading only", &lines);

    let fresh = |name: &str, round| databases.path(&format!("{name}-{round}"));
    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [
            Contestant::new("limit: parse + upsert", |round| limit(&api, &fresh("limit", round))),
            Contestant::new("first pull, lineage off", |round| ours(&api, &fresh("plain", round), false, true)),
            Contestant::new("first pull, lineage on", |round| ours(&api, &fresh("lineage", round), true, true)),
        ],
    );
    measure::print("into an empty table", &lines);

    let Some(service) = own else { return };
    // Each round begins with the tables of the first pull, as the last of its rounds left them.
    let base = |from: &'static str, to: &str, round| databases.copy(&format!("{from}-0"), &format!("{to}-{round}"));
    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [
            Contestant::new("limit: parse + upsert", |round| limit(&api, &base("limit", "limit-again", round))),
            Contestant::new("nothing changed, full", |round| ours(&api, &base("lineage", "again", round), true, true)),
        ],
    );
    measure::print("all rows exist", &lines);

    service.world(World::All);
    measure::in_child("drain", &[&api]);
    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [
            Contestant::new("limit: parse + upsert", |round| limit(&api, &base("limit", "limit-all", round))),
            Contestant::new("lineage off", |round| ours(&api, &base("plain", "all-plain", round), false, true)),
            Contestant::new("lineage on", |round| ours(&api, &base("lineage", "all", round), true, true)),
        ],
    );
    measure::print("every row changed in four fields", &lines);

    service.world(World::Hundredth);
    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [Contestant::new("incremental, lineage on", |round| ours(&api, &base("lineage", "hundredth", round), true, false))],
    );
    measure::print("one in a hundred changed (rate over the changed ones)", &lines);

    drop(service);
    let few = members::Child::start(10);
    let lines = measure::in_turn(
        rounds.max(5),
        10,
        &mut [Contestant::new("cold process to its exit", |round| {
            let began = std::time::Instant::now();
            let sample = ours(&few.url, &fresh("few", round), true, true);
            Sample { seconds: began.elapsed().as_secs_f64(), ..sample }
        })],
    );
    measure::print("10 records", &lines);
    drop(few);

    if env::var("BENCH_MEMORY").is_ok() {
        let many = members::Child::start(1_000_000);
        let lines = measure::in_turn(
            1,
            1_000_000,
            &mut [Contestant::new("first pull, lineage on", |round| ours(&many.url, &fresh("many", round), true, true))],
        );
        measure::print("1,000,000 members", &lines);
    }
}

fn number(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}")))
}
