//! `doctor`: what is in order with the database, what is not, and what to do.

#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;

use serde::Serialize;
use serde_json::{Value, json};

use super::View;
use crate::{
    config::Config,
    database::Database,
    exit::{Done, Exit},
    output::{self, Style, plural},
};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Ok,
    Unseen,
    Warning,
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    level: Level,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_do: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, found: found.into(), to_do: None }
    }

    fn bad(check: &'static str, level: Level, found: impl Into<String>, to_do: &str) -> Self {
        Self { check, level, found: found.into(), to_do: Some(to_do.into()) }
    }
}

/// What is told of a database, whichever it is.
#[derive(Debug)]
struct Told {
    findings: Vec<Finding>,
    /// A table of what is in it: header, and cells.
    tables: Vec<Vec<String>>,
    /// What `--json` says beside the findings.
    facts: Value,
}

/// The columns of [`Told::tables`].
const HEADER: [&str; 4] = ["table", "rows (about)", "size", "of it indexes"];

/// Tables shown; the rest is in `--json`.
const SHOWN: usize = 12;

#[cfg_attr(not(feature = "postgres"), expect(clippy::unused_async, reason = "a file is looked at without waiting"))]
pub(crate) async fn run(config: &Config, view: View) -> Done {
    let told = match &config.database {
        Database::Sqlite(file) => sqlite::look(file)?,
        #[cfg(feature = "postgres")]
        Database::Postgres(url) => postgres::look(config, url).await?,
        #[cfg(not(feature = "postgres"))]
        Database::Postgres(_) => unreachable!("no URL is read without the feature"),
    };
    let worst = told.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
    let exit = if worst == Level::Error { Exit::Failed } else { Exit::Done };
    if view.json {
        let mut document = json!({ "success": exit == Exit::Done, "worst": worst, "database": config.database, "findings": told.findings });
        if let (Value::Object(document), Value::Object(facts)) = (&mut document, told.facts) {
            document.extend(facts);
        }
        output::json(&document);
        return Ok(exit);
    }
    show(config, &told);
    Ok(exit)
}

fn show(config: &Config, told: &Told) {
    let style = Style::stdout();
    output::line(style.bold(output::plain(&config.database.to_string())));
    for finding in &told.findings {
        let mark = match finding.level {
            Level::Ok => style.good("✓"),
            Level::Unseen => style.faint("?"),
            Level::Warning => style.warn("!"),
            Level::Error => style.bad("✗"),
        };
        output::line(format!("  {mark} {:<13} {}", finding.check.replace('_', " "), output::plain(&finding.found)));
        if let Some(to_do) = &finding.to_do {
            output::line(format!("    {} {}", style.faint("to do:"), output::plain(to_do)));
        }
    }
    if !told.tables.is_empty() {
        output::line("");
        for line in output::table(&HEADER, &told.tables[..told.tables.len().min(SHOWN)], output::width().saturating_sub(2), style) {
            output::line(format!("  {line}"));
        }
        if told.tables.len() > SHOWN {
            output::line(style.faint(format!("  and {} more: syncline doctor --json", told.tables.len() - SHOWN)));
        }
    }
    output::line("");
    let count = |level| told.findings.iter().filter(|finding| finding.level == level).count() as u64;
    let words = [
        (count(Level::Error), "error", "errors"),
        (count(Level::Warning), "warning", "warnings"),
        (count(Level::Unseen), "thing that could not be looked at", "things that could not be looked at"),
    ];
    let words: Vec<String> =
        words.into_iter().filter(|(count, ..)| *count > 0).map(|(count, one, many)| plural(count, one, many)).collect();
    output::line(match words.as_slice() {
        [] => style.good("all in order"),
        _ if count(Level::Error) > 0 => style.bad(words.join(", ")),
        _ => style.warn(words.join(", ")),
    });
}

/// `812 B`, `1.2 MB`.
fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a size is told to the tenth of a unit")]
    let mut size = count as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 1000.0 {
            return if unit == "B" { format!("{count} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1000.0;
    }
    format!("{size:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_a_unit_people_read() {
        let told = [0, 999, 1000, 8192, 1_250_000, 7_000_000_000, 2_000_000_000_000].map(bytes);
        assert_eq!(told, ["0 B", "999 B", "1.0 kB", "8.2 kB", "1.2 MB", "7.0 GB", "2.0 TB"]);
    }
}
