//! `cargo xtask test`: every test of the workspace.

use std::process::{Command, Stdio};

use crate::{
    shell::{self, Result, cargo, step},
    wants_help,
};

const HELP: &str = "\
Runs every test of the workspace

Usage: cargo xtask test [FILTER]...

Runs unit and integration tests (with cargo-nextest where it is installed, else with cargo test), then documentation tests.
Nothing has to be set up: tests need no network, no account and no service. With a FILTER only tests whose names contain it run,
and no documentation tests.";

pub(crate) fn run(args: &[String]) -> Result {
    if wants_help(args) {
        println!("{HELP}");
        return Ok(());
    }
    if let Some(option) = args.iter().find(|arg| arg.starts_with('-')) {
        return Err(format!("test takes filters only, not {option:?}; `cargo xtask test --help` says more"));
    }
    let of = if args.is_empty() { 3 } else { 2 };
    step(1, of, "C compiler", compiler)?;
    step(2, of, "unit and integration tests", || tests(args))?;
    if args.is_empty() {
        step(3, of, "documentation tests", || shell::run(&mut cargo(&["test", "--workspace", "--locked", "--doc"])))?;
    }
    Ok(())
}

/// The bundled SQLite is compiled from C; without a compiler the build fails a minute later and less clearly.
fn compiler() -> Result {
    let name = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let program = name.split_whitespace().next().unwrap_or("cc");
    if starts(Command::new(program).arg("--version")) {
        Ok(())
    } else {
        Err(format!("no C compiler answers as {program:?}; install one (Debian: apt-get install gcc libc6-dev) or name yours in CC"))
    }
}

fn tests(filters: &[String]) -> Result {
    let mut command = if starts(&mut cargo(&["nextest", "--version"])) {
        let mut command = cargo(&["nextest", "run", "--workspace", "--locked"]);
        command.args(filters);
        command
    } else {
        eprintln!("cargo-nextest is not installed, so this goes through cargo test");
        let mut command = cargo(&["test", "--workspace", "--locked", "--lib", "--bins", "--tests"]);
        if !filters.is_empty() {
            command.arg("--").args(filters);
        }
        command
    };
    shell::run(&mut command)
}

/// Whether a command is there and ends well; what it says is of no interest.
fn starts(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
