//! `runs`: the last runs, or one of them with everything that went wrong.

use serde_json::json;
use syncline::{Outcome, Run, RunFilter, RunId, RunStatus};

use super::View;
use crate::{
    args::Runs,
    config::Config,
    exit::{Done, Exit},
    flags,
    keys::Need,
    output::{self, Style, number},
    session::Session,
};

pub(crate) async fn run(config: &Config, args: &Runs, view: View) -> Done {
    let session = Session::open(config, Need::None).await?;
    match args.run {
        Some(id) => one(&session, RunId(id), args.limit, view).await,
        None => list(&session, args.limit, view).await,
    }
}

async fn list(session: &Session, limit: u32, view: View) -> Done {
    let runs = session.workspace.runs(RunFilter { limit, ..RunFilter::default() }).await?;
    if view.json {
        output::json(&json!({ "runs": runs }));
        return Ok(Exit::Done);
    }
    if runs.is_empty() {
        output::line("no runs yet; pull something: syncline pull --help");
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            vec![
                run.id.to_string(),
                state(run).into(),
                output::plain(run.feed.stream.as_str()),
                run.entity.to_string(),
                number(run.counts.read),
                number(run.counts.synced()),
                number(run.counts.skipped),
                number(run.counts.failed),
                number(run.counts.deleted + run.counts.swept),
                run.started_at.format("%F %T").to_string(),
                took(run),
            ]
        })
        .collect();
    let header = ["run", "state", "stream", "table", "read", "written", "skipped", "failed", "deleted", "started (UTC)", "took"];
    for line in output::table(&header, &rows, output::width().max(110), Style::stdout()) {
        output::line(line);
    }
    Ok(Exit::Done)
}

async fn one(session: &Session, id: RunId, limit: u32, view: View) -> Done {
    let run = session.workspace.run(id).await?;
    let failures = session.workspace.failures(id, limit).await?;
    if view.json {
        output::json(&json!({ "run": run, "failures": failures }));
        return Ok(Exit::Done);
    }
    let style = Style::stdout();
    output::line(format!(
        "{}  {} → {}  {}",
        style.bold(format!("run {id}")),
        output::plain(run.feed.stream.as_str()),
        run.entity,
        state(&run)
    ));
    output::line(format!("  connection {}, {}, asked for by {}", run.feed.connection, run.job_type, output::plain(&run.triggered_by)));
    output::line(format!("  started {}, took {}", run.started_at.format("%F %T UTC"), took(&run)));
    output::line(format!("  {}", output::counts(&run.counts, style)));
    for error in &run.errors {
        output::line(format!("  {} {}", style.bad("error:"), output::plain(&flags::spoken(&error.message))));
        output::line(format!("    {} {}", style.faint("to do:"), flags::hint(&error.message, &error.hint)));
    }
    for failure in &failures {
        output::line(format!("  {}", super::failure(failure, style)));
    }
    if failures.len() == limit as usize {
        output::line(style.faint(format!("  there may be more: syncline runs {id} --limit {}", u64::from(limit) * 10)));
    }
    Ok(Exit::Done)
}

fn state(run: &Run) -> &'static str {
    match (run.status, run.outcome) {
        (RunStatus::Running, _) => "under way",
        (RunStatus::Completed, Some(Outcome::Partial)) => "in part",
        (RunStatus::Completed, _) => "done",
        (RunStatus::Failed, _) => "failed",
        (RunStatus::Cancelled, _) => "stopped",
    }
}

fn took(run: &Run) -> String {
    let Some(ended) = run.completed_at else { return "–".into() };
    output::duration((ended - run.started_at).to_std().unwrap_or_default())
}
