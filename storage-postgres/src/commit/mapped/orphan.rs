//! What becomes of entities when records behind them are gone: they go too, unless another record stands behind them, or they are rows of
//! the host that stay by the table's own setting.

use std::{collections::BTreeMap, ops::Range};

use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, Row as _};
use sync_core::{join_key, key_text, mapping::Rule, split_key};

use super::{
    super::Rows,
    beside::{self, Taken},
    journal::{Journal, Line},
    link::Links,
    owner,
};
use crate::{
    error::{Db, Fault, row_fault},
    host::Host,
    push,
    table::Table,
    tx::{Tx, raw},
};

/// What became of an entity.
#[derive(Debug)]
pub(super) enum Fate {
    /// Another record stands behind it, it is the host's to keep, or it was gone already.
    Stays,
    /// It went.
    Gone,
    /// The table did not let it go, for this reason.
    Kept(String),
}

/// The row of an entity that may go.
struct Doomed {
    /// Its place among the keys.
    at: usize,
    /// Its key as the table has it: a record's `007` is 7 in a column of numbers.
    own: Box<str>,
    line: Line,
    created: super::journal::Created,
}

/// Deletes what nothing stands behind any more. Keys have to be in order, none twice. Rows of the host go only where its table says so, or
/// when they are deleted `by_hand`.
pub(super) async fn settle(
    tx: &mut Tx,
    links: Links<'_>,
    rows: &Rows,
    keys: &[&str],
    by_hand: bool,
    taken: Taken,
    journal: &mut Journal,
) -> Db<Vec<Fate>> {
    let mut fates: Vec<Fate> = keys.iter().map(|_| Fate::Stays).collect();
    match rows {
        Rows::Stream(_) => {}
        Rows::Host(host) if !host.spec.delete_rows && !by_hand => {}
        Rows::Managed(table) => {
            let doomed = lock_managed(tx, links, table, keys, journal.previews).await?;
            let doomed = unlinked(tx, links, keys, doomed).await?;
            let gone: Vec<&str> = doomed.iter().map(|doomed| keys[doomed.at]).collect();
            if !gone.is_empty() {
                let sql = format!(
                    "DELETE FROM {0} m USING (SELECT l.ctid AS at FROM unnest($2::text[]) AS k(key) CROSS JOIN LATERAL (SELECT l.ctid \
                     FROM {0} l WHERE l.workspace_id = $1 AND l.connection_no = 0 AND l.entity_id = k.key FOR UPDATE) l OFFSET 0) k \
                     WHERE m.ctid = k.at",
                    table.sql
                );
                sqlx::query(AssertSqlSafe(sql)).bind(links.workspace.as_str()).bind(&gone).execute(&mut **tx).await?;
            }
            note(tx, links, keys, doomed, journal, &mut fates).await?;
        }
        Rows::Host(host) => hosts(tx, links, host, keys, journal, &mut fates).await?,
    }
    if by_hand {
        // Also where a row never came to be.
        beside::forget(tx, links.workspace, links.type_id, keys).await?;
    } else {
        beside::release(tx, links, keys, taken).await?;
    }
    Ok(fates)
}

/// Writes down what went.
async fn note(tx: &mut Tx, links: Links<'_>, keys: &[&str], doomed: Vec<Doomed>, journal: &mut Journal, fates: &mut [Fate]) -> Db<()> {
    let gone: Vec<&str> = doomed.iter().map(|doomed| keys[doomed.at]).collect();
    if !gone.is_empty() {
        owner::forget(tx, links.workspace, links.type_id, &gone).await?;
        beside::forget(tx, links.workspace, links.type_id, &gone).await?;
    }
    let mut owns: Vec<Box<str>> = Vec::with_capacity(doomed.len());
    for Doomed { at, own, line, created } in doomed {
        journal.add(keys[at], "d", line, created);
        fates[at] = Fate::Gone;
        owns.push(own);
    }
    // What pushes of the feed know of a row goes with it.
    push::link::forget(tx, links.workspace, links.feed, owns.iter().map(|own| &**own).collect()).await
}

/// Those of the rows that no record stands behind. To be asked when they are locked: of two sources whose last records go at once, the
/// second one sees what the first one did.
async fn unlinked(tx: &mut Tx, links: Links<'_>, keys: &[&str], doomed: Vec<Doomed>) -> Db<Vec<Doomed>> {
    let there: Vec<&str> = doomed.iter().map(|doomed| keys[doomed.at]).collect();
    let linked = links.linked(tx, &there).await?;
    Ok(doomed.into_iter().zip(linked).filter(|(_, linked)| !linked).map(|(doomed, _)| doomed).collect())
}

async fn lock_managed(tx: &mut Tx, links: Links<'_>, table: &Table, keys: &[&str], previews: bool) -> Db<Vec<Doomed>> {
    let columns = table.columns.iter().map(|column| format!("to_json(m.{})::text", column.sql)).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT k.n, m.created_run, m.created_at, m.extra::text, ARRAY[{columns}]::text[] FROM unnest($2::text[]) WITH ORDINALITY AS k(key, n) \
         CROSS JOIN LATERAL (SELECT * FROM {} m WHERE m.workspace_id = $1 AND m.connection_no = 0 AND m.entity_id = k.key FOR UPDATE) m",
        table.sql
    );
    let mut doomed = Vec::new();
    for row in sqlx::query(AssertSqlSafe(sql)).bind(links.workspace.as_str()).bind(keys).fetch_all(&mut **tx).await? {
        let at = row.try_get::<i64, _>(0)? as usize - 1;
        let run: Option<i64> = row.try_get(1)?;
        let created = (run, run.map(|_| row.try_get(2)).transpose()?);
        let mut line = Line::default();
        let shown = previews.then_some(keys[at]);
        let values: Vec<Option<String>> = row.try_get(4)?;
        for (column, json) in table.columns.iter().zip(values) {
            if let Some(json) = json {
                line.change(shown, &column.field, Some(&json), None, Rule::Deleted);
            }
        }
        if let Some(extra) = row.try_get::<Option<&str>, _>(3)? {
            let extra: BTreeMap<String, Box<RawValue>> = serde_json::from_str(extra).unwrap_or_default();
            for (field, json) in &extra {
                line.change(shown, field, Some(json.get()), None, Rule::Deleted);
            }
        }
        doomed.push(Doomed { at, own: keys[at].into(), line, created });
    }
    Ok(doomed)
}

/// Deletes rows of the host; those that others refer to stay, each by itself.
async fn hosts(tx: &mut Tx, links: Links<'_>, host: &Host, keys: &[&str], journal: &mut Journal, fates: &mut [Fate]) -> Db<()> {
    let mut open: Vec<Range<usize>> = std::iter::once(0..keys.len()).collect();
    while let Some(range) = open.pop() {
        if range.is_empty() {
            continue;
        }
        tx.savepoint().await?;
        match host_batch(tx, links, host, keys, range.clone(), journal.previews).await {
            Ok(doomed) => {
                tx.release().await?;
                note(tx, links, keys, doomed, journal, fates).await?;
            }
            Err(Fault::Sql(error)) => {
                let Some((reason, _)) = row_fault(&error) else { return Err(Fault::Sql(error)) };
                raw(tx, "ROLLBACK TO SAVEPOINT syncline; RELEASE SAVEPOINT syncline").await?;
                if range.len() == 1 {
                    fates[range.start] = Fate::Kept(reason);
                } else {
                    let middle = range.start + range.len() / 2;
                    open.push(middle..range.end);
                    open.push(range.start..middle);
                }
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

async fn host_batch(tx: &mut Tx, links: Links<'_>, host: &Host, keys: &[&str], range: Range<usize>, previews: bool) -> Db<Vec<Doomed>> {
    // Only places whose key has as many parts as the table's.
    let width = host.spec.key.len();
    let (mut places, mut parts): (Vec<usize>, Vec<Vec<String>>) = (Vec::new(), vec![Vec::new(); width]);
    for at in range {
        let split = split_key(keys[at]);
        if split.len() == width {
            places.push(at);
            for (part, text) in split.into_iter().enumerate() {
                parts[part].push(text);
            }
        }
    }
    let names = (0..width).map(|part| format!("k{part}")).collect::<Vec<_>>().join(", ");
    let arrays = (0..width).map(|part| format!("${}::text[]", part + 2)).collect::<Vec<_>>().join(", ");
    let source = format!("(SELECT $1::text) AS w(own), unnest({arrays}) WITH ORDINALITY AS k({names}, n)");
    let condition = |alias: &str| host.by_key(alias, "w.own", |part| format!("k.k{part}"));
    let columns: Vec<_> = host.values().collect();
    let list = columns.iter().map(|column| format!("to_json(m.{})::text", column.sql)).collect::<Vec<_>>().join(", ");
    let lock = if host.lockable { "FOR UPDATE" } else { "OFFSET 0" };
    let find = format!(
        "SELECT k.n, ARRAY[{list}]::text[] FROM {source} CROSS JOIN LATERAL (SELECT * FROM {} m WHERE {} {lock}) m",
        host.sql,
        condition("m.")
    );
    let mut statement = sqlx::query(AssertSqlSafe(find)).bind(links.workspace.as_str());
    for part in &parts {
        statement = statement.bind(part);
    }
    host.enter(tx).await?;
    let found = statement.fetch_all(&mut **tx).await?;
    Host::leave(tx).await?;
    let mut doomed = Vec::new();
    for row in found {
        let at = places[row.try_get::<i64, _>(0)? as usize - 1];
        let values: Vec<Option<String>> = row.try_get(1)?;
        let mut line = Line::default();
        let shown = previews.then_some(keys[at]);
        let mut own = vec![String::new(); width];
        for (column, json) in columns.iter().zip(&values) {
            let Some(json) = json else { continue };
            line.change(shown, &column.name, Some(json), None, Rule::Deleted);
            for (part, _) in host.key().enumerate().filter(|(_, key)| key.name == column.name) {
                own[part] = key_text(json).unwrap_or_default().into_owned();
            }
        }
        let own = join_key(own.iter().map(String::as_str)).into();
        doomed.push(Doomed { at, own, line, created: (None, None) });
    }
    let doomed = unlinked(tx, links, keys, doomed).await?;
    if doomed.is_empty() {
        return Ok(doomed);
    }
    let delete = if host.stored {
        format!(
            "DELETE FROM {0} m USING (SELECT l.at, l.part FROM {source} CROSS JOIN LATERAL (SELECT l.ctid AS at, l.tableoid AS part \
             FROM {0} l WHERE {1} FOR UPDATE) l OFFSET 0) k WHERE m.ctid = k.at AND m.tableoid = k.part",
            host.sql,
            condition("l.")
        )
    } else {
        format!("DELETE FROM {} m USING {source} WHERE {}", host.sql, condition("m."))
    };
    let mut statement = sqlx::query(AssertSqlSafe(delete)).bind(links.workspace.as_str());
    for part in &parts {
        let gone: Vec<&str> =
            doomed.iter().filter_map(|doomed| places.binary_search(&doomed.at).ok()).map(|place| part[place].as_str()).collect();
        statement = statement.bind(gone);
    }
    host.enter(tx).await?;
    statement.execute(&mut **tx).await?;
    Host::leave(tx).await?;
    Ok(doomed)
}
