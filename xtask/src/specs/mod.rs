//! `cargo xtask specs`: requests and replies against the services' own descriptions.

mod exceptions;
mod exchange;
mod google;
mod problem;
mod slack;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt::Debug, fs, path::Path};

use serde_json::Value;

use self::{
    exceptions::EXCEPTIONS,
    exchange::Exchange,
    google::Google,
    problem::{Exception, Problem, Problems},
    slack::Slack,
};
use crate::{
    metadata,
    shell::{self, Result, cargo},
    wants_help,
};

const HELP: &str = "\
Checks what our clients send and the simulators answer against the services' own descriptions

Usage: cargo xtask specs DIR [--recording FOLDER]

Options:
  --recording FOLDER  Checks this recording; without it `tests/exchanges` runs and makes one

DIR holds a folder per provider with what its service publishes; xtask/README.md says which files and where they come from. Nothing
is fetched. Every exchange of the recording (FOLDER/<provider>.jsonl) is checked: path, parameters, bodies of requests and replies,
error codes. Differences that are meant stand in xtask/src/specs/exceptions.rs, each with its reason.";

/// The environment variable that tells the test where to leave its recording.
const RECORDINGS: &str = "SYNCLINE_RECORDINGS";

/// A service's description.
trait Description: Debug {
    /// The operation an exchange calls, by the service's name, and how it differs from the description.
    fn check(&self, exchange: &Exchange) -> (String, Vec<Problem>);
}

/// A provider and how its service's description is read.
struct Provider {
    name: &'static str,
    load: fn(&Path) -> Result<Box<dyn Description>>,
}

const PROVIDERS: &[Provider] = &[
    Provider {
        name: "sheets",
        load: |folder| Ok(Box::new(Google::load(folder, &["sheets-v4.discovery.json", "drive-v3.discovery.json"])?)),
    },
    Provider { name: "slack", load: |folder| Ok(Box::new(Slack::load(folder)?)) },
];

pub(crate) fn run(args: &[String]) -> Result {
    if wants_help(args) {
        println!("{HELP}");
        return Ok(());
    }
    let report = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [dir] if !dir.starts_with('-') => {
            let recording = metadata::target()?.join("specs");
            record(&recording)?;
            check(Path::new(dir), &recording, EXCEPTIONS)?
        }
        [dir, "--recording", recording] | ["--recording", recording, dir] => check(Path::new(dir), Path::new(recording), EXCEPTIONS)?,
        _ => return Err(format!("specs takes a folder of descriptions and perhaps --recording FOLDER, not {args:?}")),
    };
    print!("{}", report.table());
    let wrong = report.wrong();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// Runs the test that makes a recording. One that was left there before would hide that it made none.
fn record(folder: &Path) -> Result {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    }
    shell::run(cargo(&["test", "--quiet", "--locked", "--package", "syncline", "--test", "exchanges"]).env(RECORDINGS, folder))
}

/// What came of a check.
#[derive(Debug, Default)]
struct Report {
    rows: Vec<Row>,
    /// Exceptions that covered nothing.
    unused: Vec<String>,
}

/// What came of a provider's exchanges.
#[derive(Debug)]
struct Row {
    provider: &'static str,
    operations: BTreeSet<String>,
    requests: usize,
    replies: usize,
    meant: usize,
    problems: Problems,
}

/// Checks a recording against the descriptions.
///
/// # Errors
/// The file that is missing or cannot be read, or a recording without exchanges. Differences are in the report.
fn check(dir: &Path, recording: &Path, exceptions: &[Exception]) -> Result<Report> {
    let mut used = vec![false; exceptions.len()];
    let mut report = Report::default();
    for Provider { name, load } in PROVIDERS {
        let description = load(&dir.join(name))?;
        let path = recording.join(format!("{name}.jsonl"));
        let exchanges = exchange::read(&path)?;
        if exchanges.is_empty() {
            return Err(format!("{} holds no exchanges, so that nothing would be checked", path.display()));
        }
        let mut row = Row {
            provider: name,
            operations: BTreeSet::new(),
            requests: exchanges.len(),
            replies: exchanges.iter().filter(|exchange| exchange.reply.is_some()).count(),
            meant: 0,
            problems: Problems::default(),
        };
        for exchange in &exchanges {
            let (operation, problems) = description.check(exchange);
            problems.into_iter().for_each(|problem| row.problems.add(&operation, problem));
            row.operations.insert(operation);
        }
        let found = row.problems.0.len();
        row.problems.excuse(name, exceptions, &mut used);
        row.meant = found - row.problems.0.len();
        report.rows.push(row);
    }
    let unused = exceptions.iter().zip(used).filter(|(_, used)| !used);
    report.unused = unused.map(|(it, _)| format!("{} {}: {} at {} ({})", it.provider, it.operation, it.kind, it.at, it.reason)).collect();
    Ok(report)
}

impl Report {
    fn table(&self) -> String {
        let mut text =
            format!("{:<10}{:>12}{:>10}{:>10}{:>8}{:>10}\n", "provider", "operations", "requests", "replies", "meant", "problems");
        for Row { provider, operations, requests, replies, meant, problems } in &self.rows {
            text += &format!("{provider:<10}{:>12}{requests:>10}{replies:>10}{meant:>8}{:>10}\n", operations.len(), problems.0.len());
        }
        text
    }

    /// Every problem and every exception that covers nothing; empty when all is well.
    fn wrong(&self) -> String {
        let mut lines = Vec::new();
        for row in &self.rows {
            for ((operation, problem), times) in &row.problems.0 {
                let times = if *times > 1 { format!(" ({times} times)") } else { String::new() };
                lines.push(format!("{} {operation}: {} at {}: {}{times}", row.provider, problem.kind, problem.at, problem.text));
            }
        }
        for unused in &self.unused {
            lines.push(format!("an exception covers nothing and has to go: {unused}"));
        }
        if lines.is_empty() { String::new() } else { format!("{} differences\n{}", lines.len(), lines.join("\n")) }
    }
}

/// A file of a description, as JSON.
///
/// # Errors
/// When it is missing or no JSON, with its path.
fn file(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path)
        .map_err(|why| format!("{}: {why}; xtask/README.md says which files belong there and where they come from", path.display()))?;
    serde_json::from_str(&text).map_err(|why| format!("{} is no JSON: {why}", path.display()))
}
