//! `cargo xtask rows`: what docs/requirements.md says is proved, held against the sources.

mod scan;
mod table;

use std::{collections::BTreeMap, fs};

use self::{
    scan::{Finding, Tests},
    table::{Row, TestPath},
};
use crate::{
    metadata,
    shell::{Result, root},
    wants_help,
};

const HELP: &str = "\
Checks that the tests named in docs/requirements.md exist, and says what is open

Usage: cargo xtask rows [--open]

Options:
  --open  Lists the rows that name no test yet

The last column of each row names its tests, separated by `, `. A name is `package::path::function`, where path is the module path
inside the package's src/, or `tests::file` (and modules inside it) for tests/file.rs. The function must carry a test attribute and
must not be ignored.";

pub(crate) fn run(args: &[String]) -> Result {
    if wants_help(args) {
        println!("{HELP}");
        return Ok(());
    }
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => report(false),
        ["--open"] => report(true),
        _ => Err(format!("rows takes --open and nothing else, not {args:?}")),
    }
}

/// The check alone, as a gate.
pub(crate) fn check() -> Result {
    report(false)
}

fn report(list_open: bool) -> Result {
    let path = root().join("docs/requirements.md");
    let text = fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
    let rows = table::parse(&text)?;
    let mut sections: BTreeMap<(char, &str), (usize, usize)> = BTreeMap::new();
    for row in &rows {
        let (proved, all) = sections.entry((row.section, &row.title)).or_default();
        *proved += usize::from(!row.proved_by.is_empty());
        *all += 1;
    }
    for ((letter, title), (proved, all)) in &sections {
        println!("{letter}  {title:<66} {proved:>3} of {all:>3} proved");
    }
    let proved = rows.iter().filter(|row| !row.proved_by.is_empty()).count();
    println!("   {:<66} {proved:>3} of {:>3} proved", "all", rows.len());
    if list_open {
        for row in rows.iter().filter(|row| row.proved_by.is_empty()) {
            println!("{}  {}", row.id, row.requirement);
        }
    }
    let problems = problems(&rows)?;
    if problems.is_empty() { Ok(()) } else { Err(format!("docs/requirements.md:\n{}", problems.join("\n"))) }
}

/// Every named test that is not there, with what is there instead.
fn problems(rows: &[Row]) -> Result<Vec<String>> {
    let packages = metadata::packages()?;
    let mut scanned: BTreeMap<&str, Tests> = BTreeMap::new();
    let mut problems = Vec::new();
    for (row, path) in rows.iter().flat_map(|row| row.proved_by.iter().map(move |path| (row, path))) {
        let TestPath { package: name, modules, function } = path;
        let Some(package) = packages.iter().find(|package| package.name == *name) else {
            let known: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
            problems.push(format!("{}: {path}: no package is named {name:?}; there are {}", row.id, known.join(", ")));
            continue;
        };
        if !scanned.contains_key(package.name.as_str()) {
            scanned.insert(&package.name, Tests::of(&package.folder)?);
        }
        match scanned[package.name.as_str()].find(modules, function) {
            Finding::Test => {}
            Finding::Ignored => problems.push(format!("{}: {path} is ignored, and proves nothing", row.id)),
            Finding::NoTest => problems.push(format!("{}: {path} carries no test attribute", row.id)),
            Finding::Elsewhere(at) => problems.push(format!("{}: {path} stands elsewhere: {}", row.id, at.join(", "))),
            Finding::Nowhere => problems.push(format!("{}: {path} does not exist", row.id)),
        }
    }
    Ok(problems)
}
