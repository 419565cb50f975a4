//! Records on their way into a table: encoded, copied into a temporary table, and brought over by a few statements.

use std::ops::Range;

use sqlx::{AssertSqlSafe, Row as _};
use sync_core::{PartitionId, RecordBatch, RecordFailure};

use super::{Mode, Work, preview, statements::Shape, stream};
use crate::{
    error::{Db, Fault, internal, row_fault},
    table::{Form, Table},
    tx::{Tx, raw},
    value::{self, Misfit},
};

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1i16).to_be_bytes();
/// Bytes handed to the connection at once.
const CHUNK: usize = 1 << 18;
/// How often rows are compared anew because somebody else made some of them in between.
const RACES: usize = 20;

/// One record, encoded so that both forms of the stage can be made of it.
struct Encoded<'a> {
    item: stream::Item<'a>,
    /// Whether a row was there.
    known: bool,
    /// Key, hash and partition; `extra` and the fields it lacks; the columns.
    head: Range<usize>,
    beside: Range<usize>,
    cells: Range<usize>,
}

/// What a batch's names are in the table.
struct Names<'a> {
    batch: &'a RecordBatch,
    /// Per name its place among the staged columns, and its form.
    slots: Vec<Option<(usize, Form)>>,
}

/// Records to be written.
pub(super) struct Staged<'a> {
    table: &'a Table,
    /// Places of the staged columns in the table.
    columns: Vec<usize>,
    batches: Vec<Names<'a>>,
    /// Names of the batches: all, and those without a column.
    names: Vec<&'a str>,
    loose: Vec<&'a str>,
    careful: bool,
    bytes: Vec<u8>,
    records: Vec<Encoded<'a>>,
    /// Per staged column the present record's cell.
    cells: Vec<Option<(usize, &'a str)>>,
    scratch: Vec<u8>,
}

impl<'a> Staged<'a> {
    pub(super) fn new(table: &'a Table, batches: impl Iterator<Item = &'a RecordBatch>) -> Self {
        let mut this = Self {
            table,
            columns: Vec::new(),
            batches: Vec::new(),
            names: Vec::new(),
            loose: Vec::new(),
            careful: false,
            bytes: Vec::new(),
            records: Vec::new(),
            cells: Vec::new(),
            scratch: Vec::new(),
        };
        for batch in batches {
            let mut slots = Vec::with_capacity(batch.names().len());
            for name in batch.names() {
                if !this.names.contains(&&**name) {
                    this.names.push(name);
                    if table.position(name).is_none() {
                        this.loose.push(name);
                    }
                }
                slots.push(table.position(name).map(|at| {
                    let slot = this.columns.iter().position(|known| *known == at).unwrap_or_else(|| {
                        this.columns.push(at);
                        this.columns.len() - 1
                    });
                    (slot, table.columns[at].form)
                }));
            }
            this.batches.push(Names { batch, slots });
        }
        this.cells = vec![None; this.columns.len()];
        this
    }

    /// Encodes a record. `known`: a row was there; `extra`: and it keeps something in `extra`.
    ///
    /// # Errors
    /// The failure of a record that cannot be kept.
    pub(super) fn add(&mut self, item: stream::Item<'a>, known: bool, extra: bool) -> Result<(), RecordFailure> {
        let from = self.bytes.len();
        let done = self.encode(item, known, extra);
        if done.is_err() {
            self.bytes.truncate(from);
        }
        done
    }

    fn encode(&mut self, item: stream::Item<'a>, known: bool, extra: bool) -> Result<(), RecordFailure> {
        let refuse = |reason: &str, column: &str| {
            RecordFailure::error(reason).in_column(column).at_row(item.record.position).of_record(item.record.id.as_str())
        };
        let batch = &item.part.batch;
        let names = self.batches.iter().find(|names| std::ptr::eq(names.batch, batch)).expect("its batch was told before");
        self.cells.fill(None);
        // Fields without a column, and values that do not fit theirs.
        let mut beside = String::new();
        let put = |name: &str, json: &str, beside: &mut String| {
            beside.push(if beside.is_empty() { '{' } else { ',' });
            beside.push_str(&serde_json::to_string(name).unwrap_or_default());
            beside.push(':');
            beside.push_str(json);
        };
        let mut silent: Vec<&str> = Vec::new();
        for (name, json) in batch.cells(item.record) {
            match names.slots[name] {
                Some((slot, _)) => self.cells[slot] = Some((name, json)),
                None if json == "null" => {}
                None => {
                    value::check_json(json).map_err(|misfit| refuse(misfit.reason(), &batch.names()[name]))?;
                    put(&batch.names()[name], json, &mut beside);
                }
            }
        }
        if batch.cells(item.record).len() < self.names.len() {
            let has: Vec<usize> = batch.cells(item.record).map(|(name, _)| name).collect();
            let said = |field: &str| batch.names().iter().position(|name| **name == *field).is_some_and(|name| has.contains(&name));
            silent.extend(self.names.iter().filter(|field| !said(field)));
        }
        let head = self.bytes.len();
        value::text(&mut self.bytes, item.record.id.as_str());
        value::bigint(&mut self.bytes, item.hash);
        value::text(&mut self.bytes, item.part.partition.as_str());
        let cells = self.bytes.len();
        for (slot, at) in self.columns.iter().enumerate() {
            let Some((name, json)) = self.cells[slot] else {
                value::null(&mut self.bytes);
                continue;
            };
            match value::encode(&mut self.bytes, json, self.table.columns[*at].form) {
                Ok(()) => {}
                Err(Misfit::Kind) => {
                    value::check_json(json).map_err(|misfit| refuse(misfit.reason(), &batch.names()[name]))?;
                    put(&batch.names()[name], json, &mut beside);
                    value::null(&mut self.bytes);
                }
                Err(Misfit::Never(reason)) => return Err(refuse(reason, &batch.names()[name])),
            }
        }
        let end = self.bytes.len();
        if beside.is_empty() {
            value::null(&mut self.bytes);
        } else {
            beside.push('}');
            self.scratch.clear();
            value::jsonb(&mut self.bytes, &beside).map_err(|misfit| refuse(misfit.reason(), ""))?;
        }
        value::texts(&mut self.bytes, silent.iter().copied());
        self.careful |= extra || !beside.is_empty() || !silent.is_empty();
        let beside = end..self.bytes.len();
        self.records.push(Encoded { item, known, head: head..cells, cells: cells..end, beside });
        Ok(())
    }

    fn shape(&self) -> Shape<'_> {
        Shape { table: self.table, columns: &self.columns, careful: self.careful }
    }

    /// Copies some of the records into the stage.
    async fn copy(&self, tx: &mut Tx, which: Range<usize>) -> Db<()> {
        let fields = (3 + self.columns.len() + if self.careful { 2 } else { 0 }) as i16;
        let mut copy = tx.copy_in_raw(&self.shape().copy()).await?;
        let mut out = Vec::with_capacity(CHUNK + (CHUNK >> 2));
        out.extend(HEADER);
        for record in &self.records[which] {
            out.extend(fields.to_be_bytes());
            out.extend(&self.bytes[record.head.clone()]);
            if self.careful {
                out.extend(&self.bytes[record.beside.clone()]);
            }
            out.extend(&self.bytes[record.cells.clone()]);
            if out.len() >= CHUNK {
                copy.send(&*out).await?;
                out.clear();
            }
        }
        out.extend(TRAILER);
        copy.send(out).await?;
        copy.finish().await?;
        Ok(())
    }
}

/// What a batch of staged records did.
#[derive(Debug, Default)]
struct Done {
    created: u64,
    updated: u64,
    /// Keys of records that differ in nothing.
    same: Vec<String>,
    rows: Vec<(PartitionId, Vec<i64>)>,
}

/// Writes what is staged, but for records that the database refuses: each of them is a failure of its own.
pub(super) async fn write(work: &mut Work<'_>, staged: Staged<'_>) -> Db<()> {
    if staged.records.is_empty() {
        return Ok(());
    }
    make_stage(work.tx, &staged.shape()).await?;
    // Halves of what is refused, down to the record that is at fault.
    let mut open = vec![0..staged.records.len()];
    while let Some(which) = open.pop() {
        work.tx.savepoint().await?;
        match bring(work, &staged, which.clone()).await {
            Ok(done) => {
                work.tx.release().await?;
                tell(work, &staged, which, &done);
            }
            Err(Fault::Sql(error)) if row_fault(&error).is_some() => {
                work.tx.back().await?;
                if which.len() == 1 {
                    let (reason, column) = row_fault(&error).unwrap_or_default();
                    let record = staged.records[which.start].item.record;
                    let failure = RecordFailure::error(reason).at_row(record.position).of_record(record.id.as_str());
                    work.tally.failed(match column {
                        Some(column) => failure.in_column(column),
                        None => failure,
                    });
                } else {
                    let middle = which.start + which.len() / 2;
                    open.push(middle..which.end);
                    open.push(which.start..middle);
                }
            }
            Err(fault) => return Err(fault),
        }
    }
    work.tx.inner.crash_point("p8");
    Ok(())
}

/// Makes the stage where the connection has none.
async fn make_stage(tx: &mut Tx, shape: &Shape<'_>) -> Db<()> {
    let there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(shape.stage()).fetch_one(&mut **tx).await?;
    if !there {
        let sql = shape.create_stage(tx.inner.settings.pooler);
        raw(tx, sql).await?;
    }
    Ok(())
}

async fn bring(work: &mut Work<'_>, staged: &Staged<'_>, which: Range<usize>) -> Db<Done> {
    let shape = staged.shape();
    let known = staged.records[which.clone()].iter().any(|record| record.known);
    for _ in 0..RACES {
        staged.copy(work.tx, which.clone()).await?;
        let mut done = Done::default();
        let mut expected = 0;
        let changes = work.changes.len();
        if known {
            expected = look(work, staged, &shape, &mut done).await?;
        }
        if !done.same.is_empty() {
            let [touch, leave] = shape.touch();
            sqlx::query(AssertSqlSafe(touch))
                .bind(work.workspace.as_str())
                .bind(work.connection_no)
                .bind(&done.same)
                .execute(&mut **work.tx)
                .await?;
            sqlx::query(AssertSqlSafe(leave)).bind(&done.same).execute(&mut **work.tx).await?;
        }
        upsert(work, staged, &shape, &mut done).await?;
        if done.updated == expected {
            return Ok(done);
        }
        // Somebody else made some of the rows in between: what they hold was not compared.
        work.changes.truncate(changes);
        work.tx.back().await?;
    }
    Err(internal("commit", "the rows of this commit change faster than they can be compared"))
}

/// Locks the rows that are there and writes down what changes; answers how many do.
async fn look(work: &mut Work<'_>, staged: &Staged<'_>, shape: &Shape<'_>, done: &mut Done) -> Db<u64> {
    if work.mode == Mode::Preview {
        let rows = sqlx::query(AssertSqlSafe(shape.look()))
            .bind(work.workspace.as_str())
            .bind(work.connection_no)
            .bind(&staged.loose)
            .fetch_all(&mut **work.tx)
            .await?;
        let mut changed = 0;
        for row in &rows {
            let (key, line): (String, &str) = (row.try_get(0)?, row.try_get(1)?);
            if line.is_empty() {
                done.same.push(key);
            } else {
                preview::updated(&key, &format!("{{{line}}}"), &mut work.changes)?;
                changed += 1;
            }
        }
        return Ok(changed);
    }
    let query = if work.commit.target.lineage {
        sqlx::query(AssertSqlSafe(shape.write_lines()))
            .bind(work.workspace.as_str())
            .bind(work.connection_no)
            .bind(&staged.loose)
            .bind(staged.table.id)
            .bind(work.commit.fence.run.0)
            .bind(work.commit.at)
    } else {
        sqlx::query(AssertSqlSafe(shape.count_changes())).bind(work.workspace.as_str()).bind(work.connection_no).bind(&staged.loose)
    };
    let row = query.fetch_one(&mut **work.tx).await?;
    done.same = row.try_get::<Option<Vec<String>>, _>(1)?.unwrap_or_default();
    Ok(row.try_get::<i64, _>(0)?.cast_unsigned())
}

async fn upsert(work: &mut Work<'_>, staged: &Staged<'_>, shape: &Shape<'_>, done: &mut Done) -> Db<()> {
    let created_run = work.commit.target.lineage.then_some(work.commit.fence.run.0);
    let rows = sqlx::query(AssertSqlSafe(shape.upsert()))
        .bind(work.workspace.as_str())
        .bind(work.connection_no)
        .bind(&staged.names)
        .bind(created_run)
        .bind(work.commit.at)
        .bind(work.commit.scan.is_some())
        .fetch_all(&mut **work.tx)
        .await?;
    for row in &rows {
        done.created += row.try_get::<i64, _>(1)?.cast_unsigned();
        done.updated += row.try_get::<i64, _>(2)?.cast_unsigned();
        if let Some(numbers) = row.try_get::<Option<Vec<i64>>, _>(3)? {
            done.rows.push((row.try_get::<String, _>(0)?.into(), numbers));
        }
    }
    Ok(())
}

/// Counts what was done.
fn tell(work: &mut Work<'_>, staged: &Staged<'_>, which: Range<usize>, done: &Done) {
    work.tally.counts.created += done.created;
    work.tally.counts.updated += done.updated;
    work.tally.counts.unchanged += done.same.len() as u64;
    for (partition, numbers) in &done.rows {
        for number in numbers {
            work.shown.add(partition, *number);
        }
    }
    let previews = work.mode == Mode::Preview;
    for record in &staged.records[which] {
        let key = record.item.record.id.as_str();
        if !record.known && previews {
            stream::created(&record.item, &mut work.changes);
        }
        if work.tally.keys.is_some() && !done.same.iter().any(|same| same == key) {
            work.tally.wrote(key);
        }
    }
}
