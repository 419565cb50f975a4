//! The contest on PostgreSQL.

use std::{cell::RefCell, env};

use super::{
    cluster::Databases,
    measure::{self, Contestant, Medians, Sample},
    member::World,
    members,
};

fn limit(api: &str, url: &str) -> Sample {
    measure::in_child("limit-postgres", &[api, url])
}

fn ours(api: &str, url: &str, lineage: bool, full: bool) -> Sample {
    let lineage = if lineage { "lineage" } else { "plain" };
    let mode = if full { "full" } else { "incremental" };
    measure::in_child("ours-postgres", &[api, url, lineage, mode])
}

/// Lets all run, where there is a server; `service` is missing when the members are served elsewhere and cannot be changed.
pub(crate) fn compare(api: &str, service: Option<&members::Child>, rows: u64, rounds: usize) {
    let Some(databases) = Databases::find() else { return };
    let databases = RefCell::new(databases);
    // Each round has databases of its own. The first round's stay: what comes later begins with copies of them.
    let first = |name: &str, round: usize, run: &dyn Fn(&str) -> Sample| {
        let name = format!("{name}-{round}");
        let url = databases.borrow_mut().fresh(&name);
        let sample = run(&url);
        if round > 0 {
            databases.borrow_mut().drop(&name);
        }
        sample
    };
    let empty = measure::in_turn(
        rounds,
        rows,
        &mut [
            Contestant::new("limit: parse + COPY + upsert", |round| first("limit", round, &|url| limit(api, url))),
            Contestant::new("first pull, lineage off", |round| first("plain", round, &|url| ours(api, url, false, true))).goal(0.75),
            Contestant::new("first pull, lineage on", |round| first("lineage", round, &|url| ours(api, url, true, true))).goal(0.6),
        ],
    );
    measure::print("PostgreSQL, into an empty table", &empty);

    let Some(service) = service else { return };
    for name in ["limit-0", "plain-0", "lineage-0"] {
        databases.borrow().settle(name);
    }
    let again = |from: &str, run: &dyn Fn(&str) -> Sample| {
        let url = databases.borrow_mut().copy(&format!("{from}-0"), "again");
        let sample = run(&url);
        databases.borrow_mut().drop("again");
        sample
    };
    let unchanged = measure::in_turn(
        rounds,
        rows,
        &mut [
            Contestant::new("limit: parse + COPY + upsert", |_| again("limit", &|url| limit(api, url))),
            Contestant::new("nothing changed, lineage on", |_| again("lineage", &|url| ours(api, url, true, true))).goal(2.0),
        ],
    );
    measure::print("PostgreSQL, all rows exist", &unchanged);
    print_log(&empty[2], &unchanged[1]);

    service.world(World::Hundredth);
    measure::in_child("drain", &[api]);
    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [
            Contestant::new("limit: parse + COPY + upsert", |_| again("limit", &|url| limit(api, url))),
            Contestant::new("full, lineage on", |_| again("lineage", &|url| ours(api, url, true, true))).goal(2.0),
        ],
    );
    measure::print("PostgreSQL, one in a hundred changed", &lines);
    let lines = measure::in_turn(
        rounds.max(5),
        rows,
        &mut [Contestant::new("incremental, lineage on", |_| again("lineage", &|url| ours(api, url, true, false)))],
    );
    measure::print("PostgreSQL, one in a hundred changed (rate over the changed ones; the goal is 100 ms)", &lines);

    service.world(World::All);
    measure::in_child("drain", &[api]);
    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [
            Contestant::new("limit: parse + COPY + upsert", |_| again("limit", &|url| limit(api, url))),
            Contestant::new("lineage off", |_| again("plain", &|url| ours(api, url, false, true))).goal(0.75),
            Contestant::new("lineage on", |_| again("lineage", &|url| ours(api, url, true, true))).goal(0.55),
        ],
    );
    measure::print("PostgreSQL, every row changed in four fields", &lines);
    service.world(World::Base);

    if env::var("BENCH_MEMORY").is_ok() {
        let many = members::Child::start(1_000_000);
        let url = databases.borrow_mut().fresh("many");
        let lines = measure::in_turn(1, 1_000_000, &mut [Contestant::new("first pull, lineage on", |_| ours(&many.url, &url, true, true))]);
        measure::print("PostgreSQL, 1,000,000 members", &lines);
        let growth = lines[0].peak_kib as f64 / empty[2].peak_kib as f64 - 1.0;
        println!("the peak grows by {:.0} % from {rows} members on (the goal is 10 % at most)", growth * 100.0);
        databases.borrow_mut().drop("many");
    }
}

/// What the server logs for rows that are as they were, beside what it logged when they were new.
fn print_log(first: &Medians, unchanged: &Medians) {
    if let (Some(first), Some(unchanged)) = (first.wal, unchanged.wal) {
        println!("write-ahead log of an unchanged pull: {:.2} % of the first one's (the goal is 1 % at most)", 100.0 * unchanged / first);
    }
}
