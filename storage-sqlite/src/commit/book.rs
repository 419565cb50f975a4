//! The run's own books: where values come from, cursors, counts, failures and events.

use std::sync::Arc;

use rusqlite::Transaction;
use sync_core::{RunId, Source, WorkspaceId, mapping::Rule, store::PageCommit};

use super::Tally;
use crate::{
    error::{Db, damaged},
    failure, run, time,
};

/// The source and rule the last run was pointed at.
#[derive(Debug, Default)]
pub(crate) struct Sources(Option<(RunId, Arc<Source>, Rule)>);

impl Sources {
    /// Points a run at the source its values come from, and at what decides about its changes. Equal ones are stored once.
    pub(crate) fn point(&mut self, tx: &Transaction<'_>, workspace: &WorkspaceId, run: RunId, source: &Arc<Source>, rule: Rule) -> Db<()> {
        let same = |last: &Arc<Source>| Arc::ptr_eq(last, source) || last == source;
        if self.0.as_ref().is_some_and(|(known, last, by)| (*known, *by) == (run, rule) && same(last)) {
            return Ok(());
        }
        let refs = serde_json::to_string(&source.refs).map_err(|_| damaged("commit", "list of source columns"))?;
        let whose = (workspace.as_str(), &*source.kind, &*source.id, &*refs);
        tx.prepare_cached(
            "INSERT INTO syncline_lineage_sources (workspace_id, kind, source_id, refs) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(whose)?;
        let id: i64 = tx
            .prepare_cached(
                "SELECT id FROM syncline_lineage_sources WHERE workspace_id = ?1 AND kind = ?2 AND source_id = ?3 AND refs = ?4",
            )?
            .query_row(whose, |row| row.get(0))?;
        let mapping = serde_json::to_string(&source.mapping).map_err(|_| damaged("commit", "mapping"))?;
        let rules = (workspace.as_str(), rule.as_str(), &*mapping);
        tx.prepare_cached("INSERT INTO syncline_lineage_rules (workspace_id, rule, mapping) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
            .execute(rules)?;
        let by: i64 = tx
            .prepare_cached("SELECT id FROM syncline_lineage_rules WHERE workspace_id = ?1 AND rule = ?2 AND mapping = ?3")?
            .query_row(rules, |row| row.get(0))?;
        tx.prepare_cached("UPDATE syncline_sync_runs SET lineage_source = ?2, lineage_rules = ?3 WHERE id = ?1")?
            .execute((run.0, id, by))?;
        self.0 = Some((run, Arc::clone(source), rule));
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

/// Writes cursors, counts, failures and events.
pub(super) fn keep(tx: &Transaction<'_>, workspace: &WorkspaceId, commit: &PageCommit, at: &str, tally: &Tally) -> Db<()> {
    let mut position = tx.prepare_cached(
        "INSERT INTO syncline_sync_cursors (workspace_id, connection_id, stream, mapping, partition_id, cursor_version, cursor_state, page_token, \
         page_ends_at, scan, gone, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11) ON CONFLICT DO UPDATE SET \
         cursor_version = coalesce(excluded.cursor_version, cursor_version), cursor_state = coalesce(excluded.cursor_state, cursor_state), \
         page_token = excluded.page_token, page_ends_at = excluded.page_ends_at, scan = excluded.scan, gone = 0, updated_at = excluded.updated_at",
    )?;
    let feed = &commit.feed;
    for moved in &commit.cursors {
        position.execute((
            workspace.as_str(),
            feed.connection.as_str(),
            feed.stream.as_str(),
            &*feed.mapping,
            moved.partition.as_str(),
            moved.cursor.as_ref().map(|cursor| cursor.version),
            moved.cursor.as_ref().map(|cursor| &*cursor.state),
            moved.page.as_ref().map(|(token, _)| token.as_str()),
            moved.page.as_ref().map(|(_, ends)| time::text(*ends)),
            moved.scan.cast_signed(),
            at,
        ))?;
    }
    run::add_counts(tx, workspace, commit.fence.run, &tally.counts)?;
    let failures: Vec<_> = commit.failures.iter().chain(&tally.failures).collect();
    failure::add(tx, workspace, commit.fence.run, failures.into_iter())?;
    run::add_events(tx, workspace, commit.fence.run, &commit.events, commit.at)
}
