//! The pull into SQLite beside the bare limit, in turn, each run in a process of its own.
//!
//! `cargo bench --bench pull` prints the figures. From the environment: `BENCH_API` points it at another server of the same shape
//! (`http://host:port`, members of list `x`), `BENCH_MEMBERS` says how many are made up (100,000), `BENCH_ROUNDS` how often each
//! contestant runs (3).
//!
//! A contestant is a mode of this program: the child reads from the service, writes into the database it is given and prints one
//! `Sample` as JSON; `main` knows the modes and `compare` lets them run.

mod support;

use std::{env, path::Path};

use support::{
    limit,
    measure::{self, Contestant, Sample},
    members,
};

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["server", members] => members::serve(members.parse().expect("server takes the number of members")),
        ["drain", api] => print_sample(limit::drain(api)),
        ["limit", api, database] => print_sample(limit::run(api, Path::new(database))),
        // cargo itself adds `--bench`.
        [] | ["--bench"] => compare(),
        _ => panic!("unknown mode {args:?}"),
    }
}

fn print_sample(sample: Sample) {
    println!("{}", serde_json::to_string(&sample).expect("a sample is plain numbers"));
}

fn compare() {
    let members = number("BENCH_MEMBERS", 100_000);
    let rounds = number("BENCH_ROUNDS", 3);
    let own = env::var("BENCH_API").is_err().then(|| members::Child::start(members));
    let api = own.as_ref().map_or_else(|| env::var("BENCH_API").expect("it is set"), |service| service.url.clone());
    let folder = tempfile::tempdir().expect("the temporary folder takes a new one");
    let database = |name: &str, round| folder.path().join(format!("{name}-{round}.db")).to_str().expect("the path is UTF-8").to_owned();
    // Renders every page once, and says how many there are.
    let rows = measure::in_child("drain", &[&api]).rows;

    println!("{rows} members from {api}, {rounds} rounds");
    let lines = measure::in_turn(rounds, rows, &mut [Contestant::new("drain, one connection", |_| measure::in_child("drain", &[&api]))]);
    measure::print("reading only", &lines);

    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [Contestant::new("limit: parse + upsert", |round| measure::in_child("limit", &[&api, &database("limit", round)]))],
    );
    measure::print("into an empty table", &lines);

    // The tables of the rounds before: every row is there already.
    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [Contestant::new("limit: parse + upsert", |round| measure::in_child("limit", &[&api, &database("limit", round)]))],
    );
    measure::print("all rows exist", &lines);
}

fn number(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}")))
}
