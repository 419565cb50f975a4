//! The books: what every row and cell of a sheet has to become, held against what the engine made and said.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use syncline::{Counts, RecordFailure, Severity, core::key_text, providers::sheets::simulator::SimCell};

use crate::{
    oracle::{Fate, Fields, Rules},
    sheet::{Cell, Sheet},
};

/// What has to be stored, and which records stand behind it.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) rows: BTreeMap<String, Fields>,
    /// The keys of rows, by the key cells of their records as they are written.
    records: BTreeMap<String, String>,
}

/// What a pull has to come to.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) counts: Counts,
    /// Row, column and severity of everything that is told.
    pub(crate) told: Vec<(u64, String, bool)>,
    /// Columns that a failed row names beside its first.
    pub(crate) further: Vec<(u64, String)>,
    pub(crate) cells: Cells,
}

/// What became of the cells below the header.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cells {
    /// A value of a row.
    pub(crate) values: usize,
    /// Left out by a rule of the mapping: its column is ignored.
    pub(crate) ignored: usize,
    /// Not taken, with a warning of its own.
    pub(crate) dropped: usize,
    /// In a row that was left out or failed, and is named.
    pub(crate) with_row: usize,
    /// In a row in which nothing stands.
    pub(crate) blank: usize,
}

impl Cells {
    fn sum(&self) -> usize {
        self.values + self.ignored + self.dropped + self.with_row + self.blank
    }
}

impl Books {
    /// Books a complete pull of the sheet.
    pub(crate) fn book(&mut self, sheet: &Sheet, rules: &Rules) -> Expected {
        let mut expected = Expected::default();
        let mut present = BTreeSet::new();
        for ((row, fate), number) in sheet.rows.iter().zip(rules.fates(sheet)).zip(2..) {
            expected.counts.read += u64::from(!matches!(fate, Fate::Blank));
            if !matches!(fate, Fate::Blank | Fate::NoKey) {
                expected.oddities(row, sheet.width(), number);
                present.insert(record(row));
            }
            self.book_row(row, fate, number, sheet.width(), rules, &mut expected);
        }
        // A row goes when none of its records is in the sheet any more. What is counted are the records.
        let before = self.records.len();
        self.records.retain(|record, _| present.contains(record));
        expected.counts.swept = (before - self.records.len()) as u64;
        let behind: BTreeSet<&String> = self.records.values().collect();
        self.rows.retain(|key, _| behind.contains(key));
        assert_eq!(expected.cells.sum(), sheet.rows.len() * sheet.width(), "the books are for every cell once: {:?}", expected.cells);
        expected
    }

    fn book_row(&mut self, row: &[Cell], fate: Fate, number: u64, width: usize, rules: &Rules, expected: &mut Expected) {
        let Expected { counts, told, further, cells } = expected;
        match fate {
            Fate::Blank => cells.blank += width,
            Fate::NoKey => {
                counts.skipped += 1;
                cells.with_row += width;
                told.push((number, label(0), false));
            }
            Fate::Twice { dropped } => {
                counts.skipped += 1;
                cells.with_row += width;
                told.extend(dropped.into_iter().chain([0]).map(|column| (number, label(column), false)));
            }
            Fate::Fails(columns) => {
                counts.failed += 1;
                cells.with_row += width;
                told.push((number, label(columns[0]), true));
                further.extend(columns[1..].iter().map(|column| (number, label(*column))));
            }
            Fate::Taken { key, mut fields, dropped } => {
                let stored = self.rows.get(&key);
                // The stored value of a field without a word stays.
                for (name, value) in stored.into_iter().flatten() {
                    let column = rules.fields.iter().find(|field| field.name == *name).map(|field| field.column);
                    if column.is_some_and(|column| dropped.contains(&column)) {
                        fields.entry(name).or_insert_with(|| value.clone());
                    }
                }
                told.extend(dropped.iter().map(|column| (number, label(*column), false)));
                cells.dropped += dropped.len();
                cells.ignored += rules.ignored.len();
                cells.values += width - dropped.len() - rules.ignored.len();
                match stored {
                    None => counts.created += 1,
                    Some(stored) if alike(stored, &fields) => counts.unchanged += 1,
                    Some(_) => counts.updated += 1,
                }
                self.records.insert(record(row), key.clone());
                self.rows.insert(key, fields);
            }
        }
    }

    /// Every stored row is one of the books, field by field, and the other way round.
    #[track_caller]
    pub(crate) fn assert_stored(&self, stored: &BTreeMap<String, Map<String, Value>>) {
        let lost: Vec<_> = self.rows.keys().filter(|key| !stored.contains_key(*key)).take(5).collect();
        let kept: Vec<_> = stored.keys().filter(|key| !self.rows.contains_key(*key)).take(5).collect();
        assert!(lost.is_empty() && kept.is_empty(), "rows that ought to be there: {lost:?}; rows that ought not: {kept:?}");
        for (key, fields) in &self.rows {
            let row = &stored[key];
            for (name, value) in fields {
                let found = row.get(*name).unwrap_or(&Value::Null);
                assert!(same(found, value), "{key}, {name}: {found} is stored, and the table says {value}");
            }
            assert!(row.keys().all(|name| fields.contains_key(name.as_str()) || row[name].is_null()), "{key} has more: {row:?}");
        }
    }
}

impl Expected {
    /// What is told of cells whatever becomes of their row.
    fn oddities(&mut self, row: &[Cell], width: usize, number: u64) {
        for (column, cell) in row.iter().enumerate() {
            let beyond = column == width && cell.written != SimCell::Blank;
            if beyond || matches!(cell.written, SimCell::Failed(_)) {
                self.told.push((number, label(column), false));
            }
        }
    }

    /// Everything that is told was to be told, once, at its row and column.
    #[track_caller]
    pub(crate) fn assert_told(&self, failures: &[RecordFailure]) {
        // `Column B (US Gross)`, or `Movies → Column A` where a storage says it.
        let column = |failure: &RecordFailure| {
            let place = failure.column.as_deref().unwrap_or("?");
            let place = place.split_once("→ ").map_or(place, |(_, column)| column);
            place.split(" (").next().unwrap_or_default().to_owned()
        };
        let place = |failure: &RecordFailure| (failure.row.unwrap_or(0), column(failure), failure.severity == Severity::Error);
        let mut found: Vec<_> = failures.iter().map(place).collect();
        let mut told = self.told.clone();
        found.sort();
        told.sort();
        for (found, told) in found.iter().zip(&told) {
            assert_eq!(found, told, "told, and to be told");
        }
        assert_eq!(found.len(), told.len(), "as many: {:?}", (found.last(), told.last()));
        for (row, column) in &self.further {
            let named = failures.iter().any(|failure| failure.row == Some(*row) && failure.error.contains(&format!("; {column} (")));
            assert!(named, "row {row} fails for {column} too, and says so");
        }
    }
}

/// How a record is known to the sheet: by its key cell as it is written.
fn record(row: &[Cell]) -> String {
    match &row[0].written {
        SimCell::Number(number) => key_text(&number.to_string()).expect("a number").into_owned(),
        cell => cell.text(),
    }
}

fn label(column: usize) -> String {
    format!("Column {}", char::from(b'A' + column as u8))
}

fn alike(one: &Fields, other: &Fields) -> bool {
    let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let of = |fields: &Fields, name: &str| fields.get(name).cloned().unwrap_or_default();
    names.into_iter().all(|name| same(&of(one, name), &of(other, name)))
}

/// Numbers by what they say: some databases write `7` as `7.0`.
fn same(one: &Value, other: &Value) -> bool {
    one == other || one.as_f64().is_some_and(|number| other.as_f64() == Some(number))
}
