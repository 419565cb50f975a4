//! `cargo xtask gates`: what every change has to pass besides the tests, the cheapest first.

mod manifests;
mod size;
mod walls;

use crate::{
    metadata, rows,
    shell::{self, Result, cargo, step},
    wants_help,
};

struct Gate {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result,
}

const GATES: &[Gate] = &[
    Gate { name: "fmt", about: "the code is formatted", run: formatted },
    Gate { name: "rows", about: "every test named in docs/requirements.md exists", run: rows::check },
    Gate { name: "manifests", about: "each Cargo.toml has licence, metadata, README and the shared lints", run: manifests::check },
    Gate { name: "walls", about: "each crate knows only those it may know; core and engine need no I/O library", run: walls::check },
    Gate { name: "size", about: "facade, one provider and SQLite stay under 220 crates", run: size::check },
    Gate { name: "clippy", about: "no warnings, in libraries, programs, tests, examples and benches", run: clippy },
    Gate { name: "features", about: "each feature compiles alone, and each crate without any", run: features },
    Gate { name: "docs", about: "the documentation builds without warnings", run: docs },
];

fn help() -> String {
    let mut text = "\
Checks what every change has to pass besides the tests

Usage: cargo xtask gates [GATE]...

Without a name all gates are tried, in this order, up to the first that fails:
"
    .to_owned();
    for gate in GATES {
        text.push_str(&format!("  {:<10} {}\n", gate.name, gate.about));
    }
    text
}

pub(crate) fn run(args: &[String]) -> Result {
    if wants_help(args) {
        print!("{}", help());
        return Ok(());
    }
    let chosen = args.iter().map(|name| find(name)).collect::<Result<Vec<_>>>()?;
    let chosen = if chosen.is_empty() { GATES.iter().collect() } else { chosen };
    for (at, gate) in chosen.iter().enumerate() {
        step(at + 1, chosen.len(), gate.name, gate.run)
            .map_err(|why| format!("{why}\nOnce it is mended, `cargo xtask gates {}` tries it alone.", gate.name))?;
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static Gate> {
    GATES.iter().find(|gate| gate.name == name).ok_or_else(|| format!("there is no gate {name:?}\n\n{}", help()))
}

fn formatted() -> Result {
    shell::run(&mut cargo(&["fmt", "--all", "--check"])).map_err(|why| format!("{why}\n`cargo fmt --all` mends it"))
}

fn clippy() -> Result {
    shell::run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]))
}

/// Through clippy too, so that what only warns without a feature is seen, and the work of the gate before is shared.
fn features() -> Result {
    for package in metadata::packages()? {
        let none = (!package.features.is_empty()).then_some("");
        for feature in none.into_iter().chain(package.features.iter().map(String::as_str)) {
            eprintln!("{} with {}", package.name, if feature.is_empty() { "no feature" } else { feature });
            let mut command = cargo(&["clippy", "--quiet", "--locked", "-p", &package.name, "--no-default-features"]);
            if !feature.is_empty() {
                command.args(["--features", feature]);
            }
            shell::run(command.args(["--", "--deny", "warnings"]))?;
        }
    }
    Ok(())
}

/// Libraries only: the program `syncline` would write over the pages of the library of that name.
fn docs() -> Result {
    shell::run(cargo(&["doc", "--workspace", "--lib", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "--deny warnings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gate_names_are_unique_and_listed_in_the_help() {
        for gate in GATES {
            assert_eq!(GATES.iter().filter(|other| other.name == gate.name).count(), 1, "{}", gate.name);
            assert!(help().contains(&format!("  {} ", gate.name)), "{}", gate.name);
        }
    }

    #[test]
    fn an_unknown_gate_is_refused_and_the_known_ones_are_named() {
        let why = find("frmt").map(|gate| gate.name).expect_err("there is no such gate");
        assert!(why.contains("frmt") && why.contains("fmt ") && why.contains("docs "), "{why}");
    }
}
