//! Set-up, tests and gates of the workspace: `cargo xtask --help`.

mod gates;
mod metadata;
mod rows;
mod shell;
mod specs;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
Set-up, tests and gates of the Syncline workspace

Usage: cargo xtask <COMMAND> [ARGUMENTS]

Commands:
  test    Runs every test: unit, integration and documentation tests
  gates   Checks what every change has to pass besides the tests
  rows    Checks that the tests named in docs/requirements.md exist, and says what is open
  specs   Checks requests and replies against the services' own descriptions
  help    Shows this text

`cargo xtask <COMMAND> --help` says more about one.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.split_first().map(|(command, rest)| (command.as_str(), rest)) {
        Some(("test", rest)) => test::run(rest),
        Some(("gates", rest)) => gates::run(rest),
        Some(("rows", rest)) => rows::run(rest),
        Some(("specs", rest)) => specs::run(rest),
        None | Some(("help" | "--help" | "-h", _)) => {
            println!("{HELP}");
            Ok(())
        }
        Some((other, _)) => Err(format!("there is no command {other:?}; `cargo xtask --help` lists them")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Whether help is asked for.
fn wants_help(args: &[String]) -> bool {
    args.iter().any(|arg| arg == "--help" || arg == "-h")
}
