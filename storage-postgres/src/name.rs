//! Names of schemas, tables and columns.

use sync_core::{Error, Result};

/// The longest name PostgreSQL keeps, in bytes; it cuts longer ones in silence.
const LONGEST: usize = 63;

/// Columns every managed table has, and the names PostgreSQL gives a row's own.
const OWN: &[&str] = &[
    "workspace_id",
    "connection_no",
    "entity_id",
    "row_no",
    "partition_id",
    "row_hash",
    "created_run",
    "created_at",
    "last_synced_at",
    "extra",
    "tableoid",
    "xmin",
    "cmin",
    "xmax",
    "cmax",
    "ctid",
];

/// An identifier as it stands in SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as it stands in SQL, whatever the server's `standard_conforming_strings`.
///
/// # Errors
/// [`Config`](sync_core::ErrorKind::Config) for a text with a NUL byte, which PostgreSQL has no way to hold.
pub(crate) fn literal(text: &str) -> Result<String> {
    if text.contains('\0') {
        return Err(Error::config("database", "a name or workspace id holds a NUL byte, which PostgreSQL cannot hold"));
    }
    Ok(format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")))
}

/// The longest beginning of a name that PostgreSQL keeps, with room for `spare` bytes more.
fn cut(name: &str, spare: usize) -> &str {
    let mut end = name.len().min(LONGEST - spare);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// A column name for a field that none of `taken` has, nor we ourselves.
pub(crate) fn column(field: &str, taken: impl Fn(&str) -> bool) -> String {
    numbered(&sync_core::snake(field), |name| OWN.contains(&name) || taken(name))
}

/// `name`, or `name_2`, `name_3`, … whichever is free first.
pub(crate) fn numbered(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let whole = cut(name, 0);
    if !taken(whole) {
        return whole.to_owned();
    }
    let name = cut(name, 11);
    (2u32..).map(|n| format!("{name}_{n}")).find(|name| !taken(name)).expect("one of four billion names is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_never_take_a_name_of_ours_and_are_never_cut_by_the_server() {
        for own in OWN {
            assert_ne!(column(own, |_| false), *own);
        }
        let long = "ä".repeat(40);
        let first = column(&long, |_| false);
        let second = column(&long, |name| name == first);
        assert!(first.len() <= LONGEST && second.len() <= LONGEST && first != second, "{first} {second}");
    }

    #[test]
    fn literals_end_where_they_should() {
        assert_eq!(literal(r"a'b\'c").expect("no NUL"), r"E'a\'b\\\'c'");
        assert!(literal("a\0b").is_err());
    }
}
