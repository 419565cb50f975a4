//! Names of tables and columns, made from those of entity types and fields.

/// Lower-case snake_case of a name; letters and digits of every script are kept.
#[must_use]
pub fn snake(name: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::snake;

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
}
