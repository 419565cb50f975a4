//! Writing items: each row is changed exactly as its item says, or left alone because it is no longer as the item had found it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sync_core::{
    Counts, Error, ErrorKind, Operation, PartitionId, RecordBatch, RecordFailure, Result, RunId, Target,
    store::{Expected, Feed, Fence, ItemKind, ItemState, PageCommit, PartitionBatch, PlanItem},
};

use crate::Connection;

/// How often rows may turn out to have moved while they are being written.
const ROUNDS: u32 = 50;

/// Writes items into one place.
pub(super) struct Writer<'a> {
    pub(super) connection: &'a Connection,
    pub(super) feed: &'a Feed,
    pub(super) target: &'a Arc<Target>,
    /// What the items are of: `plan` or `run`, and its number.
    pub(super) of: (&'static str, RunId),
}

impl Writer<'_> {
    /// Writes items in one transaction: those that would change their rows in any other way than planned are left out. `before` are the
    /// counts of rows that need no item, `failures` what there is to say of any.
    pub(super) async fn commit(
        &self,
        fence: Fence,
        mut items: Vec<PlanItem>,
        mut expects: Expected,
        mut failures: Vec<RecordFailure>,
        before: Counts,
    ) -> Result<(Counts, Vec<(u32, ItemState)>)> {
        let mut settled: Vec<(u32, ItemState)> = Vec::new();
        let (operation, then) =
            if self.of.0 == "plan" { ("apply", "the plan had found it") } else { ("undo", "it was when it was looked at") };
        let refuse = |text: &'static str| Err(Error::new(ErrorKind::Conflict, operation, text).at(self.of.0, self.of.1.to_string()));
        for _ in 0..ROUNDS {
            let moved = settled.len() as u64;
            let mut counts = Counts { read: moved, skipped: moved, ..Counts::default() };
            counts.add(&before);
            let page = self.page(fence, &items, expects.clone(), failures.clone(), counts)?;
            let report = self.connection.workspace.store.commit(page).await?;
            if report.moved.is_empty() {
                settled.extend(items.iter().map(|item| (item.no, ItemState::Applied)));
                return Ok((report.counts, settled));
            }
            let names: BTreeSet<&str> = report.moved.iter().map(|entity| &**entity).collect();
            let (gone, rest): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| names.contains(&*item.entity));
            if gone.is_empty() {
                return refuse("writing it would change rows that it does not name; nothing of this part was written");
            }
            for item in gone {
                expects.forget(&item.entity);
                let text = format!("{:?} is no longer as {then}; it was left as it is", &*item.entity);
                let record = item.records.first().map_or(&*item.entity, |(_, record)| record.as_str());
                failures.push(RecordFailure::warning(text).at_row(item.position).of_record(record));
                settled.push((item.no, ItemState::Moved));
            }
            items = rest;
        }
        refuse("others keep changing its rows; nothing of this part was written")
    }

    fn page(
        &self,
        fence: Fence,
        items: &[PlanItem],
        expects: Expected,
        failures: Vec<RecordFailure>,
        before: Counts,
    ) -> Result<PageCommit> {
        let event = serde_json::json!({ "type": "sync-progress", "run": fence.run, "records": items.len() as u64 + before.read });
        Ok(PageCommit {
            fence,
            feed: self.feed.clone(),
            target: Arc::clone(self.target),
            batches: batches(items),
            failures,
            before,
            scan: None,
            cursors: Vec::new(),
            events: vec![event.to_string().into()],
            expects: Some(Arc::new(expects)),
            at: self.connection.workspace.engine.shared.clock.now(),
        })
    }
}

/// Records that say what the items say and no more, by partition.
fn batches(items: &[PlanItem]) -> Vec<PartitionBatch> {
    let mut parts: BTreeMap<&PartitionId, RecordBatch> = BTreeMap::new();
    for item in items {
        for (partition, id) in &item.records {
            let batch = parts.entry(partition).or_default();
            if item.kind == ItemKind::Delete {
                batch.record().finish(id.clone(), Operation::Delete, item.position);
                continue;
            }
            let cells = item.changes.iter().filter_map(|change| Some((&*change.field, change.new.as_ref()?.get())));
            let unchanged = |field: &str| !item.changes.iter().any(|change| change.field.eq_ignore_ascii_case(field));
            let key = item.key.iter().filter(|(field, _)| unchanged(field)).map(|(field, json)| (&**field, json.get()));
            let cells: Vec<(usize, &str)> = key.chain(cells).map(|(field, json)| (batch.name(field), json)).collect();
            let mut draft = batch.record();
            for (name, json) in cells {
                draft.made(name, json);
            }
            draft.finish(id.clone(), Operation::Upsert, item.position);
        }
    }
    parts.into_iter().map(|(partition, batch)| PartitionBatch { partition: partition.clone(), batch, present: Vec::new() }).collect()
}
