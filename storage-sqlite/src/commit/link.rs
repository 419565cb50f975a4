//! Which records of a feed stand behind which entities.

use rusqlite::OptionalExtension as _;
use sync_core::{PartitionId, Record, RecordId};

use super::Work;
use crate::{error::Db, storage::Cache};

/// The link from a record to an entity, brought to this partition.
pub(super) fn find(work: &Work<'_>, type_id: i64, partition: &PartitionId, record: &Record, key: &str) -> Db<Option<i64>> {
    let feed = &work.commit.feed;
    let found: Option<(i64, bool)> = work
        .tx
        .prepare_cached(
            "SELECT id, partition_id = ?8 FROM syncline_record_links WHERE workspace_id = ?1 AND connection_id = ?2 AND stream = ?3 \
             AND mapping = ?4 AND external_id = ?5 AND type_id = ?6 AND entity_id = ?7",
        )?
        .query_row(
            (
                work.workspace.as_str(),
                feed.connection.as_str(),
                feed.stream.as_str(),
                &*feed.mapping,
                record.id.as_str(),
                type_id,
                key,
                partition.as_str(),
            ),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    if let Some((link, false)) = found {
        work.tx.prepare_cached("UPDATE syncline_record_links SET partition_id = ?2 WHERE id = ?1")?.execute((link, partition.as_str()))?;
    }
    Ok(found.map(|(link, _)| link))
}

/// Links a record to an entity.
pub(super) fn make(work: &Work<'_>, type_id: i64, partition: &PartitionId, record: &Record, key: &str) -> Db<i64> {
    let feed = &work.commit.feed;
    work.tx
        .prepare_cached(
            "INSERT INTO syncline_record_links (workspace_id, connection_id, stream, mapping, partition_id, external_id, type_id, entity_id) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            work.workspace.as_str(),
            feed.connection.as_str(),
            feed.stream.as_str(),
            &*feed.mapping,
            partition.as_str(),
            record.id.as_str(),
            type_id,
            key,
        ))?;
    Ok(work.tx.last_insert_rowid())
}

/// Whether an earlier commit of this scan brought a record with this key.
pub(super) fn shown_before(work: &Work<'_>, cache: &mut Cache, type_id: i64, key: &str) -> Db<bool> {
    let Some(number) = work.commit.scan else { return Ok(false) };
    let feed = &work.commit.feed;
    let mut found = work.tx.prepare_cached(
        "SELECT id, partition_id FROM syncline_record_links WHERE workspace_id = ?1 AND type_id = ?2 AND entity_id = ?3 \
         AND connection_id = ?4 AND stream = ?5 AND mapping = ?6",
    )?;
    let mut rows = found.query((work.workspace.as_str(), type_id, key, feed.connection.as_str(), feed.stream.as_str(), &*feed.mapping))?;
    while let Some(row) = rows.next()? {
        let partition = row.get_ref(1)?.as_str()?.into();
        if let Some(scan) = cache.seen.current(work.tx, work.workspace, feed, &partition, number)?
            && scan.has(work.tx, row.get(0)?)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A link, and the key of its entity.
pub(super) type Link = (i64, Box<str>);

/// The links of a record: two where its key field changed, until a scan proves one gone.
pub(super) fn of(work: &Work<'_>, type_id: i64, id: &RecordId) -> Db<Vec<Link>> {
    let feed = &work.commit.feed;
    let mut found = work.tx.prepare_cached(
        "SELECT id, entity_id FROM syncline_record_links WHERE workspace_id = ?1 AND connection_id = ?2 AND stream = ?3 \
         AND mapping = ?4 AND external_id = ?5 AND type_id = ?6",
    )?;
    let whose = (work.workspace.as_str(), feed.connection.as_str(), feed.stream.as_str(), &*feed.mapping, id.as_str(), type_id);
    let links = found.query_map(whose, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(links.collect::<rusqlite::Result<_>>()?)
}
