//! What a process used, runs in turn, medians, and the table they are printed in.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// One measured run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Records it took.
    pub(crate) records: u64,
    /// Rows in its table afterwards, counted there.
    pub(crate) rows: u64,
    /// Wall-clock seconds from the first request to the last commit.
    pub(crate) seconds: f64,
    /// CPU seconds of the process in that time, all threads, user and system.
    pub(crate) cpu: f64,
    /// The most memory the process ever held, in KiB.
    pub(crate) peak_kib: u64,
    /// What the database server did in that time, where there is one.
    pub(crate) server: Option<Server>,
}

/// What a database server did.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Server {
    /// CPU seconds of all its processes; `None` when they run elsewhere.
    pub(crate) cpu: Option<f64>,
    /// Bytes of its write-ahead log.
    pub(crate) wal: u64,
}

/// Measures a piece of work of this process.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    began: Instant,
    cpu: f64,
}

impl Stopwatch {
    /// Starts it.
    pub(crate) fn start() -> Self {
        Self { cpu: cpu_seconds(), began: Instant::now() }
    }

    /// Stops it; `rows` counts the table afterwards and is not measured.
    pub(crate) fn stop(self, records: u64, rows: impl FnOnce() -> u64) -> Sample {
        let (seconds, cpu) = (self.began.elapsed().as_secs_f64(), cpu_seconds() - self.cpu);
        Sample { records, rows: rows(), seconds, cpu, peak_kib: peak_kib(), server: None }
    }
}

/// CPU seconds this process has used, in steps of a hundredth: Linux counts them in USER_HZ, which is 100 on every architecture.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("the benches need Linux: /proc/self/stat");
    let fields = stat_fields(&stat);
    (fields[UTIME] + fields[UTIME + 1]) as f64 / 100.0
}

/// Where `stat_fields` has the number of the parent, and the first of the four counters of CPU time: user and system, of the process and
/// of its children that have ended.
pub(crate) const PARENT: usize = 0;
pub(crate) const UTIME: usize = 10;

/// The numbers of a line of `/proc/…/stat`, from the parent's on.
pub(crate) fn stat_fields(stat: &str) -> Vec<i64> {
    // The second field is the program's name in brackets and may hold anything; a letter follows, then numbers.
    let rest = stat.rsplit_once(')').expect("the name is in brackets").1;
    rest.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(i64::MAX)).collect()
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the benches need Linux: /proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells the peak");
    line.trim().trim_end_matches(" kB").parse().expect("the peak is a number")
}

/// Runs this program again in `mode` and reads the [`Sample`] it prints, so that one run's memory and CPU never count for another.
pub(crate) fn in_child(mode: &str, args: &[&str]) -> Sample {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).arg(mode).args(args).stderr(Stdio::inherit()).output().expect("this program starts once more");
    assert!(output.status.success(), "`{mode} {}` failed", args.join(" "));
    serde_json::from_slice(&output.stdout).expect("a child prints its sample")
}

/// Something to be compared: its name, and one run of it. The run is told its round, counted from 0.
pub(crate) struct Contestant<'a> {
    /// As it stands in the table.
    pub(crate) name: String,
    /// The share of the first contestant's rate it is to reach.
    pub(crate) goal: Option<f64>,
    /// What its table must hold, where that is not what the others' hold.
    pub(crate) rows: Option<u64>,
    /// One run.
    pub(crate) run: Box<dyn FnMut(usize) -> Sample + 'a>,
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(name: impl Into<String>, run: impl FnMut(usize) -> Sample + 'a) -> Self {
        Self { name: name.into(), goal: None, rows: None, run: Box::new(run) }
    }

    pub(crate) fn goal(self, share: f64) -> Self {
        Self { goal: Some(share), ..self }
    }

    pub(crate) fn rows(self, rows: u64) -> Self {
        Self { rows: Some(rows), ..self }
    }
}

/// The medians of a contestant's runs, each figure by itself.
#[derive(Clone, Debug)]
pub(crate) struct Medians {
    name: String,
    goal: Option<f64>,
    rate: f64,
    pub(crate) seconds: f64,
    pub(crate) cpu: f64,
    pub(crate) peak_kib: u64,
    server_cpu: Option<f64>,
    /// Bytes of write-ahead log.
    pub(crate) wal: Option<f64>,
    /// Slowest and fastest run, records a second.
    spread: (f64, f64),
}

/// Runs all contestants in turn, A B A B, so that a busy moment of the machine meets them alike; `rows` is what each table must hold.
pub(crate) fn in_turn(rounds: usize, rows: u64, contestants: &mut [Contestant<'_>]) -> Vec<Medians> {
    let mut samples = vec![Vec::with_capacity(rounds); contestants.len()];
    for round in 0..rounds {
        for (contestant, samples) in contestants.iter_mut().zip(&mut samples) {
            let sample = (contestant.run)(round);
            assert_eq!(sample.rows, contestant.rows.unwrap_or(rows), "{} left the wrong number of rows", contestant.name);
            eprintln!("  round {}: {} {}", round + 1, contestant.name, seconds(sample.seconds));
            samples.push(sample);
        }
    }
    contestants
        .iter()
        .zip(samples)
        .map(|(contestant, samples)| Medians { goal: contestant.goal, ..medians(&contestant.name, &samples) })
        .collect()
}

fn medians(name: &str, samples: &[Sample]) -> Medians {
    let median = |of: &dyn Fn(&Sample) -> f64| {
        let mut all: Vec<f64> = samples.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        (all[(all.len() - 1) / 2] + all[all.len() / 2]) / 2.0
    };
    let rate = |sample: &Sample| sample.records as f64 / sample.seconds;
    let per_100k = |seconds: f64, sample: &Sample| seconds * 100_000.0 / sample.records as f64;
    let server = samples.iter().all(|sample| sample.server.is_some());
    let server_cpu = samples.iter().all(|sample| sample.server.is_some_and(|server| server.cpu.is_some()));
    let rates = samples.iter().map(rate);
    Medians {
        name: name.to_owned(),
        goal: None,
        rate: median(&rate),
        seconds: median(&|sample| sample.seconds),
        cpu: median(&|sample| per_100k(sample.cpu, sample)),
        server_cpu: server_cpu.then(|| median(&|sample| per_100k(sample.server.and_then(|server| server.cpu).unwrap_or_default(), sample))),
        wal: server.then(|| median(&|sample| sample.server.map_or(0.0, |server| server.wal as f64))),
        peak_kib: median(&|sample| sample.peak_kib as f64) as u64,
        spread: (rates.clone().fold(f64::INFINITY, f64::min), rates.fold(0.0, f64::max)),
    }
}

/// Prints a table; every rate is also given as a share of the first line's, beside the share that is the goal.
pub(crate) fn print(title: &str, lines: &[Medians]) {
    println!("\n{title}");
    let server = lines.iter().any(|line| line.wal.is_some());
    let of_server = if server { format!("{:>10} {:>9}", "server's", "WAL MB") } else { String::new() };
    println!(
        "{:<34} {:>11} {:>8} {:>6} {:>9} {:>14} {of_server} {:>9}   slowest – fastest",
        "", "records/s", "of first", "goal", "time", "CPU s per 100k", "peak MB"
    );
    for line in lines {
        let goal = line.goal.map_or_else(String::new, |goal| format!("{goal:.2}"));
        let cpu = line.server_cpu.map_or_else(|| "?".to_owned(), |cpu| format!("{cpu:.2}"));
        let of_server = line.wal.map_or_else(String::new, |wal| format!("{cpu:>10} {:>9.2}", wal / 1e6));
        println!(
            "{:<34} {:>11.0} {:>8.2} {goal:>6} {:>9} {:>14.2} {of_server} {:>9.1}   {:.0} – {:.0}",
            line.name,
            line.rate,
            line.rate / lines[0].rate,
            seconds(line.seconds),
            line.cpu,
            line.peak_kib as f64 * 1.024 / 1_000.0,
            line.spread.0,
            line.spread.1,
        );
    }
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{:.2} s", Duration::from_secs_f64(seconds).as_secs_f64()) }
}
