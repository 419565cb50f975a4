//! The records of one round as the staging table takes them.

use sync_core::RecordBatch;

use super::{
    rounds::{Entry, Slots},
    sql,
};
use crate::{
    table::Table,
    value::{self, Misfit, NUL},
};

/// What is known of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) row: i64,
    pub(crate) hash: Option<i64>,
    /// Whether something of it stands in `extra`.
    pub(crate) beyond: bool,
}

/// A record that is new, or differs from its row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) entry: Entry<'a>,
    pub(super) known: Option<Known>,
}

/// Why a record's row was not written: the run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: Box<str>,
    pub(super) column: Option<Box<str>>,
}

/// Records ready to be copied, and what has to be done with them.
#[derive(Debug, Default)]
pub(super) struct Staged {
    pub(super) data: Vec<u8>,
    /// Places of the columns in the table, in the order of the copy.
    pub(super) columns: Vec<usize>,
    /// Whether all records have these columns, so that no other needs to be looked at; their rows may have more.
    pub(super) uniform: bool,
    /// How many of each are staged.
    pub(super) new: usize,
    pub(super) whole: usize,
    pub(super) partial: usize,
    /// Whether something stands in `extra`.
    pub(super) beyond: bool,
    /// The places in the list of those that cannot be taken.
    pub(super) refused: Vec<(usize, Refused)>,
}

/// From so many changed records on it pays to write only the columns they all have, with statements made for these.
const WORTH_STATEMENTS: usize = 32;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Makes the copy of a list of records.
pub(super) fn stage(table: &Table, batches: &[(&RecordBatch, Slots)], candidates: &[Candidate<'_>]) -> Staged {
    let mut used = vec![false; table.columns.len()];
    let mut named = vec![false; batches.len()];
    candidates.iter().for_each(|candidate| named[candidate.entry.batch] = true);
    for ((_, slots), _) in batches.iter().zip(named).filter(|(_, named)| *named) {
        slots.iter().flatten().for_each(|at| used[*at] = true);
    }
    let columns: Vec<usize> = (0..used.len()).filter(|at| used[*at]).collect();
    let changed = candidates.iter().filter(|candidate| candidate.known.is_some()).count();
    let uniform = changed >= WORTH_STATEMENTS && columns.len() < table.columns.len();
    if uniform {
        let staged = Stager::new(table, columns.clone(), true).run(batches, candidates);
        if staged.partial == 0 && !staged.beyond {
            return staged;
        }
    }
    Stager::new(table, columns, false).run(batches, candidates)
}

struct Stager<'t> {
    table: &'t Table,
    staged: Staged,
    scratch: Vec<u8>,
}

impl<'t> Stager<'t> {
    fn new(table: &'t Table, columns: Vec<usize>, uniform: bool) -> Self {
        let mut data = Vec::with_capacity(1 << 16);
        data.extend_from_slice(HEADER);
        Self { table, staged: Staged { data, columns, uniform, ..Staged::default() }, scratch: Vec::new() }
    }

    fn run(mut self, batches: &[(&RecordBatch, Slots)], candidates: &[Candidate<'_>]) -> Staged {
        let mut cells: Vec<Option<&str>> = vec![None; self.table.columns.len()];
        for (n, candidate) in candidates.iter().enumerate() {
            let (batch, slots) = &batches[candidate.entry.batch];
            let from = self.staged.data.len();
            cells.fill(None);
            if let Err(refused) = self.record(n, candidate, batch, slots, &mut cells) {
                self.staged.data.truncate(from);
                self.staged.refused.push((n, refused));
            }
        }
        self.staged.data.extend_from_slice(&(-1i16).to_be_bytes());
        self.staged
    }

    fn record<'b>(
        &mut self,
        n: usize,
        candidate: &Candidate<'_>,
        batch: &'b RecordBatch,
        slots: &Slots,
        cells: &mut [Option<&'b str>],
    ) -> Result<(), Refused> {
        let entry = &candidate.entry;
        if entry.key().contains('\0') {
            return Err(Refused { reason: format!("the record's id cannot be a key: {NUL}").into(), column: None });
        }
        let mut extra = String::new();
        for (name, json) in batch.cells(entry.record) {
            match slots[name] {
                Some(at) => cells[at] = Some(json),
                None => beyond(&mut extra, &batch.names()[name], json)?,
            }
        }
        let Self { table, staged, scratch } = self;
        let out = &mut staged.data;
        out.extend_from_slice(&(8 + staged.columns.len() as i16).to_be_bytes());
        value::sized(out, &(n as i32).to_be_bytes());
        value::text(out, entry.key());
        value::bigint(out, entry.hash);
        value::text(out, entry.partition.as_str());
        let mut present = 0;
        for at in &staged.columns {
            let column = &table.columns[*at];
            let json = cells[*at];
            present += usize::from(json.is_some());
            match json {
                None => value::null(out),
                Some(json) => match value::encode(out, json, column.form) {
                    Ok(()) => {}
                    Err(Misfit::Kind) => {
                        value::null(out);
                        beyond(&mut extra, &column.field, json)?;
                    }
                    Err(Misfit::Never(reason)) => return Err(Refused { reason: reason.into(), column: Some(column.field.clone()) }),
                },
            }
        }
        let all = if staged.uniform { staged.columns.len() } else { table.columns.len() };
        let kind = match candidate.known {
            None => sql::NEW,
            Some(known) if present == all && extra.is_empty() && !known.beyond => sql::WHOLE,
            Some(_) => sql::PARTIAL,
        };
        if extra.is_empty() {
            value::null(out);
        } else {
            extra.push('}');
            let refuse = |misfit: Misfit| Refused { reason: misfit.reason().into(), column: None };
            value::jsonb(out, &extra).map_err(refuse)?;
        }
        if kind == sql::PARTIAL {
            scratch.clear();
            scratch.resize(table.columns.len().div_ceil(8), 0);
            for (at, _) in cells.iter().enumerate().filter(|(_, cell)| cell.is_some()) {
                scratch[at / 8] |= 1 << (at % 8);
            }
            value::sized(out, scratch);
        } else {
            value::null(out);
        }
        if kind == sql::PARTIAL && candidate.known.is_some_and(|known| known.beyond) {
            value::texts(out, batch.cells(entry.record).map(|(name, _)| &*batch.names()[name]));
        } else {
            value::null(out);
        }
        value::sized(out, &kind.to_be_bytes());
        match kind {
            sql::NEW => staged.new += 1,
            sql::WHOLE => staged.whole += 1,
            _ => staged.partial += 1,
        }
        staged.beyond |= kind == sql::PARTIAL && (!extra.is_empty() || candidate.known.is_some_and(|known| known.beyond));
        Ok(())
    }
}

/// Adds a field to the text of `extra`; null is no value.
fn beyond(extra: &mut String, field: &str, json: &str) -> Result<(), Refused> {
    let refuse = |misfit: Misfit| Refused { reason: misfit.reason().into(), column: Some(field.into()) };
    if json == "null" {
        return Ok(());
    }
    let name = serde_json::Value::from(field).to_string();
    value::check_json(&name).and_then(|()| value::check_json(json)).map_err(refuse)?;
    extra.push(if extra.is_empty() { '{' } else { ',' });
    extra.push_str(&name);
    extra.push(':');
    extra.push_str(json);
    Ok(())
}
