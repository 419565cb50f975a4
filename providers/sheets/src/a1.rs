//! A1 notation: column letters and quoted ranges.

/// The letters of a column, counted from 0: `A`, `Z`, `AA`.
pub(crate) fn letters(column: usize) -> String {
    let mut rest = column + 1;
    let mut letters = Vec::new();
    while rest > 0 {
        letters.push(b'A' + ((rest - 1) % 26) as u8);
        rest = (rest - 1) / 26;
    }
    letters.iter().rev().map(|letter| char::from(*letter)).collect()
}

/// A column as a person finds it, counted from 0: `Column B`.
pub(crate) fn label(column: usize) -> String {
    format!("Column {}", letters(column))
}

/// The range of whole rows of a tab, `first` to `last` counted from 1 and both included, `columns` wide.
///
/// The title is always quoted: an unquoted `CRM26` is read as a cell.
pub(crate) fn rows(tab: &str, first: u64, last: u64, columns: u64) -> String {
    cells(tab, (0, columns.saturating_sub(1) as usize), (first, last))
}

/// The range of some cells: columns counted from 0, rows from 1, both ends included.
pub(crate) fn cells(tab: &str, columns: (usize, usize), rows: (u64, u64)) -> String {
    format!("{}!{}{}:{}{}", quoted(tab), letters(columns.0), rows.0, letters(columns.1), rows.1)
}

/// The range of some columns from a row on down to the tab's end.
pub(crate) fn down(tab: &str, columns: (usize, usize), row: u64) -> String {
    format!("{}!{}{row}:{}", quoted(tab), letters(columns.0), letters(columns.1))
}

/// The range of one row over the tab's whole width.
pub(crate) fn row(tab: &str, row: u64) -> String {
    format!("{}!{row}:{row}", quoted(tab))
}

/// The cell where a table's header begins.
pub(crate) fn corner(tab: &str, row: u64) -> String {
    format!("{}!A{row}", quoted(tab))
}

/// Whether a range of an answer, `'Tab'!A5:C7`, begins in the first column.
pub(crate) fn begins_in_column_a(range: &str) -> bool {
    let cells = range.rsplit_once('!').map_or(range, |(_, cells)| cells);
    cells.strip_prefix('A').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn quoted(tab: &str) -> String {
    format!("'{}'", tab.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_count_without_a_zero() {
        let cases = [(0, "A"), (1, "B"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (701, "ZZ"), (702, "AAA"), (18_277, "ZZZ")];
        for (column, expected) in cases {
            assert_eq!(letters(column), expected, "column {column}");
        }
    }

    #[test]
    fn titles_are_always_quoted_and_inner_quotes_doubled() {
        assert_eq!(rows("Movies", 2, 10, 3), "'Movies'!A2:C10");
        assert_eq!(rows("CRM26", 1, 1, 26), "'CRM26'!A1:Z1");
        assert_eq!(rows("Jon's Data", 2, 5, 1), "'Jon''s Data'!A2:A5");
        assert_eq!(cells("Jon's", (26, 27), (2, 5)), "'Jon''s'!AA2:AB5");
        assert_eq!(down("Jon's", (1, 2), 3), "'Jon''s'!B3:C");
        assert_eq!(row("CRM26", 3), "'CRM26'!3:3");
        assert_eq!(corner("A!B", 3), "'A!B'!A3");
        assert!(begins_in_column_a("'A!B'!A5:C7") && !begins_in_column_a("T!AA5:AB7") && !begins_in_column_a("T!B5"));
    }
}
