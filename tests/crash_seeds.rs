//! Runs that die at a named place, in worlds made from seeds, inside this process: everything that belonged to the run is dropped
//! where it stood, the file is opened anew, and the next run must end with the database of a run that nothing disturbed.

mod support;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::TimeDelta;
use support::{
    Fuse, On, Random, World, begun, clean, quiet_deaths,
    scripted::{Item, Scripted, Source},
    start,
};
use syncline::{Connection, Credentials, Pull, Syncline, core::TokenLife};

/// Worlds at each place. On a server each takes databases of its own, so that fewer are made there unless `CRASH_SEEDS` says otherwise.
fn seeds(on: On) -> u64 {
    let wanted = std::env::var("CRASH_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    wanted.unwrap_or(if on == On::Sqlite { 20 } else { 4 })
}

/// A world by its seed: a service with partitions, records and a page size, read by pulls of a group size.
struct Case {
    source: Source,
    provider: Scripted,
    pull: Pull,
    random: Random,
}

impl Case {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let source = Source::new(1 + random.below(9));
        let life = if random.below(2) == 0 { TokenLife::Volatile } else { TokenLife::Durable(Duration::from_secs(86_400)) };
        let provider = Scripted::new("demo").described(|it| {
            it.page_tokens = life;
            it.lanes = 1 + seed as usize % 3;
        });
        let partitions = &["a", "b", "c"][..1 + random.below(3)];
        provider.partitions("items", partitions, true);
        provider.source(source.clone());
        for partition in partitions {
            for n in 0..12 + random.below(40) {
                let at = start() - TimeDelta::seconds(60 + random.below(30) as i64);
                source.put(partition, Item::new(format!("{partition}{n}"), at, format!("first {n}")));
            }
        }
        let pull = Pull::stream("items").safety_lag(Duration::ZERO).commit_rows(1 + random.below(12)).confirm_deletes();
        Self { source, provider, pull, random }
    }

    /// What happens at the service between two runs: edits, births and deaths.
    fn change(&mut self, round: i64) {
        let partitions: Vec<(String, Vec<Item>)> = self.source.edit().partitions.clone().into_iter().collect();
        for (partition, items) in partitions {
            for item in items {
                let at = start() + TimeDelta::seconds(100 * round + self.random.below(30) as i64);
                match self.random.below(5) {
                    0 => self.source.remove(&partition, &item.id),
                    1 | 2 => self.source.put(&partition, Item::new(&item.id, at, format!("round {round}"))),
                    _ => {}
                }
            }
            for n in 0..self.random.below(6) {
                let at = start() + TimeDelta::seconds(100 * round + 50);
                self.source.put(&partition, Item::new(format!("{partition}new{round}-{n}"), at, format!("born {round}")));
            }
        }
    }
}

async fn connect(syncline: &Syncline) -> Connection {
    syncline.workspace("acme").connect("demo", Credentials::api_key("good")).await.expect("it connects")
}

/// One run in a process of its own; `fuse` says where it dies.
async fn run(world: &World, provider: &Scripted, pull: Pull, fuse: Option<&Fuse>) -> Option<syncline::SyncResult> {
    let storage = world.place().open().await;
    let mut builder = world.builder();
    if let Some(fuse) = fuse {
        let (engine, file) = (fuse.clone(), fuse.clone());
        builder = builder.on_crash_point(move |point| engine.at(point));
        storage.on_crash_point(move |point| file.at(point));
    }
    let syncline = builder.storage(storage).provider(provider.clone()).build().await.expect("an engine");
    let connection = connect(&syncline).await;
    let result = begun(|| connection.sync_from_external(pull.clone())).await;
    drop((connection, syncline));
    // Tasks that were stopped let go of the storage when they are next looked at.
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
    result.ok()
}

/// Id and text of every row, each id once.
fn rows(world: &World) -> BTreeMap<String, String> {
    let table = world.table("demo_items");
    let rows = world.ask_all(&format!("SELECT entity_id || '|' || text FROM {table}"));
    let rows: Vec<(String, String)> =
        rows.iter().filter_map(|row| row.split_once('|')).map(|(id, text)| (id.into(), text.into())).collect();
    let count = rows.len();
    let rows: BTreeMap<String, String> = rows.into_iter().collect();
    assert_eq!(count, rows.len(), "each record once");
    rows
}

async fn die_at(on: On, point: &'static str) {
    quiet_deaths();
    let mut died = 0;
    let seeds = seeds(on);
    for seed in 0..seeds {
        let once = matches!(point, "p2" | "p13" | "p14" | "p15");
        let fuse = Fuse::new(point, if once { 1 } else { 1 + Random::new(seed ^ 0xfeed).below(4) });
        // The same seed twice: one world is left alone.
        let (mut calm_case, mut case) = (Case::new(seed), Case::new(seed));
        let (calm, world) = (World::on(on).await, World::on(on).await);
        // A sweep needs rows to find missing. Every other run is a first one otherwise.
        let known = seed % 2 == 1 || matches!(point, "p13" | "p14");
        let mut pull = case.pull.clone();
        if known {
            clean(&run(&calm, &calm_case.provider, pull.clone(), None).await.expect("it runs"));
            clean(&run(&world, &case.provider, pull.clone(), None).await.expect("it runs"));
            calm_case.change(1);
            case.change(1);
            if matches!(point, "p13" | "p14") || seed % 4 == 1 {
                pull = pull.full();
            }
        }
        for clock in [&calm.clock, &world.clock] {
            clock.advance(Duration::from_secs(3_600));
        }
        let undisturbed = run(&calm, &calm_case.provider, pull.clone(), None).await.expect("it runs");
        clean(&undisturbed);

        let ended = run(&world, &case.provider, pull.clone(), Some(&fuse)).await;
        if fuse.blown() {
            world.place().outlive();
            died += 1;
            assert!(ended.is_none_or(|result| !result.success()), "{point}, seed {seed}: a run that died does not succeed");
        }
        let again = run(&world, &case.provider, pull.clone(), None).await.unwrap_or_else(|| panic!("{point}, seed {seed}: no run begins"));
        clean(&again);
        world.dump().assert_same(&calm.dump(), &format!("{point}, seed {seed}"));
        if pull_is_whole(&pull, known) {
            assert_eq!(rows(&world), case.source.truth(), "{point}, seed {seed}");
        }
        // The service goes on living; what comes later is found from the cursors that were left.
        case.change(2);
        for _ in 0..2 {
            world.clock.advance(Duration::from_secs(3_600));
            clean(&run(&world, &case.provider, case.pull.clone().full(), None).await.expect("it runs"));
        }
        assert_eq!(rows(&world), case.source.truth(), "{point}, seed {seed}: later");
    }
    assert!(died * 2 >= seeds, "{point} was reached by {died} of {seeds} seeds only");
}

/// Whether the run shows everything there is: deaths are seen by whole scans alone.
fn pull_is_whole(pull: &Pull, known: bool) -> bool {
    !known || format!("{pull:?}").contains("full: true")
}

macro_rules! points {
    ($($name:ident: $point:literal),* $(,)?) => {
        mod on_sqlite {
            use super::*;

            $(#[tokio::test]
            async fn $name() {
                Box::pin(die_at(On::Sqlite, $point)).await;
            })*
        }

        mod on_postgres {
            use super::*;

            $(#[tokio::test]
            async fn $name() {
                Box::pin(die_at(On::Postgres, $point)).await;
            })*
        }
    };
}

points! {
    a_run_that_dies_after_its_row_is_written_loses_nothing: "p2",
    a_run_that_dies_before_a_page_is_sent_for_loses_nothing: "p6",
    a_run_that_dies_with_a_page_in_hand_loses_nothing: "p7",
    a_run_that_dies_between_rows_and_lineage_loses_nothing: "p8",
    a_run_that_dies_between_lineage_and_cursor_loses_nothing: "p9",
    a_run_that_dies_before_a_commit_loses_nothing: "p10",
    a_run_that_dies_after_a_commit_doubles_nothing: "p11",
    a_run_that_dies_between_pages_loses_nothing: "p12",
    a_run_that_dies_before_the_sweep_deletes_later: "p13",
    a_run_that_dies_inside_the_sweep_deletes_the_rest_later: "p14",
    a_run_that_dies_before_its_end_is_written_is_ended_by_the_next: "p15",
}

#[tokio::test]
async fn an_engine_that_starts_ends_the_runs_of_processes_that_are_gone() {
    quiet_deaths();
    let case = Case::new(5);
    let world = World::new();
    let fuse = Fuse::new("p6", 2);
    run(&world, &case.provider, case.pull.clone(), Some(&fuse)).await;
    assert!(fuse.blown());
    assert_eq!(world.ask_all("SELECT status FROM syncline_sync_runs"), ["running"], "nobody was there to end it");
    let syncline = world.open(case.provider.clone()).await;
    let runs = syncline.workspace("acme").runs(syncline::RunFilter::default()).await.expect("runs");
    assert_eq!((runs.len(), runs[0].status), (1, syncline::RunStatus::Failed));
    assert!(runs[0].completed_at.is_some());
}

#[tokio::test]
async fn a_panic_at_any_place_leaves_a_storage_that_works() {
    // The process lives on here: one death, then the same engine is asked again.
    quiet_deaths();
    for point in ["p6", "p7", "p8", "p9", "p10", "p11", "p12"] {
        let case = Case::new(3);
        let world = World::new();
        let armed = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let storage = world.storage().await;
        let at = {
            let armed = Arc::clone(&armed);
            move |here: &'static str| {
                if here == point && armed.swap(false, std::sync::atomic::Ordering::SeqCst) {
                    std::panic::panic_any(support::Died);
                }
            }
        };
        storage.on_crash_point(at.clone());
        let builder = world.builder().on_crash_point(at).storage(storage).provider(case.provider.clone());
        let syncline = builder.build().await.expect("an engine");
        let connection = connect(&syncline).await;
        world.clock.advance(Duration::from_secs(3_600));
        let broken = connection.sync_from_external(case.pull.clone()).await.expect("a result, not a panic");
        assert!(!broken.success(), "{point}");
        assert_eq!(broken.errors[0].kind, syncline::ErrorKind::Internal, "{point}: {:?}", broken.errors);
        clean(&connection.sync_from_external(case.pull.clone()).await.expect("it runs"));
        drop((connection, syncline));
        assert_eq!(rows(&world), case.source.truth(), "{point}");
    }
}
