//! From a range's cells to records. Pure.

use bytes::Bytes;
use serde_json::value::RawValue;
use sync_core::{Operation, PullPage, RecordBatch, RecordFailure, Result, join_key, key_text};

use crate::{
    a1,
    api::FormattedCell,
    dates::{self, DateKind, Zone},
    header::Header,
};

/// What has to be known of a tab to read its rows.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    pub(crate) header: &'a Header,
    /// Places of the key columns.
    pub(crate) key: &'a [usize],
    /// Per column, whether its numbers are dates.
    pub(crate) dates: Vec<Option<DateKind>>,
    pub(crate) zone: Zone,
}

/// How a cell travels on.
enum Cell<'a> {
    Blank,
    /// The formula in it failed: `#N/A`.
    Failed(&'a str),
    /// A number in a date column that lies outside the calendar.
    OutOfCalendar(&'a RawValue),
    Made(String),
    AsIs(&'a RawValue),
}

/// What a row's key cells say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Text(String),
    /// Nothing stands in this column.
    Blank(usize),
    /// The formula in this column failed.
    Failed(usize),
}

impl Layout<'_> {
    fn cell<'r>(&self, row: &[&'r RawValue], column: usize) -> Cell<'r> {
        let Some(raw) = row.get(column).copied().filter(|cell| !is_blank(cell)) else { return Cell::Blank };
        if let Some(problem) = failed(raw) {
            return Cell::Failed(problem);
        }
        match self.dates.get(column).copied().flatten().zip(number(raw)) {
            Some((kind, serial)) => match dates::render(serial, kind, self.zone) {
                Some(text) => Cell::Made(text),
                None => Cell::OutOfCalendar(raw),
            },
            None => Cell::AsIs(raw),
        }
    }

    /// The key of a row: the texts of its key cells, joined.
    pub(crate) fn key_of(&self, row: &[&RawValue]) -> Key {
        let mut parts = Vec::with_capacity(self.key.len());
        for &column in self.key {
            let text = match self.cell(row, column) {
                Cell::Failed(_) => return Key::Failed(column),
                Cell::Blank => String::new(),
                Cell::Made(text) => text,
                Cell::OutOfCalendar(raw) | Cell::AsIs(raw) => key_text(raw.get()).unwrap_or_default().into_owned(),
            };
            if text.trim().is_empty() {
                return Key::Blank(column);
            }
            parts.push(text);
        }
        Key::Text(join_key(parts.iter().map(String::as_str)))
    }

    fn place(&self, column: usize) -> String {
        match self.header.names().get(column) {
            Some(name) if *name != a1::label(column) => format!("{} ({name})", a1::label(column)),
            _ => a1::label(column),
        }
    }
}

/// The records of a range's rows, which lie in `body`; `first` is the sheet's number of the first of them.
///
/// Rows that are blank throughout are not records. A blank cell is null, so that clearing a cell clears the value.
///
/// # Errors
/// [`Decode`](sync_core::ErrorKind::Decode) when the body is not text.
pub(crate) fn page(body: &Bytes, rows: &[Vec<&RawValue>], first: u64, layout: &Layout<'_>) -> Result<PullPage> {
    let mut page = PullPage::new(RecordBatch::over(Bytes::clone(body))?);
    let width = layout.header.names().len();
    let names: Vec<usize> = layout.header.names().iter().map(|name| page.batch.name(name)).collect();

    for (row, number) in rows.iter().zip(first..) {
        if is_blank_row(row) {
            continue;
        }
        let position = Some(number);
        let key = match layout.key_of(row) {
            Key::Text(key) => key,
            Key::Blank(column) => {
                let name = &layout.header.names()[column];
                let left_out = RecordFailure::warning(format!("the row was left out: nothing stands in the key column {name:?}"));
                page.failures.push(left_out.at_row(position).in_column(layout.place(column)));
                page.skipped += 1;
                continue;
            }
            Key::Failed(column) => {
                let name = &layout.header.names()[column];
                let unreadable = RecordFailure::error(format!("the row cannot be taken: the formula in the key column {name:?} failed"));
                page.failures.push(unreadable.at_row(position).in_column(layout.place(column)));
                page.unseen = true;
                continue;
            }
        };
        let warning = |text: String, column: usize| {
            RecordFailure::warning(text).at_row(position).of_record(key.as_str()).in_column(layout.place(column))
        };
        let mut draft = page.batch.record();
        for (column, &name) in names.iter().enumerate() {
            match layout.cell(row, column) {
                Cell::AsIs(raw) => draft.borrowed(name, raw),
                Cell::Made(text) => draft.made_text(name, &text),
                Cell::Blank => draft.made(name, "null"),
                Cell::Failed(problem) => {
                    page.failures.push(warning(format!("the formula failed with {problem}; the value is taken as empty"), column));
                    draft.made(name, "null");
                }
                Cell::OutOfCalendar(raw) => {
                    let text = format!("{} is formatted as a date but lies outside the years 1 to 9999; it stays a number", raw.get());
                    page.failures.push(warning(text, column));
                    draft.borrowed(name, raw);
                }
            }
        }
        let mut beyond = (width..row.len()).filter(|column| !is_blank(row[*column])).peekable();
        if let Some(&column) = beyond.peek() {
            let columns: Vec<String> = beyond.map(a1::letters).collect();
            page.failures.push(warning(format!("cells without a header above were left out, in column {}", columns.join(", ")), column));
        }
        draft.finish(key, Operation::Upsert, position);
    }
    Ok(page)
}

/// Which columns hold dates, by the number formats of a few rows: that of the first cell that holds a number, else the first format.
pub(crate) fn date_columns(sample: &[Vec<FormattedCell>]) -> Vec<(usize, DateKind)> {
    let width = sample.iter().map(Vec::len).max().unwrap_or_default();
    let kind = |column: usize| {
        let cells = || sample.iter().filter_map(move |row| row.get(column));
        let cell = cells().find(|cell| cell.is_number()).or_else(|| cells().find(|cell| cell.format().is_some()))?;
        DateKind::of_format(cell.format()?)
    };
    (0..width).filter_map(|column| Some((column, kind(column)?))).collect()
}

/// Whether nothing stands in a row.
pub(crate) fn is_blank_row(row: &[&RawValue]) -> bool {
    row.iter().all(|cell| is_blank(cell))
}

pub(crate) fn is_blank(cell: &RawValue) -> bool {
    matches!(cell.get(), "\"\"" | "null")
}

pub(crate) fn number(cell: &RawValue) -> Option<f64> {
    let text = cell.get();
    if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// The error a cell shows in place of a formula's value. As text typed by hand it looks the same.
fn failed(cell: &RawValue) -> Option<&str> {
    const SHOWN: [&str; 8] = ["#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#ERROR!", "#NULL!"];
    let text = cell.get().strip_prefix('"')?.strip_suffix('"')?;
    (text.starts_with('#') && SHOWN.contains(&text)).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sync_core::Severity;

    use super::*;

    const HEADER: &str = r#"["id","name","born"]"#;

    fn read(rows: &str, key: &[usize]) -> PullPage {
        let header: Vec<&RawValue> = serde_json::from_str(HEADER).expect("a header");
        let header = Header::read(&header).expect("has text");
        let layout =
            Layout { header: &header, key, dates: vec![None, None, Some(DateKind::Date)], zone: Zone::parse("UTC").expect("a zone") };
        let body = Bytes::copy_from_slice(rows.as_bytes());
        let rows: Vec<Vec<&RawValue>> = serde_json::from_slice(&body).expect("rows");
        page(&body, &rows, 2, &layout).expect("text")
    }

    fn shown(page: &PullPage) -> Vec<String> {
        let cells = |record| page.batch.cells(record).map(|(_, text)| text.to_owned()).collect::<Vec<_>>().join(" ");
        page.batch.records().iter().map(|record| format!("{}@{}: {}", record.id, record.position.unwrap_or(0), cells(record))).collect()
    }

    #[test]
    fn short_rows_are_padded_with_null_and_blank_rows_are_no_records() {
        let page = read(r#"[[1,"Ada",2.5],[],["b"],["",""],["c","",""]]"#, &[0]);
        assert_eq!(shown(&page), [r#"1@2: 1 "Ada" "1900-01-01""#, r#"b@4: "b" null null"#, r#"c@6: "c" null null"#]);
        assert!(page.failures.is_empty());
        assert_eq!((page.read(), page.skipped, page.unseen), (3, 0, false));
    }

    #[test]
    fn every_oddity_is_reported_with_its_row_and_column() {
        let cases = [
            (r##"[["a","#N/A"]]"##, 1, "Row 2, Column B (name): the formula failed with #N/A; the value is taken as empty"),
            (r##"[["a","#DIV/0!"]]"##, 1, "Row 2, Column B (name): the formula failed with #DIV/0!; the value is taken as empty"),
            (
                r#"[["a","b",1e9]]"#,
                1,
                "Row 2, Column C (born): 1e9 is formatted as a date but lies outside the years 1 to 9999; it stays a number",
            ),
            (r#"[["a","","","x","","y"]]"#, 1, "Row 2, Column D: cells without a header above were left out, in column D, F"),
            (r#"[[],["","Ada"]]"#, 0, r#"Row 3, Column A (id): the row was left out: nothing stands in the key column "id""#),
            (r#"[[],["  ","Ada"]]"#, 0, r#"Row 3, Column A (id): the row was left out: nothing stands in the key column "id""#),
        ];
        for (rows, records, text) in cases {
            let page = read(rows, &[0]);
            assert_eq!(page.batch.len(), records, "{rows}");
            assert_eq!(page.failures.iter().map(ToString::to_string).collect::<Vec<_>>(), [text], "{rows}");
            assert_eq!(page.failures[0].severity, Severity::Warning);
            assert_eq!((page.read(), page.skipped), (1, 1 - records as u64), "{rows}");
        }
    }

    #[test]
    fn a_key_whose_formula_failed_makes_the_scan_unfit_for_deletes() {
        let page = read(r##"[["#REF!","Ada"],["b"]]"##, &[0]);
        assert_eq!((page.batch.len(), page.read(), page.skipped, page.unseen), (1, 2, 0, true));
        assert_eq!(page.failures[0].severity, Severity::Error);
        assert_eq!(page.failures[0].row, Some(2));
    }

    #[test]
    fn keys_of_several_columns_never_collide() {
        let page = read(r#"[["a/b","c",3],["a","b/c",3],["a","b",2.5]]"#, &[0, 1]);
        let ids: Vec<&str> = page.batch.records().iter().map(|record| record.id.as_str()).collect();
        assert_eq!(ids, [r"a\/b/c", r"a/b\/c", "a/b"]);
        let page = read(r#"[["a","b",2.5],["a","b","tbd"]]"#, &[0, 2]);
        let ids: Vec<&str> = page.batch.records().iter().map(|record| record.id.as_str()).collect();
        assert_eq!(ids, ["a/1900-01-01", "a/tbd"], "dates as they are handed over, text in a date column as it is");
    }

    #[test]
    fn texts_numbers_and_booleans_are_spans_of_the_body() {
        let page = read(r#"[[12345678901234567890,"naïve \"q\" \u00e9","soon"],[true,0.1,false]]"#, &[0]);
        assert_eq!(shown(&page), [r#"12345678901234567890@2: 12345678901234567890 "naïve \"q\" \u00e9" "soon""#, "true@3: true 0.1 false"]);
    }

    #[test]
    fn a_columns_format_comes_from_a_number_before_anything_else() {
        let sample: Vec<Vec<FormattedCell>> = serde_json::from_str(
            r#"[[{"effectiveFormat":{"numberFormat":{"type":"TEXT"}}}, {}, {"effectiveFormat":{"numberFormat":{"type":"DATE_TIME"}}}, {}],
                [{"effectiveValue":{"numberValue":1},"effectiveFormat":{"numberFormat":{"type":"DATE"}}},
                 {"effectiveValue":{"numberValue":1}}, {}, {"effectiveFormat":{"numberFormat":{"type":"TIME"}}}]]"#,
        )
        .expect("cells");
        assert_eq!(date_columns(&sample), [(0, DateKind::Date), (2, DateKind::DateTime), (3, DateKind::Time)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_row_is_blank_taken_or_skipped_and_keeps_its_number(rows in prop::collection::vec(prop::collection::vec("[ab]{0,2}", 0..6), 0..30)) {
            let json = serde_json::to_string(&rows).expect("rows");
            let page = read(&json, &[0]);
            let blank = rows.iter().filter(|row| row.iter().all(String::is_empty)).count();
            prop_assert_eq!(page.read() as usize, rows.len() - blank);
            for record in page.batch.records() {
                let row = &rows[record.position.expect("a row number") as usize - 2];
                prop_assert_eq!(record.id.as_str(), &*row[0]);
                prop_assert_eq!(page.batch.cells(record).len(), 3);
            }
        }
    }
}
