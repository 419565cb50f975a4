//! Deciding about conflicts: the rule's decision stands, or the losing value is written, by a run of its own.

use std::{collections::BTreeMap, sync::Arc};

use sync_core::{
    Counts, Direction, Duplicates, Error, ErrorKind, Operation, Place, RecordBatch, RecordFailure, Result, Source, SyncResult, Target,
    WriteMode,
    mapping::{ConflictState, FieldSource, Rule},
    store::{
        Change, Conflict, ConflictFilter, ConflictId, Conflicts, EntityQuery, Expected, Fence, NewRun, PageCommit, PartitionBatch,
        SettleConflicts, TAKE,
    },
};

use crate::{
    Connection, Workspace,
    run::{self, Report, Start},
};

/// Rows that are written in one transaction.
const AT_ONCE: u32 = 500;
/// How often rows may turn out to have moved while they are being written.
const ROUNDS: u32 = 50;

/// What somebody decided about a conflict.
///
/// ```
/// # use sync_engine::ResolveConflict;
/// # use sync_core::store::ConflictId;
/// let stands = ResolveConflict::accept(ConflictId(12)).by("anna");
/// let all_of_them = ResolveConflict::take(ConflictId(12)).all_alike().by("anna");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ResolveConflict {
    conflict: ConflictId,
    take: bool,
    all: bool,
    by: Box<str>,
}

impl ResolveConflict {
    /// The rule's decision stands. The conflict is open again when the losing source says something else.
    pub fn accept(conflict: ConflictId) -> Self {
        Self { conflict, take: false, all: false, by: "manual".into() }
    }

    /// What the losing source says is written now. It stays until the winning source says something new, or somebody changes the row.
    pub fn take(conflict: ConflictId) -> Self {
        Self { take: true, ..Self::accept(conflict) }
    }

    /// Decides so about every open conflict of the same entity type and field that the same source loses.
    pub fn all_alike(mut self) -> Self {
        self.all = true;
        self
    }

    /// Who decides, for the record; `manual` by default.
    pub fn by(mut self, who: impl Into<Box<str>>) -> Self {
        self.by = who.into();
        self
    }
}

/// What a decision came to.
#[derive(Clone, Debug)]
pub struct ResolvedConflicts {
    /// How many conflicts were decided.
    pub conflicts: u64,
    /// The run that wrote what lost, with what it left out and why; `None` where nothing had to be written.
    pub run: Option<SyncResult>,
}

impl Workspace {
    /// What sources say of a row's fields that they are only a reference for.
    pub async fn reference_values(
        &self,
        entity: impl Into<sync_core::EntityType>,
        key: &str,
    ) -> Result<Vec<sync_core::store::ReferenceValue>> {
        self.store.reference_values(&entity.into(), key).await
    }

    /// Conflicts: fields for which a source of truth loses to one of higher priority that says something else. By default the open ones, in
    /// the order in which they were first met.
    pub async fn conflicts(&self, filter: ConflictFilter) -> Result<Vec<Conflict>> {
        self.store.conflicts(filter).await
    }

    /// Decides about a conflict, or about all that are alike. What is [taken](ResolveConflict::take) is written by a run of its own, of the
    /// losing source's connection; lineage names it and who asked for it.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is no such conflict; [`Conflict`](ErrorKind::Conflict) when it is neither open nor
    /// accepted, or when what is accepted has changed meanwhile. What stops the run that writes is among the errors of its result.
    pub async fn resolve_conflict(&self, resolve: ResolveConflict) -> Result<ResolvedConflicts> {
        let conflict = one(self, resolve.conflict).await?;
        if !resolve.all && !matches!(conflict.state, ConflictState::Open | ConflictState::Accepted) {
            let text = format!("conflict {} is {}; there is nothing to decide", conflict.id, conflict.state.as_str());
            return Err(Error::new(ErrorKind::Conflict, "resolve_conflict", text));
        }
        if resolve.take { take(self, conflict, resolve).await } else { accept(self, &conflict, resolve).await }
    }
}

async fn one(workspace: &Workspace, id: ConflictId) -> Result<Conflict> {
    let filter = ConflictFilter { id: Some(id), state: None, limit: 1, ..ConflictFilter::default() };
    let found = workspace.store.conflicts(filter).await?.into_iter().next();
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "resolve_conflict", format!("there is no conflict {id} in this workspace")))
}

fn loser(conflict: &Conflict) -> FieldSource {
    FieldSource { connection: conflict.loser.connection.clone(), mapping: conflict.loser.mapping.clone() }
}

fn each<'a>(conflicts: impl IntoIterator<Item = &'a Conflict>) -> Conflicts {
    Conflicts::Each(conflicts.into_iter().map(|conflict| (conflict.id, conflict.value.get().into())).collect())
}

fn changed(id: ConflictId) -> Error {
    Error::new(ErrorKind::Conflict, "resolve_conflict", format!("conflict {id} has changed meanwhile; look at it again"))
}

async fn accept(workspace: &Workspace, conflict: &Conflict, resolve: ResolveConflict) -> Result<ResolvedConflicts> {
    let which = match resolve.all {
        true => Conflicts::Alike { entity_type: conflict.entity_type.clone(), field: conflict.field.clone(), loser: loser(conflict) },
        false => each([conflict]),
    };
    let at = workspace.engine.shared.clock.now();
    let settle = SettleConflicts { which, state: ConflictState::Accepted, by: resolve.by, run: None, at };
    let conflicts = workspace.store.settle_conflicts(settle).await?;
    // The same decision once more is no other one.
    if conflicts == 0 && !resolve.all && one(workspace, conflict.id).await?.state != ConflictState::Accepted {
        return Err(changed(conflict.id));
    }
    Ok(ResolvedConflicts { conflicts, run: None })
}

async fn take(workspace: &Workspace, conflict: Conflict, resolve: ResolveConflict) -> Result<ResolvedConflicts> {
    let connection = workspace.connection(conflict.loser.connection.clone()).await?;
    connection.usable().await?;
    let place = workspace.store.place(&conflict.entity_type).await?;
    let place = place.ok_or_else(|| Error::new(ErrorKind::NotFound, "resolve_conflict", "the entity type has no table any more"))?;
    let new = NewRun {
        feed: conflict.loser.clone(),
        direction: Direction::FromExternal,
        entity: conflict.entity_type.clone(),
        job_type: TAKE,
        exclusive: false,
        triggered_by: resolve.by.clone(),
        at: workspace.engine.shared.clock.now(),
    };
    let said = format!("taken from {}{}", conflict.loser.connection, through(&conflict.loser.mapping));
    let source = Source {
        kind: "app".into(),
        id: format!("conflict {}", conflict.id).into(),
        refs: BTreeMap::from([(conflict.field.clone(), said.into())]),
        rule: Rule::Taken,
        mapping: None,
    };
    let target = Target {
        entity: conflict.entity_type.clone(),
        place,
        fields: Arc::from([]),
        rules: Arc::default(),
        duplicates: Duplicates::LastWins,
        lineage: true,
        source: Arc::new(source),
        pushes: Arc::default(),
        mode: WriteMode::ByHand,
    };
    let (told, taken) = tokio::sync::oneshot::channel();
    let work = Work { connection: connection.clone(), conflict, resolve, target: Arc::new(target) };
    let lead = run::lead(&connection, Start { operation: "resolve_conflict", new }, |fence, _| async move {
        let taken = work.run(fence).await?;
        let partial = taken.left > 0;
        let _ = told.send(taken);
        Ok(Report { partial, ..Report::default() })
    });
    let run = lead.await?;
    let conflicts = taken.await.map_or(0, |taken| taken.done);
    Ok(ResolvedConflicts { conflicts, run: Some(run) })
}

fn through(mapping: &str) -> String {
    if mapping.is_empty() { String::new() } else { format!(", mapping {mapping}") }
}

/// What became of conflicts whose losing values were to be written.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    done: u64,
    /// Their rows were not as the conflicts say.
    left: u64,
}

struct Work {
    connection: Connection,
    conflict: Conflict,
    resolve: ResolveConflict,
    target: Arc<Target>,
}

impl Work {
    async fn run(self, fence: Fence) -> Result<Taken> {
        let store = &self.connection.workspace.store;
        if !self.resolve.all {
            let taken = self.commit(fence, vec![self.conflict.clone()]).await?;
            if taken.done == 0 {
                return Err(changed(self.conflict.id));
            }
            return Ok(taken);
        }
        let (mut taken, mut after) = (Taken::default(), None);
        loop {
            let filter = ConflictFilter {
                entity_type: Some(self.conflict.entity_type.clone()),
                field: Some(self.conflict.field.clone()),
                loser: Some(loser(&self.conflict)),
                after,
                limit: AT_ONCE,
                ..ConflictFilter::default()
            };
            let page = store.conflicts(filter).await?;
            let Some(last) = page.last() else { return Ok(taken) };
            after = Some(last.id);
            let some = self.commit(fence, page).await?;
            taken.done += some.done;
            taken.left += some.left;
        }
    }

    /// Writes what loses in one transaction, and says so of the conflicts. Rows that are not as their conflicts say are left as they are.
    async fn commit(&self, fence: Fence, mut conflicts: Vec<Conflict>) -> Result<Taken> {
        let store = &self.connection.workspace.store;
        let mut failures: Vec<RecordFailure> = Vec::new();
        for _ in 0..ROUNDS {
            let page = self.page(fence, &conflicts).await?;
            let shown = store.preview(page.clone().into()).await?;
            // After the look at the rows: whatever changes a conflict from now on changes its row, too.
            let now = self.again(&conflicts).await?;
            let (fits, others): (Vec<_>, Vec<_>) =
                conflicts.into_iter().partition(|conflict| fits(conflict, &shown.changes) && now.iter().any(|now| same(now, conflict)));
            failures.extend(others.iter().map(|conflict| {
                let text = format!("{:?} is no longer as conflict {} says; it was left as it is", &*conflict.entity, conflict.id);
                RecordFailure::warning(text).of_record(&*conflict.entity).in_column(conflict.field.clone())
            }));
            let left = failures.len() as u64;
            let about = |change: &&Change| fits.iter().any(|conflict| conflict.entity == change.entity);
            let page = PageCommit {
                failures: failures.clone(),
                before: Counts { read: left, skipped: left, ..Counts::default() },
                expects: Some(Arc::new(Expected::of(shown.changes.iter().filter(about)))),
                ..if others.is_empty() { page } else { self.page(fence, &fits).await? }
            };
            let report = store.commit(page).await?;
            if report.moved.is_empty() {
                let at = self.connection.workspace.engine.shared.clock.now();
                let by = self.resolve.by.clone();
                let settle = SettleConflicts { which: each(&fits), state: ConflictState::Taken, by, run: Some(fence.run), at };
                return Ok(Taken { done: store.settle_conflicts(settle).await?, left });
            }
            conflicts = fits;
        }
        let text = "others keep changing the rows in question; nothing of this part was written";
        Err(Error::new(ErrorKind::Conflict, "resolve_conflict", text))
    }

    /// The same conflicts as they are now.
    async fn again(&self, conflicts: &[Conflict]) -> Result<Vec<Conflict>> {
        let Some(first) = conflicts.first() else { return Ok(Vec::new()) };
        let filter = match conflicts {
            [one] => ConflictFilter { id: Some(one.id), state: None, limit: 1, ..ConflictFilter::default() },
            several => ConflictFilter {
                entity_type: Some(first.entity_type.clone()),
                field: Some(first.field.clone()),
                loser: Some(loser(first)),
                after: Some(ConflictId(first.id.0 - 1)),
                limit: u32::try_from(several.len()).unwrap_or(u32::MAX).saturating_mul(2),
                ..ConflictFilter::default()
            },
        };
        self.connection.workspace.store.conflicts(filter).await
    }

    async fn page(&self, fence: Fence, conflicts: &[Conflict]) -> Result<PageCommit> {
        let mut batch = RecordBatch::default();
        for conflict in conflicts {
            let mut cells: Vec<(usize, String)> = Vec::new();
            for (field, json) in self.key(conflict).await? {
                cells.push((batch.name(&field), json));
            }
            cells.push((batch.name(&conflict.field), conflict.value.get().to_owned()));
            let mut draft = batch.record();
            for (name, json) in &cells {
                draft.made(*name, json);
            }
            draft.finish(&*conflict.entity, Operation::Upsert, None);
        }
        Ok(PageCommit {
            fence,
            feed: self.conflict.loser.clone(),
            target: Arc::clone(&self.target),
            batches: vec![PartitionBatch { partition: "".into(), batch, present: Vec::new() }],
            failures: Vec::new(),
            before: Counts::default(),
            scan: None,
            cursors: Vec::new(),
            events: Vec::new(),
            expects: None,
            at: self.connection.workspace.engine.shared.clock.now(),
        })
    }

    /// The key's values of a row of the host; a row of ours is found by its key alone.
    async fn key(&self, conflict: &Conflict) -> Result<Vec<(String, String)>> {
        let Place::Host(table) = &self.target.place else { return Ok(Vec::new()) };
        let query = EntityQuery { key: Some(conflict.entity.clone()), limit: 1, ..EntityQuery::default() };
        let row = self.connection.workspace.store.entities(&conflict.entity_type, query).await?.into_iter().next();
        let fields = row.map(|row| row.fields).unwrap_or_default();
        let of_key = fields.into_iter().filter(|(name, _)| table.key.iter().any(|key| key.eq_ignore_ascii_case(name)));
        Ok(of_key.map(|(name, value)| (name, value.to_string())).collect())
    }
}

/// Whether the row is there and nothing of it but the field in question would change.
fn fits(conflict: &Conflict, changes: &[Change]) -> bool {
    let mut own = changes.iter().filter(|change| change.entity == conflict.entity);
    own.all(|change| change.field == conflict.field && change.old.is_some())
}

/// Whether both sides of a conflict say what they said.
fn same(now: &Conflict, seen: &Conflict) -> bool {
    let said = |conflict: &Conflict| (conflict.id, conflict.state, conflict.value.get().to_owned(), conflict.winning.get().to_owned());
    said(now) == said(seen)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn conflict() -> Conflict {
        serde_json::from_value(json!({
            "id": 1, "entity_type": "people", "entity": "a", "field": "name", "priority": 1, "value": "Low", "winner_priority": 9,
            "loser": {"connection": "c", "stream": "s", "mapping": "m"}, "winner": {"connection": "d", "mapping": "m"}, "winning": "High",
            "rule": "lower_priority", "state": "open", "run": 1, "since": "2026-03-02T12:00:00Z", "at": "2026-03-02T12:00:00Z",
            "resolved_by": null, "resolved_at": null,
        }))
        .expect("a conflict")
    }

    #[test]
    fn a_row_fits_when_it_is_there_and_only_the_field_in_question_would_change() {
        let change = |entity: &str, field: &str, old: Option<&str>| Change {
            entity: entity.into(),
            field: field.into(),
            old: old.map(Into::into),
            new: Some("\"Low\"".into()),
            rule: Rule::Taken,
        };
        for (changes, expected) in [
            (vec![], true),
            (vec![change("a", "name", Some("\"High\""))], true),
            (vec![change("b", "age", Some("\"Other\""))], true),
            (vec![change("a", "name", None)], false),
            (vec![change("a", "name", Some("\"High\"")), change("a", "age", Some("1"))], false),
        ] {
            assert_eq!(fits(&conflict(), &changes), expected, "{changes:?}");
        }
    }

    #[test]
    fn a_conflict_is_the_same_while_both_sides_say_the_same() {
        let seen = conflict();
        assert!(same(&seen, &seen));
        let raw = |json: &str| serde_json::value::RawValue::from_string(json.into()).expect("JSON");
        assert!(!same(&Conflict { winning: raw("\"Higher\""), ..conflict() }, &seen));
        assert!(!same(&Conflict { value: raw("\"Lower\""), ..conflict() }, &seen));
        assert!(!same(&Conflict { state: ConflictState::Settled, ..conflict() }, &seen));
    }
}
