//! Records from a file: a JSON list, JSON lines, or CSV with a header.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::exit::{Done, Failure};

/// Reads every record of a file, or of standard input when it is `-`.
pub(crate) fn load(file: &Path) -> Done<Vec<Map<String, Value>>> {
    let stdin = file.as_os_str() == "-";
    let text = if stdin {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    let place = if stdin { PathBuf::from("standard input") } else { file.to_owned() };
    let text = text.map_err(|problem| {
        Failure::usage(format!("the records cannot be read: {problem}"), place.display().to_string(), "name a readable UTF-8 file")
    })?;
    let csv = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    let records = if csv { of_csv(&text) } else { of_json(&text) };
    records.map_err(|what| {
        let hint = "give a JSON list of objects, one JSON object per line, or a .csv file with a header";
        Failure::usage(what, place.display().to_string(), hint)
    })
}

fn of_csv(text: &str) -> Result<Vec<Map<String, Value>>, String> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let header = reader.headers().map_err(|problem| problem.to_string())?.clone();
    if let Some(twice) = header.iter().enumerate().find_map(|(at, name)| header.iter().take(at).any(|n| n == name).then_some(name)) {
        return Err(format!("the column {twice:?} is there twice"));
    }
    let object = |row: csv::StringRecord| header.iter().zip(row.iter()).map(|(name, cell)| (name.to_owned(), cell.into())).collect();
    reader.records().map(|row| row.map(object).map_err(|problem| problem.to_string())).collect()
}

fn of_json(text: &str) -> Result<Vec<Map<String, Value>>, String> {
    if text.trim_start().starts_with('[') {
        let list: Vec<Value> = serde_json::from_str(text).map_err(|problem| problem.to_string())?;
        return list.into_iter().enumerate().map(|(n, value)| object(value, || format!("record {}", n + 1))).collect();
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(n, line)| {
            let value = serde_json::from_str(line).map_err(|problem| format!("line {}: {problem}", n + 1))?;
            object(value, || format!("line {}", n + 1))
        })
        .collect()
}

fn object(value: Value, place: impl Fn() -> String) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(fields) => Ok(fields),
        other => Err(format!("{} is no JSON object: {}", place(), crate::output::plain(&other.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_lines_and_tables_are_read_alike() {
        let expected = ["Ada", "Gr\u{e4}ce, \"G\""];
        for (name, text) in [
            ("a.json", r#"[{"name": "Ada"}, {"name": "Gräce, \"G\""}]"#),
            ("a.jsonl", "{\"name\": \"Ada\"}\n\n{\"name\": \"Gräce, \\\"G\\\"\"}\n"),
            ("a.CSV", "name\nAda\n\"Gräce, \"\"G\"\"\"\n"),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join(name);
            fs::write(&file, text).expect("written");
            let records = load(&file).unwrap_or_else(|refused| panic!("{name}: {refused:?}"));
            let names: Vec<_> = records.iter().map(|record| record["name"].as_str().expect("text")).collect();
            assert_eq!(names, expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_record_is_named_by_its_place() {
        for (text, part) in [("[{}, 7]", "record 2"), ("{\"a\": 1}\n{\"a\": \n", "line 2"), ("7\n", "line 1"), ("[{}", "EOF")] {
            let refused = of_json(text).expect_err(text);
            assert!(refused.contains(part), "{text}: {refused}");
        }
        assert!(of_csv("a,a\n1,2\n").expect_err("a doubled column").contains("\"a\""));
        assert!(of_csv("a,b\n1\n").is_err(), "a short row");
    }
}
