//! Reads the tables of docs/requirements.md.

use std::fmt;

use crate::shell::Result;

/// A requirement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: String,
    /// The letter of its section, and the section's title.
    pub(crate) section: char,
    pub(crate) title: String,
    pub(crate) requirement: String,
    pub(crate) proved_by: Vec<TestPath>,
}

/// `package::module::function`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestPath {
    pub(crate) package: String,
    pub(crate) modules: Vec<String>,
    pub(crate) function: String,
}

impl TestPath {
    fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split("::").collect();
        let (package, rest) = parts.split_first().expect("a split has a first part");
        let Some((function, modules)) = rest.split_last() else {
            return Err(format!("{text:?} is not of the form package::path::function"));
        };
        let is_package = !package.is_empty() && package.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !is_package || !rest.iter().all(|part| is_name(part)) {
            return Err(format!("{text:?} is not of the form package::path::function"));
        }
        Ok(Self {
            package: (*package).to_owned(),
            modules: modules.iter().map(|part| (*part).to_owned()).collect(),
            function: (*function).to_owned(),
        })
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_') && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

impl fmt::Display for TestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::", self.package)?;
        self.modules.iter().try_for_each(|module| write!(f, "{module}::"))?;
        f.write_str(&self.function)
    }
}

/// Reads all rows. Sections are headed `## A. Title`; a row is `| A01 | requirement | check | tests |`.
///
/// # Errors
/// Every line that looks like a row and is not one, by its number: wrong section, id twice, missing column, malformed test.
pub(crate) fn parse(text: &str) -> Result<Vec<Row>> {
    let mut section = None;
    let mut rows: Vec<Row> = Vec::new();
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.split_once(". ").filter(|(letter, _)| letter.len() == 1);
        } else if let Some((letter, title)) = section
            && line.starts_with('|')
        {
            match row(line, letter, title) {
                Ok(Some(row)) if rows.iter().any(|known| known.id == row.id) => {
                    problems.push(format!("line {number}: {} stands twice", row.id))
                }
                Ok(Some(row)) => rows.push(row),
                Ok(None) => {}
                Err(why) => problems.push(format!("line {number}: {why}")),
            }
        }
    }
    match (problems.is_empty(), rows.is_empty()) {
        (true, false) => Ok(rows),
        (true, true) => Err("docs/requirements.md has no rows".to_owned()),
        (false, _) => Err(format!("docs/requirements.md:\n{}", problems.join("\n"))),
    }
}

/// A row, or nothing for the head of a table and the line below it.
fn row(line: &str, letter: &str, title: &str) -> Result<Option<Row>> {
    let cells = cells(line);
    let id = &cells[0];
    if id == "ID" || id.chars().all(|c| c == '-' || c == ':') {
        return Ok(None);
    }
    if !(id.len() == 3 && id.starts_with(letter) && id[letter.len()..].chars().all(|c| c.is_ascii_digit())) {
        return Err(format!("{id:?} is no id of section {letter}"));
    }
    let [_, requirement, _, tests] = &cells[..] else {
        return Err(format!("{id} has {} columns instead of 4 (id, requirement, check, proved by)", cells.len()));
    };
    let tests = tests.split(", ").map(|test| test.trim().trim_matches('`')).filter(|test| !test.is_empty());
    Ok(Some(Row {
        id: id.clone(),
        section: letter.chars().next().expect("a section has a letter"),
        title: title.to_owned(),
        requirement: requirement.clone(),
        proved_by: tests.map(TestPath::parse).collect::<Result<_>>().map_err(|why| format!("{id}: {why}"))?,
    }))
}

/// The cells of a table's line; `\|` is a bar inside one.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').filter(|rest| !rest.ends_with('\\')).unwrap_or(line);
    let mut cells = vec![String::new()];
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'|') => {
                chars.next();
                push(&mut cells, '|');
            }
            '|' => cells.push(String::new()),
            _ => push(&mut cells, c),
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

fn push(cells: &mut [String], c: char) {
    cells.last_mut().expect("there is always one").push(c);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "## B. Integration base\n\n| ID | Requirement | Check | Proved by |\n|---|---|---|---|\n";

    fn paths(rows: &[Row]) -> Vec<String> {
        rows.iter().flat_map(|row| row.proved_by.iter().map(ToString::to_string)).collect()
    }

    #[test]
    fn rows_are_read_with_section_and_tests() {
        let text = format!(
            "# Requirements\n\n| word | meaning |\n{HEAD}| B01 | Scoped | a \\| b | `x-y::tests::scope::reads_fail`, z::a::b |\n| B02 | Open | test | |\n"
        );
        let rows = parse(&text).expect("two rows");
        assert_eq!(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["B01", "B02"]);
        assert_eq!((rows[0].section, rows[0].title.as_str(), rows[0].requirement.as_str()), ('B', "Integration base", "Scoped"));
        assert_eq!(paths(&rows), ["x-y::tests::scope::reads_fail", "z::a::b"]);
        assert_eq!(rows[0].proved_by[0].modules, ["tests", "scope"]);
        assert!(rows[1].proved_by.is_empty());
    }

    #[test]
    fn a_line_that_is_no_row_is_refused_by_its_number() {
        for (line, why) in [
            ("| B01 | Scoped | test |", "3 columns instead of 4"),
            ("| B01 | Sco|ped | test | |", "5 columns instead of 4"),
            ("| C01 | Scoped | test | |", "no id of section B"),
            ("| B1 | Scoped | test | |", "no id of section B"),
            ("| B01 | Scoped | test | alone |", "package::path::function"),
            ("| B01 | Scoped | test | a::b c |", "package::path::function"),
            ("| B01 | Scoped | test | a::b,c::d |", "package::path::function"),
            ("| B01 | Scoped | test | a:: |", "package::path::function"),
        ] {
            let problem = parse(&format!("{HEAD}{line}\n")).expect_err(line);
            assert!(problem.contains("line 5") && problem.contains(why), "{line}: {problem}");
        }
    }

    #[test]
    fn an_id_stands_once() {
        let problem = parse(&format!("{HEAD}| B01 | a | b | |\n| B01 | a | b | |\n")).expect_err("twice");
        assert!(problem.contains("line 6: B01 stands twice"), "{problem}");
    }

    #[test]
    fn an_empty_list_is_no_list() {
        assert!(parse("# Requirements\n").is_err());
    }
}
