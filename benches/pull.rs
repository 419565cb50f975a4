//! The pull into SQLite and into PostgreSQL beside the bare limit of each, in turn, each run in a process of its own.
//!
//! `cargo bench --bench pull` prints the figures. PostgreSQL takes part on the server of `DATABASE_URL` (a superuser's; the contestants
//! get databases of their own), or else on a private one that is started for the time of the bench, where its programs are installed. From the environment: `BENCH_API` points it at another server of the same shape
//! (`http://host:port`, members of list `x`; then only the first pull is measured, since the others change the members),
//! `BENCH_MEMBERS` says how many are made up (100,000), `BENCH_ROUNDS` how often each contestant runs (3), `BENCH_MEMORY=1` adds the
//! peak memory at 1,000,000, `BENCH_ONLY=sqlite` or `postgres` leaves the other out.
//!
//! A contestant is a mode of this program: the child reads from the service, writes into the database it is given and prints one
//! `Sample` as JSON; `main` knows the modes and `compare` lets them run.

#[expect(dead_code, reason = "each bench uses a part of what they share")]
mod support;

use std::{env, path::Path};

use support::{
    limit, limit_postgres,
    measure::{self, Contestant, Sample},
    members, on_postgres, on_sqlite,
    pipeline::{self, Options, Work},
};

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["server", members] => members::serve(members.parse().expect("server takes the number of members")),
        ["drain", api] => print_sample(limit::drain(api)),
        ["limit", api, database] => print_sample(limit::run(api, Path::new(database))),
        ["ours", api, database, lineage, mode] => print_sample(pipeline::run(api, Path::new(database), options(lineage, mode))),
        ["limit-postgres", api, url] => print_sample(limit_postgres::run(api, url)),
        ["ours-postgres", api, url, lineage, mode] => print_sample(pipeline::run_on_postgres(api, url, options(lineage, mode))),
        // cargo itself adds `--bench`.
        [] | ["--bench"] => compare(),
        _ => panic!("unknown mode {args:?}"),
    }
}

fn options(lineage: &str, mode: &str) -> Options {
    Options { lineage: lineage == "lineage", full: mode == "full", work: Work::Pull }
}

fn print_sample(sample: Sample) {
    println!("{}", serde_json::to_string(&sample).expect("a sample is plain numbers"));
}

fn compare() {
    let rounds = number("BENCH_ROUNDS", 3);
    let only = env::var("BENCH_ONLY").unwrap_or_default();
    let own = env::var("BENCH_API").is_err().then(|| members::Child::start(number("BENCH_MEMBERS", 100_000)));
    let api = own.as_ref().map_or_else(|| env::var("BENCH_API").expect("it is set"), |service| service.url.clone());
    // Renders every page once, and says how many there are.
    let rows = measure::in_child("drain", &[&api]).rows;
    println!("{rows} members from {api}, {rounds} rounds");
    let lines = measure::in_turn(rounds, rows, &mut [Contestant::new("drain, one connection", |_| measure::in_child("drain", &[&api]))]);
    measure::print("reading only", &lines);
    if only != "postgres" {
        on_sqlite::compare(&api, own.as_ref(), rows, rounds);
    }
    if only != "sqlite" {
        on_postgres::compare(&api, own.as_ref(), rows, rounds);
    }
}

fn number(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}")))
}
