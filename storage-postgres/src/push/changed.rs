//! Rows that differ from what the service has.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, Row as _, postgres::PgRow};
use sync_core::{
    EntityType, Error, Operation, Place, WorkspaceId, split_key,
    store::{ChangedQuery, ChangedRows},
};

use super::{
    content::{Content, Seen},
    link,
};
use crate::{
    error::{Db, Fault, code},
    host::{Class, Host, HostColumn},
    table::{Keyed, MOST_COLUMNS, Table},
    tx::Tx,
};

const OPERATION: &str = "changed_rows";
/// Rows that are looked at when the query does not say how many.
const LIMIT: u32 = 1000;
/// The first parameter that is a part of a key; before it stands the workspace.
const PARTS: usize = 2;

/// The table, and how its rows are found. Statements call it `t`.
enum Source {
    Managed(Box<Table>),
    Host(Box<Host>),
}

/// A column of the key.
struct KeyPart<'s> {
    /// As it stands in SQL.
    column: String,
    host: Option<&'s HostColumn>,
}

impl KeyPart<'_> {
    /// The SQL of a part of a key, a text, as it is compared with the column.
    fn value(&self, text: &str) -> String {
        self.host.map_or_else(|| text.to_owned(), |column| column.value(text))
    }
}

fn refused(text: String) -> Fault {
    Error::config(OPERATION, text).into()
}

/// The text of a JSON value: that of a string without its quotes.
fn plain(json: &str) -> Option<String> {
    if json == "null" {
        return None;
    }
    Some(serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned()))
}

/// Whether a text could not be made a value of a column's type.
fn is_no_value(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code.starts_with("22"))
}

impl Source {
    async fn open(tx: &mut Tx, workspace: &WorkspaceId, query: &ChangedQuery) -> Db<Option<(Self, Content)>> {
        let target = &query.target;
        if target.pushes.is_empty() {
            return Err(refused(format!("nothing of {} is to be sent: the mapping has no field that can be", target.entity)));
        }
        match &target.place {
            Place::Stream => {
                Err(refused(format!("{} is the copy of a stream and is not sent; map rows of a table of yours", target.entity)))
            }
            Place::Host(spec) => {
                if !Host::is_registered(tx, workspace, spec).await? {
                    return Ok(None);
                }
                let Some(host) = Host::registered(tx, workspace, &spec.entity_type(), 0).await? else { return Ok(None) };
                let content = Content::of_host(&host, &target.pushes)?;
                check_host(&host, &content)?;
                Ok(Some((Self::Host(Box::new(host)), content)))
            }
            Place::Managed { .. } => {
                // What is remembered may lack columns that another process has added since.
                let table = Table::load(tx, &target.entity).await?.filter(|table| table.keyed == Keyed::Managed);
                let Some(table) = table else { return Err(refused(no_table(&target.entity))) };
                let content = Content::of_table(&table, &target.pushes)?;
                let missing = unheard_of(tx, workspace, &target.entity, content.missing()).await?;
                if !missing.is_empty() {
                    return Err(refused(no_columns(tx, workspace, &table, &missing).await?));
                }
                Ok(Some((Self::Managed(Box::new(table)), content)))
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

    /// The rows of this workspace, as the first terms of a condition.
    fn whose(&self) -> Vec<String> {
        match self {
            Self::Managed(_) => vec!["t.workspace_id = $1".into(), "t.connection_no = 0".into()],
            // The workspace has to be named, for the parameter to have a place.
            Self::Host(host) => {
                vec![host.workspace().map_or_else(|| "$1::text IS NOT NULL".into(), |column| column.is_key("t.", "$1::text"))]
            }
        }
    }

    /// Tables of the host are read in its own role.
    async fn enter(&self, tx: &mut Tx) -> Db<()> {
        match self {
            Self::Managed(_) => Ok(()),
            Self::Host(host) => host.enter(tx).await,
        }
    }

    async fn leave(&self, tx: &mut Tx) -> Db<()> {
        match self {
            Self::Managed(_) => Ok(()),
            Self::Host(_) => Host::leave(tx).await,
        }
    }

    /// What rows are ordered by.
    fn key(&self) -> Vec<KeyPart<'_>> {
        match self {
            Self::Managed(_) => vec![KeyPart { column: "t.entity_id".into(), host: None }],
            Self::Host(host) => host.key().map(|column| KeyPart { column: format!("t.{}", column.sql), host: Some(column) }).collect(),
        }
    }

    /// Rows without a key are nobody's.
    fn keyed(&self) -> Vec<String> {
        match self {
            Self::Managed(_) => vec!["t.entity_id <> ''".into()],
            Self::Host(host) => host
                .key()
                .map(|column| match column.class {
                    Class::Text => format!("t.{} <> ''", column.sql),
                    _ => format!("t.{} IS NOT NULL", column.sql),
                })
                .collect(),
        }
    }

    /// The condition that finds a row by the parts of its key, texts that are called `u.p0`, `u.p1` and so on.
    fn by_key(&self) -> String {
        match self {
            Self::Managed(_) => "t.workspace_id = $1 AND t.connection_no = 0 AND t.entity_id = u.p0".into(),
            Self::Host(host) => format!("$1::text IS NOT NULL AND {}", host.by_key("t.", "$1::text", |at| format!("u.p{at}"))),
        }
    }

    /// A key in its parts. `None` when it is no key of this table.
    fn parts(&self, key: &str) -> Option<Vec<String>> {
        match self {
            Self::Managed(_) => Some(vec![key.to_owned()]),
            Self::Host(host) => Some(split_key(key)).filter(|parts| parts.len() == host.spec.key.len()),
        }
    }

    /// Whether every text can be a part of a key.
    fn takes_any_key(&self) -> bool {
        match self {
            Self::Managed(_) => true,
            Self::Host(host) => host.key().all(|column| column.class == Class::Text && column.domain.is_none()),
        }
    }

    /// The column the host raises with each change.
    fn version(&self) -> Option<&HostColumn> {
        match self {
            Self::Managed(_) => None,
            Self::Host(host) => host.spec.version_column.as_deref().and_then(|name| host.column(name)),
        }
    }

    /// `… >= $n` for a version, with its parameter. A row without a version may have changed at any time.
    async fn since(&self, tx: &mut Tx, query: &ChangedQuery, at: usize) -> Db<Option<(String, Option<String>)>> {
        let (Self::Host(host), Some(since)) = (self, &query.since) else { return Ok(None) };
        let Some(column) = self.version() else {
            return Err(refused(format!("table {:?} was registered without a version column", host.spec.name)));
        };
        let value = plain(since);
        // Asked alone, so that it is told from keys that are no values of their columns.
        let asked = format!("SELECT {} IS NULL", column.value("$1::text"));
        if let Err(error) = sqlx::query(AssertSqlSafe(asked)).bind(&value).execute(&mut **tx).await {
            if is_no_value(&error) {
                let text = format!("the version to go on from is no value of column {:?} ({})", column.name, column.cast);
                return Err(refused(text));
            }
            return Err(error.into());
        }
        Ok(Some((format!("(t.{0} >= {1} OR t.{0} IS NULL)", column.sql, column.value(&format!("${at}::text"))), value)))
    }
}

/// Refuses fields that are not there, and bytes.
fn check_host(host: &Host, content: &Content) -> Db<()> {
    let table = &host.spec.name;
    let missing: Vec<String> = content.missing().iter().map(|name| format!("{name:?}")).collect();
    if !missing.is_empty() {
        let there = host.columns.iter().map(|column| &*column.name).collect::<Vec<_>>().join(", ");
        let (noun, missing) = (if missing.len() == 1 { "column" } else { "columns" }, missing.join(", "));
        return Err(refused(format!("table {table:?} has no {noun} {missing}; it has: {there}")));
    }
    let bytes = |column: &HostColumn| column.cast.starts_with("bytea");
    if host.key().any(bytes) {
        return Err(refused(format!("a key column of table {table:?} holds bytes; only keys of text or numbers can be sent")));
    }
    if let Some(field) = content.bytes() {
        return Err(refused(format!(
            "column {field:?} of table {table:?} holds bytes (bytea) and can only be sent as text; leave it out of the mapping"
        )));
    }
    let version = host.spec.version_column.as_deref().and_then(|name| host.column(name));
    if let Some(column) = version.filter(|column| bytes(column) || matches!(column.class, Class::Json | Class::Composite)) {
        return Err(refused(format!(
            "version column {:?} of table {table:?} holds {}; one of numbers or texts that grow is needed",
            column.name,
            if bytes(column) { "bytes" } else { &column.cast }
        )));
    }
    Ok(())
}

fn no_table(entity: &EntityType) -> String {
    format!("there is no table of {entity} yet; pull into it first, or name a table of yours")
}

/// Fields that no pull of this workspace into the table has named. One that was never given a value has no column, and is null in every
/// row.
async fn unheard_of<'n>(tx: &mut Tx, workspace: &WorkspaceId, entity: &EntityType, mut fields: Vec<&'n str>) -> Db<Vec<&'n str>> {
    if fields.is_empty() {
        return Ok(fields);
    }
    let known: Vec<String> = sqlx::query_scalar(
        "SELECT f FROM unnest($3::text[]) f WHERE EXISTS (SELECT FROM lineage_sources s WHERE s.workspace_id = $1 AND jsonb_exists(s.refs, f) \
         AND EXISTS (SELECT FROM sync_runs r WHERE r.workspace_id = $1 AND r.lineage_source = s.id AND r.entity_type = $2))",
    )
    .bind(workspace.as_str())
    .bind(entity.as_str())
    .bind(&fields)
    .fetch_all(&mut **tx)
    .await?;
    fields.retain(|field| !known.iter().any(|known| known == field));
    Ok(fields)
}

/// What a managed table lacks, and which of its fields this workspace has values of: names of others' fields are theirs.
async fn no_columns(tx: &mut Tx, workspace: &WorkspaceId, table: &Table, missing: &[&str]) -> Db<String> {
    debug_assert!(table.columns.len() < MOST_COLUMNS);
    let mut there = Vec::new();
    if !table.columns.is_empty() {
        let any: Vec<String> = table.columns.iter().map(|column| format!("bool_or({} IS NOT NULL)", column.sql)).collect();
        let sql = format!("SELECT {} FROM {} WHERE workspace_id = $1 AND connection_no = 0", any.join(", "), table.sql);
        let row = sqlx::query(AssertSqlSafe(sql)).persistent(false).bind(workspace.as_str()).fetch_one(&mut **tx).await?;
        for (at, column) in table.columns.iter().enumerate() {
            if row.try_get::<Option<bool>, _>(at)? == Some(true) {
                there.push(&*column.field);
            }
        }
    }
    let missing = missing.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let there = if there.is_empty() { "none yet".into() } else { there.join(", ") };
    Ok(format!("table {:?} has no field {missing}; it has: {there}", table.name))
}

/// Compares rows with their links and keeps those to hand over.
struct Comparison<'a> {
    source: &'a Source,
    content: Content,
    all: bool,
    found: ChangedRows,
}

impl Comparison<'_> {
    /// Takes rows whose columns from `first` on are those of the content. Answers the last key.
    async fn take<'r>(
        &mut self,
        tx: &mut Tx,
        workspace: &WorkspaceId,
        query: &ChangedQuery,
        rows: impl Iterator<Item = &'r PgRow>,
        first: usize,
    ) -> Db<Option<&'r str>> {
        let mut seen: Vec<Seen<'r>> = Vec::new();
        for row in rows {
            // A part of the key may turn out to be empty when it is written down.
            seen.extend(self.content.read(row, first)?);
        }
        let keys: Vec<&'r str> = seen.iter().map(|seen| seen.key).collect();
        let links = link::find(tx, workspace, &query.feed, &keys).await?;
        for (Seen { key, cells, hash }, link) in seen.into_iter().zip(links) {
            if !self.all && link.as_ref().is_some_and(|link| link.hash == Some(hash)) {
                self.found.unchanged += 1;
                continue;
            }
            let mut draft = self.found.batch.record();
            for (at, json) in cells.into_iter().enumerate() {
                draft.made(at, json);
            }
            draft.finish(key, Operation::Upsert, None);
            self.found.links.push(link);
            self.found.hashes.push(hash);
        }
        Ok(keys.last().copied())
    }
}

/// The rows a query asks for. `None` when the workspace has not registered the host's table.
pub(super) async fn rows(tx: &mut Tx, workspace: &WorkspaceId, query: &ChangedQuery) -> Db<Option<ChangedRows>> {
    let Some((source, content)) = Source::open(tx, workspace, query).await? else { return Ok(None) };
    let found = ChangedRows { batch: content.empty(), ..ChangedRows::default() };
    let mut comparison = Comparison { source: &source, content, all: query.all, found };
    let limit = if query.limit == 0 { LIMIT } else { query.limit };
    match &query.keys {
        Some(keys) => by_key(tx, workspace, query, keys, limit, &mut comparison).await?,
        None => in_order(tx, workspace, query, limit, &mut comparison).await?,
    }
    let found = comparison.found;
    debug_assert!(found.batch.len() == found.links.len() && found.batch.len() == found.hashes.len());
    Ok(Some(found))
}

/// The statement that reads a page of the table, in the order of its key. Its parameters are the workspace, then the parts of the
/// key to go on after, if there is one, the version to go on from, if there is one, and how many rows.
fn page(source: &Source, content: &Content, parts: usize, since: Option<&str>) -> String {
    let key = source.key();
    let columns = key.iter().map(|part| &*part.column).collect::<Vec<_>>().join(", ");
    let mut terms = source.whose();
    terms.extend(source.keyed());
    if parts > 0 {
        let marks: Vec<String> = key.iter().enumerate().map(|(at, part)| part.value(&format!("${}::text", PARTS + at))).collect();
        terms.push(format!("({columns}) > ({})", marks.join(", ")));
    }
    terms.extend(since.map(str::to_owned));
    format!(
        "SELECT {} FROM {} t WHERE {} ORDER BY {} LIMIT ${}",
        content.list(),
        source.sql(),
        terms.join(" AND "),
        columns,
        PARTS + parts + usize::from(since.is_some()),
    )
}

/// A page of the table.
async fn in_order(tx: &mut Tx, workspace: &WorkspaceId, query: &ChangedQuery, limit: u32, into: &mut Comparison<'_>) -> Db<()> {
    let source = into.source;
    let no_key = || refused(format!("{:?} is no key of table {:?}", query.after.as_deref().unwrap_or_default(), source.name()));
    let after = match &query.after {
        Some(after) => source.parts(after).ok_or_else(no_key)?,
        None => Vec::new(),
    };
    source.enter(tx).await?;
    let since = source.since(tx, query, PARTS + after.len()).await?;
    let sql = page(source, &into.content, after.len(), since.as_ref().map(|(term, _)| &**term));
    let mut page = sqlx::query(AssertSqlSafe(sql)).bind(workspace.as_str());
    for part in after {
        page = page.bind(part);
    }
    if let Some((_, value)) = since {
        page = page.bind(value);
    }
    let page = page.bind(i64::from(limit)).fetch_all(&mut **tx).await;
    let page = page.map_err(|error| if query.after.is_some() && is_no_value(&error) { no_key() } else { error.into() })?;
    if let Some(column) = source.version()
        && query.after.is_none()
    {
        into.found.version = highest(tx, workspace, source, column).await?;
    }
    source.leave(tx).await?;
    let last = into.take(tx, workspace, query, page.iter(), 0).await?;
    into.found.after = last.filter(|_| page.len() == limit as usize).map(Into::into);
    Ok(())
}

/// The highest value of the version column. Only the server knows which of two values is the higher.
async fn highest(tx: &mut Tx, workspace: &WorkspaceId, source: &Source, column: &HostColumn) -> Db<Option<Box<str>>> {
    let mut terms = source.whose();
    terms.push(format!("t.{} IS NOT NULL", column.sql));
    let sql = format!(
        "SELECT to_json(t.{0})::text FROM {1} t WHERE {2} ORDER BY t.{0} DESC LIMIT 1",
        column.sql,
        source.sql(),
        terms.join(" AND ")
    );
    let found: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql)).bind(workspace.as_str()).fetch_optional(&mut **tx).await?;
    Ok(found.map(Into::into))
}

/// The rows with these keys, in the order of the keys' texts. The version column's highest value is not told: the rows between the keys
/// were not looked at.
async fn by_key(
    tx: &mut Tx,
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
    if keys.len() > limit as usize {
        keys.truncate(limit as usize);
        into.found.after = keys.last().map(|key| (*key).into());
    }
    let width = source.key().len();
    source.enter(tx).await?;
    let since = source.since(tx, query, PARTS + width).await?;
    source.leave(tx).await?;
    let mut sql = format!("SELECT u.at, t.due, {} FROM unnest(", into.content.names());
    for at in 0..width {
        let _ = write!(sql, "{}${}::text[]", if at == 0 { "" } else { ", " }, PARTS + at);
    }
    let names = (0..width).map(|at| format!("p{at}")).collect::<Vec<_>>().join(", ");
    let _ = write!(
        sql,
        ") WITH ORDINALITY u({names}, at) CROSS JOIN LATERAL (SELECT {} AS due, {} FROM {} t WHERE {} LIMIT 1) t ORDER BY u.at",
        since.as_ref().map_or("true", |(term, _)| term),
        into.content.list(),
        source.sql(),
        source.by_key(),
    );
    let asking = Asking { sql, workspace, source, since: since.map(|(_, value)| value), any: source.takes_any_key() };
    let mut wanted: Vec<(&str, Vec<String>)> = Vec::with_capacity(keys.len());
    let mut missing: Vec<&str> = Vec::new();
    for key in keys {
        match source.parts(key).filter(|_| !key.is_empty() && !key.contains('\0')) {
            Some(parts) => wanted.push((key, parts)),
            None => missing.push(key),
        }
    }
    // Pieces that are still to be asked for, the first one last.
    let mut pieces = vec![&wanted[..]];
    while let Some(piece) = pieces.pop() {
        if piece.is_empty() {
            continue;
        }
        let Some(rows) = asking.ask(tx, piece, width).await? else {
            // Somewhere in it is a text that is no value of a key column, and so the key of no row.
            match piece {
                [(key, _)] => missing.push(key),
                _ => {
                    let (first, second) = piece.split_at(piece.len() / 2);
                    pieces.extend([second, first]);
                }
            }
            continue;
        };
        let mut there = vec![false; piece.len()];
        let mut due = Vec::with_capacity(rows.len());
        for row in &rows {
            there[row.try_get::<i64, _>(0)? as usize - 1] = true;
            if row.try_get::<Option<bool>, _>(1)? == Some(true) {
                due.push(row);
            }
        }
        into.take(tx, workspace, query, due.into_iter(), 2).await?;
        missing.extend(piece.iter().zip(there).filter(|(_, there)| !there).map(|((key, _), _)| *key));
    }
    missing.sort_unstable();
    into.found.missing = missing.into_iter().map(Into::into).collect();
    Ok(())
}

/// The statement that finds rows by their keys.
struct Asking<'a> {
    sql: String,
    workspace: &'a WorkspaceId,
    source: &'a Source,
    since: Option<Option<String>>,
    any: bool,
}

impl Asking<'_> {
    /// `None` when one of the keys is no value of its column.
    async fn ask(&self, tx: &mut Tx, keys: &[(&str, Vec<String>)], width: usize) -> Db<Option<Vec<PgRow>>> {
        let mut asked = sqlx::query(AssertSqlSafe(self.sql.clone())).bind(self.workspace.as_str());
        for at in 0..width {
            asked = asked.bind(keys.iter().map(|(_, parts)| parts[at].clone()).collect::<Vec<_>>());
        }
        if let Some(since) = &self.since {
            asked = asked.bind(since.clone());
        }
        if self.any {
            self.source.enter(tx).await?;
            let found = asked.fetch_all(&mut **tx).await?;
            self.source.leave(tx).await?;
            return Ok(Some(found));
        }
        tx.savepoint().await?;
        self.source.enter(tx).await?;
        let found = asked.fetch_all(&mut **tx).await;
        if let Err(error) = &found
            && is_no_value(error)
        {
            // Which leaves, too.
            tx.back().await?;
            tx.release().await?;
            return Ok(None);
        }
        let found = found?;
        self.source.leave(tx).await?;
        tx.release().await?;
        Ok(Some(found))
    }
}
