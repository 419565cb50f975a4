//! The history of an entity, in the same terms as the view `syncline_field_lineage`.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, Transaction};
use sync_core::{
    Counts, EntityType, Error, ErrorKind, Result, RunId, WorkspaceId,
    mapping::Rule,
    store::{LineageEntry, LineageLine, LineageOp, LineageStore, LiveRow, RecordChanges, RowHistory, RunRows, RunRules, history},
};

use crate::{
    commit::journal::{Journal, Shown},
    entity::origins,
    error::{Db, damaged},
    hiding::{self, Hiding},
    retention, row, run, run_rows,
    storage::{Cache, Durability, Scoped},
    table::{Keyed, Table},
    time,
};

/// The lines about an entity, by the connection whose row they are about.
pub(crate) fn lines(tx: &Transaction<'_>, workspace: &WorkspaceId, table: &Table, key: &str) -> Db<BTreeMap<String, Vec<LineageLine>>> {
    let mut found = tx.prepare_cached(
        "SELECT l.seq, l.run_id, l.op, l.changes, l.changed_at, l.created_run, l.created_at, r.connection_id FROM syncline_lineage_entries l \
         JOIN syncline_sync_runs r ON r.id = l.run_id WHERE l.workspace_id = ?1 AND l.type_id = ?2 AND l.entity_id = ?3 ORDER BY l.seq",
    )?;
    let mut rows = found.query((workspace.as_str(), table.id, key))?;
    let mut lines: BTreeMap<String, Vec<LineageLine>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let connection = if table.keyed == Keyed::Stream { row.get(7)? } else { String::new() };
        lines.entry(connection).or_default().push(LineageLine {
            seq: row.get(0)?,
            run: row.get(1)?,
            op: LineageOp::parse(row.get_ref(2)?.as_str()?).ok_or_else(|| damaged("lineage", "line of lineage"))?,
            changes: serde_json::from_str(row.get_ref(3)?.as_str()?).map_err(|_| damaged("lineage", "line of lineage"))?,
            at: time::column(row, 4)?,
            created: row.get::<_, Option<i64>>(5)?.zip(time::optional(row, 6)?),
        });
    }
    Ok(lines)
}

pub(crate) fn live(tx: &Transaction<'_>, workspace: &WorkspaceId, table: &Table, connection_no: i64, key: &str) -> Db<Option<LiveRow>> {
    let sql = format!(
        "SELECT created_run, created_at, {} FROM {} WHERE workspace_id = ?1 AND connection_no = ?2 AND entity_id = ?3 AND created_run IS NOT NULL",
        row::columns(table),
        table.sql
    );
    let mut found = tx.prepare_cached(&sql)?;
    let mut rows = found.query((workspace.as_str(), connection_no, key))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let mut fields = BTreeMap::new();
    row::fields(table, row, 2, |field, json| {
        fields.insert(field.to_owned(), json.to_owned());
    })?;
    Ok(Some(LiveRow { run: row.get(0)?, made: time::column(row, 1)?, fields }))
}

/// Where a run's values came from, and who asked for it.
struct Origin {
    kind: Box<str>,
    id: Box<str>,
    refs: BTreeMap<String, String>,
    asked_by: Box<str>,
    rule: Option<Rule>,
}

fn origin(tx: &Transaction<'_>, run: i64) -> Db<Origin> {
    let found = tx
        .prepare_cached(
            "SELECT coalesce(s.kind, ''), coalesce(s.source_id, ''), coalesce(s.refs, '{}'), r.triggered_by, b.rule FROM syncline_sync_runs r \
             LEFT JOIN syncline_lineage_sources s ON s.id = r.lineage_source LEFT JOIN syncline_lineage_rules b ON b.id = r.lineage_rules \
             WHERE r.id = ?1",
        )?
        .query_row([run], |row| {
            let refs = serde_json::from_str(row.get_ref(2)?.as_str()?).unwrap_or_default();
            let rule = row.get_ref(4)?.as_str_or_null()?.map(Rule::from);
            Ok(Origin { kind: row.get(0)?, id: row.get(1)?, refs, asked_by: row.get(3)?, rule })
        })
        .optional()?;
    Ok(found.unwrap_or(Origin { kind: "".into(), id: "".into(), refs: BTreeMap::new(), asked_by: "".into(), rule: None }))
}

fn lineage(tx: &Transaction<'_>, workspace: &WorkspaceId, entity: &EntityType, key: &str, field: Option<&str>) -> Db<Vec<LineageEntry>> {
    let Some(table) = Table::load(tx, entity)? else { return Ok(Vec::new()) };
    let pruned_before = retention::lineage_mark(tx)?;
    let mut lines = lines(tx, workspace, &table, key)?;
    let origins: Vec<(i64, String)> = match table.keyed {
        Keyed::Stream | Keyed::Managed => origins(tx, &table, workspace)?,
        Keyed::Host => Vec::new(),
    };
    let mut changes = Vec::new();
    for (number, connection) in origins {
        let live = live(tx, workspace, &table, number, key)?;
        history(&lines.remove(&connection).unwrap_or_default(), live, pruned_before, &mut changes);
    }
    // Rows that are gone, and those of the host, have their lines alone.
    for lines in lines.into_values() {
        history(&lines, None, pruned_before, &mut changes);
    }
    changes.retain(|change| field.is_none_or(|field| change.field == field));
    // A deletion and the next creation share a number; the deletion came first.
    changes.sort_by_key(|change| (change.seq, change.new.is_some()));
    let hiding = Hiding::of(tx, workspace, entity)?;
    for change in changes.iter_mut().filter(|change| hiding.covers(&change.field)) {
        // Also what lines say from before the field was marked, and what a row was made with.
        for value in [&mut change.old, &mut change.new].into_iter().flatten() {
            *value = hiding.hide(value);
        }
    }
    let mut origins: HashMap<i64, Origin> = HashMap::new();
    let mut entries = Vec::with_capacity(changes.len());
    for change in changes {
        let origin = match origins.entry(change.run) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(origin(tx, change.run)?),
        };
        entries.push(LineageEntry {
            seq: change.seq,
            entity_type: entity.clone(),
            entity_id: key.into(),
            source_type: origin.kind.clone(),
            source_id: origin.id.clone(),
            source_ref: origin.refs.get(&change.field).map(|text| text.as_str().into()),
            previous_value: change.old.as_deref().map(sync_core::json_value),
            new_value: change.new.as_deref().map(sync_core::json_value),
            sync_run_id: RunId(change.run),
            changed_by: origin.asked_by.clone(),
            changed_at: change.at,
            rule: origin.rule.map(|rule| rule.of_change(change.new.is_none())),
            field_name: change.field.into(),
        });
    }
    Ok(entries)
}

/// By what a run's changes were decided.
fn run_rules(tx: &Transaction<'_>, workspace: &WorkspaceId, run: RunId) -> Db<Option<RunRules>> {
    let mut found = tx.prepare_cached(
        "SELECT b.rule, b.mapping FROM syncline_sync_runs r JOIN syncline_lineage_rules b ON b.id = r.lineage_rules \
         WHERE r.workspace_id = ?1 AND r.id = ?2",
    )?;
    let mut rows = found.query((workspace.as_str(), run.0))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let rule = Rule::from(row.get_ref(0)?.as_str()?);
    Ok(Some(RunRules { rule, mapping: serde_json::from_str(row.get_ref(1)?.as_str()?).unwrap_or_default() }))
}

/// Writes lines about changes that others have made.
fn record(tx: &Transaction<'_>, cache: &mut Cache, workspace: &WorkspaceId, what: &RecordChanges) -> Db<()> {
    run::check_fence(tx, workspace, what.fence, "record_changes")?;
    let Some(table) = Table::load(tx, &what.entity)? else {
        let text = format!("nothing is known of {} here", what.entity);
        return Err(Error::new(ErrorKind::NotFound, "record_changes", text).into());
    };
    cache.sources.point(tx, workspace, what.fence.run, &what.source, what.rule())?;
    let mut journal = Journal::new(true, Shown::Nothing, Hiding::of(tx, workspace, &what.entity)?);
    for row in what.changes.chunk_by(|one, next| one.entity == next.entity) {
        journal.open(&row[0].entity);
        for change in row {
            journal.change_text(&change.field, change.old.as_deref().unwrap_or("null"), change.new.as_deref(), what.rule());
        }
        journal.close("u", None);
    }
    journal.write(tx, workspace, table.id, what.fence.run, &time::text(what.at))?;
    let rows = what.changes.chunk_by(|one, next| one.entity == next.entity).count() as u64;
    run::add_counts(tx, workspace, what.fence.run, &Counts { read: rows, updated: rows, ..Counts::default() })
}

#[async_trait]
impl LineageStore for Scoped {
    async fn record_changes(&self, record: RecordChanges) -> Result<()> {
        let workspace = self.workspace.clone();
        let job = move |tx: &Transaction<'_>, cache: &mut Cache| self::record(tx, cache, &workspace, &record);
        self.inner.write("record_changes", move |writer| writer.write(Durability::Full, |tx, cache, _| job(tx, cache))).await
    }

    async fn run_rows(&self, run: RunId, limit: u32) -> Result<Option<RunRows>> {
        let workspace = self.workspace.clone();
        self.inner.read("run_rows", move |tx| run_rows::rows(tx, &workspace, run, limit)).await
    }

    async fn row_histories(&self, run: RunId, keys: &[Box<str>]) -> Result<Vec<RowHistory>> {
        let (workspace, keys) = (self.workspace.clone(), keys.to_vec());
        self.inner.read("row_histories", move |tx| run_rows::histories(tx, &workspace, run, &keys)).await
    }

    async fn run_rules(&self, run: RunId) -> Result<Option<RunRules>> {
        let workspace = self.workspace.clone();
        self.inner.read("run_rules", move |tx| run_rules(tx, &workspace, run)).await
    }

    async fn hidden(&self, values: Vec<Box<str>>) -> Result<Vec<Box<str>>> {
        let workspace = self.workspace.clone();
        let hide = move |tx: &Transaction<'_>| {
            let key = hiding::key(tx, &workspace)?;
            Ok(values.iter().map(|value| hiding::hide(key.as_ref(), value).into()).collect())
        };
        self.inner.read("hidden", hide).await
    }

    async fn lineage(&self, entity: &EntityType, key: &str, field: Option<&str>) -> Result<Vec<LineageEntry>> {
        let (workspace, entity, key, field) = (self.workspace.clone(), entity.clone(), key.to_owned(), field.map(str::to_owned));
        self.inner.read("lineage", move |tx| lineage(tx, &workspace, &entity, &key, field.as_deref())).await
    }
}
