//! What the demo says, and where it looks it up: whatever is told about data is read back from the database.

use std::fmt::Display;

use syncline::{
    Apply, Connection, Direction, EntityQuery, Plan, Pull, Push, RecordFailure, Result, Run, RunId, RunStatus, Severity, SyncResult,
    Syncline, Workspace,
};

use crate::{
    commands::{self, View},
    exit::{Done, Exit, Failure},
    output::{self, Style, number},
    progress::{self, Show, Watched},
};

/// Widths of the columns a run is told in, the first one left-aligned.
const LABEL: usize = 27;
const COLUMNS: [(&str, usize); 9] = [
    ("read", 6),
    ("created", 8),
    ("updated", 8),
    ("unchanged", 10),
    ("skipped", 8),
    ("failed", 7),
    ("deleted", 8),
    ("rows", 6),
    ("took", 7),
];

/// Where the demo plays.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) engine: Syncline,
    pub(super) workspace: Workspace,
    pub(super) style: Style,
    view: View,
    steps: u32,
    runs: Vec<RunId>,
}

impl Stage {
    pub(super) fn new(engine: Syncline, workspace: Workspace, view: View) -> Self {
        Self { engine, workspace, style: Style::stdout(), view, steps: 0, runs: Vec::new() }
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
        let names: String = COLUMNS.iter().map(|(name, width)| format!("{name:>width$}")).collect();
        self.say(self.style.faint(format!("{:<LABEL$}{names}", "stream → table")));
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
        let rows = if push { 0 } else { self.workspace.count(run.entity.clone()).await? };
        self.runs.push(id);
        let counts = &run.counts;
        let figures = [
            counts.read,
            counts.created,
            counts.updated,
            counts.unchanged,
            counts.skipped,
            counts.failed,
            counts.deleted + counts.swept,
            rows,
        ];
        let label = if push { format!("{} ← records", run.feed.stream) } else { format!("{} → {}", run.feed.stream, run.entity) };
        let mut line = format!("{label:<LABEL$}");
        for (figure, (name, width)) in figures.into_iter().zip(COLUMNS) {
            let text = if push && name == "rows" { format!("{:>width$}", "") } else { format!("{:>width$}", number(figure)) };
            line.push_str(&match name {
                _ if figure == 0 => self.style.faint(text),
                "failed" => self.style.bad(text),
                "skipped" => self.style.warn(text),
                "created" | "updated" | "deleted" => self.style.good(text),
                _ => text,
            });
        }
        let took =
            run.completed_at.map_or_else(String::new, |ended| output::duration((ended - run.started_at).to_std().unwrap_or_default()));
        let note = match run.status {
            RunStatus::Failed => self.style.bad("  failed"),
            RunStatus::Cancelled => self.style.warn("  stopped"),
            _ => String::new(),
        };
        self.say(format!("{line}{took:>7}{note}"));
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
