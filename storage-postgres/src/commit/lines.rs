//! Texts of lines of lineage, made by the server: the inside of a JSON object, a pair of old and new value for each field.

use sync_core::Result;

use crate::{
    name::literal,
    table::{Form, Table},
};

/// Most arguments of one call of `concat_ws` beside the separator.
const ARGUMENTS: usize = 90;

/// The terms that are not null, with commas between.
pub(super) fn joined(terms: &[String]) -> String {
    let groups: Vec<String> = terms.chunks(ARGUMENTS).map(|terms| format!("concat_ws(',', {})", terms.join(", "))).collect();
    match groups.as_slice() {
        [] => "''".to_owned(),
        [one] => one.clone(),
        several => {
            // An empty group must not leave a comma behind.
            let several: Vec<String> = several.iter().map(|group| format!("nullif({group}, '')")).collect();
            format!("concat_ws(',', {})", several.join(", "))
        }
    }
}

/// The beginning of a field's pair, as a literal.
pub(super) fn pair(field: &str) -> Result<String> {
    literal(&format!("{}:[", serde_json::Value::from(field)))
}

/// The JSON text of a column; null for null.
pub(super) fn rendered(column: &str, form: Form) -> String {
    match form {
        Form::Text => format!("to_json({column})::text"),
        Form::Integer | Form::Number | Form::Boolean | Form::Json => format!("{column}::text"),
    }
}

/// All values of row `m` that are not null, each with null behind it.
pub(super) fn gone(table: &Table) -> Result<String> {
    let mut terms = Vec::with_capacity(table.columns.len() + 1);
    for column in &table.columns {
        terms.push(format!("{} || {} || ',null]'", pair(&column.field)?, rendered(&format!("m.{}", column.sql), column.form)));
    }
    terms.push("(SELECT string_agg(to_json(key)::text || ':[' || value::text || ',null]', ',') FROM jsonb_each(m.extra))".into());
    Ok(joined(&terms))
}
