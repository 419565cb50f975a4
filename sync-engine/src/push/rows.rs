//! Rows as a push compares and sends them. Pure.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use serde_json::value::RawValue;
use sync_core::{
    Counts, Operation, Record, RecordBatch, RecordFailure, RecordId, Result, Writes, join_key, key_text,
    store::{PushLink, Settled, without_stranger},
};

use super::PushRecord;

/// A row with the content it would be sent with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) key: Box<str>,
    /// The service's key, as far as it is known without its link.
    pub(crate) id: Option<RecordId>,
    pub(crate) operation: Operation,
    /// A JSON object.
    pub(crate) fields: Box<str>,
    pub(crate) hash: u64,
}

/// Failures as they are written down: strangers by the service's own id.
pub(crate) fn named(mut failures: Vec<RecordFailure>) -> Vec<RecordFailure> {
    for key in failures.iter_mut().filter_map(|failure| failure.record.as_mut()) {
        if without_stranger(key) != &**key {
            *key = without_stranger(key).into();
        }
    }
    failures
}

/// What is counted and written down of rows that are not sent.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    pub(crate) counts: Counts,
    pub(crate) failures: Vec<RecordFailure>,
    pub(crate) settled: Vec<Settled>,
}

impl Aside {
    pub(crate) fn fail(&mut self, failure: RecordFailure) {
        self.counts.read += 1;
        self.counts.failed += 1;
        self.failures.push(failure);
    }

    pub(crate) fn skip(&mut self, key: &str, reason: &str) {
        self.counts.read += 1;
        self.counts.skipped += 1;
        self.failures.push(RecordFailure::warning(reason).of_record(key));
    }

    pub(crate) fn unchanged(&mut self, rows: u64) {
        self.counts.read += rows;
        self.counts.unchanged += rows;
    }

    pub(crate) fn absorb(&mut self, other: Self) {
        self.counts.add(&other.counts);
        self.failures.extend(other.failures);
        self.settled.extend(other.settled);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts == Counts::default() && self.failures.is_empty() && self.settled.is_empty()
    }
}

/// Rows to decide about.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) rows: Vec<Row>,
    /// What is known of them at the service, when it came with the rows.
    pub(crate) links: Option<Vec<Option<PushLink>>>,
    pub(crate) aside: Aside,
    /// Rows that are there but cannot be sent: by their key at the service, where it is known.
    pub(crate) unreadable: Vec<Option<RecordId>>,
    /// Its rows are records of the service that are not among a mirror's rows.
    pub(crate) surplus: bool,
}

/// What a stream asks of rows.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    /// The columns the service's key is made of, for streams whose records have none of their own.
    pub(crate) id: Arc<[Box<str>]>,
    /// The columns our key is made of, for records that come without one.
    pub(crate) key: Arc<[Box<str>]>,
    pub(crate) writes: Writes,
}

impl Form {
    /// Rows of records as they were handed over, each with the key found for it before and where it stands among them, counted from 1.
    pub(crate) fn records<'r>(&self, records: impl Iterator<Item = (&'r PushRecord, Option<Box<str>>, Option<u64>)>) -> Result<Page> {
        let mut page = Page::default();
        let (mut body, mut read) = (String::from("["), Vec::new());
        for (record, key, position) in records {
            let Some(key) = key.filter(|key| !key.is_empty()) else {
                page.aside.fail(RecordFailure::error(self.no_key(record)).at_row(position));
                page.unreadable.push(record.id.clone());
                continue;
            };
            match &record.fields {
                Ok(fields) => {
                    body.push_str(if read.is_empty() { "" } else { "," });
                    body.push_str(fields);
                    read.push((record, key, position));
                }
                Err(reason) => {
                    page.aside.fail(RecordFailure::error(reason.clone()).of_record(key));
                    page.unreadable.push(record.id.clone());
                }
            }
        }
        body.push(']');
        let body = Bytes::from(body);
        let mut batch = RecordBatch::over(body.clone())?;
        let objects: Vec<&RawValue> = serde_json::from_slice(&body).unwrap_or_default();
        for (object, (record, key, position)) in objects.iter().zip(&read) {
            let mut draft = batch.record();
            draft.object(object)?;
            draft.finish(&**key, record.operation, *position);
        }
        let seeds = batch.name_seeds();
        for (row, ((record, key, _), object)) in batch.records().iter().zip(read.iter().zip(&objects)) {
            match self.row(&batch, row, key, object.get().into(), batch.hash(row, &seeds)) {
                Ok(mut row) => {
                    row.id = record.id.clone().or(row.id);
                    page.rows.push(row);
                }
                Err(failure) => {
                    page.aside.fail(failure);
                    page.unreadable.push(record.id.clone());
                }
            }
        }
        Ok(page)
    }

    /// A row of a batch whose names are the stream's.
    pub(crate) fn row(&self, batch: &RecordBatch, record: &Record, key: &str, fields: Box<str>, hash: u64) -> Result<Row, RecordFailure> {
        if record.operation == Operation::Delete {
            return Ok(Row { key: key.into(), id: None, operation: Operation::Delete, fields: "{}".into(), hash: 0 });
        }
        if let Writes::Fields(there) = &self.writes {
            let lacks = |name: &str| !there.iter().any(|field| **field == *name);
            let wrong: Vec<String> =
                batch.cells(record).map(|(name, _)| &*batch.names()[name]).filter(|name| lacks(name)).map(|n| format!("{n:?}")).collect();
            if !wrong.is_empty() {
                let there = there.iter().map(|field| format!("{field:?}")).collect::<Vec<_>>().join(", ");
                let text = format!("the stream has no field {} to write; it has: {there}", wrong.join(", "));
                return Err(RecordFailure::error(text).of_record(key));
            }
        }
        let mut parts = Vec::new();
        for column in &*self.id {
            match batch.cell(record, column).and_then(key_text) {
                Some(text) => parts.push(text),
                None => {
                    let text = "the key column is empty, so that the record cannot be found at the service";
                    return Err(RecordFailure::error(text).of_record(key).in_column(column.clone()));
                }
            }
        }
        let id = (!parts.is_empty()).then(|| RecordId::from(join_key(parts.iter().map(|part| &**part))));
        Ok(Row { key: key.into(), id, operation: Operation::Upsert, fields, hash })
    }

    /// The key a record was given, or the one its key columns make.
    pub(crate) fn key_of(&self, record: &PushRecord) -> Option<Box<str>> {
        if record.key.is_some() || self.key.is_empty() {
            return record.key.clone();
        }
        let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(record.fields.as_deref().ok()?).ok()?;
        let parts: Option<Vec<_>> = self.key.iter().map(|column| fields.get(&**column).and_then(|json| key_text(json.get()))).collect();
        parts.map(|parts| join_key(parts.iter().map(|part| &**part)).into())
    }

    fn no_key(&self, record: &PushRecord) -> String {
        match (&record.fields, self.key.is_empty()) {
            (Err(reason), _) => reason.to_string(),
            (Ok(_), true) => "the record has no key; give it one (PushRecord::new), or name the key columns (Push::key)".to_owned(),
            (Ok(_), false) => {
                let columns = self.key.iter().map(|column| format!("{column:?}")).collect::<Vec<_>>().join(", ");
                format!("the record has no value in its key column {columns}")
            }
        }
    }
}

/// The cells of a record as a JSON object.
pub(crate) fn object(batch: &RecordBatch, record: &Record) -> Box<str> {
    let mut json = String::from("{");
    for (name, text) in batch.cells(record) {
        json.push_str(if json.len() > 1 { "," } else { "" });
        json.push_str(&serde_json::to_string(&*batch.names()[name]).unwrap_or_default());
        json.push(':');
        json.push_str(text);
    }
    json.push('}');
    json.into()
}
