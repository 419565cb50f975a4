//! Lines of lineage, collected and written in one go, and the changes a preview shows.

use chrono::{DateTime, Utc};
use sync_core::{RunId, WorkspaceId, mapping::Rule, store::Change};

use super::cell::quote;
use crate::{error::Db, tx::Tx};

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
    pub(super) async fn write(&self, tx: &mut Tx, workspace: &WorkspaceId, type_id: i64, run: RunId, at: DateTime<Utc>) -> Db<()> {
        if self.keys.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO lineage_entries (workspace_id, type_id, entity_id, run_id, op, changes, changed_at, created_run, created_at) \
             SELECT $1, $2, l.key, $3, l.op::\"char\", l.changes::json, $4, l.created_run, l.created_at \
             FROM unnest($5::text[], $6::text[], $7::text[], $8::bigint[], $9::timestamptz[]) WITH ORDINALITY \
             AS l(key, op, changes, created_run, created_at, n) ORDER BY l.n",
        )
        .bind(workspace.as_str())
        .bind(type_id)
        .bind(run.0)
        .bind(at)
        .bind(&self.keys)
        .bind(&self.ops)
        .bind(&self.lines)
        .bind(&self.created_run)
        .bind(&self.created_at)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}
