//! Managed rows as JSON.

use serde_json::{Map, Value, value::RawValue};
use sqlx::{Row as _, postgres::PgRow};
use sync_core::json_value;

use crate::{error::Db, table::Table};

/// The columns of all fields for a SELECT from `m`, as JSON text, `extra` first. They are read with [`fields`].
pub(crate) fn columns(table: &Table) -> String {
    let mut list = String::from("m.extra::text");
    for column in &table.columns {
        list.push_str(&format!(", to_json(m.{})::text", column.sql));
    }
    list
}

/// Hands each field that is not null to `each`, with its JSON text. `first` is where [`columns`] begin in the row.
pub(crate) fn fields(table: &Table, row: &PgRow, first: usize, mut each: impl FnMut(&str, &str)) -> Db<()> {
    let extra = row.try_get::<Option<&str>, _>(first)?.map(parse_extra).unwrap_or_default();
    for (at, column) in table.columns.iter().enumerate() {
        if let Some(json) = row.try_get::<Option<&str>, _>(first + 1 + at)? {
            each(&column.field, json);
        } else if let Some(json) = extra.get(&*column.field) {
            each(&column.field, json.get());
        }
    }
    for (field, json) in &extra {
        if table.position(field).is_none() {
            each(field, json.get());
        }
    }
    Ok(())
}

/// What stands in `extra`: fields without a column and values that do not fit theirs, each with its JSON text.
pub(crate) type Extra = std::collections::BTreeMap<String, Box<RawValue>>;

pub(crate) fn parse_extra(extra: &str) -> Extra {
    serde_json::from_str(extra).unwrap_or_default()
}

/// The fields of a row as a JSON object.
pub(crate) fn object(table: &Table, row: &PgRow, first: usize) -> Db<Map<String, Value>> {
    let mut object = Map::new();
    fields(table, row, first, |field, json| {
        object.insert(field.to_owned(), json_value(json));
    })?;
    Ok(object)
}
