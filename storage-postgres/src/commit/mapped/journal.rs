//! Lines of lineage, collected and written in one go, and the changes a preview shows.

use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;
use sync_core::{RunId, WorkspaceId, mapping::Rule, store::Change};

use super::cell::quote;
use crate::{error::Db, hiding::Hiding, tx::Tx};

/// What one row changes, field by field.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// `"field":[old,new],…`
    text: String,
    changes: Vec<Change>,
}

impl Line {
    /// Adds a change. `old` is `None` when there was no row, `new` when there is none any more.
    pub(super) fn change(&mut self, shown: Option<&str>, field: &str, old: Option<&str>, new: Option<&str>, rule: Rule) {
        if !self.text.is_empty() {
            self.text.push(',');
        }
        quote(field, &mut self.text);
        self.text.push_str(":[");
        self.text.push_str(old.unwrap_or("null"));
        self.text.push(',');
        self.text.push_str(new.unwrap_or("null"));
        self.text.push(']');
        if let Some(entity) = shown {
            self.changes.push(Change {
                entity: entity.into(),
                field: field.into(),
                old: old.map(Into::into),
                new: new.map(Into::into),
                rule,
            });
        }
    }
}

/// What lines are written with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written<'a> {
    pub(super) type_id: i64,
    pub(super) run: RunId,
    pub(super) at: DateTime<Utc>,
    pub(super) hiding: &'a Hiding,
}

/// The run and time that made a row.
pub(super) type Created = (Option<i64>, Option<DateTime<Utc>>);

/// Collects lines.
#[derive(Debug)]
pub(super) struct Journal {
    lineage: bool,
    /// Whether changes are shown to somebody.
    pub(super) previews: bool,
    keys: Vec<Box<str>>,
    ops: Vec<&'static str>,
    lines: Vec<String>,
    created_run: Vec<Option<i64>>,
    created_at: Vec<Option<DateTime<Utc>>>,
    pub(super) changes: Vec<Change>,
}

impl Journal {
    pub(super) fn new(lineage: bool, previews: bool) -> Self {
        Self {
            lineage,
            previews,
            keys: Vec::new(),
            ops: Vec::new(),
            lines: Vec::new(),
            created_run: Vec::new(),
            created_at: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Shows a line without keeping it: the row itself keeps the lineage of its creation.
    pub(super) fn show(&mut self, line: Line) {
        self.changes.extend(line.changes);
    }

    /// Takes a line.
    pub(super) fn add(&mut self, key: &str, op: &'static str, line: Line, created: Created) {
        self.changes.extend(line.changes);
        if self.lineage {
            self.keys.push(key.into());
            self.ops.push(op);
            self.lines.push(format!("{{{}}}", line.text));
            self.created_run.push(created.0);
            self.created_at.push(created.1);
        }
    }

    /// Writes the lines.
    pub(super) async fn write(&self, tx: &mut Tx, workspace: &WorkspaceId, written: Written<'_>) -> Db<()> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let Written { type_id, run, at, hiding } = written;
        let sql = format!(
            "INSERT INTO lineage_entries (workspace_id, type_id, entity_id, run_id, op, changes, changed_at, created_run, created_at) \
             SELECT $1, $2, l.key, $3, l.op::\"char\", {}, $4, l.created_run, l.created_at \
             FROM unnest($5::text[], $6::text[], $7::text[], $8::bigint[], $9::timestamptz[]) WITH ORDINALITY \
             AS l(key, op, changes, created_run, created_at, n) ORDER BY l.n",
            hiding.line("l.changes", 10)
        );
        let insert = sqlx::query(AssertSqlSafe(sql)).bind(workspace.as_str()).bind(type_id).bind(run.0).bind(at);
        let insert = insert.bind(&self.keys).bind(&self.ops).bind(&self.lines).bind(&self.created_run).bind(&self.created_at);
        let insert = if hiding.is_empty() { insert } else { insert.bind(hiding.fields()) };
        insert.execute(&mut **tx).await?;
        Ok(())
    }
}
