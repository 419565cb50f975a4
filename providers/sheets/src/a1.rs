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
    let end = letters(columns.saturating_sub(1) as usize);
    format!("'{}'!A{first}:{end}{last}", tab.replace('\'', "''"))
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
    }
}
