//! Managed rows as JSON.

use rusqlite::Row;
use serde_json::{Map, Value};

use crate::{error::Db, table::Table, value::decode};

/// The columns of all fields for a SELECT, `extra` first. They are read with [`fields`].
pub(crate) fn columns(table: &Table) -> String {
    let mut list = String::from("extra");
    for column in &table.columns {
        list.push_str(", ");
        list.push_str(&column.sql);
    }
    list
}

/// Hands each field that is not null to `each`, with its JSON text. `first` is where [`columns`] begin in the row.
pub(crate) fn fields(table: &Table, row: &Row<'_>, first: usize, mut each: impl FnMut(&str, &str)) -> Db<()> {
    let mut json = String::new();
    for (at, column) in table.columns.iter().enumerate() {
        let value = row.get_ref(first + 1 + at)?;
        if value != rusqlite::types::ValueRef::Null {
            json.clear();
            decode(value, column.form(), &mut json);
            each(&column.field, &json);
        }
    }
    if let Some(extra) = row.get_ref(first)?.as_str_or_null()? {
        for (field, raw) in parse_extra(extra) {
            each(&field, raw.get());
        }
    }
    Ok(())
}

/// What stands in `extra`: fields beyond the columns, each with its JSON text.
pub(crate) type Extra = std::collections::BTreeMap<String, Box<serde_json::value::RawValue>>;

pub(crate) fn parse_extra(extra: &str) -> Extra {
    serde_json::from_str(extra).unwrap_or_default()
}

/// The fields of a row as a JSON object.
pub(crate) fn object(table: &Table, row: &Row<'_>, first: usize) -> Db<Map<String, Value>> {
    let mut object = Map::new();
    fields(table, row, first, |field, json| {
        object.insert(field.to_owned(), sync_core::json_value(json));
    })?;
    Ok(object)
}
