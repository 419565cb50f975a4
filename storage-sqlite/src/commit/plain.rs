//! A stream's own table: one source, everything of it the truth, decided by a hash of each record.

use std::fmt::Write as _;

use rusqlite::CachedStatement;
use serde_json::value::RawValue;
use sync_core::{
    Duplicates, Operation, Record, RecordBatch, RecordFailure,
    mapping::Rule,
    store::{Duplicated, PartitionBatch, twice},
};

use super::{Work, created_run, delete, scan_of, show};
use crate::{
    error::{Db, internal, row_fault},
    row::{Extra, parse_extra},
    storage::Cache,
    table::Table,
    value::{Bind, Form, encode, text},
};

/// Where a name of the batch is kept.
#[derive(Clone, Copy)]
enum Slot {
    Column { at: usize, form: Form },
    Extra,
}

/// Why a record's row was not written: the run goes on.
enum Refused {
    Value { name: usize, reason: &'static str },
    Row { reason: String, column: Option<String> },
}

pub(super) fn write<'a>(work: &mut Work<'a>, cache: &mut Cache, table: &'a Table) -> Db<()> {
    let commit = work.commit;
    let batches: Vec<&RecordBatch> = commit.batches.iter().map(|part| &part.batch).collect();
    let duplicated = Duplicated::find(&batches, commit.target.duplicates, |_, _, record| Some(record.id.as_str()));
    for (number, part) in commit.batches.iter().enumerate() {
        let scan = scan_of(work, cache, &part.partition)?;
        let mut page = Page::open(work, table, part, scan)?;
        for (at, record) in part.batch.records().iter().enumerate() {
            if duplicated.contains(number, at) {
                work.tally.skipped(twice(&commit.target, record));
            } else {
                page.record(work, cache, record)?;
            }
        }
        for id in &part.present {
            if let Some((row, _)) = page.find(id.as_str())? {
                show(work, cache, page.scan, row)?;
            }
        }
    }
    Ok(())
}

/// The part of a row's hash that says which partition it is in: a record that moves is written anew.
fn partition_hash(partition: &str) -> u64 {
    partition.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The statements for one batch; what does not change from row to row is bound once.
struct Page<'a> {
    table: &'a Table,
    part: &'a PartitionBatch,
    scan: Option<usize>,
    seeds: Vec<u64>,
    partition_hash: u64,
    slots: Vec<Slot>,
    columns: usize,
    has_extra: bool,
    lookup: CachedStatement<'a>,
    insert: CachedStatement<'a>,
    /// Reads the stored row: extra, then the batch's columns.
    read: CachedStatement<'a>,
    /// The last update, the fields it sets, and whether it sets `extra`; records of one page tend to change the same ones.
    update: Option<(Vec<usize>, bool, CachedStatement<'a>)>,
    /// Whether the last record was new, and so probably the next one: then it is written without being looked for first.
    expect_new: bool,
    scratch: String,
}

/// What a record says anew of its row.
#[derive(Default)]
struct Difference<'a> {
    cells: Vec<(usize, &'a str)>,
    /// The new text of `extra`, when that changes.
    extra: Option<Option<String>>,
}

/// The first parameter of a field in INSERT.
const FIELDS_FROM: usize = 10;

impl<'a> Page<'a> {
    fn open(work: &Work<'a>, table: &'a Table, part: &'a PartitionBatch, scan: Option<usize>) -> Db<Self> {
        let (tx, batch) = (work.tx, &part.batch);
        let mut slots = Vec::with_capacity(batch.names().len());
        let (mut names, mut marks) = (String::new(), String::new());
        let mut columns = 0;
        for name in batch.names() {
            let Some(position) = table.position(name) else {
                slots.push(Slot::Extra);
                continue;
            };
            let column = &table.columns[position];
            slots.push(Slot::Column { at: columns, form: column.form() });
            let _ = write!(names, ", {}", column.sql);
            let _ = write!(marks, ", ?{}", FIELDS_FROM + columns);
            columns += 1;
        }
        let key = "workspace_id = ?1 AND connection_no = ?2 AND entity_id = ?3";
        let mut lookup = tx.prepare_cached(&format!("SELECT rowid, row_hash FROM {} WHERE {key}", table.sql))?;
        let mut insert = tx.prepare_cached(&format!(
            "INSERT INTO {} (workspace_id, connection_no, entity_id, row_hash, partition_id, created_run, created_at, last_synced_at, extra{names}) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9{marks}) \
             ON CONFLICT (workspace_id, connection_no, entity_id) DO NOTHING",
            table.sql
        ))?;
        let read = tx.prepare_cached(&format!("SELECT extra{names} FROM {} WHERE rowid = ?1", table.sql))?;
        for statement in [&mut lookup, &mut insert] {
            statement.raw_bind_parameter(1, text(work.workspace.as_str()))?;
            statement.raw_bind_parameter(2, work.connection_no)?;
        }
        insert.raw_bind_parameter(5, text(part.partition.as_str()))?;
        insert.raw_bind_parameter(6, created_run(work))?;
        insert.raw_bind_parameter(7, text(work.at))?;
        insert.raw_bind_parameter(8, text(work.at))?;
        insert.raw_bind_parameter(9, rusqlite::types::Null)?;
        Ok(Self {
            table,
            part,
            scan,
            seeds: batch.name_seeds(),
            partition_hash: partition_hash(part.partition.as_str()),
            has_extra: columns < slots.len(),
            slots,
            columns,
            lookup,
            insert,
            read,
            update: None,
            expect_new: false,
            scratch: String::new(),
        })
    }

    /// The number and hash of the row with this key.
    fn find(&mut self, id: &str) -> Db<Option<(i64, Option<i64>)>> {
        self.lookup.raw_bind_parameter(3, text(id))?;
        let mut rows = self.lookup.raw_query();
        Ok(rows.next()?.map(|row| Ok::<_, rusqlite::Error>((row.get(0)?, row.get(1)?))).transpose()?)
    }

    fn record(&mut self, work: &mut Work<'a>, cache: &mut Cache, record: &Record) -> Db<()> {
        if record.operation == Operation::Delete {
            return self.delete(work, record);
        }
        let hash = (self.part.batch.hash(record, &self.seeds) ^ self.partition_hash).cast_signed();
        if self.expect_new && self.create(work, cache, record, hash)? {
            return Ok(());
        }
        let Some((row, stored)) = self.find(record.id.as_str())? else {
            self.expect_new = true;
            self.create(work, cache, record, hash)?;
            return Ok(());
        };
        self.expect_new = false;
        let shown = show(work, cache, self.scan, row)?;
        if shown && work.commit.target.duplicates == Duplicates::FirstWins {
            work.tally.skipped(twice(&work.commit.target, record));
        } else if stored == Some(hash) {
            work.tally.counts.unchanged += 1;
        } else {
            self.change(work, record, row, hash)?;
        }
        Ok(())
    }

    fn delete(&mut self, work: &mut Work<'a>, record: &Record) -> Db<()> {
        let Some((row, _)) = self.find(record.id.as_str())? else {
            // What we never had is as the record says: gone.
            work.tally.counts.unchanged += 1;
            return Ok(());
        };
        delete::managed(work.tx, self.table, row, &mut work.journal)?;
        work.tally.deleted(record.id.as_str());
        work.tally.counts.deleted += 1;
        Ok(())
    }

    /// Makes the record's row; answers `false` when there is one already, and nothing was done.
    fn create(&mut self, work: &mut Work<'a>, cache: &mut Cache, record: &Record, hash: i64) -> Db<bool> {
        match self.insert(record, hash)? {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(refused) => {
                // A record that cannot be taken is still there at the source.
                if let Some((row, _)) = self.find(record.id.as_str())? {
                    show(work, cache, self.scan, row)?;
                }
                self.refuse(work, record, refused);
                return Ok(true);
            }
        }
        show(work, cache, self.scan, work.tx.last_insert_rowid())?;
        work.tally.counts.created += 1;
        work.tally.wrote(record.id.as_str());
        if work.journal.shows() {
            work.journal.open(record.id.as_str());
            for (name, json) in self.part.batch.cells(record) {
                work.journal.change(&self.part.batch.names()[name], None, Some(json), Rule::SourceOfTruth);
            }
            work.journal.close_unwritten();
        }
        Ok(true)
    }

    /// Answers whether there was no row with this key.
    fn insert(&mut self, record: &Record, hash: i64) -> Db<Result<bool, Refused>> {
        let batch = &self.part.batch;
        let cells = batch.cells(record);
        self.insert.raw_bind_parameter(3, text(record.id.as_str()))?;
        self.insert.raw_bind_parameter(4, hash)?;
        if cells.len() < self.slots.len() {
            for column in 0..self.columns {
                self.insert.raw_bind_parameter(FIELDS_FROM + column, rusqlite::types::Null)?;
            }
        }
        let mut extra = String::new();
        for (name, json) in cells {
            match self.slots[name] {
                Slot::Column { at, form } => match encode(json, form, &mut self.scratch) {
                    Ok(value) => {
                        if let Some(refused) = row_error(self.insert.raw_bind_parameter(FIELDS_FROM + at, Bind(value)))? {
                            return Ok(Err(refused));
                        }
                    }
                    Err(reason) => return Ok(Err(Refused::Value { name, reason })),
                },
                Slot::Extra if json == "null" => {}
                Slot::Extra => {
                    extra.push(if extra.is_empty() { '{' } else { ',' });
                    crate::value::quote(&batch.names()[name], &mut extra);
                    extra.push(':');
                    extra.push_str(json);
                }
            }
        }
        if self.has_extra {
            if extra.is_empty() {
                self.insert.raw_bind_parameter(9, rusqlite::types::Null)?;
            } else {
                extra.push('}');
                self.insert.raw_bind_parameter(9, text(&extra))?;
            }
        }
        match self.insert.raw_execute() {
            Ok(rows) => Ok(Ok(rows > 0)),
            refused => Ok(row_error(refused)?.map_or(Ok(false), Err)),
        }
    }

    /// Compares a record with its row and writes the fields that differ.
    fn change(&mut self, work: &mut Work<'a>, record: &Record, row: i64, hash: i64) -> Db<()> {
        work.journal.open(record.id.as_str());
        let difference = match self.difference(work, record, row)? {
            Ok(difference) => difference,
            Err(refused) => {
                work.journal.abandon();
                self.refuse(work, record, refused);
                return Ok(());
            }
        };
        if difference.cells.is_empty() && difference.extra.is_none() {
            work.journal.abandon();
            // Written in another way, or in another partition: the row stays, its hash becomes the present one.
            work.tx
                .prepare_cached(&format!("UPDATE {} SET row_hash = ?1, partition_id = ?2 WHERE rowid = ?3", self.table.sql))?
                .execute((hash, text(self.part.partition.as_str()), row))?;
            work.tally.counts.unchanged += 1;
            return Ok(());
        }
        if let Some(refused) = self.update(work, row, hash, &difference)? {
            work.journal.abandon();
            self.refuse(work, record, refused);
            return Ok(());
        }
        work.journal.close("u", None);
        work.tally.counts.updated += 1;
        work.tally.wrote(record.id.as_str());
        Ok(())
    }

    /// The cells that differ from the stored row; they are written down in the journal's open line.
    fn difference(&mut self, work: &mut Work<'a>, record: &Record, row: i64) -> Db<Result<Difference<'a>, Refused>> {
        let batch = &self.part.batch;
        self.read.raw_bind_parameter(1, row)?;
        let mut rows = self.read.raw_query();
        let stored = rows.next()?.ok_or_else(|| internal("commit", "a row that was found is gone"))?;
        let mut extra = match stored.get_ref(0)?.as_str_or_null()? {
            Some(extra) if self.has_extra => parse_extra(extra),
            _ => Extra::new(),
        };
        let mut difference = Difference::default();
        let mut extra_changed = false;
        for (name, json) in batch.cells(record) {
            let field = &batch.names()[name];
            match self.slots[name] {
                Slot::Column { at, form } => {
                    let old = stored.get_ref(1 + at)?;
                    let new = match encode(json, form, &mut self.scratch) {
                        Ok(new) => new,
                        Err(reason) => return Ok(Err(Refused::Value { name, reason })),
                    };
                    if new != old {
                        work.journal.change(field, Some((old, form)), Some(json), Rule::SourceOfTruth);
                        difference.cells.push((name, json));
                    }
                }
                Slot::Extra => {
                    let old = extra.get(&**field).map_or("null", |raw| raw.get());
                    if old != json {
                        work.journal.change_text(field, old, Some(json), Rule::SourceOfTruth);
                        match RawValue::from_string(json.to_owned()) {
                            Ok(raw) if json != "null" => extra.insert(field.to_string(), raw),
                            _ => extra.remove(&**field),
                        };
                        extra_changed = true;
                    }
                }
            }
        }
        if extra_changed {
            let text = serde_json::to_string(&extra).map_err(|_| internal("commit", "fields beyond the columns are not JSON"))?;
            difference.extra = Some((!extra.is_empty()).then_some(text));
        }
        Ok(Ok(difference))
    }

    fn update(&mut self, work: &Work<'a>, row: i64, hash: i64, difference: &Difference<'_>) -> Db<Option<Refused>> {
        let same = |(fields, extra, _): &(Vec<usize>, bool, CachedStatement<'a>)| {
            *extra == difference.extra.is_some() && fields.iter().eq(difference.cells.iter().map(|(name, _)| name))
        };
        if !self.update.as_ref().is_some_and(same) {
            let mut sql = format!("UPDATE {} SET row_hash = ?1, partition_id = ?2, last_synced_at = ?3", self.table.sql);
            if difference.extra.is_some() {
                sql.push_str(", extra = ?5");
            }
            for (at, (name, _)) in difference.cells.iter().enumerate() {
                if let Some(position) = self.table.position(&self.part.batch.names()[*name]) {
                    let _ = write!(sql, ", {} = ?{}", self.table.columns[position].sql, 6 + at);
                }
            }
            sql.push_str(" WHERE rowid = ?4");
            let mut statement = work.tx.prepare_cached(&sql)?;
            statement.raw_bind_parameter(2, text(self.part.partition.as_str()))?;
            statement.raw_bind_parameter(3, text(work.at))?;
            self.update = Some((difference.cells.iter().map(|(name, _)| *name).collect(), difference.extra.is_some(), statement));
        }
        let Some((_, _, statement)) = &mut self.update else { return Err(internal("commit", "an update was not prepared")) };
        statement.raw_bind_parameter(1, hash)?;
        statement.raw_bind_parameter(4, row)?;
        if let Some(extra) = &difference.extra {
            statement.raw_bind_parameter(5, extra.as_deref())?;
        }
        for (at, (name, json)) in difference.cells.iter().enumerate() {
            let Slot::Column { form, .. } = self.slots[*name] else { continue };
            match encode(json, form, &mut self.scratch) {
                Ok(value) => {
                    if let Some(refused) = row_error(statement.raw_bind_parameter(6 + at, Bind(value)))? {
                        return Ok(Some(refused));
                    }
                }
                Err(reason) => return Ok(Some(Refused::Value { name: *name, reason })),
            }
        }
        row_error(statement.raw_execute())
    }

    fn refuse(&self, work: &mut Work<'_>, record: &Record, refused: Refused) {
        let failure = match refused {
            Refused::Value { name, reason } => RecordFailure::error(reason).in_column(&*self.part.batch.names()[name]),
            Refused::Row { reason, column } => {
                let failure = RecordFailure::error(reason);
                match column {
                    Some(column) => failure.in_column(column),
                    None => failure,
                }
            }
        };
        work.tally.failed(failure.at_row(record.position).of_record(record.id.as_str()));
    }
}

/// Tells a fault of the row from one of the database.
fn row_error<T>(done: rusqlite::Result<T>) -> Db<Option<Refused>> {
    match done {
        Ok(_) => Ok(None),
        Err(error) => match row_fault(&error) {
            Some((reason, column)) => Ok(Some(Refused::Row { reason, column })),
            None => Err(error.into()),
        },
    }
}
