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

/// Lower-case snake_case of a name; letters and digits of every script are kept.
pub(crate) fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let letters: Vec<char> = name.chars().collect();
    for (at, &c) in letters.iter().enumerate() {
        if !c.is_alphanumeric() {
            if !snake.is_empty() && !snake.ends_with('_') {
                snake.push('_');
            }
            continue;
        }
        if c.is_uppercase() && at > 0 {
            let before = letters[at - 1];
            let next_is_lower = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
            if before.is_lowercase() || before.is_numeric() || (before.is_uppercase() && next_is_lower) {
                snake.push('_');
            }
        }
        snake.extend(c.to_lowercase());
    }
    let kept = snake.trim_end_matches('_').len();
    snake.truncate(kept);
    match snake.chars().next() {
        None => "field".into(),
        Some(first) if first.is_numeric() => format!("_{snake}"),
        Some(_) => snake,
    }
}

/// A column name for a field that none of `taken` has, nor we ourselves.
pub(crate) fn column<'a>(field: &str, taken: impl Fn(&str) -> bool + 'a) -> String {
    let name = snake(field);
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
    fn field_names_become_readable_column_names() {
        for (field, expected) in [
            ("email", "email"),
            ("firstName", "first_name"),
            ("FNAME", "fname"),
            ("userID", "user_id"),
            ("HTTPServer", "http_server"),
            ("Box Office ($)", "box_office"),
            ("Größe in cm", "größe_in_cm"),
            ("名前", "名前"),
            ("2024", "_2024"),
            ("col2Name", "col2_name"),
            ("  ", "field"),
            ("a\"; DROP TABLE x --", "a_drop_table_x"),
        ] {
            assert_eq!(snake(field), expected, "{field}");
        }
    }

    #[test]
    fn columns_never_take_a_name_of_ours() {
        for own in OWN {
            assert_ne!(column(own, |_| false), *own);
        }
        assert_eq!(column("extra", |_| false), "extra_2");
        assert_eq!(column("extra", |name| name == "extra_2"), "extra_3");
    }
}
