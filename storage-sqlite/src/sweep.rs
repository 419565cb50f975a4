//! Deleting what complete scans did not show.

use std::{collections::HashMap, sync::PoisonError};

use rusqlite::{OptionalExtension as _, Transaction};
use sync_core::{
    Counts, Place, WorkspaceId,
    store::{Feed, Preview, Sweep, SweepReport},
};

use crate::{
    commit::{
        beside::{self, Taken},
        delete,
        journal::{Journal, Shown},
        target::Rows,
    },
    error::{Db, Fault, row_fault},
    hiding::Hiding,
    hook::Committed,
    host::Host,
    run,
    seen::Proof,
    storage::{Cache, Durability, Shared, Writer},
    table::{Table, connection_no},
    time,
};

/// Rows that go in one transaction, so that other writers get their turn.
const AT_ONCE: usize = 1000;

/// Deletes in transactions of bounded size. One that was stopped may be repeated: what is gone stays gone, the rest goes.
pub(crate) fn sweep(writer: &mut Writer, workspace: &WorkspaceId, sweep: &Sweep) -> Db<SweepReport> {
    writer.shared.crash_point("p13");
    let (rows, found) = writer.write(Durability::Normal, |tx, cache, _| {
        run::check_fence(tx, workspace, sweep.fence, "sweep")?;
        cache.sources.point(tx, workspace, sweep.fence.run, &sweep.target.source, sweep.target.decided_by())?;
        let Some(rows) = open(tx, workspace, sweep)? else { return Ok((None, Found::default())) };
        let found = find(tx, workspace, sweep, &rows)?;
        Ok((Some(rows), found))
    })?;
    let mut report = found.report();
    if !report.may_delete(sweep) {
        return Ok(report);
    }
    if let Some(rows) = &rows {
        for missing in found.missing.chunks(AT_ONCE) {
            writer.write(Durability::Normal, |tx, _, shared| delete_rows(tx, shared, workspace, sweep, rows, missing))?;
        }
    }
    report.deleted = report.missing;
    writer.write(Durability::Normal, |tx, cache: &mut Cache, _| {
        run::check_fence(tx, workspace, sweep.fence, "sweep")?;
        cache.seen.clear();
        for (partition, scan) in &sweep.scans {
            Proof::close(tx, workspace, &sweep.feed, partition, *scan)?;
        }
        Ok(())
    })?;
    Ok(report)
}

/// What a sweep would do, after commits that were tried out in the same transaction.
pub(crate) fn try_out(tx: &Transaction<'_>, workspace: &WorkspaceId, sweep: &Sweep, preview: &mut Preview) -> Db<()> {
    let Some(rows) = open(tx, workspace, sweep)? else {
        preview.swept = Some(SweepReport::default());
        return Ok(());
    };
    let found = find(tx, workspace, sweep, &rows)?;
    let mut report = found.report();
    if report.may_delete(sweep) {
        let at = time::text(sweep.at);
        let taken = Taken { run: sweep.fence.run, at: &at };
        let mut journal = Journal::new(sweep.target.lineage, Shown::Preview(Vec::new()), Hiding::default());
        for missing in &found.missing {
            match &rows {
                Rows::Stream(table) => delete::managed(tx, table, *missing, &mut journal)?,
                Rows::Managed(_) | Rows::Host(_) => unlink(tx, workspace, &sweep.feed, &rows, *missing, taken, &mut journal)?,
            };
        }
        let (changes, gone) = journal.into_preview();
        preview.changes.extend(changes);
        preview.gone.extend(gone);
        preview.sensitive.extend(Hiding::of(tx, workspace, &sweep.target.entity)?.fields());
        report.deleted = report.missing;
    }
    preview.swept = Some(report);
    Ok(())
}

/// The table, if anything was ever written to it.
fn open(tx: &Transaction<'_>, workspace: &WorkspaceId, sweep: &Sweep) -> Db<Option<Rows>> {
    let entity = &sweep.target.entity;
    let Some(table) = Table::load(tx, entity)? else { return Ok(None) };
    Ok(match &sweep.target.place {
        Place::Stream => Some(Rows::Stream(table.into())),
        Place::Managed { .. } => Some(Rows::Managed(table.into())),
        Place::Host(_) => Host::registered(tx, workspace, entity, table.id)?.map(|host| Rows::Host(Box::new(host))),
    })
}

#[derive(Default)]
struct Found {
    known: u64,
    /// Numbers of rows, or of links where mappings feed the table.
    missing: Vec<i64>,
}

impl Found {
    fn report(&self) -> SweepReport {
        SweepReport { known: self.known, missing: self.missing.len() as u64, deleted: 0 }
    }
}

fn find(tx: &Transaction<'_>, workspace: &WorkspaceId, sweep: &Sweep, rows: &Rows) -> Db<Found> {
    let mut proofs: HashMap<&str, Proof> = HashMap::new();
    for (partition, scan) in &sweep.scans {
        proofs.insert(partition.as_str(), Proof::load(tx, workspace, &sweep.feed, partition, *scan)?);
    }
    let mut found = Found::default();
    let mut look = |row: &rusqlite::Row<'_>| -> Db<()> {
        let Some(proof) = proofs.get(row.get_ref(1)?.as_str()?) else { return Ok(()) };
        found.known += 1;
        let number = row.get(0)?;
        if !proof.shows(number) {
            found.missing.push(number);
        }
        Ok(())
    };
    let feed = &sweep.feed;
    if let Rows::Stream(table) = rows {
        let sql = format!("SELECT rowid, partition_id FROM {} WHERE workspace_id = ?1 AND connection_no = ?2", table.sql);
        let mut known = tx.prepare(&sql)?;
        let mut known = known.query((workspace.as_str(), connection_no(tx, workspace, &feed.connection)?))?;
        while let Some(row) = known.next()? {
            look(row)?;
        }
    } else {
        let mut known = tx.prepare_cached(
            "SELECT id, partition_id FROM syncline_record_links WHERE workspace_id = ?1 AND connection_id = ?2 AND stream = ?3 AND mapping = ?4 \
             AND type_id = ?5",
        )?;
        let mut known =
            known.query((workspace.as_str(), feed.connection.as_str(), feed.stream.as_str(), &*feed.mapping, rows.type_id()))?;
        while let Some(row) = known.next()? {
            look(row)?;
        }
    }
    Ok(found)
}

fn delete_rows(tx: &Transaction<'_>, shared: &Shared, workspace: &WorkspaceId, sweep: &Sweep, rows: &Rows, missing: &[i64]) -> Db<()> {
    run::check_fence(tx, workspace, sweep.fence, "sweep")?;
    let at = time::text(sweep.at);
    let mut journal = Journal::new(sweep.target.lineage, Shown::Nothing, Hiding::of(tx, workspace, &sweep.target.entity)?);
    let mut keys: Vec<Box<str>> = Vec::new();
    for number in missing {
        keys.extend(match rows {
            Rows::Stream(table) => delete::managed(tx, table, *number, &mut journal)?,
            Rows::Managed(_) | Rows::Host(_) => {
                unlink(tx, workspace, &sweep.feed, rows, *number, Taken { run: sweep.fence.run, at: &at }, &mut journal)?
            }
        });
    }
    shared.crash_point("p14");
    journal.write(tx, workspace, rows.type_id(), sweep.fence.run, &at)?;
    let counts = Counts { swept: missing.len() as u64, ..Counts::default() };
    run::add_counts(tx, workspace, sweep.fence.run, &counts)?;
    let hooks = shared.hooks.lock().unwrap_or_else(PoisonError::into_inner);
    let committed = Committed {
        workspace,
        feed: &sweep.feed,
        entity: &sweep.target.entity,
        table: rows.table_name(),
        counts: &counts,
        written: &[],
        deleted: &keys,
    };
    hooks.run(tx, &committed)
}

/// Takes a link away, and its entity when nothing else stands behind it. Answers the key of an entity that went.
fn unlink(
    tx: &Transaction<'_>,
    workspace: &WorkspaceId,
    feed: &Feed,
    rows: &Rows,
    link: i64,
    taken: Taken<'_>,
    journal: &mut Journal,
) -> Db<Option<Box<str>>> {
    let gone: Option<[Box<str>; 3]> = tx
        .prepare_cached("DELETE FROM syncline_record_links WHERE id = ?1 RETURNING entity_id, external_id, partition_id")?
        .query_row([link], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))
        .optional()?;
    let Some([key, record, partition]) = gone else { return Ok(None) };
    journal.unlinked(&key, &record, &partition);
    beside::release(tx, workspace, feed, rows.type_id(), &key, taken)?;
    match delete::orphan(tx, workspace, feed, rows, &key, journal) {
        Ok(true) => Ok(Some(key)),
        Ok(false) => Ok(None),
        // A row of the host that others refer to stays.
        Err(Fault::Sql(error)) if row_fault(&error).is_some() && !tx.is_autocommit() => {
            tracing::warn!(table = rows.table_name(), "a row that is gone at the source stays: the table's constraints keep it");
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}
