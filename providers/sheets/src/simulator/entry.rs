//! What is made of a value that is written.

use chrono::NaiveDate;
use serde_json::Value;

use super::grid::SimCell;

/// How values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// As they are.
    Raw,
    /// As if typed.
    Entered,
}

/// A cell to be written; `None` leaves it as it is.
pub(super) type Entry = Option<SimCell>;

/// Characters one cell takes, as UTF-16 counts them.
const LONGEST: usize = 50_000;

/// The option of that name; the message of the 400 for none.
pub(super) fn input(option: Option<&str>) -> Result<Input, String> {
    match option {
        Some("RAW") => Ok(Input::Raw),
        Some("USER_ENTERED") => Ok(Input::Entered),
        _ => Err("'valueInputOption' is required but not specified".into()),
    }
}

/// The rows of a `ValueRange`, and for each whether it formats its column as a date.
pub(super) fn rows(range: &Value, input: Input) -> Result<Vec<Vec<Entry>>, String> {
    let lists = range["values"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rows: Vec<Vec<Entry>> = Vec::new();
    let by_columns = range["majorDimension"] == "COLUMNS";
    for (outer, list) in lists.iter().enumerate() {
        for (inner, value) in list.as_array().into_iter().flatten().enumerate() {
            let entry = cell(value, input).map_err(|problem| match problem {
                Problem::Kind(kind) => format!("Invalid values[{outer}][{inner}]: {kind}"),
                Problem::Text(text) => text,
            })?;
            let (row, column) = if by_columns { (inner, outer) } else { (outer, inner) };
            rows.resize(rows.len().max(row + 1), Vec::new());
            let cells = &mut rows[row];
            cells.resize(cells.len().max(column + 1), None);
            cells[column] = entry;
        }
        if !by_columns {
            rows.resize(rows.len().max(outer + 1), Vec::new());
        }
    }
    Ok(rows)
}

enum Problem {
    Kind(&'static str),
    Text(String),
}

fn cell(value: &Value, input: Input) -> Result<Entry, Problem> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Bool(yes) => SimCell::Bool(*yes),
        Value::Number(number) => SimCell::Number(number.as_f64().unwrap_or_default()),
        Value::String(text) => {
            text_fits(text).map_err(Problem::Text)?;
            match input {
                Input::Raw => SimCell::from(text.as_str()),
                Input::Entered => entered(text),
            }
        }
        Value::Array(_) => return Err(Problem::Kind("list_value")),
        Value::Object(_) => return Err(Problem::Kind("struct_value")),
    }))
}

/// The message of the 400 for a text no cell takes.
pub(super) fn text_fits(text: &str) -> Result<(), String> {
    if text.encode_utf16().count() <= LONGEST {
        return Ok(());
    }
    Err(format!("Your input contains more than the maximum of {LONGEST} characters in a single cell."))
}

/// As if typed in English: an apostrophe makes text of anything, `=` and `+` begin a formula.
fn entered(text: &str) -> SimCell {
    if let Some(text) = text.strip_prefix('\'') {
        return SimCell::from(text);
    }
    if text.len() > 1 && text.starts_with(['=', '+']) && text.parse::<f64>().is_err() {
        return SimCell::Formula(text.to_owned());
    }
    if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
        return SimCell::Bool(text.eq_ignore_ascii_case("true"));
    }
    let plain = text.trim();
    let numeric = |text: &str| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        digits.starts_with(|c: char| c.is_ascii_digit() || c == '.').then(|| text.replace(',', "").parse::<f64>().ok()).flatten()
    };
    if let Some(number) = plain.strip_suffix('%').and_then(numeric) {
        return SimCell::Number(number / 100.0);
    }
    if let Some(number) = numeric(plain) {
        return SimCell::Number(number);
    }
    date(plain).map_or_else(|| SimCell::from(text), SimCell::Number)
}

/// The serial number of an ISO date.
fn date(text: &str) -> Option<f64> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10)?;
    Some((day - NaiveDate::from_ymd_opt(1899, 12, 30)?).num_days() as f64)
}

/// Whether what was typed also formats its cell as a date.
pub(super) fn is_date(value: &Value, input: Input) -> bool {
    input == Input::Entered && value.as_str().is_some_and(|text| date(text.trim()).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn raw_values_stay_as_they_are_and_typed_ones_are_read() {
        let text = |text: &str| SimCell::Text(text.to_owned());
        let cases = [
            (json!("=1+1"), text("=1+1"), SimCell::Formula("=1+1".into())),
            (json!("'007"), text("'007"), text("007")),
            (json!("007"), text("007"), SimCell::Number(7.0)),
            (json!("1,234.5"), text("1,234.5"), SimCell::Number(1234.5)),
            (json!("50%"), text("50%"), SimCell::Number(0.5)),
            (json!("true"), text("true"), SimCell::Bool(true)),
            (json!("1900-01-01"), text("1900-01-01"), SimCell::Number(2.0)),
            (json!("+49 30"), text("+49 30"), SimCell::Formula("+49 30".into())),
            (json!("soon"), text("soon"), text("soon")),
            (json!(""), SimCell::Blank, SimCell::Blank),
            (json!(1.5), SimCell::Number(1.5), SimCell::Number(1.5)),
            (json!(false), SimCell::Bool(false), SimCell::Bool(false)),
        ];
        for (value, raw, typed) in cases {
            for (input, expected) in [(Input::Raw, raw), (Input::Entered, typed)] {
                let read = rows(&json!({"values": [[null, value]]}), input).expect("a value");
                assert_eq!(read, [vec![None, Some(expected)]], "{value} {input:?}");
            }
        }
        let by_columns = rows(&json!({"majorDimension": "COLUMNS", "values": [["a"], ["b", "c"]]}), Input::Raw).expect("values");
        assert_eq!(by_columns, [vec![Some(text("a")), Some(text("b"))], vec![None, Some(text("c"))]]);
        assert_eq!(rows(&json!({"values": [[1], [[2]]]}), Input::Raw), Err("Invalid values[1][0]: list_value".into()));
        assert_eq!(rows(&json!({"values": [[{}]]}), Input::Raw), Err("Invalid values[0][0]: struct_value".into()));
        let problem = rows(&json!({"values": [["x".repeat(50_001)]]}), Input::Raw).expect_err("too long");
        assert!(problem.contains("50000 characters"), "{problem}");
    }
}
