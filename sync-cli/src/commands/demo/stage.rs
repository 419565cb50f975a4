//! What the demo says, and where it looks it up: whatever is told about data is read back from the database.

use std::fmt::Display;

use console::Term;
use syncline::{
    Apply, Connection, Direction, EntityQuery, Plan, Pull, Push, RecordFailure, Result, Run, RunId, RunStatus, Severity, SyncResult,
    Syncline, Workspace,
};

use super::figures::{Ended, Figures, Told};
use crate::{
    commands::{self, View},
    exit::{Done, Exit, Failure},
    output::{self, Style},
    progress::{self, Show, Watched},
};

/// Where the demo plays.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) engine: Syncline,
    pub(super) workspace: Workspace,
    pub(super) style: Style,
    figures: Figures,
    view: View,
    steps: u32,
    runs: Vec<RunId>,
}

impl Stage {
    pub(super) fn new(engine: Syncline, workspace: Workspace, view: View) -> Self {
        // What is not read on a terminal is as wide as it likes.
        let figures = Figures::new(if Term::stdout().is_term() { output::width() } else { usize::MAX });
        Self { engine, workspace, style: Style::stdout(), figures, view, steps: 0, runs: Vec::new() }
    }

    /// The next numbered step.
    pub(super) fn step(&mut self, title: &str) {
        self.steps += 1;
        self.say("");
        self.line(format!("{}  {}", self.style.bold(format!("{:>2}", self.steps)), self.style.bold(title)));
    }

    /// The first line.
    pub(super) fn title(&self, text: &str) {
        self.line(self.style.bold(text));
    }

    /// A line below the step.
    pub(super) fn say(&self, text: impl Display) {
        let text = text.to_string();
        self.line(if text.is_empty() { text } else { format!("    {text}") });
    }

    /// A command to be copied, however long.
    pub(super) fn command(&self, text: &str) {
        if !self.view.json {
            output::verbatim(format!("    {text}"));
        }
    }

    fn line(&self, text: String) {
        if !self.view.json {
            output::line(text);
        }
    }

    /// The names of the columns runs are told in.
    pub(super) fn header(&self) {
        self.say(self.style.faint(self.figures.header()));
    }

    /// Pulls to the end, shows how it goes, and tells what the database has of it.
    pub(super) async fn pull(&mut self, connection: &Connection, pull: Pull, title: &str) -> Done<Run> {
        self.run(connection.sync_from_external(pull), title).await
    }

    /// Pushes to the end, shows how it goes, and tells what the database has of it.
    pub(super) async fn push(&mut self, connection: &Connection, push: Push, title: &str) -> Done<Run> {
        self.run(connection.sync_to_external(push), title).await
    }

    /// Plans a pull to the end, and shows how it goes.
    pub(super) async fn plan(&self, connection: &Connection, pull: Pull, title: &str) -> Done<Plan> {
        self.watch(connection.plan(pull), title).await
    }

    /// Applies a plan, shows how it goes, and tells what the database has of it.
    pub(super) async fn apply(&mut self, connection: &Connection, apply: Apply, title: &str) -> Done<Run> {
        self.run(connection.apply(apply), title).await
    }

    /// Takes a run back, shows how it goes, and tells what the database has of it.
    pub(super) async fn undo(&mut self, connection: &Connection, run: RunId, by: &str, title: &str) -> Done<Run> {
        self.run(connection.undo(run, by), title).await
    }

    async fn run(&mut self, run: impl Future<Output = Result<SyncResult>>, title: &str) -> Done<Run> {
        match self.watch(run, title).await?.run {
            Some(id) => self.tell(id).await,
            None => Err(Failure::failed("the run did not begin", title, "please report this")),
        }
    }

    async fn watch<T>(&self, work: impl Future<Output = Result<T>>, title: &str) -> Done<T> {
        let show = Show::for_terminal(self.view.quiet || self.view.json);
        match progress::watch(&self.engine, work, title, show).await {
            Watched::Ended(ended) => Ok((*ended)?),
            Watched::Stopped(_) => Err(Failure::interrupted("the demo was stopped")),
        }
    }

    /// Tells what the database has of a run.
    pub(super) async fn tell(&mut self, id: RunId) -> Done<Run> {
        let run = self.workspace.run(id).await?;
        let push = run.direction == Direction::ToExternal;
        self.runs.push(id);
        let told = Told {
            label: if push { format!("{} ← records", run.feed.stream) } else { format!("{} → {}", run.feed.stream, run.entity) },
            counts: run.counts,
            rows: if push { None } else { Some(self.workspace.count(run.entity.clone()).await?) },
            took: run
                .completed_at
                .map_or_else(String::new, |ended| output::duration((ended - run.started_at).to_std().unwrap_or_default())),
            note: match run.status {
                RunStatus::Failed => Some((Ended::Badly, "failed")),
                RunStatus::Cancelled => Some((Ended::Early, "stopped")),
                _ => None,
            },
        };
        self.say(self.figures.line(&told, self.style));
        Ok(run)
    }

    /// The first few failures of a run that `wanted` picks.
    pub(super) async fn failures(&self, run: &Run, first: usize, wanted: impl Fn(&RecordFailure) -> bool) -> Done<usize> {
        let failures: Vec<RecordFailure> = self.workspace.failures(run.id, 10_000).await?.into_iter().filter(wanted).collect();
        for failure in failures.iter().take(first) {
            self.say(commands::failure(failure, self.style));
        }
        if failures.len() > first {
            self.say(self.style.faint(format!("  … and {} more", failures.len() - first)));
        }
        Ok(failures.len())
    }

    /// A field of a row as it stands in the database.
    pub(super) async fn field(&self, entity: &str, key: &str, field: &str) -> Done<Option<serde_json::Value>> {
        let query = EntityQuery { key: Some(key.into()), limit: 1, ..EntityQuery::default() };
        let row = self.workspace.entities(entity, query).await?.into_iter().next();
        Ok(row.and_then(|row| row.fields.get(field).cloned()))
    }

    /// Checks what the demo promises, so that it never tells a story that did not happen.
    pub(super) fn promise(&self, kept: bool, what: &str) -> Done<()> {
        if kept { Ok(()) } else { Err(Failure::failed(format!("the demo's promise was not kept: {what}"), "demo", "please report this")) }
    }

    /// The last word.
    pub(super) async fn end(&self, database: &str) -> Done {
        if self.view.json {
            let mut runs = Vec::new();
            for id in &self.runs {
                runs.push(self.workspace.run(*id).await?);
            }
            output::json(&serde_json::json!({ "success": true, "database": database, "runs": runs }));
        }
        Ok(Exit::Done)
    }
}

/// Whether a record could not be taken.
pub(super) fn is_error(failure: &RecordFailure) -> bool {
    failure.severity == Severity::Error
}
