//! Rows that differ from what the service has.

use std::fmt::Write as _;

use rusqlite::{Row, Transaction, params_from_iter, types::Value as Sql};
use sync_core::{
    EntityType, Error, Operation, Place, RecordBatch, WorkspaceId, split_key,
    store::{ChangedQuery, ChangedRows},
};

use super::{
    content::{Content, Seen},
    link::{Links, feed_no},
};
use crate::{
    error::Db,
    host::{Host, HostColumn},
    name::quoted,
    table::{Keyed, Table},
    value::{Form, decode, encode},
};

const OPERATION: &str = "changed_rows";
/// Rows that are looked at when the query does not say how many.
const LIMIT: u32 = 1000;

/// The table, and how its rows are found.
enum Source {
    Managed(Table),
    Host(Box<Host>),
}

fn refused(text: String) -> crate::error::Fault {
    Error::config(OPERATION, text).into()
}

impl Source {
    fn open(tx: &Transaction<'_>, workspace: &WorkspaceId, query: &ChangedQuery) -> Db<(Self, Content)> {
        let target = &query.target;
        let pushes: Vec<&str> = target.pushes.iter().map(|field| &**field).collect();
        if pushes.is_empty() {
            return Err(refused(format!("nothing of {} is to be sent: the mapping has no field that can be", target.entity)));
        }
        match &target.place {
            Place::Stream => {
                Err(refused(format!("{} is the copy of a stream and is not sent; map rows of a table of yours", target.entity)))
            }
            Place::Host(spec) => {
                let host = Host::inspect(tx, OPERATION, spec, &pushes)?;
                let content = Content::of_host(&host, &target.pushes);
                Ok((Self::Host(Box::new(host)), content))
            }
            Place::Managed { .. } => {
                let table = Table::load(tx, &target.entity)?.filter(|table| table.keyed == Keyed::Managed);
                let Some(table) = table else { return Err(refused(no_table(&target.entity))) };
                let content = Content::of_table(&table, &target.pushes);
                if !content.missing().is_empty() {
                    return Err(refused(no_columns(tx, workspace, &table, &content.missing())?));
                }
                Ok((Self::Managed(table), content))
            }
        }
    }

    fn sql(&self) -> &str {
        match self {
            Self::Managed(table) => &table.sql,
            Self::Host(host) => &host.sql,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Managed(table) => &table.name,
            Self::Host(host) => &host.spec.name,
        }
    }

    /// The rows of this workspace, as the first terms of a condition with their parameters.
    fn whose(&self, workspace: &WorkspaceId) -> (Vec<String>, Vec<Sql>) {
        let mine = || vec![Sql::Text(workspace.as_str().into())];
        match self {
            Self::Managed(_) => (vec!["workspace_id = ?1".into(), "connection_no = 0".into()], mine()),
            Self::Host(host) => match &host.spec.workspace_column {
                Some(column) => (vec![format!("{} = ?1", quoted(column))], mine()),
                None => (Vec::new(), Vec::new()),
            },
        }
    }

    /// What rows are ordered and found by.
    fn key(&self) -> Vec<String> {
        match self {
            Self::Managed(_) => vec!["entity_id".into()],
            Self::Host(host) => host.key().map(HostColumn::comparable).collect(),
        }
    }

    /// A key in its parts, as they are compared. `None` when it is no key of this table.
    fn parts(&self, key: &str) -> Option<Vec<Sql>> {
        match self {
            Self::Managed(_) => Some(vec![Sql::Text(key.into())]),
            Self::Host(host) => {
                let parts = split_key(key);
                (parts.len() == host.spec.key.len()).then(|| host.key().zip(parts).map(|(column, part)| column.key_value(part)).collect())
            }
        }
    }

    /// The column the host raises with each change.
    fn version(&self) -> Option<&HostColumn> {
        match self {
            Self::Managed(_) => None,
            Self::Host(host) => host.spec.version_column.as_deref().and_then(|name| host.column(name)),
        }
    }

    /// `… >= ?` for a version, with its parameter. A row without a version may have changed at any time.
    fn since(&self, query: &ChangedQuery, at: usize) -> Db<Option<(String, Sql)>> {
        let (Self::Host(host), Some(since)) = (self, &query.since) else { return Ok(None) };
        let Some(column) = self.version() else {
            return Err(refused(format!("table {:?} was registered without a version column", host.spec.name)));
        };
        let mut scratch = String::new();
        let value = encode(since, Form::Host, &mut scratch).map_err(|reason| refused(format!("the version to go on from: {reason}")))?;
        let value = value.try_into().map_err(|_| refused("the version to go on from is not Unicode text".into()))?;
        Ok(Some((format!("({0} >= ?{at} OR {0} IS NULL)", column.sql), value)))
    }
}

fn no_table(entity: &EntityType) -> String {
    format!("there is no table of {entity} yet; pull into it first, or name a table of yours")
}

/// What a managed table lacks, and which of its fields this workspace has values of: names of others' fields are theirs.
fn no_columns(tx: &Transaction<'_>, workspace: &WorkspaceId, table: &Table, missing: &[&str]) -> Db<String> {
    let any: Vec<String> = table.columns.iter().map(|column| format!("max({} IS NOT NULL)", column.sql)).collect();
    let mut there = Vec::new();
    if !any.is_empty() {
        let sql = format!("SELECT {} FROM {} WHERE workspace_id = ?1 AND connection_no = 0", any.join(", "), table.sql);
        tx.query_row(&sql, [workspace.as_str()], |row| {
            for (at, column) in table.columns.iter().enumerate() {
                if row.get::<_, Option<bool>>(at)? == Some(true) {
                    there.push(&*column.field);
                }
            }
            Ok(())
        })?;
    }
    let missing = missing.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let there = if there.is_empty() { "none yet".into() } else { there.join(", ") };
    Ok(format!("table {:?} has no field {missing}; it has: {there}", table.name))
}

/// Compares rows with their links and keeps those to hand over.
struct Comparison<'a> {
    source: &'a Source,
    content: Content,
    links: Option<Links<'a>>,
    all: bool,
    found: ChangedRows,
}

impl Comparison<'_> {
    /// Answers the row's key.
    fn row(&mut self, row: &Row<'_>) -> Db<String> {
        let Seen { key, hash } = self.content.read(row)?;
        // Rows whose key is null or empty were not selected.
        let key = key.ok_or_else(|| {
            refused(format!("a key column of table {:?} holds bytes; only keys of text or numbers can be sent", self.source.name()))
        })?;
        let hash = hash.map_err(|field| {
            refused(format!(
                "column {:?} of table {:?} holds bytes (typeof {} is 'blob') and can only be sent as text; leave it out of the mapping",
                self.content.name(field),
                self.source.name(),
                self.content.name(field),
            ))
        })?;
        let link = match &self.links {
            Some(links) => links.find(&key)?,
            None => None,
        };
        if !self.all && link.as_ref().is_some_and(|link| link.hash == Some(hash)) {
            self.found.unchanged += 1;
            return Ok(key);
        }
        let mut draft = self.found.batch.record();
        for (at, json) in self.content.last() {
            draft.made(at, json);
        }
        draft.finish(key.as_str(), Operation::Upsert, None);
        self.found.links.push(link);
        self.found.hashes.push(hash);
        Ok(key)
    }
}

/// The rows a query asks for.
pub(super) fn rows(tx: &Transaction<'_>, workspace: &WorkspaceId, query: &ChangedQuery) -> Db<ChangedRows> {
    let (source, content) = Source::open(tx, workspace, query)?;
    let links = feed_no(tx, workspace, &query.feed)?.map(|feed_no| Links { tx, workspace, feed_no });
    let found = ChangedRows { batch: content.empty(), ..ChangedRows::default() };
    let mut comparison = Comparison { source: &source, content, links, all: query.all, found };
    let limit = if query.limit == 0 { LIMIT } else { query.limit };
    match &query.keys {
        Some(keys) => by_key(tx, workspace, query, keys, limit, &mut comparison)?,
        None => in_order(tx, workspace, query, limit, &mut comparison)?,
    }
    let batch: &RecordBatch = &comparison.found.batch;
    debug_assert!(batch.len() == comparison.found.links.len() && batch.len() == comparison.found.hashes.len());
    Ok(comparison.found)
}

/// A page of the table, in the order of its key. Rows without a key are nobody's.
fn in_order(tx: &Transaction<'_>, workspace: &WorkspaceId, query: &ChangedQuery, limit: u32, into: &mut Comparison<'_>) -> Db<()> {
    let source = into.source;
    let (mut terms, mut parameters) = source.whose(workspace);
    let key = source.key();
    terms.extend(key.iter().map(|column| format!("{column} <> ''")));
    if let Some(after) = &query.after {
        let parts = source.parts(after).ok_or_else(|| refused(format!("{after:?} is no key of table {:?}", source.name())))?;
        let marks: Vec<String> = (1..=parts.len()).map(|at| format!("?{}", parameters.len() + at)).collect();
        terms.push(format!("({}) > ({})", key.join(", "), marks.join(", ")));
        parameters.extend(parts);
    }
    if let Some((term, value)) = source.since(query, parameters.len() + 1)? {
        terms.push(term);
        parameters.push(value);
    }
    let page = format!("FROM {} WHERE {} ORDER BY {} LIMIT {limit}", source.sql(), terms.join(" AND "), key.join(", "));
    let mut statement = tx.prepare_cached(&format!("SELECT {} {page}", into.content.list()))?;
    let mut rows = statement.query(params_from_iter(&parameters))?;
    let (mut looked, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        last = Some(into.row(row)?);
        looked += 1;
    }
    into.found.after = last.filter(|_| looked == limit).map(Into::into);
    if let Some(column) = source.version()
        && query.after.is_none()
    {
        // Only SQLite knows which of two values it takes to be the higher.
        let (terms, parameters) = source.whose(workspace);
        let whose = if terms.is_empty() { String::new() } else { format!(" WHERE {}", terms.join(" AND ")) };
        let mut statement = tx.prepare_cached(&format!("SELECT max({}) FROM {}{whose}", column.sql, source.sql()))?;
        let mut rows = statement.query(params_from_iter(&parameters))?;
        if let Some(row) = rows.next()? {
            into.found.version = version(source, column, row)?;
        }
    }
    Ok(())
}

fn version(source: &Source, column: &HostColumn, row: &Row<'_>) -> Db<Option<Box<str>>> {
    use rusqlite::types::ValueRef;
    match row.get_ref(0)? {
        ValueRef::Null => Ok(None),
        ValueRef::Blob(_) => Err(refused(format!(
            "version column {:?} of table {:?} holds bytes; one of numbers or texts that grow is needed",
            column.name,
            source.name()
        ))),
        value => {
            let mut json = String::new();
            decode(value, Form::Host, &mut json);
            Ok(Some(json.into()))
        }
    }
}

/// The rows with these keys, in the order of the keys' texts. The version column's highest value is not told: the rows between the keys
/// were not looked at.
fn by_key(
    tx: &Transaction<'_>,
    workspace: &WorkspaceId,
    query: &ChangedQuery,
    keys: &[Box<str>],
    limit: u32,
    into: &mut Comparison<'_>,
) -> Db<()> {
    let source = into.source;
    let mut keys: Vec<&str> = keys.iter().map(|key| &**key).filter(|key| query.after.as_deref().is_none_or(|after| *key > after)).collect();
    keys.sort_unstable();
    keys.dedup();
    let (mut terms, whose) = source.whose(workspace);
    let key = source.key();
    terms.extend(key.iter().enumerate().map(|(at, column)| format!("{column} = ?{}", whose.len() + 1 + at)));
    let since = source.since(query, whose.len() + key.len() + 1)?;
    let mut sql = format!("SELECT {}", into.content.list());
    if let Some((term, _)) = &since {
        let _ = write!(sql, ", {term}");
    }
    let _ = write!(sql, " FROM {} WHERE {} LIMIT 1", source.sql(), terms.join(" AND "));
    let mut statement = tx.prepare_cached(&sql)?;
    for (looked, key) in keys.iter().enumerate() {
        if looked == limit as usize {
            into.found.after = Some(keys[looked - 1].into());
            break;
        }
        let Some(parts) = source.parts(key).filter(|_| !key.is_empty()) else {
            into.found.missing.push((*key).into());
            continue;
        };
        let version = since.iter().map(|(_, value)| value.clone());
        let parameters = whose.iter().cloned().chain(parts).chain(version);
        let mut rows = statement.query(params_from_iter(parameters))?;
        match rows.next()? {
            None => into.found.missing.push((*key).into()),
            Some(row) if since.is_some() && row.get::<_, Option<bool>>(into.content.width())? != Some(true) => {}
            Some(row) => {
                into.row(row)?;
            }
        }
    }
    Ok(())
}
