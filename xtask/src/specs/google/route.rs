//! Which operation a path belongs to.

/// Whether `path` follows `template`, and with which variables. `{x}` is one segment or part of one, `{+x}` may span several.
pub(super) fn matched<'t, 'p>(template: &'t str, path: &'p str) -> Option<Vec<(&'t str, &'p str)>> {
    let Some(open) = template.find('{') else { return (template == path).then(Vec::new) };
    let close = open + template[open..].find('}')?;
    let path = path.strip_prefix(&template[..open])?;
    let (name, spans) = match template[open + 1..close].strip_prefix('+') {
        Some(name) => (name, true),
        None => (&template[open + 1..close], false),
    };
    let longest = if spans { path.len() } else { path.find('/').unwrap_or(path.len()) };
    // The longest first: a variable may hold the colon that stands before a verb.
    (1..=longest).rev().filter(|end| path.is_char_boundary(*end)).find_map(|end| {
        let rest = matched(&template[close + 1..], &path[end..])?;
        Some([vec![(name, &path[..end])], rest].concat())
    })
}

/// How many characters of a template are fixed. Of two that fit, the one with more of them is meant.
pub(super) fn fixed(template: &str) -> usize {
    let mut inside = false;
    let outside = template.chars().filter(|c| {
        let was = inside;
        inside = if was { *c != '}' } else { *c == '{' };
        !was && !inside
    });
    outside.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_with_verbs_and_variables_over_segments() {
        for (template, path, expected) in [
            ("v1/things", "v1/things", Some("")),
            ("v1/things", "v1/things/a", None),
            ("v1/things/{id}", "v1/things/a", Some("id=a ")),
            ("v1/things/{id}", "v1/things/", None),
            ("v1/things/{id}", "v1/things/a/b", None),
            ("v1/things/{id}:poke", "v1/things/a:b:poke", Some("id=a:b ")),
            ("v1/things/{id}:poke", "v1/things/a", None),
            ("v1/{id}/parts/{part}:add", "v1/a/parts/A1:B2:add", Some("id=a part=A1:B2 ")),
            ("v1/{+name}", "v1/a/b", Some("name=a/b ")),
            ("v1/{+name}/parts", "v1/a/b/parts", Some("name=a/b ")),
        ] {
            let found = matched(template, path);
            let found = found.map(|found| found.iter().map(|(name, value)| format!("{name}={value} ")).collect::<String>());
            assert_eq!(found.as_deref(), expected, "{template} {path}");
        }
        assert_eq!(fixed("v1/{id}:poke"), 8);
    }
}
