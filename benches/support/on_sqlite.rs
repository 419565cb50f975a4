//! The contest on SQLite.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::{
    measure::{self, Contestant, Sample},
    member::World,
    members,
};

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

/// Lets all run; `service` is missing when the members are served elsewhere and cannot be changed.
pub(crate) fn compare(api: &str, service: Option<&members::Child>, rows: u64, rounds: usize) {
    let databases = Databases(tempfile::tempdir().expect("the temporary folder takes a new one"));
    let fresh = |name: &str, round| databases.path(&format!("{name}-{round}"));
    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [
            Contestant::new("limit: parse + upsert", |round| limit(api, &fresh("limit", round))),
            Contestant::new("first pull, lineage off", |round| ours(api, &fresh("plain", round), false, true)),
            Contestant::new("first pull, lineage on", |round| ours(api, &fresh("lineage", round), true, true)),
        ],
    );
    measure::print("SQLite, into an empty table", &lines);

    let Some(service) = service else { return };
    // Each round begins with the tables of the first pull, as the last of its rounds left them.
    let base = |from: &'static str, to: &str, round| databases.copy(&format!("{from}-0"), &format!("{to}-{round}"));
    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [
            Contestant::new("limit: parse + upsert", |round| limit(api, &base("limit", "limit-again", round))),
            Contestant::new("nothing changed, full", |round| ours(api, &base("lineage", "again", round), true, true)),
        ],
    );
    measure::print("SQLite, all rows exist", &lines);

    service.world(World::All);
    measure::in_child("drain", &[api]);
    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [
            Contestant::new("limit: parse + upsert", |round| limit(api, &base("limit", "limit-all", round))),
            Contestant::new("lineage off", |round| ours(api, &base("plain", "all-plain", round), false, true)),
            Contestant::new("lineage on", |round| ours(api, &base("lineage", "all", round), true, true)),
        ],
    );
    measure::print("SQLite, every row changed in four fields", &lines);

    service.world(World::Hundredth);
    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [Contestant::new("incremental, lineage on", |round| ours(api, &base("lineage", "hundredth", round), true, false))],
    );
    measure::print("SQLite, one in a hundred changed (rate over the changed ones)", &lines);

    service.world(World::Base);
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
    measure::print("SQLite, 10 records", &lines);
    drop(few);

    if env::var("BENCH_MEMORY").is_ok() {
        let many = members::Child::start(1_000_000);
        let lines = measure::in_turn(
            1,
            1_000_000,
            &mut [Contestant::new("first pull, lineage on", |round| ours(&many.url, &fresh("many", round), true, true))],
        );
        measure::print("SQLite, 1,000,000 members", &lines);
    }
}
