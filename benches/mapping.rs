//! What mapping, planning, undoing and explaining cost, each beside what it is compared with, in turn, each run in a process of its own.
//!
//! `cargo bench --bench mapping` prints the figures; PostgreSQL takes part as in the bench `pull`. From the environment: `BENCH_MEMBERS` says
//! how many members are made up (100,000), `BENCH_ROUNDS` how often each contestant runs (3), `BENCH_LINES` how many lines of lineage the
//! look-up searches (10,000,000; about 3 GB), `BENCH_ONLY=sqlite` or `postgres` leaves the other out.

#[expect(dead_code, reason = "each bench uses a part of what they share")]
mod support;

use std::{env, path::Path};

use support::{
    explained, limit, mapped,
    mapping_contest::{self, Base},
    measure::{self, Sample},
    members,
    pipeline::{self, Options, Work},
};

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["server", members] => members::serve(members.parse().expect("server takes the number of members")),
        ["drain", api] => print_sample(limit::drain(api)),
        ["apply", api] => print_sample(mapped::apply(api)),
        ["sqlite", api, database, work] => print_sample(pipeline::run(api, Path::new(database), options(work))),
        ["postgres", api, url, work] => print_sample(pipeline::run_on_postgres(api, url, options(work))),
        // cargo itself adds `--bench`.
        [] | ["--bench"] => compare(),
        _ => panic!("unknown mode {args:?}"),
    }
}

fn options(work: &str) -> Options {
    let work = match work {
        "pull" => Work::Pull,
        "mapped" => Work::Mapped,
        "plan" => Work::Plan,
        "undo" => Work::Undo,
        _ => panic!("unknown work {work:?}"),
    };
    Options { lineage: true, full: true, work }
}

fn print_sample(sample: Sample) {
    println!("{}", serde_json::to_string(&sample).expect("a sample is plain numbers"));
}

fn compare() {
    let rounds = number("BENCH_ROUNDS", 3);
    let only = env::var("BENCH_ONLY").unwrap_or_default();
    let service = members::Child::start(number("BENCH_MEMBERS", 100_000));
    let rows = measure::in_child("drain", &[&service.url]).rows;
    println!("{rows} members, {rounds} rounds");
    if only != "postgres" {
        mapping_contest::compare(&service, rows, rounds, &mut Base::sqlite());
    }
    if only != "sqlite"
        && let Some(mut base) = Base::postgres()
    {
        mapping_contest::compare(&service, rows, rounds, &mut base);
        explained::compare(&mut base, number("BENCH_LINES", 10_000_000));
    }
}

fn number(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}")))
}
