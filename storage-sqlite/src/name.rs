//! Names of tables and columns.

/// Columns every managed table has, and the names SQLite gives a row's number.
const OWN: &[&str] = &[
    "workspace_id",
    "connection_no",
    "entity_id",
    "partition_id",
    "row_hash",
    "created_run",
    "created_at",
    "last_synced_at",
    "extra",
    "rowid",
    "oid",
    "_rowid_",
];

/// An identifier as it stands in SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column name for a field that none of `taken` has, nor we ourselves.
pub(crate) fn column<'a>(field: &str, taken: impl Fn(&str) -> bool + 'a) -> String {
    let name = sync_core::snake(field);
    numbered(&name, |name| OWN.contains(&name) || taken(name))
}

/// `name`, or `name_2`, `name_3`, … whichever is free first.
fn numbered(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_owned();
    }
    (2u32..).map(|n| format!("{name}_{n}")).find(|name| !taken(name)).expect("one of four billion names is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_never_take_a_name_of_ours() {
        for own in OWN {
            assert_ne!(column(own, |_| false), *own);
        }
        assert_eq!(column("extra", |_| false), "extra_2");
        assert_eq!(column("extra", |name| name == "extra_2"), "extra_3");
    }
}
