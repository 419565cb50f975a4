//! How a watched run ended, told to people and programs.

use serde_json::json;
use syncline::{Direction, Error, ErrorKind, Outcome, Run, RunId, RunStatus, SyncResult, Workspace};

use super::View;
use crate::{
    exit::{self, Done, Exit, Failure},
    output::{self, Style, plural},
    progress::Watched,
};

/// Record failures shown; the rest is in `syncline runs RUN`.
const SHOWN: usize = 10;

/// Tells how a run ended.
pub(crate) async fn tell(workspace: &Workspace, watched: Watched, title: &str, view: View) -> Done {
    match watched {
        Watched::Ended(ended) => match *ended {
            Ok(result) => report(workspace, &result, title, view).await,
            Err(error) if busy(&error) => Err(Failure::busy(&error)),
            Err(error) => Err(Failure::of(&error)),
        },
        Watched::Stopped(run) => stopped(workspace, run, view).await,
    }
}

/// Whether another run of the connection is under way: refusals of plans and of undoing name these, and no connection.
fn busy(error: &syncline::Error) -> bool {
    error.kind() == ErrorKind::Conflict && error.context().iter().any(|(what, _)| *what == "connection")
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
        Outcome::Ok if nothing_to_send(&run) => style.good("nothing to send"),
        Outcome::Ok => style.good("done"),
        Outcome::Partial => style.warn("done in part"),
        Outcome::Failed => style.bad("failed"),
    };
    let whence = match (run.direction, run.feed.mapping.is_empty()) {
        (Direction::ToExternal, true) => "← records".to_owned(),
        (Direction::ToExternal, false) => format!("← {}", run.entity),
        _ => format!("→ {}", run.entity),
    };
    output::line(format!("{} {whence}  {state} in {}  run {id}", style.bold(title), output::duration(result.duration())));
    output::line(format!("  {}", output::counts(&run.counts, style)));
    failures(workspace, result, run.id, style).await?;
    for error in &result.errors {
        let place = error.partition.as_deref().map_or_else(|| title.to_owned(), |partition| format!("{title}, partition {partition}"));
        exit::print_error(&error.message, &place, &error.hint);
    }
    Ok(exit)
}

/// Whether a push found every record as the service has it, or none at all.
fn nothing_to_send(run: &Run) -> bool {
    run.direction == Direction::ToExternal && run.counts.read == run.counts.unchanged && run.counts.swept == 0
}

/// The first record failures and warnings of a run, and how many more there are.
async fn failures(workspace: &Workspace, result: &SyncResult, run: RunId, style: Style) -> Result<(), Error> {
    // The result has what is said of the whole stream in front.
    for failure in result.failures.iter().take(SHOWN) {
        output::line(format!("  {}", super::failure(failure, style)));
    }
    let known = workspace.failures(run, 1000).await?;
    if known.len() > SHOWN {
        let more = if known.len() == 1000 { "many".to_owned() } else { (known.len() - SHOWN).to_string() };
        output::line(style.faint(format!("  … {more} more: syncline runs {run} --limit 1000")));
    }
    Ok(())
}

pub(crate) async fn stopped(workspace: &Workspace, run: Option<syncline::RunId>, view: View) -> Done {
    let Some(id) = run else {
        eprintln!("stopped before a run began; nothing was written");
        return Ok(Exit::Interrupted);
    };
    let run = workspace.run(id).await?;
    if view.json {
        output::json(&json!({ "success": false, "outcome": "cancelled", "sync_run_id": id, "stats": run.counts }));
    }
    let state = if run.status == RunStatus::Cancelled { "was stopped" } else { "is being stopped" };
    if run.job_type.as_ref() == "plan" {
        eprintln!("run {id} {state}; it only looked, nothing was written");
        return Ok(Exit::Interrupted);
    }
    let next = if run.direction == Direction::ToExternal { "push" } else { "pull" };
    eprintln!(
        "run {id} {state}; {} of it are committed and stay, the next {next} goes on from there",
        plural(run.counts.read, "record", "records")
    );
    Ok(Exit::Interrupted)
}
