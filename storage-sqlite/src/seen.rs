//! What a scan has shown: one bit for each row, kept beside the rows so that a scan that was killed goes on with its proof.
//!
//! SQLite may give the number of a deleted row to a new one, whose bit is then set already: that row is kept, to be looked for by the
//! next scan.

use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, Transaction};
use sync_core::{PartitionId, WorkspaceId, store::Feed};

use crate::{
    error::Db,
    value::{Bind, text},
};

/// Rows in one chunk; its bits take 4 KiB.
const ROWS: i64 = 32_768;
/// Chunks that are kept in memory between commits (16 MiB).
const KEPT: usize = 4096;
/// The chunk that says a scan was begun, or swept.
const STATE: i64 = -1;
const OPEN: &[u8] = b"open";
const SWEPT: &[u8] = b"swept";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    workspace: WorkspaceId,
    feed: Feed,
    partition: PartitionId,
}

#[derive(Debug)]
struct Chunk {
    bits: Vec<u8>,
    dirty: bool,
}

/// The scans under way, as far as they are in memory.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    scans: Vec<Scan>,
    places: HashMap<Place, usize>,
}

/// One partition's scan.
#[derive(Debug)]
pub(crate) struct Scan {
    place: Place,
    number: u64,
    chunks: HashMap<i64, Chunk>,
}

/// What a scan proves.
pub(crate) enum Proof {
    /// Its sweep went through before.
    Swept,
    /// The rows it showed; a scan that never committed anything showed none.
    Shown(HashMap<i64, Vec<u8>>),
}

macro_rules! whose {
    ($place:expr) => {
        (
            $place.workspace.as_str(),
            $place.feed.connection.as_str(),
            $place.feed.stream.as_str(),
            &*$place.feed.mapping,
            $place.partition.as_str(),
        )
    };
}

const WHOSE: &str = "workspace_id = ?1 AND connection_id = ?2 AND stream = ?3 AND mapping = ?4 AND partition_id = ?5";

impl Seen {
    /// The scan `number` of a partition; what an earlier one left is forgotten. Answers where it is kept until the next
    /// [`flush`](Self::flush).
    pub(crate) fn begin(
        &mut self,
        tx: &Transaction<'_>,
        workspace: &WorkspaceId,
        feed: &Feed,
        partition: &PartitionId,
        number: u64,
    ) -> Db<usize> {
        let place = Place { workspace: workspace.clone(), feed: feed.clone(), partition: partition.clone() };
        let known = self.places.get(&place).copied();
        if let Some(at) = known
            && self.scans[at].number == number
        {
            return Ok(at);
        }
        if stored_number(tx, &place)? != Some(number) {
            tx.prepare_cached(&format!("DELETE FROM syncline_scan_seen WHERE {WHOSE}"))?.execute(whose!(place))?;
            write(tx, &place, number, STATE, OPEN)?;
        }
        let scan = Scan { place: place.clone(), number, chunks: HashMap::new() };
        Ok(match known {
            Some(at) => {
                self.scans[at] = scan;
                at
            }
            None => {
                self.scans.push(scan);
                self.places.insert(place, self.scans.len() - 1);
                self.scans.len() - 1
            }
        })
    }

    /// The scan kept there.
    pub(crate) fn at(&mut self, at: usize) -> &mut Scan {
        &mut self.scans[at]
    }

    /// The scan of a partition if it is this one; others are left alone.
    pub(crate) fn current(
        &mut self,
        tx: &Transaction<'_>,
        workspace: &WorkspaceId,
        feed: &Feed,
        partition: &PartitionId,
        number: u64,
    ) -> Db<Option<&mut Scan>> {
        let place = Place { workspace: workspace.clone(), feed: feed.clone(), partition: partition.clone() };
        if stored_number(tx, &place)? != Some(number) {
            return Ok(None);
        }
        let at = self.begin(tx, workspace, feed, partition, number)?;
        Ok(Some(self.at(at)))
    }

    /// Writes what changed.
    pub(crate) fn flush(&mut self, tx: &Transaction<'_>) -> Db<()> {
        let mut kept = 0;
        for scan in &mut self.scans {
            for (chunk, state) in scan.chunks.iter_mut().filter(|(_, state)| state.dirty) {
                write(tx, &scan.place, scan.number, *chunk, &state.bits)?;
                state.dirty = false;
            }
            kept += scan.chunks.len() + 1;
        }
        if kept > KEPT {
            self.clear();
        }
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.scans.clear();
        self.places.clear();
    }
}

/// The number of the scan whose bits are stored.
fn stored_number(tx: &Transaction<'_>, place: &Place) -> Db<Option<u64>> {
    let stored: Option<i64> = tx
        .prepare_cached(&format!("SELECT scan FROM syncline_scan_seen WHERE {WHOSE} AND chunk = {STATE}"))?
        .query_row(whose!(place), |row| row.get(0))
        .optional()?;
    Ok(stored.map(i64::cast_unsigned))
}

fn write(tx: &Transaction<'_>, place: &Place, number: u64, chunk: i64, bits: &[u8]) -> Db<()> {
    tx.prepare_cached(
        "INSERT INTO syncline_scan_seen (workspace_id, connection_id, stream, mapping, partition_id, scan, chunk, bits) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET scan = excluded.scan, bits = excluded.bits",
    )?
    .execute((
        text(place.workspace.as_str()),
        text(place.feed.connection.as_str()),
        text(place.feed.stream.as_str()),
        text(&place.feed.mapping),
        text(place.partition.as_str()),
        number.cast_signed(),
        chunk,
        Bind(rusqlite::types::ValueRef::Blob(bits)),
    ))?;
    Ok(())
}

fn place_of(row: i64) -> (i64, usize, u8) {
    let within = row.rem_euclid(ROWS) as usize;
    (row.div_euclid(ROWS), within / 8, 1 << (within % 8))
}

impl Scan {
    fn chunk(&mut self, tx: &Transaction<'_>, chunk: i64) -> Db<&mut Chunk> {
        if !self.chunks.contains_key(&chunk) {
            let place = &self.place;
            let stored: Option<Vec<u8>> = tx
                .prepare_cached(&format!("SELECT bits FROM syncline_scan_seen WHERE {WHOSE} AND chunk = ?6"))?
                .query_row(
                    (
                        place.workspace.as_str(),
                        place.feed.connection.as_str(),
                        place.feed.stream.as_str(),
                        &*place.feed.mapping,
                        place.partition.as_str(),
                        chunk,
                    ),
                    |row| row.get(0),
                )
                .optional()?;
            let bits = stored.filter(|bits| bits.len() == ROWS as usize / 8).unwrap_or_else(|| vec![0; ROWS as usize / 8]);
            self.chunks.insert(chunk, Chunk { bits, dirty: false });
        }
        Ok(self.chunks.get_mut(&chunk).expect("it was put there above"))
    }

    /// Counts a row as shown; answers whether it was before.
    pub(crate) fn set(&mut self, tx: &Transaction<'_>, row: i64) -> Db<bool> {
        let (chunk, byte, bit) = place_of(row);
        let chunk = self.chunk(tx, chunk)?;
        let before = chunk.bits[byte] & bit != 0;
        if !before {
            chunk.bits[byte] |= bit;
            chunk.dirty = true;
        }
        Ok(before)
    }

    /// Whether a row was shown.
    pub(crate) fn has(&mut self, tx: &Transaction<'_>, row: i64) -> Db<bool> {
        let (chunk, byte, bit) = place_of(row);
        Ok(self.chunk(tx, chunk)?.bits[byte] & bit != 0)
    }
}

impl Proof {
    pub(crate) fn load(tx: &Transaction<'_>, workspace: &WorkspaceId, feed: &Feed, partition: &PartitionId, number: u64) -> Db<Self> {
        let place = Place { workspace: workspace.clone(), feed: feed.clone(), partition: partition.clone() };
        let mut found = tx.prepare_cached(&format!("SELECT chunk, scan, bits FROM syncline_scan_seen WHERE {WHOSE}"))?;
        let mut rows = found.query(whose!(place))?;
        let mut shown = HashMap::new();
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(1)?.cast_unsigned() != number {
                continue;
            }
            match row.get(0)? {
                STATE if row.get_ref(2)?.as_blob()? == SWEPT => return Ok(Self::Swept),
                STATE => {}
                chunk => {
                    shown.insert(chunk, row.get(2)?);
                }
            }
        }
        Ok(Self::Shown(shown))
    }

    /// Whether a row was shown. After a sweep there is nothing left to conclude, so everything was.
    pub(crate) fn shows(&self, row: i64) -> bool {
        let Self::Shown(chunks) = self else { return true };
        let (chunk, byte, bit) = place_of(row);
        chunks.get(&chunk).is_some_and(|bits| bits.get(byte).is_some_and(|byte| byte & bit != 0))
    }

    /// Remembers that the sweep of this scan went through; its bits are no longer needed.
    pub(crate) fn close(tx: &Transaction<'_>, workspace: &WorkspaceId, feed: &Feed, partition: &PartitionId, number: u64) -> Db<()> {
        let place = Place { workspace: workspace.clone(), feed: feed.clone(), partition: partition.clone() };
        tx.prepare_cached(&format!("DELETE FROM syncline_scan_seen WHERE {WHOSE}"))?.execute(whose!(place))?;
        write(tx, &place, number, STATE, SWEPT)
    }
}
