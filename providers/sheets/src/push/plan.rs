//! What is to be done for each item, before anything is written. Pure.

use std::collections::{BTreeMap, HashSet};

use serde_json::value::RawValue;
use sync_core::{Error, ErrorKind, Operation, PushItem, PushMode, PushOutcome, RecordId, Result, Retry, join_key};

use super::{OPERATION, table::Table, value::Cell};

/// What is to be done for one item.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// Nothing; this came of it.
    Done(PushOutcome),
    /// Write these cells of a row.
    Update { row: u64, key: String, cells: Vec<(usize, Cell<'a>)> },
    /// Add a row.
    Append { key: String, cells: Vec<(usize, Cell<'a>)> },
    /// Delete a row.
    Delete { row: u64, key: String },
}

/// An item understood.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) key: String,
    /// Every cell that was sent, key columns too, by column.
    pub(super) cells: Vec<(usize, Cell<'a>)>,
}

/// One step per item, in their order. No two steps have one key.
pub(super) fn steps<'a>(table: &Table, mode: PushMode, items: &'a [PushItem]) -> Vec<Step<'a>> {
    let mut taken = HashSet::new();
    let mut step = |item: &'a PushItem| {
        let draft = draft(table, item)?;
        if !taken.insert(draft.key.clone()) {
            return Err(refused(format!("another record of this batch has the key {:?} too", draft.key)));
        }
        one(table, mode, item.operation, draft)
    };
    items.iter().map(|item| step(item).unwrap_or_else(|error| Step::Done(PushOutcome::Failed(error)))).collect()
}

fn one<'a>(table: &Table, mode: PushMode, operation: Operation, draft: Draft<'a>) -> Result<Step<'a>> {
    let Draft { key, cells } = draft;
    let row = match table.rows(&key) {
        [] => None,
        [row] => Some(*row),
        rows => {
            let text = format!("the key {key:?} stands in {} rows of the sheet, {}; leave it in one", rows.len(), numbers(rows));
            return Err(Error::new(ErrorKind::Conflict, OPERATION, text));
        }
    };
    Ok(match (operation, row, mode) {
        (Operation::Delete, Some(row), _) => Step::Delete { row, key },
        (Operation::Upsert, Some(_), PushMode::Insert) => Step::Done(PushOutcome::Skipped("a row with this key is there already")),
        (Operation::Upsert, Some(row), _) => {
            // The key stands there already, so that a row that has moved meanwhile keeps its own.
            let cells: Vec<_> = cells.into_iter().filter(|(column, _)| !table.key().contains(column)).collect();
            if cells.is_empty() { Step::Done(PushOutcome::Unchanged) } else { Step::Update { row, key, cells } }
        }
        (Operation::Upsert, None, PushMode::Update) => Step::Done(PushOutcome::Skipped("there is no row with this key")),
        (_, None, _) if table.unreadable.is_some() => {
            let row = table.unreadable.unwrap_or_default();
            let text =
                format!("whether there is a row with the key {key:?} cannot be told: the formula in the key column of row {row} failed");
            return Err(Error::new(ErrorKind::Conflict, OPERATION, text).with_retry(Retry::After(None)));
        }
        (Operation::Delete, None, _) => Step::Done(PushOutcome::deleted(RecordId::from(key))),
        (Operation::Upsert, None, _) => {
            let missing = table.key().iter().find(|column| !cells.iter().any(|(sent, _)| sent == *column));
            if let Some(column) = missing {
                let name = &table.header.names()[*column];
                return Err(refused(format!("a new row needs its key, and the record has no field {name:?}")));
            }
            if !table.header.begins_in_column_a() {
                let text = "new rows cannot be added: column A has no header, and Sheets finds the table by it; write one there";
                return Err(Error::config(OPERATION, text));
            }
            Step::Append { key, cells }
        }
    })
}

/// Reads an item: its key and its cells.
pub(super) fn draft<'a>(table: &Table, item: &'a PushItem) -> Result<Draft<'a>> {
    let mut cells = Vec::new();
    let mut parts: Vec<Option<String>> = vec![None; table.key().len()];
    if item.operation == Operation::Upsert {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(&item.fields)
            .map_err(|problem| refused("the record's fields are not a JSON object".into()).because(problem))?;
        for (name, value) in fields {
            let Some(column) = table.header.names().iter().position(|known| *known == name) else {
                return Err(refused(format!("there is no column {name:?}. {}", table.header.seen())));
            };
            let cell = Cell::of(value).map_err(|problem| refused(format!("column {name:?}: {problem}")))?;
            for (part, _) in parts.iter_mut().zip(table.key()).filter(|(_, key)| **key == column) {
                *part = table.key_part(column, value);
                if part.is_none() {
                    return Err(refused(format!("nothing stands in the key column {name:?}")));
                }
            }
            cells.push((column, cell));
        }
        cells.sort_by_key(|(column, _)| *column);
    }
    let own: Option<Vec<String>> = parts.into_iter().collect();
    let key = own.map(|parts| join_key(parts.iter().map(String::as_str))).or_else(|| item.id.as_ref().map(ToString::to_string));
    let key = key.ok_or_else(|| refused("the record has no key: neither the key columns among its fields nor an id".into()))?;
    Ok(Draft { key, cells })
}

fn refused(text: String) -> Error {
    Error::new(ErrorKind::Invalid, OPERATION, text)
}

/// Row numbers in words.
fn numbers(rows: &[u64]) -> String {
    const SHOWN: usize = 10;
    let numbers: Vec<String> = rows.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if rows.len() > SHOWN { " and more" } else { "" };
    format!("{}{more}", numbers.join(", "))
}
