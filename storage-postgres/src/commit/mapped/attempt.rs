//! Writing many rows at once, so that one that is refused costs its own failure only.

use std::{ops::Range, sync::Arc};

use sqlx::{AssertSqlSafe, Error as Sql};
use sync_core::mapping::FieldSource;

use super::{
    super::{
        Rows, Work,
        remember::{Asked, Remembering},
    },
    beside::{self, Rivals},
    decide::{Contestants, Context, Verdict, decide},
    owner::{self, Owners},
    shape::{Item, Shape, Write},
};
use crate::{
    error::{Db, Fault, code, discreet, row_fault},
    host::Host,
    tx::raw,
};

/// Where items are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Destination<'i, 'a> {
    pub(super) rows: &'a Rows,
    pub(super) shape: &'i Shape<'a>,
    /// What pushes shall know of the rows; `None` for feeds that cannot be pushed.
    pub(super) remembering: Option<&'i Remembering>,
}

/// Rows that are written by one statement.
const AT_ONCE: usize = 2000;

/// How often a batch is begun anew when somebody else inserted some of its rows meanwhile, before the server's own refusal is asked for.
const RACES: u32 = 3;

/// Why a row was refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) column: Option<Box<str>>,
}

/// What became of a record.
pub(super) type Done = Result<Verdict, Refusal>;

/// Writes items, no two of which have one key and which are in the order of their keys.
pub(super) async fn write<'a>(work: &mut Work<'_>, into: Destination<'_, 'a>, items: &[Item<'a>]) -> Db<Vec<Done>> {
    let mut done: Vec<Option<Done>> = (0..items.len()).map(|_| None).collect();
    let mut open: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    while from < items.len() {
        let to = items.len().min(from + AT_ONCE);
        open.push(from..to);
        from = to;
    }
    open.reverse();
    while let Some(range) = open.pop() {
        match attempt(work, into, &items[range.clone()]).await? {
            Ok(verdicts) => {
                for (place, verdict) in range.zip(verdicts) {
                    done[place] = Some(Ok(verdict));
                }
            }
            Err(refusal) if range.len() == 1 => done[range.start] = Some(Err(refusal)),
            Err(_) => {
                let middle = range.start + range.len() / 2;
                open.push(middle..range.end);
                open.push(range.start..middle);
            }
        }
    }
    done.into_iter().map(|done| done.ok_or_else(|| crate::error::internal("commit", "a record was left undecided"))).collect()
}

/// Writes all of the items, or none.
async fn attempt<'a>(work: &mut Work<'_>, into: Destination<'_, 'a>, items: &[Item<'a>]) -> Db<Result<Vec<Verdict>, Refusal>> {
    for race in 0..=RACES {
        work.tx.savepoint().await?;
        let error = match once(work, into, items, race < RACES).await {
            Ok(Some(verdicts)) => {
                work.tx.release().await?;
                return Ok(Ok(verdicts));
            }
            Ok(None) => None,
            Err(Fault::Sql(error)) if row_fault(&error).is_some() => Some(error),
            Err(fault) => return Err(fault),
        };
        raw(work.tx, "ROLLBACK TO SAVEPOINT syncline; RELEASE SAVEPOINT syncline").await?;
        if let Some(error) = error {
            let (reason, named) = row_fault(&error).unwrap_or_default();
            // A preview marks nothing: what its target says is sensitive counts from the first.
            let secret = !work.hiding.is_empty() || work.commit.target.fields.iter().any(|field| field.sensitive);
            let reason = if secret { discreet(reason, &error) } else { reason };
            let column = match items {
                [item] => blame(work, into.rows, into.shape, item, &error).await?.or(named.map(Into::into)),
                _ => None,
            };
            return Ok(Err(Refusal { reason, column }));
        }
    }
    Err(crate::error::internal("commit", "rows were inserted by others again and again"))
}

/// Reads, locks, decides and writes. `None` when somebody else inserted one of the new rows meanwhile.
async fn once<'a>(
    work: &mut Work<'_>,
    Destination { rows, shape, remembering }: Destination<'_, 'a>,
    items: &[Item<'a>],
    yield_to_others: bool,
) -> Db<Option<Vec<Verdict>>> {
    let host = match rows {
        Rows::Host(host) => Some(host),
        Rows::Stream(_) | Rows::Managed(_) => None,
    };
    if let Some(host) = host {
        host.enter(work.tx).await?;
    }
    let seen = shape.find(work, items).await?;
    if host.is_some() {
        Host::leave(work.tx).await?;
    }
    // Only now: who owns a field may have changed until its row was locked.
    let contest = contest(work, rows, items).await?;
    let contestants = contest.as_ref().map(|(owners, rivals, source)| Contestants { owners, rivals, source });
    let target = Arc::clone(&work.commit.target);
    let unowned = matches!(rows, Rows::Managed(_)).then_some(0);
    let context = Context { contestants, unowned, previews: work.shows(), target: &target };
    let mut verdicts: Vec<Verdict> =
        items.iter().zip(seen).enumerate().map(|(at, (item, seen))| decide(shape, item, at, seen, context)).collect();
    if let Some(remembering) = remembering {
        let there: Vec<usize> = (0..items.len()).filter(|at| verdicts[*at].there).collect();
        let asked: Vec<Asked<'_>> = there.iter().map(|at| items[*at].asked()).collect();
        for (at, look) in there.into_iter().zip(remembering.before(work, &asked).await?) {
            verdicts[at].before = look;
        }
    }
    let (mut new, mut changed, mut extra) = (Vec::new(), Vec::new(), false);
    for (item, verdict) in items.iter().zip(&verdicts) {
        if verdict.writes.is_empty() {
            continue;
        }
        let write = Write { item, slots: &verdict.writes };
        if verdict.there {
            extra |= verdict.extra || item.has_extra();
            changed.push(write);
        } else {
            new.push(write);
        }
    }
    let host = host.filter(|_| !new.is_empty() || !changed.is_empty());
    if let Some(host) = host {
        host.enter(work.tx).await?;
    }
    if !new.is_empty() {
        let inserted = shape.insert(work, &new, yield_to_others).await?;
        // A trigger of the host may leave rows out, too; the last time round that is taken for its wish.
        if yield_to_others && inserted < new.len() as u64 {
            return Ok(None);
        }
    }
    if !changed.is_empty() {
        shape.update(work, &changed, extra).await?;
    }
    if host.is_some() {
        Host::leave(work.tx).await?;
    }
    Ok(Some(verdicts))
}

/// Who set the fields of items, and what others said of them; `None` where priorities are not kept.
async fn contest(work: &mut Work<'_>, rows: &Rows, items: &[Item<'_>]) -> Db<Option<(Owners, Rivals, FieldSource)>> {
    if !owner::are_kept(work.tx, work.workspace, rows.type_id(), &work.commit.target).await? {
        return Ok(None);
    }
    let keys: Vec<&str> = items.iter().map(|item| item.key).collect();
    let owners = owner::of(work.tx, work.workspace, rows.type_id(), &keys).await?;
    let rivals = beside::rivals(work.tx, work.workspace, rows.type_id(), &keys).await?;
    let feed = &work.commit.feed;
    Ok(Some((owners, rivals, FieldSource { connection: feed.connection.clone(), mapping: feed.mapping.clone() })))
}

/// The column a refusal of one row is about, as the source calls it.
async fn blame(work: &mut Work<'_>, rows: &Rows, shape: &Shape<'_>, item: &Item<'_>, error: &Sql) -> Db<Option<Box<str>>> {
    let Rows::Host(host) = rows else { return probe(work, None, shape, item, error).await };
    if let Some(column) = host.blamed(error) {
        return Ok(Some(shape.slot_of(column).map_or_else(|| column.name.clone(), |slot| slot.field.into())));
    }
    if let Some(refused @ ("22001" | "22026")) = code(error) {
        let long = item.cells.iter().find(|(slot, _)| {
            let longest = shape.host_column(*slot).and_then(|column| column.longest);
            longest.zip(shape.text_of(item, *slot)).is_some_and(|(longest, text)| {
                let length = text.trim_end_matches(' ').chars().count();
                length > longest || (refused == "22026" && length != longest)
            })
        });
        return Ok(long.map(|(slot, _)| shape.slots[*slot].field.into()));
    }
    probe(work, Some(host), shape, item, error).await
}

/// The first field whose value alone is refused as the whole row was.
async fn probe(work: &mut Work<'_>, host: Option<&Host>, shape: &Shape<'_>, item: &Item<'_>, error: &Sql) -> Db<Option<Box<str>>> {
    let Some(refused) = code(error).filter(|code| code.starts_with("22")) else { return Ok(None) };
    for (slot, _) in &item.cells {
        let Some(text) = shape.text_of(item, *slot) else { continue };
        let value = match shape.host_column(*slot) {
            Some(column) => column.stored("$1::text"),
            None => shape.value(*slot, "$1::text"),
        };
        raw(work.tx, "SAVEPOINT syncline").await?;
        if let Some(host) = host {
            host.enter(work.tx).await?;
        }
        let tried = sqlx::query(AssertSqlSafe(format!("SELECT ({value}) IS NULL"))).bind(text).execute(&mut **work.tx).await;
        raw(work.tx, "ROLLBACK TO SAVEPOINT syncline; RELEASE SAVEPOINT syncline").await?;
        match tried {
            Ok(_) => {}
            Err(error) if code(&error) == Some(refused) => return Ok(Some(shape.slots[*slot].field.into())),
            Err(error) if row_fault(&error).is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}
