//! Records as they travel: cells are spans of one text, never a JSON tree.

use std::{collections::HashMap, hash::Hasher, ops::Range, sync::Arc};

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde_json::value::RawValue;
use twox_hash::XxHash3_64;

use crate::{Error, ErrorKind, RecordId, Result};

/// What a record says about its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The row is as these cells say; fields without a cell stay as they are.
    Upsert,
    /// The row is gone.
    Delete,
}

/// One record of a [`RecordBatch`]: its key and where its cells lie.
#[derive(Clone, Debug)]
pub struct Record {
    /// The provider's key of it.
    pub id: RecordId,
    /// What it says about its row.
    pub operation: Operation,
    /// Where a person finds it in the source: a sheet's row number, counted from 1.
    pub position: Option<u64>,
    cells: Range<u32>,
}

/// A span of `body`, or with [`MADE`] set of `made`.
#[derive(Clone, Copy, Debug)]
struct Span {
    name: u32,
    start: u32,
    len: u32,
}

/// Marks a start inside `made`; leaves 2 GiB for each text, far beyond every body cap.
const MADE: u32 = 1 << 31;

/// Records over one text: the page's own bytes, plus what had to be made (computed fields, mapped values).
///
/// A cell is JSON text. Fields a record does not have have no cell, so the four states stay apart: absent (no cell), null
/// (`null`), empty (`""`), value.
#[derive(Clone, Debug, Default)]
pub struct RecordBatch {
    body: ByteString,
    made: String,
    names: Vec<Arc<str>>,
    /// Where each name stands, once there are more than [`FEW`].
    index: HashMap<Arc<str>, usize>,
    /// Per name the number of the last draft that had a cell of it, to notice a field named twice.
    last_draft: Vec<u32>,
    drafts: u32,
    cells: Vec<Span>,
    records: Vec<Record>,
}

/// Up to so many names are found faster by looking at each.
const FEW: usize = 16;

impl RecordBatch {
    /// An empty batch over `body`, which cells may point into without being copied.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] when `body` is not UTF-8 or is 2 GiB or more.
    pub fn over(body: Bytes) -> Result<Self> {
        let body = ByteString::try_from(body).ok().filter(|body| body.len() < MADE as usize);
        let Some(body) = body else {
            return Err(Error::new(ErrorKind::Decode, "records", "the answer is not UTF-8 text below 2 GiB"));
        };
        Ok(Self { body, ..Self::default() })
    }

    /// The records.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// How many records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// About how much memory it holds on to, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.body.len() + self.made.len() + self.cells.len() * size_of::<Span>() + self.records.len() * 64
    }

    /// The field names; a cell names one by its index. A name stands here once.
    #[must_use]
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The index of a field name, added when it is new.
    pub fn name(&mut self, name: &str) -> usize {
        let known = match self.names.len() {
            0..=FEW => self.names.iter().position(|known| **known == *name),
            _ => self.index.get(name).copied(),
        };
        known.unwrap_or_else(|| {
            let (name, at) = (Arc::<str>::from(name), self.names.len());
            self.names.push(Arc::clone(&name));
            self.last_draft.push(0);
            if at == FEW {
                self.index = self.names.iter().cloned().zip(0..).collect();
            } else if at > FEW {
                self.index.insert(name, at);
            }
            at
        })
    }

    /// The cells of a record: index of the field name and JSON text, in the record's own order.
    pub fn cells<'a>(&'a self, record: &Record) -> impl ExactSizeIterator<Item = (usize, &'a str)> + use<'a> {
        self.cells[record.cells.start as usize..record.cells.end as usize].iter().map(|span| (span.name as usize, self.text(*span)))
    }

    /// The JSON text of one field of a record, if it has it.
    #[must_use]
    pub fn cell(&self, record: &Record, name: &str) -> Option<&str> {
        self.cells(record).find(|(at, _)| *self.names[*at] == *name).map(|(_, text)| text)
    }

    fn text(&self, span: Span) -> &str {
        let (from, start) =
            if span.start & MADE == 0 { (&*self.body, span.start as usize) } else { (&*self.made, (span.start & !MADE) as usize) };
        &from[start..start + span.len as usize]
    }

    /// Starts a record; cells are added to it until [`RecordDraft::finish`].
    pub fn record(&mut self) -> RecordDraft<'_> {
        let from = self.cells.len();
        self.drafts += 1;
        RecordDraft { batch: self, from }
    }

    /// A hash of a record's fields and values, equal for equal content in whatever order the fields came (xxh3, 64 bits).
    /// `seeds` come from [`name_seeds`](Self::name_seeds), once per batch.
    #[must_use]
    pub fn hash(&self, record: &Record, seeds: &[u64]) -> u64 {
        hash_cells(self.cells(record), seeds)
    }

    /// What [`hash`](Self::hash) needs to know of the field names.
    #[must_use]
    pub fn name_seeds(&self) -> Vec<u64> {
        self.names.iter().map(|name| XxHash3_64::oneshot(name.as_bytes())).collect()
    }
}

/// The [hash](RecordBatch::hash) of cells that need not stand in a batch: places of names in `seeds`, and JSON texts.
pub fn hash_cells<'a>(cells: impl Iterator<Item = (usize, &'a str)>, seeds: &[u64]) -> u64 {
    let sum = cells.fold(0u64, |sum, (name, text)| sum.wrapping_add(XxHash3_64::oneshot_with_seed(seeds[name], text.as_bytes())));
    let mut last = XxHash3_64::new();
    last.write_u64(sum);
    last.finish()
}

/// A record under construction.
#[derive(Debug)]
pub struct RecordDraft<'b> {
    batch: &'b mut RecordBatch,
    from: usize,
}

impl RecordDraft<'_> {
    /// Adds a cell that lies in the batch's body: `raw` must have been parsed from it.
    ///
    /// # Panics
    /// When `raw` does not point into the body.
    pub fn borrowed(&mut self, name: usize, raw: &RawValue) {
        let start = (raw.get().as_ptr() as usize).wrapping_sub(self.batch.body.as_ptr() as usize);
        assert!(start + raw.get().len() <= self.batch.body.len(), "a borrowed cell lies in the batch's body");
        self.push(name, start as u32, raw.get().len() as u32);
    }

    /// Adds a cell that had to be made; `json` is one JSON value.
    pub fn made(&mut self, name: usize, json: &str) {
        let start = self.batch.made.len() as u32 | MADE;
        self.batch.made.push_str(json);
        self.push(name, start, json.len() as u32);
    }

    /// Adds a cell of text that had to be made, quoted as JSON.
    pub fn made_text(&mut self, name: usize, text: &str) {
        self.made(name, &serde_json::to_string(text).expect("text is always JSON"));
    }

    /// Adds every field of a JSON object that lies in the body. Of a field named twice the last one stands.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] when `raw` is not an object; the draft may then be dropped.
    pub fn object(&mut self, raw: &RawValue) -> Result<()> {
        let seed = Fields { draft: self, at: 0 };
        let mut json = serde_json::Deserializer::from_str(raw.get());
        seed.deserialize(&mut json).map_err(|e| Error::new(ErrorKind::Decode, "records", "a record is not a JSON object").because(e))
    }

    /// The JSON text of a field added so far.
    #[must_use]
    pub fn cell(&self, name: &str) -> Option<&str> {
        let batch = &*self.batch;
        batch.cells[self.from..].iter().find(|span| *batch.names[span.name as usize] == *name).map(|span| batch.text(*span))
    }

    /// Ends the record.
    pub fn finish(mut self, id: impl Into<RecordId>, operation: Operation, position: Option<u64>) {
        let cells = self.from as u32..self.batch.cells.len() as u32;
        self.from = self.batch.cells.len();
        self.batch.records.push(Record { id: id.into(), operation, position, cells });
    }

    fn push(&mut self, name: usize, start: u32, len: u32) {
        debug_assert!(name < self.batch.names.len());
        self.batch.last_draft[name] = self.batch.drafts;
        self.batch.cells.push(Span { name: name as u32, start, len });
    }
}

impl Drop for RecordDraft<'_> {
    fn drop(&mut self) {
        self.batch.cells.truncate(self.from);
    }
}

/// Reads an object's fields into a draft. Records of one page have their fields in one order, so the next name is guessed first.
struct Fields<'d, 'b> {
    draft: &'d mut RecordDraft<'b>,
    at: usize,
}

impl<'de> DeserializeSeed<'de> for Fields<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name(&mut self))? {
            let raw: &RawValue = map.next_value()?;
            if self.draft.batch.last_draft[name] == self.draft.batch.drafts {
                let from = self.draft.from;
                if let Some(twice) = self.draft.batch.cells[from..].iter().position(|span| span.name == name as u32) {
                    self.draft.batch.cells.remove(from + twice);
                }
            }
            self.draft.borrowed(name, raw);
        }
        Ok(())
    }
}

struct Name<'f, 'd, 'b>(&'f mut Fields<'d, 'b>);

impl<'de> DeserializeSeed<'de> for Name<'_, '_, '_> {
    type Value = usize;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_, '_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<usize, E> {
        let batch = &mut self.0.draft.batch;
        let at = match batch.names.get(self.0.at) {
            Some(guess) if **guess == *name => self.0.at,
            _ => batch.name(name),
        };
        self.0.at = at + 1;
        Ok(at)
    }
}

/// The text of a JSON cell as a key: strings without quotes, everything else as written. `None` for null and `""`.
#[must_use]
pub fn key_text(json: &str) -> Option<std::borrow::Cow<'_, str>> {
    use std::borrow::Cow;
    match json {
        "null" | "\"\"" => None,
        _ if json.starts_with('"') => {
            let inner = &json[1..json.len() - 1];
            if inner.contains('\\') { serde_json::from_str::<String>(json).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
        }
        _ => Some(Cow::Borrowed(json)),
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
