//! What a commit changes, field by field: lines of lineage, and the changes a preview shows.

use std::ops::Range;

use rusqlite::{Transaction, types::ValueRef};
use sync_core::{
    RunId, WorkspaceId,
    mapping::Rule,
    store::{Change, Expected, Gone},
};

use crate::{
    error::Db,
    hiding::Hiding,
    value::{Form, decode, quote, text},
};

#[derive(Debug)]
struct Line {
    op: &'static str,
    key: Range<usize>,
    changes: Range<usize>,
    /// Of a deletion: the run that made the row, and when.
    created: Option<(i64, Box<str>)>,
}

/// Whom changes are shown to.
#[derive(Debug)]
pub(crate) enum Shown {
    /// Nobody.
    Nothing,
    /// Somebody who wants to know all of them.
    Preview(Vec<Change>),
    /// A commit that expects others or the same.
    Compared(Expected),
}

/// Collects lines in one text; they are written after the rows, in one go.
#[derive(Debug)]
pub(crate) struct Journal {
    lineage: bool,
    /// What lines do not say; previews do.
    hiding: Hiding,
    text: String,
    lines: Vec<Line>,
    key: Range<usize>,
    shown: Shown,
    gone: Vec<Gone>,
    /// Where the open line's changes begin in a preview.
    preview_from: usize,
}

impl Journal {
    pub(crate) fn new(lineage: bool, shown: Shown, hiding: Hiding) -> Self {
        Self { lineage, hiding, text: String::new(), lines: Vec::new(), key: 0..0, shown, gone: Vec::new(), preview_from: 0 }
    }

    /// Whether changes are shown to anybody.
    pub(crate) fn shows(&self) -> bool {
        !matches!(self.shown, Shown::Nothing)
    }

    /// Begins a line about this row.
    pub(crate) fn open(&mut self, key: &str) {
        self.preview_from = if let Shown::Preview(changes) = &self.shown { changes.len() } else { 0 };
        let from = self.text.len();
        self.text.push_str(key);
        self.key = from..self.text.len();
        self.text.push('{');
    }

    /// Adds a change to the open line: `old` is a stored value of this form, or `None` when there was none.
    pub(crate) fn change(&mut self, field: &str, old: Option<(ValueRef<'_>, Form)>, new: Option<&str>, rule: Rule) {
        if self.text.len() > self.key.end + 1 {
            self.text.push(',');
        }
        quote(field, &mut self.text);
        self.text.push_str(":[");
        let from = self.text.len();
        match old {
            Some((value, form)) => decode(value, form, &mut self.text),
            None => self.text.push_str("null"),
        }
        let entity = &self.text[self.key.clone()];
        let old = old.map(|_| &self.text[from..]);
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Preview(changes) => changes.push(Change {
                entity: entity.into(),
                field: field.into(),
                old: old.map(Into::into),
                new: new.map(Into::into),
                rule,
            }),
            Shown::Compared(made) => made.add(entity, field, old, new),
        }
        let hides = self.hiding.covers(field);
        if hides {
            let hidden = self.hiding.hide(&self.text[from..]);
            self.text.truncate(from);
            self.text.push_str(&hidden);
        }
        self.text.push(',');
        match new {
            Some(new) if hides => self.text.push_str(&self.hiding.hide(new)),
            new => self.text.push_str(new.unwrap_or("null")),
        }
        self.text.push(']');
    }

    /// Adds a change whose old value is JSON text.
    pub(crate) fn change_text(&mut self, field: &str, old: &str, new: Option<&str>, rule: Rule) {
        self.change(field, Some((ValueRef::Text(old.as_bytes()), Form::Json)), new, rule);
    }

    /// Drops the open line.
    pub(crate) fn abandon(&mut self) {
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Preview(changes) => changes.truncate(self.preview_from),
            Shown::Compared(made) => made.forget(&self.text[self.key.clone()]),
        }
        self.text.truncate(self.key.start);
    }

    /// Drops the open line but shows its changes: the row itself keeps the lineage of its creation.
    pub(crate) fn close_unwritten(&mut self) {
        self.text.truncate(self.key.start);
    }

    /// Ends the open line.
    pub(crate) fn close(&mut self, op: &'static str, created: Option<(i64, Box<str>)>) {
        if !self.lineage {
            return self.close_unwritten();
        }
        self.text.push('}');
        self.lines.push(Line { op, key: self.key.clone(), changes: self.key.end..self.text.len(), created });
    }

    /// Writes the lines.
    pub(crate) fn write(&self, tx: &Transaction<'_>, workspace: &WorkspaceId, type_id: i64, run: RunId, at: &str) -> Db<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let mut insert = tx.prepare_cached(
            "INSERT INTO syncline_lineage_entries (workspace_id, type_id, entity_id, run_id, op, changes, changed_at, created_run, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        insert.raw_bind_parameter(1, text(workspace.as_str()))?;
        insert.raw_bind_parameter(2, type_id)?;
        insert.raw_bind_parameter(4, run.0)?;
        insert.raw_bind_parameter(7, text(at))?;
        for line in &self.lines {
            insert.raw_bind_parameter(3, text(&self.text[line.key.clone()]))?;
            insert.raw_bind_parameter(5, line.op)?;
            insert.raw_bind_parameter(6, text(&self.text[line.changes.clone()]))?;
            insert.raw_bind_parameter(8, line.created.as_ref().map(|(run, _)| *run))?;
            insert.raw_bind_parameter(9, line.created.as_ref().map(|(_, at)| &**at))?;
            insert.raw_execute()?;
        }
        Ok(())
    }

    /// Notes, for a preview, that a record no longer stands behind an entity.
    pub(crate) fn unlinked(&mut self, entity: &str, record: &str, partition: &str) {
        if matches!(self.shown, Shown::Preview(_)) {
            self.gone.push(Gone { entity: entity.into(), record: record.into(), partition: partition.into() });
        }
    }

    /// Entities whose changes are not those that were expected.
    pub(crate) fn moved(&self, expected: &Expected) -> Vec<Box<str>> {
        if let Shown::Compared(made) = &self.shown { expected.moved(made) } else { Vec::new() }
    }

    /// What a preview shows.
    pub(crate) fn into_preview(self) -> (Vec<Change>, Vec<Gone>) {
        let changes = if let Shown::Preview(changes) = self.shown { changes } else { Vec::new() };
        (changes, self.gone)
    }
}
