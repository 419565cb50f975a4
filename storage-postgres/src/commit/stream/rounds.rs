//! Records in the order they are written in: by key, and no key twice at once.

use std::sync::Arc;

use sync_core::{PartitionId, Record, RecordBatch, store::PageCommit};

/// A record, and what does not depend on its row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) batch: usize,
    pub(super) at: usize,
    pub(super) record: &'a Record,
    pub(super) partition: &'a PartitionId,
    pub(super) hash: i64,
}

impl<'a> Entry<'a> {
    pub(super) fn key(&self) -> &'a str {
        self.record.id.as_str()
    }

    /// Its place in the commit.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.batch, self.at)
    }
}

/// The part of a row's hash that says which partition it is in: a record that moves is written anew.
fn partition_hash(partition: &str) -> u64 {
    partition.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The records of a commit that `takes` answers, in rounds: each is sorted by key and holds a key once. Records with one key keep their
/// order over the rounds.
pub(super) fn rounds<'a>(commit: &'a PageCommit, takes: impl Fn(usize, usize) -> bool) -> Vec<Vec<Entry<'a>>> {
    let mut all: Vec<Entry<'a>> = Vec::with_capacity(commit.batches.iter().map(|part| part.batch.len()).sum());
    for (batch, part) in commit.batches.iter().enumerate() {
        let seeds = part.batch.name_seeds();
        let moved = partition_hash(part.partition.as_str());
        for (at, record) in part.batch.records().iter().enumerate().filter(|(at, _)| takes(batch, *at)) {
            let hash = (part.batch.hash(record, &seeds) ^ moved).cast_signed();
            all.push(Entry { batch, at, record, partition: &part.partition, hash });
        }
    }
    // Stable, so that equal keys stay in their order.
    all.sort_by(|one, other| one.key().cmp(other.key()));
    if all.windows(2).all(|pair| pair[0].key() != pair[1].key()) {
        return if all.is_empty() { Vec::new() } else { vec![all] };
    }
    let mut rounds: Vec<Vec<Entry<'a>>> = Vec::new();
    let (mut last, mut round) = (None, 0);
    for entry in all {
        round = if last == Some(entry.key()) { round + 1 } else { 0 };
        last = Some(entry.key());
        match rounds.get_mut(round) {
            Some(entries) => entries.push(entry),
            None => rounds.push(vec![entry]),
        }
    }
    rounds
}

/// Where the names of a batch are kept: places of columns in the table, or `None` for `extra`.
pub(super) type Slots = Vec<Option<usize>>;

pub(super) fn slots(batch: &RecordBatch, position: impl Fn(&str) -> Option<usize>) -> Slots {
    batch.names().iter().map(|name: &Arc<str>| position(name)).collect()
}
