//! The history of an entity, in the same terms as the view `field_lineage`.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use sqlx::{AssertSqlSafe, Row as _, postgres::PgRow};
use sync_core::{
    Counts, EntityType, Error, ErrorKind, Result, RunId, WorkspaceId, json_value,
    mapping::Rule,
    store::{
        LineageChange, LineageEntry, LineageLine, LineageOp, LineageStore, LiveRow, RecordChanges, RowHistory, RunRows, RunRules, history,
    },
};

use crate::{
    commit::book,
    error::{Db, damaged},
    hiding::{self, Hiding},
    retention, row, run, run_rows,
    storage::Scoped,
    table::{Keyed, Table},
    tx::{Ask, Door, Repeat, Tx},
};

/// The lines about an entity, by the connection whose row they are about.
async fn lines(tx: &mut Tx, workspace: &WorkspaceId, table: &Table, key: &str) -> Db<BTreeMap<String, Vec<LineageLine>>> {
    let rows = sqlx::query(
        "SELECT l.seq, l.run_id, l.op::text, l.changes::text, l.changed_at, l.created_run, l.created_at, \
         (SELECT r.connection_id FROM sync_runs r WHERE r.workspace_id = l.workspace_id AND r.id = l.run_id) FROM lineage_entries l \
         WHERE l.workspace_id = $1 AND l.type_id = $2 AND l.entity_id = $3 ORDER BY l.seq",
    )
    .bind(workspace.as_str())
    .bind(table.id)
    .bind(key)
    .fetch_all(&mut **tx)
    .await?;
    let mut lines: BTreeMap<String, Vec<LineageLine>> = BTreeMap::new();
    for row in &rows {
        let connection = match table.keyed {
            Keyed::Stream => row.try_get::<Option<String>, _>(7)?.unwrap_or_default(),
            Keyed::Managed | Keyed::Host => String::new(),
        };
        lines.entry(connection).or_default().push(line(row)?);
    }
    Ok(lines)
}

/// A line from its first seven columns.
pub(crate) fn line(row: &PgRow) -> Db<LineageLine> {
    let unreadable = || damaged("lineage", "line of lineage");
    Ok(LineageLine {
        seq: row.try_get(0)?,
        run: row.try_get(1)?,
        op: LineageOp::parse(row.try_get(2)?).ok_or_else(unreadable)?,
        changes: serde_json::from_str(row.try_get(3)?).map_err(|_| unreadable())?,
        at: row.try_get(4)?,
        created: row.try_get::<Option<i64>, _>(5)?.zip(row.try_get::<Option<DateTime<Utc>>, _>(6)?),
    })
}

/// By what a run's changes were decided.
async fn run_rules(tx: &mut Tx, workspace: &WorkspaceId, run: RunId) -> Db<Option<RunRules>> {
    let found = sqlx::query_as::<_, (String, String)>(
        "SELECT b.rule, b.mapping::text FROM sync_runs r JOIN lineage_rules b ON b.workspace_id = r.workspace_id AND b.id = r.lineage_rules \
         WHERE r.workspace_id = $1 AND r.id = $2",
    );
    let found = found.bind(workspace.as_str()).bind(run.0).fetch_optional(&mut **tx).await?;
    Ok(found.map(|(rule, mapping)| RunRules { rule: Rule::from(&*rule), mapping: serde_json::from_str(&mapping).unwrap_or_default() }))
}

/// The rows with this key that are there now and have lineage, by connection.
async fn live(tx: &mut Tx, workspace: &WorkspaceId, table: &Table, key: &str) -> Db<Vec<(String, LiveRow)>> {
    let sql = format!(
        "SELECT coalesce(n.connection_id, ''), m.created_run, m.created_at, {} FROM {} m \
         LEFT JOIN connection_numbers n ON n.workspace_id = m.workspace_id AND n.no = m.connection_no \
         WHERE m.workspace_id = $1 AND m.connection_no IN (SELECT 0 UNION ALL SELECT no FROM connection_numbers WHERE workspace_id = $1) \
         AND m.entity_id = $2 AND m.created_run IS NOT NULL",
        row::columns(table),
        table.sql
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(workspace.as_str()).bind(key).fetch_all(&mut **tx).await?;
    let mut live = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut fields = BTreeMap::new();
        row::fields(table, row, 3, |field, json| {
            fields.insert(field.to_owned(), json.to_owned());
        })?;
        live.push((row.try_get(0)?, LiveRow { run: row.try_get(1)?, made: row.try_get(2)?, fields }));
    }
    Ok(live)
}

/// Where a run's values came from, and who asked for it.
struct Origin {
    kind: Box<str>,
    id: Box<str>,
    refs: BTreeMap<String, String>,
    asked_by: Box<str>,
    rule: Option<Rule>,
}

async fn origins(tx: &mut Tx, workspace: &WorkspaceId, runs: &[i64]) -> Db<BTreeMap<i64, Origin>> {
    let rows = sqlx::query(
        "SELECT r.id, coalesce(s.kind, ''), coalesce(s.source_id, ''), coalesce(s.refs::text, '{}'), r.triggered_by, b.rule \
         FROM unnest($2::bigint[]) k JOIN sync_runs r ON r.workspace_id = $1 AND r.id = k \
         LEFT JOIN lineage_sources s ON s.workspace_id = r.workspace_id AND s.id = r.lineage_source \
         LEFT JOIN lineage_rules b ON b.workspace_id = r.workspace_id AND b.id = r.lineage_rules",
    )
    .bind(workspace.as_str())
    .bind(runs)
    .fetch_all(&mut **tx)
    .await?;
    let mut origins = BTreeMap::new();
    for row in &rows {
        let origin = Origin {
            kind: row.try_get::<String, _>(1)?.into(),
            id: row.try_get::<String, _>(2)?.into(),
            refs: serde_json::from_str(row.try_get(3)?).map_err(|_| damaged("lineage", "list of source columns"))?,
            asked_by: row.try_get::<String, _>(4)?.into(),
            rule: row.try_get::<Option<&str>, _>(5)?.map(Rule::from),
        };
        origins.insert(row.try_get(0)?, origin);
    }
    Ok(origins)
}

/// Hides what changes say of sensitive fields: also what lines say from before a field was marked, and what a row was made with.
async fn hide(tx: &mut Tx, workspace: &WorkspaceId, entity: &EntityType, changes: &mut [LineageChange]) -> Db<()> {
    let hiding = Hiding::of(tx, workspace, entity).await?;
    let sensitive = changes.iter_mut().filter(|change| hiding.covers(&change.field));
    let mut values: Vec<&mut String> = sensitive.flat_map(|change| [&mut change.old, &mut change.new]).flatten().collect();
    if !values.is_empty() {
        let plain: Vec<&str> = values.iter().map(|value| value.as_str()).collect();
        let hidden = hiding::hide(tx, workspace, &plain).await?;
        values.iter_mut().zip(hidden).for_each(|(value, hidden)| **value = hidden);
    }
    Ok(())
}

async fn lineage(tx: &mut Tx, workspace: &WorkspaceId, entity: &EntityType, key: &str, field: Option<&str>) -> Db<Vec<LineageEntry>> {
    let Some(table) = Table::load(tx, entity).await? else { return Ok(Vec::new()) };
    let pruned_before = retention::lineage_mark(tx).await?;
    let mut lines = lines(tx, workspace, &table, key).await?;
    let mut changes: Vec<LineageChange> = Vec::new();
    if table.keyed != Keyed::Host {
        for (connection, row) in live(tx, workspace, &table, key).await? {
            history(&lines.remove(&connection).unwrap_or_default(), Some(row), pruned_before, &mut changes);
        }
    }
    // Rows that are gone, and those of the host, have their lines alone.
    for lines in lines.into_values() {
        history(&lines, None, pruned_before, &mut changes);
    }
    changes.retain(|change| field.is_none_or(|field| change.field == field));
    // A deletion and the next creation share a number; the deletion came first.
    changes.sort_by_key(|change| (change.seq, change.new.is_some()));
    hide(tx, workspace, entity, &mut changes).await?;
    let mut runs: Vec<i64> = changes.iter().map(|change| change.run).collect();
    runs.sort_unstable();
    runs.dedup();
    let origins = origins(tx, workspace, &runs).await?;
    let entries = changes.into_iter().map(|change| {
        let origin = origins.get(&change.run);
        LineageEntry {
            seq: change.seq,
            entity_type: entity.clone(),
            entity_id: key.into(),
            source_type: origin.map_or_else(Box::default, |origin| origin.kind.clone()),
            source_id: origin.map_or_else(Box::default, |origin| origin.id.clone()),
            source_ref: origin.and_then(|origin| origin.refs.get(&change.field)).map(|text| text.as_str().into()),
            previous_value: change.old.as_deref().map(json_value),
            new_value: change.new.as_deref().map(json_value),
            sync_run_id: RunId(change.run),
            changed_by: origin.map_or_else(Box::default, |origin| origin.asked_by.clone()),
            changed_at: change.at,
            rule: origin.and_then(|origin| origin.rule).map(|rule| rule.of_change(change.new.is_none())),
            field_name: change.field.into(),
        }
    });
    Ok(entries.collect())
}

/// Writes lines about changes that others have made.
async fn record(tx: &mut Tx, workspace: &WorkspaceId, what: &RecordChanges) -> Db<run::Mark> {
    let Some(table) = Table::load(tx, &what.entity).await? else {
        let text = format!("nothing is known of {} here", what.entity);
        return Err(Error::new(ErrorKind::NotFound, "record_changes", text).into());
    };
    run::check_fence(tx, workspace, what.fence, "record_changes").await?;
    book::point(tx, workspace, what.fence.run, &what.source, what.rule()).await?;
    let (mut keys, mut lines): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
    for row in what.changes.chunk_by(|one, next| one.entity == next.entity) {
        let pair = |json: &Option<Box<str>>| json.as_deref().unwrap_or("null").to_owned();
        let cells = row.iter().map(|change| {
            let field = serde_json::Value::from(&*change.field);
            format!("{field}:[{},{}]", pair(&change.old), pair(&change.new))
        });
        lines.push(format!("{{{}}}", cells.collect::<Vec<_>>().join(",")));
        keys.push(&row[0].entity);
    }
    let hiding = Hiding::of(tx, workspace, &what.entity).await?;
    let sql = format!(
        "INSERT INTO lineage_entries (workspace_id, type_id, entity_id, run_id, op, changes, changed_at) \
         SELECT $1, $2, l.key, $3, 'u', {}, $4 FROM unnest($5::text[], $6::text[]) WITH ORDINALITY AS l(key, changes, n) ORDER BY l.n",
        hiding.line("l.changes", 7)
    );
    let insert = sqlx::query(AssertSqlSafe(sql)).bind(workspace.as_str()).bind(table.id).bind(what.fence.run.0).bind(what.at);
    let insert = insert.bind(keys).bind(&lines);
    let insert = if hiding.is_empty() { insert } else { insert.bind(hiding.fields()) };
    insert.execute(&mut **tx).await?;
    let counts = Counts { read: lines.len() as u64, updated: lines.len() as u64, ..Counts::default() };
    run::hold(tx, workspace, what.fence, &counts, "record_changes").await
}

#[async_trait]
impl LineageStore for Scoped {
    async fn record_changes(&self, record: RecordChanges) -> Result<()> {
        let (workspace, record) = (self.workspace.clone(), Arc::new(record));
        let (door, asks) = (Door::Workspace(self.workspace.clone()), self.workspace.clone());
        let ask: Ask<run::Mark> = Arc::new(move |tx, mark| {
            let whose = asks.clone();
            async move { run::has_committed(tx, &whose, &mark).await }.boxed()
        });
        let done = self.inner.run("record_changes", door.clone(), Repeat::Ask(door, ask), move |tx| {
            let (workspace, record) = (workspace.clone(), Arc::clone(&record));
            async move { self::record(tx, &workspace, &record).await }.boxed()
        });
        done.await.map(drop)
    }

    async fn run_rows(&self, run: RunId, limit: u32) -> Result<Option<RunRows>> {
        let workspace = self.workspace.clone();
        let found = self.inner.read("run_rows", &self.workspace, move |tx| {
            let workspace = workspace.clone();
            async move { run_rows::rows(tx, &workspace, run, limit).await }.boxed()
        });
        found.await
    }

    async fn row_histories(&self, run: RunId, keys: &[Box<str>]) -> Result<Vec<RowHistory>> {
        let (workspace, keys) = (self.workspace.clone(), Arc::<[Box<str>]>::from(keys));
        let found = self.inner.read("row_histories", &self.workspace, move |tx| {
            let (workspace, keys) = (workspace.clone(), Arc::clone(&keys));
            async move { run_rows::histories(tx, &workspace, run, &keys).await }.boxed()
        });
        found.await
    }

    async fn run_rules(&self, run: RunId) -> Result<Option<RunRules>> {
        let workspace = self.workspace.clone();
        let found = self.inner.read("run_rules", &self.workspace, move |tx| {
            let workspace = workspace.clone();
            async move { run_rules(tx, &workspace, run).await }.boxed()
        });
        found.await
    }

    async fn hidden(&self, values: Vec<Box<str>>) -> Result<Vec<Box<str>>> {
        let (workspace, values) = (self.workspace.clone(), Arc::new(values));
        let found = self.inner.read("hidden", &self.workspace, move |tx| {
            let (workspace, values) = (workspace.clone(), Arc::clone(&values));
            async move {
                let values: Vec<&str> = values.iter().map(|value| &**value).collect();
                Ok(hiding::hide(tx, &workspace, &values).await?.into_iter().map(Into::into).collect())
            }
            .boxed()
        });
        found.await
    }

    async fn lineage(&self, entity: &EntityType, key: &str, field: Option<&str>) -> Result<Vec<LineageEntry>> {
        let (workspace, entity, key, field) = (self.workspace.clone(), entity.clone(), key.to_owned(), field.map(str::to_owned));
        let found = self.inner.read("lineage", &self.workspace, move |tx| {
            let (workspace, entity, key, field) = (workspace.clone(), entity.clone(), key.clone(), field.clone());
            async move { lineage(tx, &workspace, &entity, &key, field.as_deref()).await }.boxed()
        });
        found.await
    }
}
