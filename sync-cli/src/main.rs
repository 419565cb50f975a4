//! The `syncline` command.

mod args;
mod commands;
mod config;
mod database;
mod exit;
mod flags;
mod keys;
mod output;
mod probe;
mod progress;
mod session;
mod signal;
mod storage;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use tracing_subscriber::EnvFilter;

use crate::{
    args::{Cli, Command},
    config::Config,
    exit::{Done, Failure},
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refused) if refused.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = Cli::command().print_help();
            return exit::Exit::Usage.into();
        }
        Err(refused) if !refused.use_stderr() => refused.exit(),
        Err(refused) => {
            // It may repeat what was typed, and that may be a URL with a password.
            let text = if console::Term::stderr().is_term() { refused.render().ansi().to_string() } else { refused.render().to_string() };
            eprint!("{}", database::without_passwords(&text));
            return exit::Exit::Usage.into();
        }
    };
    let json = cli.global.json;
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.report(json);
            failure.exit.into()
        }
    }
}

fn run(cli: Cli) -> Done {
    let config = Config::load(&cli.global)?;
    log(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|problem| {
        Failure::failed(format!("no threads could be started: {problem}"), "start", "see to the limits of this machine and run again")
    })?;
    let view = commands::View { json: cli.global.json, quiet: cli.global.quiet };
    runtime.block_on(async {
        match &cli.command {
            Command::Demo(args) => Box::pin(commands::demo::run(&config, &cli.global, args, view)).await,
            Command::Connect(args) => Box::pin(commands::connect::run(&config, args, view)).await,
            Command::Streams(args) => commands::streams::run(&config, args, view).await,
            Command::Pull(args) => Box::pin(commands::pull::run(&config, args, view)).await,
            Command::Plan(args) => Box::pin(commands::plans::plan(&config, args, view)).await,
            Command::Plans(args) => commands::plans::plans(&config, args, view).await,
            Command::Apply(args) => Box::pin(commands::plans::apply(&config, args, view)).await,
            Command::Undo(args) => Box::pin(commands::plans::undo(&config, args, view)).await,
            Command::Conflicts(args) => commands::conflicts::list(&config, args, view).await,
            Command::Resolve(args) => Box::pin(commands::conflicts::resolve(&config, args, view)).await,
            Command::Push(args) => Box::pin(commands::push::push(&config, args, view)).await,
            Command::Retry(args) => Box::pin(commands::push::retry(&config, args, view)).await,
            Command::Failures(args) => Box::pin(commands::failures::run(&config, args, view)).await,
            Command::Mapping(args) => Box::pin(commands::mapping::run(&config, args, view)).await,
            Command::Status => commands::status::run(&config, view).await,
            Command::Connections(args) => Box::pin(commands::connections::run(&config, args, view)).await,
            Command::Clients(args) => commands::clients::run(&config, args, view).await,
            Command::Keys(args) => Box::pin(commands::keys::run(&config, args, view)).await,
            Command::Erase(args) => commands::erase::run(&config, args, view).await,
            Command::Runs(args) => commands::runs::run(&config, args, view).await,
            Command::Show(args) => commands::show::run(&config, args, view).await,
            Command::Explain(args) => commands::explain::run(&config, args, view).await,
            Command::History(args) => commands::history::run(&config, args, view).await,
            Command::Migrate(args) => Box::pin(commands::migrate::run(&config, args, view)).await,
            Command::Doctor => Box::pin(commands::doctor::run(&config, view)).await,
            Command::Sandbox(args) => commands::sandbox::run(args, view).await,
        }
    })
}

/// Sends the log to stderr.
fn log(config: &Config) -> Done<()> {
    // Of a run that fails people are told in full; the same line in the log would only double it.
    let told = "warn,sync_engine::pull=error,sync_engine::run=error,sync_engine::pull::lane=warn";
    let filter = EnvFilter::try_new(if config.log == "warn" { told } else { &config.log }).map_err(|problem| {
        Failure::usage(format!("the log filter {:?} cannot be read: {problem}", config.log), "log", "use error, warn, info, debug or trace")
    })?;
    let colour = console::colors_enabled_stderr() && console::Term::stderr().is_term();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).with_target(false).init();
    Ok(())
}
