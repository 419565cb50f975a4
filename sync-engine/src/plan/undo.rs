//! Undoing a run: its lineage read backwards makes a plan, which is applied like any other. What others changed since stays.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::value::RawValue;
use sync_core::{
    Counts, Direction, Duplicates, Error, ErrorKind, Place, RecordFailure, RecordId, Result, RunId, Source, SyncResult, Target, WriteMode,
    mapping::{Rule, alike},
    sensitive::is_hidden,
    store::{
        APPLY, EntityQuery, Expected, Fence, ItemKind, ItemState, LineageOp, LiveRow, NewPlan, NewRun, PLAN, Plan, PlanItem, PlannedChange,
        RowHistory, Run, RunRows, WorkspaceStore,
    },
};

use super::{Kept, VERSION, look::planned_by, raw, write::Writer};
use crate::{
    Connection, SyncEvent,
    run::{self, Report, Start},
};

/// Rows of a run that can be undone: their keys are held in memory, and their changes where it is planned.
const ROWS_AT_MOST: u32 = 1_000_000;
/// Rows that are written in one transaction.
const ROWS_AT_ONCE: usize = 2_000;
/// The rule that undoing writes down.
const RULE: Rule = Rule::Undo;

/// What the source of an undoing is called, before the number of the run.
const UNDO_OF: &str = "undo of run ";

/// The run that a source of lineage undoes, if it does.
pub(crate) fn undone_by(source: &str) -> Option<RunId> {
    Some(RunId(source.strip_prefix(UNDO_OF)?.parse().ok()?))
}

/// A run that is to be taken back.
struct Undone {
    connection: Connection,
    run: Run,
    rows: RunRows,
    target: Arc<Target>,
}

/// What takes some of its rows back, and what is to be said of them.
#[derive(Default)]
struct Part {
    items: Vec<PlanItem>,
    /// The changes of the items.
    expects: Expected,
    failures: Vec<RecordFailure>,
    /// Of the rows that have no item.
    left: Counts,
}

/// Plans what would take a run back.
pub(crate) async fn plan_undo(connection: &Connection, run: RunId, by: &str) -> Result<Plan> {
    let undone = Undone::find(connection, run).await?;
    let (start, by) = (undone.start(PLAN, by), Box::from(by));
    planned_by(connection, start, move |fence, _| undone.plan(by, fence)).await
}

/// Takes a run back, as far as nobody has changed its rows since.
pub(crate) async fn undo(connection: &Connection, run: RunId, by: &str) -> Result<SyncResult> {
    let undone = Undone::find(connection, run).await?;
    let start = undone.start(APPLY, by);
    run::lead(connection, start, |fence, _| undone.write(fence)).await
}

impl Undone {
    async fn find(connection: &Connection, run: RunId) -> Result<Self> {
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
        let rows = connection.workspace.store.run_rows(run, ROWS_AT_MOST).await?;
        let rows = rows.ok_or_else(|| Error::new(ErrorKind::NotFound, "undo", format!("there is no run {run} in this workspace")))?;
        let changed = undone.counts.synced() + undone.counts.deleted + undone.counts.swept;
        if rows.pruned || (rows.keys.is_empty() && changed > 0) {
            return refuse("its lineage was not kept, or is no longer, so nobody can tell what there was before");
        }
        let target = Target {
            entity: undone.entity.clone(),
            place: rows.place.clone(),
            fields: Arc::from([]),
            rules: Arc::default(),
            duplicates: Duplicates::LastWins,
            lineage: true,
            source: Arc::new(Source { kind: "app".into(), id: format!("{UNDO_OF}{run}").into(), rule: RULE, ..Source::default() }),
            pushes: Arc::default(),
            mode: WriteMode::ByHand,
        };
        Ok(Self { connection: connection.clone(), run: undone, rows, target: Arc::new(target) })
    }

    fn start(&self, job_type: &'static str, by: &str) -> Start {
        let new = NewRun {
            feed: self.run.feed.clone(),
            direction: Direction::FromExternal,
            entity: self.run.entity.clone(),
            job_type,
            exclusive: false,
            triggered_by: by.into(),
            at: self.connection.workspace.engine.shared.clock.now(),
        };
        Start { operation: "undo", new }
    }

    /// What takes these rows back; items are numbered from `first` on. Where nobody is going to look at them, items of rows that only the run
    /// has touched do not name what goes.
    async fn part(&self, keys: &[Box<str>], first: usize, looked_at: bool) -> Result<Part> {
        let store = &self.connection.workspace.store;
        let mut part = Part::default();
        for mut row in store.row_histories(self.run.id, keys).await? {
            if let Place::Host(_) = self.rows.place {
                row.live = host_row(&**store, &self.run, &row.entity).await?;
            }
            let no = u32::try_from(first + part.items.len()).unwrap_or(u32::MAX);
            let item = |entity: Box<str>, kind, key, changes| {
                let records = vec![("".into(), RecordId::from(&*entity))];
                PlanItem { no, entity, kind, records, position: None, key, changes, write: None, state: ItemState::Open }
            };
            if let Some(live) = row.live.as_ref().filter(|live| !looked_at && row.lines.is_empty() && live.run == self.run.id.0) {
                for (field, value) in live.fields.iter().filter(|(_, value)| *value != "null") {
                    part.expects.add(&row.entity, field, Some(value), None);
                }
                part.items.push(item(row.entity, ItemKind::Delete, BTreeMap::new(), Vec::new()));
                continue;
            }
            let veiled = Veiled::of(&**store, &self.rows.sensitive, row.live.as_ref()).await?;
            let Undoing { kind, changes, kept, lost } = backwards(self.run.id, &row, &veiled);
            let leaves = !kept.is_empty() || !lost.is_empty();
            part.failures.extend(lost.into_iter().map(|field| {
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
            part.failures.extend(kept.iter().map(stays));
            let Some(kind) = kind else {
                part.left.read += 1;
                part.left.skipped += u64::from(leaves);
                part.left.unchanged += u64::from(!leaves);
                continue;
            };
            let key = if kind == ItemKind::Update { key_of(&self.rows.place, row.live.as_ref())? } else { BTreeMap::new() };
            let item = item(row.entity, kind, key, changes);
            item.expect(&mut part.expects);
            part.items.push(item);
        }
        Ok(part)
    }

    async fn plan(self, by: Box<str>, fence: Fence) -> Result<Plan> {
        let Part { mut items, mut failures, left: mut counts, .. } = Part::default();
        for keys in self.rows.keys.chunks(ROWS_AT_ONCE) {
            let part = self.part(keys, items.len() + 1, true).await?;
            counts.add(&part.left);
            for item in &part.items {
                counts.read += 1;
                match item.kind {
                    ItemKind::Create => counts.created += 1,
                    ItemKind::Update | ItemKind::Adopt => counts.updated += 1,
                    ItemKind::Delete => counts.deleted += 1,
                }
            }
            items.extend(part.items);
            failures.extend(part.failures);
        }
        let plan = NewPlan {
            run: fence.run,
            feed: self.run.feed,
            direction: Direction::FromExternal,
            entity: self.run.entity,
            key: self.target.place.key().to_vec(),
            request: Kept { version: VERSION, target: (*self.target).clone() }.to_json()?,
            counts,
            failures,
            errors: Vec::new(),
            made_by: by,
            made_at: self.connection.workspace.engine.shared.clock.now(),
        };
        self.connection.workspace.store.put_plan(plan, items).await
    }

    /// Writes part after part; the next is read while one is written.
    async fn write(self, fence: Fence) -> Result<Report> {
        let engine = &self.connection.workspace.engine;
        let writer = Writer { connection: &self.connection, feed: &self.run.feed, target: &self.target, of: ("run", self.run.id) };
        let mut chunks = self.rows.keys.chunks(ROWS_AT_ONCE);
        let read = async |keys: Option<&[Box<str>]>| match keys {
            Some(keys) => self.part(keys, 1, false).await.map(Some),
            None => Ok(None),
        };
        let (mut counts, mut left) = (Counts::default(), false);
        let mut ahead = read(chunks.next()).await?;
        while let Some(part) = ahead {
            let written = writer.commit(fence, part.items, part.expects, part.failures, part.left);
            let (written, next) = futures_util::future::join(written, read(chunks.next())).await;
            let (done, settled) = written?;
            counts.add(&done);
            left |= settled.iter().any(|(_, state)| *state == ItemState::Moved);
            engine.emit(SyncEvent::SyncProgress { run: fence.run, counts, partitions_done: 0, partitions: 1 });
            ahead = next?;
        }
        Ok(Report { partial: left, ..Report::default() })
    }
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
        Some(PlannedChange { field: field.into(), old: raw(old).ok()?, new: raw(new).ok()?, rule: RULE, sensitive: veiled.covers(field) })
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
