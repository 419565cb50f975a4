//! `pull`: one run, from the first question to what became of the records.

use serde_json::json;
use syncline::{Error, ErrorKind, Outcome, Pull, Run, RunStatus, SyncResult, Workspace};

use super::View;
use crate::{
    args,
    config::Config,
    exit::{self, Done, Exit, Failure},
    keys::Need,
    output::{self, Style, plural},
    progress::{self, Show, Watched},
    session::Session,
};

/// Record failures shown; the rest is in `syncline runs RUN`.
const SHOWN: usize = 10;

pub(crate) async fn run(config: &Config, args: &args::Pull, view: View) -> Done {
    let pull = request(args)?;
    let session = Session::open(config, Need::Open).await?;
    let connection = session.connection(&args.connection).await?;
    let title = format!("{}/{}", connection.integration_name(), output::plain(&args.stream));
    let show = Show::for_terminal(view.quiet);
    match progress::watch(&session.engine, connection.sync_from_external(pull), &title, show).await {
        Watched::Ended(ended) => match *ended {
            Ok(result) => report(&session.workspace, &result, &title, view).await,
            Err(error) if error.kind() == ErrorKind::Conflict => Err(Failure::busy(&error)),
            Err(error) => Err(Failure::of(&error)),
        },
        Watched::Stopped(run) => stopped(&session.workspace, run, view).await,
    }
}

fn request(args: &args::Pull) -> Done<Pull> {
    let mut pull = match &args.mapping {
        None => Pull::stream(args.stream.as_str()),
        Some(file) => {
            let mapping = super::mapping::load(file)?;
            if mapping.stream.as_str() != args.stream {
                return Err(Failure::usage(
                    format!("the mapping {:?} reads the stream {:?}, not {:?}", mapping.name, mapping.stream.as_str(), args.stream),
                    file.display().to_string(),
                    "name the mapping's stream, or correct its `stream`",
                ));
            }
            Pull::mapped(mapping)
        }
    };
    if !args.key.is_empty() {
        pull = pull.key(args.key.iter().map(String::as_str));
    }
    if args.full {
        pull = pull.full();
    }
    if let Some(limit) = args.limit {
        pull = pull.limit(limit);
    }
    if !args.partitions.is_empty() {
        pull = pull.partitions(args.partitions.iter().map(String::as_str));
    }
    if args.confirm_deletes {
        pull = pull.confirm_deletes();
    }
    if args.no_lineage {
        pull = pull.without_lineage();
    }
    Ok(pull)
}

/// Says how a run ended, from what is stored of it.
async fn report(workspace: &Workspace, result: &SyncResult, title: &str, view: View) -> Done {
    let exit = Exit::of_run(result.outcome, &result.errors);
    if view.json {
        output::json(&result.to_json());
        return Ok(exit);
    }
    let Some(id) = result.run else {
        for error in &result.errors {
            exit::print_error(&error.message, title, &error.hint);
        }
        return Ok(exit);
    };
    let run = workspace.run(id).await?;
    let style = Style::stdout();
    let state = match result.outcome {
        Outcome::Ok => style.good("done"),
        Outcome::Partial => style.warn("done in part"),
        Outcome::Failed => style.bad("failed"),
    };
    output::line(format!("{} → {}  {state} in {}  run {id}", style.bold(title), run.entity, output::duration(result.duration())));
    output::line(format!("  {}", output::counts(&run.counts, style)));
    failures(workspace, &run, style).await?;
    for error in &result.errors {
        let place = error.partition.as_deref().map_or_else(|| title.to_owned(), |partition| format!("{title}, partition {partition}"));
        exit::print_error(&error.message, &place, &error.hint);
    }
    Ok(exit)
}

/// The first record failures and warnings of a run, and how many more there are.
pub(crate) async fn failures(workspace: &Workspace, run: &Run, style: Style) -> Result<(), Error> {
    let known = workspace.failures(run.id, 1000).await?;
    for failure in known.iter().take(SHOWN) {
        output::line(format!("  {}", super::failure(failure, style)));
    }
    if known.len() > SHOWN {
        let more = if known.len() == 1000 { "many".to_owned() } else { (known.len() - SHOWN).to_string() };
        output::line(style.faint(format!("  … {more} more: syncline runs {} --limit 1000", run.id)));
    }
    Ok(())
}

async fn stopped(workspace: &Workspace, run: Option<syncline::RunId>, view: View) -> Done {
    let Some(id) = run else {
        eprintln!("stopped before a run began; nothing was written");
        return Ok(Exit::Interrupted);
    };
    let run = workspace.run(id).await?;
    if view.json {
        output::json(&json!({ "success": false, "outcome": "cancelled", "sync_run_id": id, "stats": run.counts }));
    }
    let state = if run.status == RunStatus::Cancelled { "was stopped" } else { "is being stopped" };
    eprintln!(
        "run {id} {state}; {} of it are committed and stay, the next pull goes on from there",
        plural(run.counts.read, "record", "records")
    );
    Ok(Exit::Interrupted)
}
