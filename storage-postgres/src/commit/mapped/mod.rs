//! Tables fed through mappings, ours and the host's: each field is decided by core's `decide` against the row as it is now.
//!
//! Records that have nothing to do with each other are written by the same few statements; of those that have, the one that came first is
//! written first.

mod attempt;
mod beside;
mod cell;
mod decide;
mod journal;
mod link;
mod order;
mod orphan;
mod owner;
mod shape;

use std::collections::{HashMap, HashSet};

use sync_core::{
    Duplicates, Operation, PartitionId, Record, RecordBatch, RecordFailure, WorkspaceId,
    store::{Duplicated, Feed, PageCommit, PartitionBatch, Preview, twice},
};

use self::{
    attempt::{Destination, Refusal},
    beside::{Contest, Reference, Taken},
    decide::Verdict,
    journal::{Journal, Written},
    link::{Links, Pair},
    order::{Touches, rounds},
    orphan::Fate,
    shape::{Item, Shape},
};
use super::{
    Mode, Rows, Work,
    delete::Deletion,
    remember::{Done, Remembering},
};
use crate::{
    error::{Db, internal},
    numbers::Numbers,
    scans,
    tx::Tx,
    value::NUL,
};

/// One record of a commit that is to be written.
#[derive(Clone, Copy)]
struct Entry<'a> {
    /// Its place among all records of the commit.
    order: usize,
    /// The place of its part.
    at: usize,
    part: &'a PartitionBatch,
    record: &'a Record,
    /// The entity's key; `None` for a deletion.
    key: Option<&'a str>,
}

/// What a commit does as it goes along.
struct Course<'a> {
    links: Links<'a>,
    journal: Journal,
    /// What was told about records, by their places.
    failures: Vec<(usize, RecordFailure)>,
    /// Records that are there but could not be taken: whatever they stand behind is not gone.
    present: Vec<(&'a PartitionId, &'a str)>,
    /// Links that earlier commits of this scan have shown, where the first of two records with one key counts.
    shown_before: Numbers,
}

impl<'a> Course<'a> {
    fn failed(&mut self, work: &mut Work<'_>, entry: Entry<'a>, failure: RecordFailure) {
        work.tally.counts.failed += 1;
        self.failures.push((entry.order, told(failure, entry.record)));
    }

    fn skipped(&mut self, work: &mut Work<'_>, order: usize, warning: impl Into<Option<RecordFailure>>) {
        work.tally.counts.skipped += 1;
        self.failures.extend(warning.into().map(|warning| (order, warning)));
    }

    fn there(&mut self, entry: Entry<'a>) {
        self.present.push((&entry.part.partition, entry.record.id.as_str()));
    }
}

fn told(failure: RecordFailure, record: &Record) -> RecordFailure {
    failure.at_row(record.position).of_record(record.id.as_str())
}

pub(super) async fn write(work: &mut Work<'_>, rows: &Rows) -> Db<()> {
    let commit = work.commit;
    let key = commit.target.place.key();
    if key.is_empty() && !commit.target.by_hand() {
        return Err(internal("commit", "a stream's own table was written through a mapping"));
    }
    let shape = Shape::open(rows, &commit.target, &commit.batches, key)?;
    // The key of every record that has one; the name of the field that is missing otherwise.
    let keys: Vec<Vec<Result<String, &str>>> = commit.batches.iter().map(|part| commit.target.keys(&part.batch)).collect();
    let shown_before = match commit.scan {
        Some(number) if commit.target.duplicates == Duplicates::FirstWins => {
            scans::shown(work.tx, work.workspace, &commit.feed, number).await?
        }
        _ => Numbers::default(),
    };
    let mut course = Course {
        links: Links { workspace: work.workspace, feed: &commit.feed, type_id: rows.type_id() },
        journal: Journal::new(commit.target.lineage, work.shows()),
        failures: Vec::new(),
        present: Vec::new(),
        shown_before,
    };
    let remembering = Remembering::open(work, rows).await?;
    let entries = sort_out(work, commit, &mut course, &keys);
    for round in into_rounds(work.tx, course.links, &entries).await? {
        let (deletions, records): (Vec<Entry<'_>>, Vec<Entry<'_>>) = round.into_iter().partition(|entry| entry.key.is_none());
        delete(work, &mut course, rows, &deletions).await?;
        let into = Destination { rows, shape: &shape, remembering: remembering.as_ref() };
        upsert(work, &mut course, into, &records).await?;
    }
    for part in &commit.batches {
        course.present.extend(part.present.iter().map(|id| (&part.partition, id.as_str())));
    }
    let Course { links, journal, mut failures, present, .. } = course;
    show_present(work, links, present).await?;
    failures.sort_by_key(|(order, _)| *order);
    work.tally.failures.extend(failures.into_iter().map(|(_, failure)| failure));
    if work.mode == Mode::Commit {
        let written = Written { type_id: rows.type_id(), run: commit.fence.run, at: commit.at, hiding: &work.hiding };
        journal.write(work.tx, work.workspace, written).await?;
    }
    work.changes.extend(journal.changes);
    Ok(())
}

/// The records to be written, without those that another one stands for or that have no key.
fn sort_out<'a>(
    work: &mut Work<'_>,
    commit: &'a PageCommit,
    course: &mut Course<'a>,
    keys: &'a [Vec<Result<String, &str>>],
) -> Vec<Entry<'a>> {
    let batches: Vec<&RecordBatch> = commit.batches.iter().map(|part| &part.batch).collect();
    let duplicated = Duplicated::find(&batches, commit.target.duplicates, |batch, n, record| match record.operation {
        Operation::Upsert => keys[batch][n].as_deref().ok(),
        Operation::Delete => None,
    });
    let longest = batches.iter().flat_map(|batch| batch.names()).map(|name| name.len()).max().unwrap_or_default();
    let room = course.links.room();
    let room_of_key = course.links.room_of_field().saturating_sub(longest);
    let mut entries = Vec::with_capacity(batches.iter().map(|batch| batch.len()).sum());
    let mut order = 0;
    for (at, part) in commit.batches.iter().enumerate() {
        for (n, record) in part.batch.records().iter().enumerate() {
            order += 1;
            let mut entry = Entry { order, at, part, record, key: None };
            if record.operation == Operation::Delete {
                entries.push(entry);
                continue;
            }
            match &keys[at][n] {
                Err(field) => {
                    let warning = RecordFailure::warning("the key field has no value; the record was left out");
                    course.skipped(work, order, told(warning, record).in_column(*field));
                    course.there(entry);
                }
                Ok(_) if duplicated.contains(at, n) => match commit.target.duplicates {
                    Duplicates::FirstWins => course.skipped(work, order, twice(&commit.target, record)),
                    Duplicates::LastWins => {
                        course.skipped(work, order, twice(&commit.target, record));
                        course.there(entry);
                    }
                },
                Ok(_) if record.id.as_str().contains('\0') => course.failed(work, entry, RecordFailure::error(NUL)),
                Ok(key) if record.id.as_str().len() + key.len() > room || key.len() > room_of_key => {
                    let long = record.id.as_str().len() + key.len();
                    let text =
                        format!("the record's id and key are {long} bytes long together, more than the index of links can hold ({room})");
                    course.failed(work, entry, RecordFailure::error(text));
                    course.there(entry);
                }
                Ok(key) => {
                    entry.key = Some(key);
                    entries.push(entry);
                }
            }
        }
    }
    entries
}

/// Records in rounds: each has no two that touch the same entity, or a deletion and another record of one id.
async fn into_rounds<'a>(tx: &mut Tx, links: Links<'_>, entries: &[Entry<'a>]) -> Db<Vec<Vec<Entry<'a>>>> {
    let deleted: Vec<&str> = entries.iter().filter(|entry| entry.key.is_none()).map(|entry| entry.record.id.as_str()).collect();
    let deleted: Vec<&str> = deleted.into_iter().filter(|id| !id.contains('\0')).collect();
    let known = links.of(tx, &deleted).await?;
    // The entities a deletion may touch: those its record is linked to, and those this commit links it to before.
    let mut behind: HashMap<&str, Vec<&str>> = deleted.iter().map(|id| (*id, Vec::new())).collect();
    for (at, _, key) in &known {
        behind.entry(deleted[*at]).or_default().push(key);
    }
    for entry in entries {
        if let (Some(key), Some(keys)) = (entry.key, behind.get_mut(entry.record.id.as_str())) {
            keys.push(key);
        }
    }
    let touches = entries.iter().map(|entry| {
        let id = entry.record.id.as_str();
        match entry.key {
            Some(key) => Touches { keys: vec![key], id: behind.contains_key(id).then_some(id) },
            None => Touches { keys: behind.get(id).cloned().unwrap_or_default(), id: Some(id) },
        }
    });
    let numbers = rounds(touches);
    let mut sorted: Vec<Vec<Entry<'a>>> = Vec::new();
    for (entry, round) in entries.iter().zip(numbers) {
        if sorted.len() <= round {
            sorted.resize_with(round + 1, Vec::new);
        }
        sorted[round].push(*entry);
    }
    Ok(sorted)
}

async fn upsert<'a>(work: &mut Work<'_>, course: &mut Course<'a>, into: Destination<'_, 'a>, entries: &[Entry<'a>]) -> Db<()> {
    let Destination { rows, shape, remembering } = into;
    let mut items: Vec<(Entry<'a>, Item<'a>)> = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(key) = entry.key {
            items.push((*entry, shape.item(entry.at, entry.part, entry.record, key)));
        }
    }
    // In the order of keys, so that two writers never wait for each other.
    items.sort_by(|(_, one), (_, other)| one.key.cmp(other.key));
    let by_hand = work.commit.target.by_hand();
    let linkable = |item: &Item<'_>| !by_hand && !item.key.contains('\0');
    let pairs: Vec<Pair<'_>> = items.iter().filter(|(_, item)| linkable(item)).map(|(_, item)| pair(item)).collect();
    let found = course.links.find(work.tx, &pairs).await?;
    for ((_, item), link) in items.iter_mut().filter(|(_, item)| linkable(item)).zip(found) {
        item.link = link;
    }
    if !course.shown_before.is_empty() {
        let keys: Vec<&str> = items.iter().map(|(_, item)| item.key).filter(|key| !key.contains('\0')).collect();
        let shown: HashSet<&str> = course
            .links
            .to(work.tx, &keys)
            .await?
            .into_iter()
            .filter(|(_, link)| course.shown_before.contains(*link))
            .map(|(at, _)| keys[at])
            .collect();
        let (again, first): (Vec<_>, Vec<_>) = items.into_iter().partition(|(_, item)| shown.contains(item.key));
        for (entry, _) in again {
            course.skipped(work, entry.order, twice(&work.commit.target, entry.record));
        }
        items = first;
    }
    let (refused, items): (Vec<_>, Vec<_>) = items.into_iter().partition(|(_, item)| item.refused.is_some());
    for (entry, item) in refused {
        if let Some((slot, reason)) = item.refused {
            course.failed(work, entry, RecordFailure::error(reason).in_column(shape.slots[slot].field));
        }
        show(work, entry, item.link);
    }
    let (entries, items): (Vec<Entry<'a>>, Vec<Item<'a>>) = items.into_iter().unzip();
    let done = attempt::write(work, into, &items).await?;
    let mut done: Vec<_> = entries.into_iter().zip(&items).zip(done).collect();
    done.sort_by_key(|((entry, _), _)| entry.order);
    let mut unlinked: Vec<(Entry<'a>, &Item<'a>)> = Vec::new();
    let mut owned: Vec<owner::Owned<'_>> = Vec::new();
    let mut known: Vec<Done<'_>> = Vec::new();
    let (mut contests, mut references): (Vec<Contest<'_>>, Vec<Reference<'_>>) = (Vec::new(), Vec::new());
    for ((entry, item), done) in done {
        let mut verdict = match done {
            Ok(verdict) => verdict,
            Err(refusal) => {
                fail(work, course, entry, refusal);
                show(work, entry, item.link);
                continue;
            }
        };
        if !verdict.there && verdict.writes.is_empty() {
            let warning = RecordFailure::warning("there is no row with this key, and this source is not one that may make it");
            course.skipped(work, entry.order, told(warning, entry.record));
            if shape.refer(item, &mut references) {
                // Kept for the row that another source may make; the record stands behind them.
                match item.link {
                    Some(_) => show(work, entry, item.link),
                    None => unlinked.push((entry, item)),
                }
            }
            continue;
        }
        shape.refer(item, &mut references);
        for (slot, rival) in std::mem::take(&mut verdict.rivals) {
            contests.push(Contest { key: item.key, field: shape.slots[slot].field, rival });
        }
        for slot in verdict.owns.iter().filter(|_| !by_hand) {
            let slot = &shape.slots[*slot];
            owned.push(owner::Owned { key: item.key, field: slot.field, priority: slot.rule.priority });
        }
        if let Some(remembering) = remembering {
            let kept = verdict.kept.iter().any(|slot| remembering.sends(shape.slots[*slot].field));
            let before = verdict.before.take();
            known.push(Done { of: item.asked(), there: verdict.there, written: !verdict.writes.is_empty(), kept, before });
        }
        count(work, course, rows, item, verdict);
        match item.link {
            Some(_) => show(work, entry, item.link),
            None if by_hand => {}
            None => unlinked.push((entry, item)),
        }
    }
    owner::own(work.tx, work.workspace, rows.type_id(), &work.commit.feed, owned).await?;
    beside::keep_rivals(work, rows.type_id(), contests).await?;
    beside::keep_references(work, rows.type_id(), references).await?;
    let pairs: Vec<Pair<'_>> = unlinked.iter().map(|(_, item)| pair(item)).collect();
    let made = course.links.make(work.tx, &pairs).await?;
    for (entry, item) in unlinked {
        show(work, entry, made.get(item.key).copied());
    }
    if let Some(remembering) = remembering {
        remembering.keep(work, known).await?;
    }
    Ok(())
}

fn pair<'i>(item: &'i Item<'_>) -> Pair<'i> {
    Pair { id: item.record.id.as_str(), key: item.key, partition: &item.part.partition }
}

/// Counts a link as shown by the scan, if there is one.
fn show(work: &mut Work<'_>, entry: Entry<'_>, link: Option<i64>) {
    if let (Some(_), Some(link)) = (work.commit.scan, link) {
        work.shown.add(&entry.part.partition, link);
    }
}

fn fail<'a>(work: &mut Work<'_>, course: &mut Course<'a>, entry: Entry<'a>, refusal: Refusal) {
    let mut failure = RecordFailure::error(refusal.reason);
    if let Some(column) = refusal.column {
        failure = failure.in_column(column);
    }
    course.failed(work, entry, failure);
}

/// Counts what was written, and keeps its lines.
fn count(work: &mut Work<'_>, course: &mut Course<'_>, rows: &Rows, item: &Item<'_>, verdict: Verdict) {
    let nobody = (None, None);
    let counts = &mut work.tally.counts;
    if verdict.writes.is_empty() {
        counts.unchanged += 1;
        return;
    }
    if verdict.there {
        counts.updated += 1;
        course.journal.add(item.key, "u", verdict.line, nobody);
    } else {
        counts.created += 1;
        match rows {
            // The host may change its row at any time, so the line keeps what it was made with.
            Rows::Host(_) => course.journal.add(item.key, "c", verdict.line, nobody),
            Rows::Stream(_) | Rows::Managed(_) => course.journal.show(verdict.line),
        }
    }
    work.tally.wrote(item.key);
}

fn taken_by(commit: &PageCommit) -> Taken {
    Taken { run: commit.fence.run, at: commit.at }
}

async fn delete<'a>(work: &mut Work<'_>, course: &mut Course<'a>, rows: &Rows, entries: &[Entry<'a>]) -> Db<()> {
    let ids: Vec<&str> = entries.iter().map(|entry| entry.record.id.as_str()).filter(|id| !id.contains('\0')).collect();
    if ids.is_empty() {
        work.tally.counts.unchanged += entries.len() as u64;
        return Ok(());
    }
    if work.commit.target.by_hand() {
        return delete_by_hand(work, course, rows, entries, ids).await;
    }
    let links = course.links.of(work.tx, &ids).await?;
    let known: HashSet<&str> = links.iter().map(|(at, ..)| ids[*at]).collect();
    for entry in entries {
        // What we never had is as the record says: gone.
        let counts = &mut work.tally.counts;
        if known.contains(entry.record.id.as_str()) { counts.deleted += 1 } else { counts.unchanged += 1 }
    }
    let numbers: Vec<i64> = links.iter().map(|(_, link, _)| *link).collect();
    let gone = course.links.remove(work.tx, &numbers).await?;
    if work.mode == Mode::Preview {
        work.gone.extend(gone);
    }
    let mut keys: Vec<(&str, &str)> = links.iter().map(|(at, _, key)| (&**key, ids[*at])).collect();
    keys.sort_unstable();
    keys.dedup_by_key(|(key, _)| *key);
    let texts: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
    let fates = orphan::settle(work.tx, course.links, rows, &texts, false, taken_by(work.commit), &mut course.journal).await?;
    for ((key, id), fate) in keys.into_iter().zip(fates) {
        match fate {
            Fate::Stays => {}
            Fate::Gone => work.tally.deleted(key),
            Fate::Kept(reason) => {
                let order = entries.iter().find(|entry| entry.record.id.as_str() == id).map_or(0, |entry| entry.order);
                let warning = RecordFailure::warning(format!("gone at the source, but its row stays: {reason}"));
                course.failures.push((order, warning.of_record(id)));
            }
        }
    }
    Ok(())
}

/// Deletes rows by their keys, whatever stands behind them.
async fn delete_by_hand<'a>(
    work: &mut Work<'_>,
    course: &mut Course<'a>,
    rows: &Rows,
    entries: &[Entry<'a>],
    mut keys: Vec<&str>,
) -> Db<()> {
    keys.sort_unstable();
    keys.dedup();
    course.links.remove_all(work.tx, &keys).await?;
    let fates = orphan::settle(work.tx, course.links, rows, &keys, true, taken_by(work.commit), &mut course.journal).await?;
    let mut gone: u64 = 0;
    for (key, fate) in keys.into_iter().zip(fates) {
        match fate {
            Fate::Stays => {}
            Fate::Gone => {
                gone += 1;
                work.tally.deleted(key);
            }
            Fate::Kept(reason) => {
                let order = entries.iter().find(|entry| entry.record.id.as_str() == key).map_or(0, |entry| entry.order);
                course.failures.push((order, RecordFailure::warning(format!("the row stays: {reason}")).of_record(key)));
            }
        }
    }
    work.tally.counts.deleted += gone;
    work.tally.counts.unchanged += entries.len() as u64 - gone;
    Ok(())
}

/// Shows whatever records stand behind that are there but could not be taken.
async fn show_present(work: &mut Work<'_>, links: Links<'_>, mut present: Vec<(&PartitionId, &str)>) -> Db<()> {
    if work.commit.scan.is_none() {
        return Ok(());
    }
    present.retain(|(_, id)| !id.contains('\0'));
    let ids: Vec<&str> = present.iter().map(|(_, id)| *id).collect();
    for (at, link, _) in links.of(work.tx, &ids).await? {
        work.shown.add(present[at].0, link);
    }
    Ok(())
}

/// Takes links away, and the entities that nothing else stands behind; answers the keys of those that went. What a preview is told of is
/// not written down.
pub(crate) async fn unlink(
    tx: &mut Tx,
    workspace: &WorkspaceId,
    feed: &Feed,
    rows: &Rows,
    links: &[i64],
    how: Deletion<'_>,
    preview: Option<&mut Preview>,
) -> Db<Vec<Box<str>>> {
    let known = Links { workspace, feed, type_id: rows.type_id() };
    let mut journal = Journal::new(how.lineage, preview.is_some());
    let gone = known.remove(tx, links).await?;
    let mut keys: Vec<&str> = gone.iter().map(|gone| &*gone.entity).collect();
    keys.sort_unstable();
    keys.dedup();
    let fates = orphan::settle(tx, known, rows, &keys, false, Taken { run: how.run, at: how.at }, &mut journal).await?;
    let mut went = Vec::new();
    for (key, fate) in keys.into_iter().zip(fates) {
        match fate {
            Fate::Stays => {}
            Fate::Gone => went.push(key.into()),
            Fate::Kept(_) => {
                tracing::warn!(table = rows.table_name(tx), "a row that is gone at the source stays: the table's constraints keep it");
            }
        }
    }
    match preview {
        Some(preview) => {
            preview.changes.extend(journal.changes);
            preview.gone.extend(gone);
        }
        None => {
            let written = Written { type_id: rows.type_id(), run: how.run, at: how.at, hiding: how.hiding };
            journal.write(tx, workspace, written).await?;
        }
    }
    Ok(went)
}
