//! What a pull leaves for pushes to know: the rows it wrote are as the service has them, so that a push does not send them back.

use rusqlite::types::{ToSql, Value as Sql};
use sync_core::{Record, RecordBatch, store::PushLink};

use super::{Work, target::Rows};
use crate::{
    error::Db,
    host::Host,
    name::quoted,
    push::{
        content::{Content, Seen},
        link::{Links, number},
    },
    value::encode,
};

/// Remembers rows of one feed.
pub(super) struct Remembering {
    feed_no: i64,
    content: Content,
    find: String,
}

/// A row as it stands, and what the record leaves open about it.
pub(super) struct Look {
    key: String,
    /// `None` when a field of it cannot be sent.
    hash: Option<u64>,
    /// Whether a field that the record does not have has a value in the row.
    unsaid: bool,
}

/// What a commit did with a record.
pub(super) struct Done {
    /// Whether the row was there before.
    pub(super) there: bool,
    /// Whether anything was written.
    pub(super) written: bool,
    /// Whether a field that pushes send was kept as it is, though the record has it otherwise.
    pub(super) kept: bool,
    /// The row before, if it was looked at.
    pub(super) before: Option<Look>,
}

impl Remembering {
    /// `None` for feeds that cannot be pushed.
    pub(super) fn open(work: &Work<'_>, rows: &Rows) -> Db<Option<Self>> {
        let pushes = &work.commit.target.pushes;
        let (content, table, condition) = match rows {
            _ if pushes.is_empty() => return Ok(None),
            Rows::Stream(_) => return Ok(None),
            Rows::Managed(table) => {
                (Content::of_table(table, pushes), &table.sql, "workspace_id = ?1 AND connection_no = 0 AND entity_id = ?2".to_owned())
            }
            Rows::Host(host) => (Content::of_host(host, pushes), &host.sql, by_cells(host)),
        };
        let find = format!("SELECT {} FROM {table} WHERE {condition}", content.list());
        Ok(Some(Self { feed_no: number(work.tx, work.workspace, &work.commit.feed)?, content, find }))
    }

    /// Whether pushes send a field.
    pub(super) fn sends(&self, field: &str) -> bool {
        self.content.has(field)
    }

    /// Whether the record is silent about a field that pushes send.
    fn is_silent(&self, batch: &RecordBatch, record: &Record) -> bool {
        batch.cells(record).filter(|(name, _)| self.content.has(&batch.names()[*name])).count() < self.content.len()
    }

    /// The row before it is written; answered where what becomes of its link depends on it.
    pub(super) fn before(&mut self, work: &Work<'_>, rows: &Rows, batch: &RecordBatch, record: &Record, key: &str) -> Db<Option<Look>> {
        if self.is_silent(batch, record) { self.look(work, rows, batch, record, key) } else { Ok(None) }
    }

    fn look(&mut self, work: &Work<'_>, rows: &Rows, batch: &RecordBatch, record: &Record, key: &str) -> Db<Option<Look>> {
        let mut find = work.tx.prepare_cached(&self.find)?;
        let parameters = match rows {
            Rows::Stream(_) | Rows::Managed(_) => vec![Sql::Text(work.workspace.as_str().into()), Sql::Text(key.into())],
            Rows::Host(host) => match key_cells(work, host, batch, record) {
                Some(parameters) => parameters,
                None => return Ok(None),
            },
        };
        let parameters: Vec<&dyn ToSql> = parameters.iter().map(|value| value as &dyn ToSql).collect();
        let mut found = find.query(&*parameters)?;
        // A trigger of the host may have moved or removed the row.
        let Some(row) = found.next()? else { return Ok(None) };
        let Seen { key: Some(key), hash } = self.content.read(row)? else { return Ok(None) };
        let said = |field: &str| batch.cells(record).any(|(name, _)| batch.names()[name].eq_ignore_ascii_case(field));
        let unsaid = self.content.last().any(|(at, json)| json != "null" && !said(self.content.name(at)));
        Ok(Some(Look { key, hash: hash.ok(), unsaid }))
    }

    /// Remembers a row that was written, or found as the record has it.
    pub(super) fn keep(&mut self, work: &Work<'_>, rows: &Rows, batch: &RecordBatch, record: &Record, key: &str, done: &Done) -> Db<()> {
        let Some(after) = self.look(work, rows, batch, record, key)? else { return Ok(()) };
        let links = Links { tx: work.tx, workspace: work.workspace, feed_no: self.feed_no };
        let known = links.find(&after.key)?;
        let silent = self.is_silent(batch, record);
        let hash = match &known {
            // Nothing new is agreed.
            Some(link) if !done.written && (done.kept || silent) => link.hash,
            _ if done.kept => None,
            _ if !silent || !done.there => after.hash,
            // What the record is silent about is agreed if the row was, before the record's own fields were written.
            Some(link) => after.hash.filter(|_| link.hash.is_some() && done.before.as_ref().and_then(|before| before.hash) == link.hash),
            // The service does not have what the row has.
            None => after.hash.filter(|_| !after.unsaid),
        };
        let version = known.as_ref().filter(|_| !done.written).and_then(|link| link.version.clone());
        let link = PushLink { id: Some(record.id.clone()), hash, version };
        if known.as_ref() == Some(&link) {
            return Ok(());
        }
        if link.hash.is_none() {
            // There is something to send, and the host's version of the row need not have grown for it: all rows are looked at again.
            work.tx
                .prepare_cached("UPDATE syncline_push_memory SET version = NULL WHERE workspace_id = ?1 AND feed_no = ?2")?
                .execute((work.workspace.as_str(), self.feed_no))?;
        }
        if known.is_none_or(|known| known.id != link.id) {
            links.take_over(&record.id, &after.key, work.at)?;
        }
        links.put(&after.key, &link, work.at)
    }
}

/// The condition that finds a host's row by the record's cells, as writing it does.
fn by_cells(host: &Host) -> String {
    let whose = host.spec.workspace_column.iter().map(|column| quoted(column));
    let columns = whose.chain(host.key().map(|column| column.sql.to_string()));
    columns.enumerate().map(|(at, column)| format!("{column} = ?{}", at + 1)).collect::<Vec<_>>().join(" AND ")
}

fn key_cells(work: &Work<'_>, host: &Host, batch: &RecordBatch, record: &Record) -> Option<Vec<Sql>> {
    let mut values: Vec<Sql> = host.spec.workspace_column.iter().map(|_| Sql::Text(work.workspace.as_str().into())).collect();
    for column in host.key() {
        let (_, json) = batch.cells(record).find(|(name, _)| batch.names()[*name].eq_ignore_ascii_case(&column.name))?;
        let mut scratch = String::new();
        values.push(encode(json, column.form, &mut scratch).ok()?.try_into().ok()?);
    }
    Some(values)
}
