//! What a scan has shown: numbers of rows (of links, where mappings feed the table), a list for each commit, only ever added to.

use std::collections::HashMap;

use sync_core::{PartitionId, WorkspaceId, store::Feed};

use crate::{
    error::{Db, internal},
    tx::Tx,
};

/// The rows one commit shows, by partition.
#[derive(Debug, Default)]
pub(crate) struct Shown(HashMap<PartitionId, Vec<i64>>);

impl Shown {
    /// Counts a row as shown.
    pub(crate) fn add(&mut self, partition: &PartitionId, row: i64) {
        match self.0.get_mut(partition) {
            Some(rows) => rows.push(row),
            None => {
                self.0.insert(partition.clone(), vec![row]);
            }
        }
    }
}

/// Begins the scan `number` of a partition unless it is under way; what an earlier one left is forgotten.
pub(crate) async fn begin(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed, partition: &PartitionId, number: u64) -> Db<()> {
    let _ = (tx, workspace, feed, partition, number);
    Err(internal("commit", "not built"))
}

/// Stores what a commit has shown.
pub(crate) async fn flush(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed, number: u64, shown: &Shown) -> Db<()> {
    let _ = (tx, workspace, feed, number, shown);
    Err(internal("commit", "not built"))
}
