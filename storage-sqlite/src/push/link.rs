//! Numbers of feeds, and what is known of rows at the service.

use rusqlite::{OptionalExtension as _, Transaction};
use sync_core::{
    RecordId, WorkspaceId,
    store::{Feed, PushLink},
};

use crate::error::Db;

const WHOSE: &str = "workspace_id = ?1 AND connection_id = ?2 AND stream = ?3 AND mapping = ?4";

/// The number of a feed in rows and keys; `None` when nothing was ever kept for it.
pub(crate) fn feed_no(tx: &Transaction<'_>, workspace: &WorkspaceId, feed: &Feed) -> Db<Option<i64>> {
    Ok(tx
        .prepare_cached(&format!("SELECT no FROM syncline_push_feeds WHERE {WHOSE}"))?
        .query_row((workspace.as_str(), feed.connection.as_str(), feed.stream.as_str(), &*feed.mapping), |row| row.get(0))
        .optional()?)
}

/// The number of a feed; given when it is first asked for.
pub(crate) fn number(tx: &Transaction<'_>, workspace: &WorkspaceId, feed: &Feed) -> Db<i64> {
    if let Some(no) = feed_no(tx, workspace, feed)? {
        return Ok(no);
    }
    tx.prepare_cached("INSERT INTO syncline_push_feeds (workspace_id, connection_id, stream, mapping) VALUES (?1, ?2, ?3, ?4)")?
        .execute((workspace.as_str(), feed.connection.as_str(), feed.stream.as_str(), &*feed.mapping))?;
    Ok(tx.last_insert_rowid())
}

/// The links of one feed of one workspace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links<'a> {
    pub(crate) tx: &'a Transaction<'a>,
    pub(crate) workspace: &'a WorkspaceId,
    pub(crate) feed_no: i64,
}

impl Links<'_> {
    /// What is known of a row.
    pub(crate) fn find(&self, key: &str) -> Db<Option<PushLink>> {
        Ok(self
            .tx
            .prepare_cached(
                "SELECT external_id, content_hash, version FROM syncline_push_links \
                 WHERE workspace_id = ?1 AND feed_no = ?2 AND entity_key = ?3",
            )?
            .query_row((self.workspace.as_str(), self.feed_no, key), |row| {
                Ok(PushLink {
                    id: row.get_ref(0)?.as_str_or_null()?.map(RecordId::from),
                    hash: row.get::<_, Option<i64>>(1)?.map(i64::cast_unsigned),
                    version: row.get(2)?,
                })
            })
            .optional()?)
    }

    /// The key of the row that is linked to a record; of several the first in key order.
    pub(crate) fn key_of(&self, id: &RecordId) -> Db<Option<Box<str>>> {
        Ok(self
            .tx
            .prepare_cached(
                "SELECT entity_key FROM syncline_push_links WHERE workspace_id = ?1 AND feed_no = ?2 AND external_id = ?3 \
                 ORDER BY entity_key LIMIT 1",
            )?
            .query_row((self.workspace.as_str(), self.feed_no, id.as_str()), |row| row.get(0))
            .optional()?)
    }

    /// Says what is known from now on. A link that says so already is left as it is.
    pub(crate) fn put(&self, key: &str, link: &PushLink, at: &str) -> Db<()> {
        self.tx
            .prepare_cached(
                "INSERT INTO syncline_push_links (workspace_id, feed_no, entity_key, external_id, content_hash, version, updated_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET external_id = excluded.external_id, \
                 content_hash = excluded.content_hash, version = excluded.version, updated_at = excluded.updated_at \
                 WHERE external_id IS NOT excluded.external_id OR content_hash IS NOT excluded.content_hash OR version IS NOT excluded.version",
            )?
            .execute((
                self.workspace.as_str(),
                self.feed_no,
                key,
                link.id.as_ref().map(RecordId::as_str),
                link.hash.map(u64::cast_signed),
                link.version.as_deref(),
                at,
            ))?;
        Ok(())
    }

    /// Forgets a row.
    pub(crate) fn remove(&self, key: &str) -> Db<()> {
        self.tx
            .prepare_cached("DELETE FROM syncline_push_links WHERE workspace_id = ?1 AND feed_no = ?2 AND entity_key = ?3")?
            .execute((self.workspace.as_str(), self.feed_no, key))?;
        Ok(())
    }

    /// A record stands for the row with this key alone from now on: others that it stood for keep their content, not its id, so that
    /// a push never writes two rows into one record.
    pub(crate) fn take_over(&self, id: &RecordId, key: &str, at: &str) -> Db<()> {
        // Looked for first: an UPDATE that changes what an index holds would go through all links of the feed instead.
        let mut others = self.tx.prepare_cached(
            "SELECT entity_key FROM syncline_push_links WHERE workspace_id = ?1 AND feed_no = ?2 AND external_id = ?3 AND entity_key <> ?4",
        )?;
        let whose = (self.workspace.as_str(), self.feed_no, id.as_str(), key);
        let others: Vec<Box<str>> = others.query_map(whose, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        for other in others {
            let hash = self.find(&other)?.and_then(|link| link.hash);
            self.put(&other, &PushLink { id: None, hash, version: None }, at)?;
        }
        Ok(())
    }
}

/// Forgets a row that a pull or a sweep took away.
pub(crate) fn forget(tx: &Transaction<'_>, workspace: &WorkspaceId, feed: &Feed, key: &str) -> Db<()> {
    match feed_no(tx, workspace, feed)? {
        Some(feed_no) => Links { tx, workspace, feed_no }.remove(key),
        None => Ok(()),
    }
}
