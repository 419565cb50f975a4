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
Nothing has to be set up: tests need no network and no account. They use the PostgreSQL server that DATABASE_URL names, whose user
has to be one that may make databases and roles; without it they start a private one from the installed programs, which are installed
first on a Debian machine where this runs as root. With a FILTER only tests whose names contain it run,
and no documentation tests.";

pub(crate) fn run(args: &[String]) -> Result {
    if wants_help(args) {
        println!("{HELP}");
        return Ok(());
    }
    if let Some(option) = args.iter().find(|arg| arg.starts_with('-')) {
        return Err(format!("test takes filters only, not {option:?}; `cargo xtask test --help` says more"));
    }
    let of = if args.is_empty() { 4 } else { 3 };
    step(1, of, "C compiler", compiler)?;
    step(2, of, "PostgreSQL", postgres)?;
    step(3, of, "unit and integration tests", || tests(args))?;
    if args.is_empty() {
        step(4, of, "documentation tests", || shell::run(&mut cargo(&["test", "--workspace", "--locked", "--doc"])))?;
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

/// The server's programs, from which tests make a private one, unless they are told of a server.
fn postgres() -> Result {
    let mut missing = Vec::new();
    if std::env::var_os("DATABASE_URL").is_none() && !installed("initdb") {
        missing.push("postgresql");
    }
    if !installed("pgbouncer") {
        missing.push("pgbouncer");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" ");
    let root = Command::new("id").arg("-u").output().is_ok_and(|said| said.stdout.starts_with(b"0"));
    if !root || !starts(Command::new("apt-get").arg("--version")) {
        return Err(format!(
            "the tests of the PostgreSQL storage need its programs (Debian: apt-get install {missing}); or set DATABASE_URL to a server, \
             version 15 or newer, whose user may make databases and roles"
        ));
    }
    eprintln!("installing {missing}");
    let install = format!("apt-get update -qq && apt-get install -y -qq --no-install-recommends {missing}");
    shell::run(Command::new("sh").args(["-c", &install]).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()))
}

/// Whether a program is on the path, among the system's, or where Debian keeps the server's.
fn installed(program: &str) -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(versions).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.into_iter().any(|folder| folder.join(program).is_file())
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
