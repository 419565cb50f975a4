//! Undoing a run: its lineage read backwards makes a plan, which is applied like any other. What others changed since stays.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::value::RawValue;
use sync_core::{
    Counts, Direction, Duplicates, Error, ErrorKind, Place, RecordFailure, RecordId, Result, RunId, Source, SyncResult, Target, WriteMode,
    json_value,
    sensitive::is_hidden,
    store::{
        EntityQuery, Feed, Fence, ItemKind, ItemState, LineageOp, LiveRow, NewPlan, NewRun, PLAN, Plan, PlanItem, PlannedChange,
        RowHistory, Run, WorkspaceStore,
    },
};

use super::{Apply, Kept, VERSION, look::planned_by};
use crate::{Connection, run::Start};

/// Rows of a run that can be undone at once: they are held in memory.
const ROWS_AT_MOST: u32 = 1_000_000;
/// The rule that undoing writes down.
const RULE: &str = "undo";

/// Plans what would take a run back.
pub(crate) async fn plan_undo(connection: &Connection, run: RunId, by: &str) -> Result<Plan> {
    connection.usable().await?;
    let undone = connection.workspace.run(run).await?;
    let refuse = |text: &'static str| Err(Error::new(ErrorKind::Conflict, "undo", text).at("run", run.to_string()));
    if undone.feed.connection != connection.id {
        return refuse("it is a run of another connection");
    }
    if undone.direction != Direction::FromExternal {
        return refuse("it wrote to the service, and what it wrote there is not taken back");
    }
    if undone.completed_at.is_none() {
        return refuse("it is still under way");
    }
    let new = NewRun {
        feed: undone.feed.clone(),
        direction: Direction::FromExternal,
        entity: undone.entity.clone(),
        job_type: PLAN,
        exclusive: false,
        triggered_by: by.into(),
        at: connection.workspace.engine.shared.clock.now(),
    };
    let (this, by) = (connection.clone(), Box::from(by));
    planned_by(connection, Start { operation: "undo", new }, move |fence| look(this, undone, by, fence)).await
}

/// Takes a run back, as far as nobody has changed its rows since.
pub(crate) async fn undo(connection: &Connection, run: RunId, by: &str) -> Result<SyncResult> {
    let plan = plan_undo(connection, run, by).await?;
    super::apply(connection, Apply::plan(plan.plan.run).triggered_by(by)).await
}

async fn look(connection: Connection, undone: Run, by: Box<str>, fence: Fence) -> Result<Plan> {
    let store = &connection.workspace.store;
    let run = undone.id;
    let history = store.run_history(run, ROWS_AT_MOST).await?;
    let history = history.ok_or_else(|| Error::new(ErrorKind::NotFound, "undo", format!("there is no run {run} in this workspace")))?;
    let changed = undone.counts.synced() + undone.counts.deleted + undone.counts.swept;
    if history.pruned || (history.rows.is_empty() && changed > 0) {
        let text = "its lineage was not kept, or is no longer, so nobody can tell what there was before";
        return Err(Error::new(ErrorKind::Conflict, "undo", text).at("run", run.to_string()));
    }
    let (mut items, mut failures, mut counts) = (Vec::new(), Vec::new(), Counts::default());
    for mut row in history.rows {
        if let Place::Host(_) = history.place {
            row.live = host_row(&**store, &undone, &row.entity).await?;
        }
        let veiled = Veiled::of(&**store, &history.sensitive, row.live.as_ref()).await?;
        let Undoing { kind, changes, kept, lost } = backwards(run, &row, &veiled);
        failures.extend(lost.into_iter().map(|field| {
            let text = "its value is sensitive, so that lineage has no more than a hash of what it was; it cannot be taken back";
            RecordFailure::warning(text).of_record(&*row.entity).in_column(field)
        }));
        let stays = |(field, by): &(Option<Box<str>>, i64)| {
            let warning = RecordFailure::warning(format!("changed since, by run {by}; it stays as it is")).of_record(&*row.entity);
            match field {
                Some(field) => warning.in_column(field.clone()),
                None => warning,
            }
        };
        failures.extend(kept.iter().map(stays));
        counts.read += 1;
        let Some(kind) = kind else {
            counts.skipped += u64::from(!kept.is_empty());
            counts.unchanged += u64::from(kept.is_empty());
            continue;
        };
        match kind {
            ItemKind::Create => counts.created += 1,
            ItemKind::Update => counts.updated += 1,
            ItemKind::Delete => counts.deleted += 1,
        }
        let key = if kind == ItemKind::Update { key_of(&history.place, row.live.as_ref())? } else { BTreeMap::new() };
        let no = u32::try_from(items.len() + 1).unwrap_or(u32::MAX);
        let records = vec![("".into(), RecordId::from(&*row.entity))];
        items.push(PlanItem { no, entity: row.entity, kind, records, position: None, key, changes, state: ItemState::Open });
    }
    let target = Target {
        entity: undone.entity.clone(),
        place: history.place,
        fields: Arc::from([]),
        rules: Arc::default(),
        duplicates: Duplicates::LastWins,
        lineage: true,
        source: Arc::new(Source { kind: "app".into(), id: format!("undo of run {run}").into(), refs: BTreeMap::new() }),
        pushes: Arc::default(),
        mode: WriteMode::ByHand,
    };
    let key = target.place.key().to_vec();
    let kept = Kept { version: VERSION, target };
    let plan = NewPlan {
        run: fence.run,
        feed: Feed { ..undone.feed },
        direction: Direction::FromExternal,
        entity: undone.entity,
        key,
        request: kept.to_json()?,
        counts,
        failures,
        errors: Vec::new(),
        made_by: by,
        made_at: connection.workspace.engine.shared.clock.now(),
    };
    store.put_plan(plan, items).await
}

/// A row of the host as it is now. Who made it and when is not known.
async fn host_row(store: &dyn WorkspaceStore, run: &Run, key: &str) -> Result<Option<LiveRow>> {
    let query = EntityQuery { key: Some(key.into()), limit: 1, ..EntityQuery::default() };
    let row = store.entities(&run.entity, query).await?.into_iter().next();
    Ok(row.map(|row| LiveRow {
        run: 0,
        made: run.started_at,
        fields: row.fields.into_iter().map(|(field, value)| (field, value.to_string())).collect(),
    }))
}

/// The key's values of a row of the host.
fn key_of(place: &Place, live: Option<&LiveRow>) -> Result<BTreeMap<Box<str>, Box<RawValue>>> {
    let (Place::Host(table), Some(live)) = (place, live) else { return Ok(BTreeMap::new()) };
    let mut key = BTreeMap::new();
    for field in &table.key {
        let known = live.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(field));
        if let Some((name, json)) = known {
            key.insert(name.as_str().into(), raw(json)?);
        }
    }
    Ok(key)
}

fn raw(json: &str) -> Result<Box<RawValue>> {
    RawValue::from_string(json.to_owned()).map_err(|e| Error::new(ErrorKind::Internal, "undo", "a value is not JSON").because(e))
}

/// What takes one row back.
#[derive(Debug)]
struct Undoing {
    /// `None` when there is nothing to do.
    kind: Option<ItemKind>,
    changes: Vec<PlannedChange>,
    /// Fields that others changed since, or the whole row, and the run that did (0 when it left no line).
    kept: Vec<(Option<Box<str>>, i64)>,
    /// Fields of which nobody knows any more what they were.
    lost: Vec<Box<str>>,
}

/// The values of sensitive fields that a row has now, as lineage tells them.
#[derive(Debug, Default)]
struct Veiled {
    /// In small letters.
    fields: BTreeSet<Box<str>>,
    now: BTreeMap<String, Box<str>>,
}

impl Veiled {
    async fn of(store: &dyn WorkspaceStore, fields: &BTreeSet<Box<str>>, live: Option<&LiveRow>) -> Result<Self> {
        let mut this = Self { fields: fields.clone(), now: BTreeMap::new() };
        let live = live.iter().flat_map(|live| &live.fields).filter(|(field, _)| this.covers(field));
        let (names, values): (Vec<String>, Vec<Box<str>>) = live.map(|(field, json)| (field.clone(), json.as_str().into())).unzip();
        if !names.is_empty() {
            this.now = names.into_iter().zip(store.hidden(values).await?).collect();
        }
        Ok(this)
    }

    fn covers(&self, field: &str) -> bool {
        self.fields.contains(field.to_ascii_lowercase().as_str())
    }
}

/// What the run did to a row as a whole.
#[derive(Debug, Default)]
struct Done {
    /// Whether there was a row before, and after.
    there: (bool, bool),
    /// The first value before, and the last after.
    fields: BTreeMap<String, (String, String)>,
    /// The number of its last line.
    last: i64,
}

fn done(run: i64, row: &RowHistory) -> Done {
    let mut done = Done::default();
    let mut met = false;
    let made_here = |created: Option<i64>| created == Some(run);
    // A managed row's making leaves no line: the next line of its life, or the row itself, tells who made it.
    for line in row.lines.iter().filter(|line| line.run == run || line.created.is_some_and(|(maker, _)| maker == run)) {
        if line.run != run {
            // Somebody else deleted what the run had made.
            if !met {
                (done.there, met) = ((false, false), true);
            }
            done.last = done.last.max(line.seq - 1);
            continue;
        }
        if !met {
            let made = line.op == LineageOp::Created || made_here(line.created.map(|(maker, _)| maker));
            done.there.0 = !made && !born_in(run, row, line.seq);
            met = true;
        }
        done.there.1 = line.op != LineageOp::Deleted;
        for (field, (old, new)) in &line.changes {
            let entry = done.fields.entry(field.clone()).or_insert_with(|| (old.get().to_owned(), String::new()));
            entry.1 = if line.op == LineageOp::Deleted { "null".into() } else { new.get().to_owned() };
        }
        done.last = line.seq;
    }
    if let Some(live) = row.live.as_ref().filter(|live| live.run == run) {
        if !met {
            done.there.0 = false;
        }
        done.there.1 = true;
        // Its present life began when the one before had ended.
        let ended = row.lines.iter().rfind(|line| line.op == LineageOp::Deleted).map_or(0, |line| line.seq);
        done.last = done.last.max(ended);
        // Of a row that was deleted and made again by one run: what it was made with the second time.
        for (field, value) in &live.fields {
            done.fields.entry(field.clone()).or_insert_with(|| ("null".into(), String::new())).1 = value.clone();
        }
    }
    done
}

/// Whether the life of the row that this line belongs to began with the run.
fn born_in(run: i64, row: &RowHistory, seq: i64) -> bool {
    let end = row.lines.iter().find(|line| line.seq >= seq && line.op == LineageOp::Deleted);
    match end {
        Some(end) => end.created.is_some_and(|(maker, _)| maker == run),
        None => row.live.as_ref().is_some_and(|live| live.run == run),
    }
}

/// What others changed in a row after a run, in the end: what they changed back does not count.
struct Later<'r> {
    run: i64,
    after: i64,
    row: &'r RowHistory,
    veiled: &'r Veiled,
}

impl Later<'_> {
    fn now(&self, field: &str) -> &str {
        self.row.live.as_ref().and_then(|live| live.fields.get(field)).map_or("null", String::as_str)
    }

    /// Whether a field is now as lineage says that it was.
    fn is_as(&self, field: &str, told: &str) -> bool {
        match self.veiled.now.get(field) {
            Some(hidden) if is_hidden(told) => **hidden == *told,
            _ => alike(told, self.now(field)),
        }
    }

    /// The first other run after which a field is no longer as it was.
    fn field(&self, field: &str) -> Option<i64> {
        let lines = self.row.lines.iter().filter(|line| line.run != self.run && line.seq > self.after);
        let (first, left) = lines.filter_map(|line| Some((line.run, &line.changes.get(field)?.0))).next()?;
        (!self.is_as(field, left.get())).then_some(first)
    }

    /// The same of any field of the row.
    fn any(&self) -> Option<i64> {
        let lines = self.row.lines.iter().filter(|line| line.run != self.run && line.seq > self.after);
        lines.flat_map(|line| line.changes.keys()).find_map(|field| self.field(field))
    }
}

fn backwards(run: RunId, row: &RowHistory, veiled: &Veiled) -> Undoing {
    let done = done(run.0, row);
    let later = Later { run: run.0, after: done.last, row, veiled };
    let nothing = |kept| Undoing { kind: None, changes: Vec::new(), kept, lost: Vec::new() };
    let change = |field: &str, old: Option<&str>, new: Option<&str>| -> Option<PlannedChange> {
        let raw = |json: Option<&str>| json.map(|json| RawValue::from_string(json.to_owned())).transpose();
        Some(PlannedChange {
            field: field.into(),
            old: raw(old).ok()?,
            new: raw(new).ok()?,
            rule: RULE.into(),
            sensitive: veiled.covers(field),
        })
    };
    match (done.there, row.live.as_ref()) {
        // Somebody else has deleted what it made.
        ((false, true), None) => nothing(vec![(None, later.any().unwrap_or(0))]),
        ((false, true), Some(live)) => {
            let differs = |(field, (_, left)): (&String, &(String, String))| !later.is_as(field, left);
            // Of a row of the host, who may have said nothing, all that it was made with is compared.
            let untold = || (live.run == 0 && done.fields.iter().any(differs)).then_some(0);
            if let Some(by) = later.any().or_else(untold) {
                return nothing(vec![(None, by)]);
            }
            let changes = live.fields.iter().filter(|(_, value)| *value != "null");
            Undoing {
                kind: Some(ItemKind::Delete),
                changes: changes.filter_map(|(field, value)| change(field, Some(value), None)).collect(),
                kept: Vec::new(),
                lost: Vec::new(),
            }
        }
        ((true, true), live) => {
            let mut undoing = nothing(Vec::new());
            for (field, (before, left)) in done.fields.iter().filter(|(_, (before, left))| before != left) {
                let now = later.now(field);
                if live.is_some() && later.is_as(field, left) && is_hidden(before) {
                    undoing.lost.push(field.as_str().into());
                } else if live.is_some() && later.is_as(field, left) {
                    undoing.changes.extend(change(field, Some(now), Some(before)));
                } else if live.is_none() || !later.is_as(field, before) {
                    undoing.kept.push((Some(field.as_str().into()), later.field(field).or_else(|| later.any()).unwrap_or(0)));
                }
            }
            undoing.kind = (!undoing.changes.is_empty()).then_some(ItemKind::Update);
            undoing
        }
        ((true, false), Some(live)) => nothing(vec![(None, live.run)]),
        ((true, false), None) => {
            let changes = done.fields.iter().filter(|(_, (before, _))| before != "null");
            let (lost, known): (Vec<_>, Vec<_>) = changes.partition(|(_, (before, _))| is_hidden(before));
            Undoing {
                kind: Some(ItemKind::Create),
                changes: known.into_iter().filter_map(|(field, (before, _))| change(field, None, Some(before))).collect(),
                kept: Vec::new(),
                lost: lost.into_iter().map(|(field, _)| field.as_str().into()).collect(),
            }
        }
        ((false, false), _) => nothing(Vec::new()),
    }
}

/// Whether two JSON texts say the same, however they are written and whatever type a column of the host gave them.
fn alike(one: &str, other: &str) -> bool {
    one == other
        || json_value(one) == json_value(other)
        || sync_core::key_text(one).is_some_and(|one| Some(one) == sync_core::key_text(other))
}
