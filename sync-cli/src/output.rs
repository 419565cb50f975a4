//! What is printed: colour where it helps, tables that fit, numbers people can read.

use std::{fmt::Display, io::Write as _, time::Duration};

use console::{Term, measure_text_width, truncate_str};
use serde_json::Value;
use syncline::{Counts, core::sensitive::is_hidden};

/// Columns of a terminal that does not say how wide it is, and of everything that is none.
const WIDTH: usize = 100;

/// Colours, or none: not on a terminal, or `NO_COLOR` is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style(bool);

impl Style {
    pub(crate) fn stdout() -> Self {
        Self(console::colors_enabled() && Term::stdout().is_term())
    }

    pub(crate) fn stderr() -> Self {
        Self(console::colors_enabled_stderr() && Term::stderr().is_term())
    }

    /// No colours.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self(false)
    }

    fn paint(self, text: impl Display, code: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }

    pub(crate) fn bold(self, text: impl Display) -> String {
        self.paint(text, "1")
    }

    pub(crate) fn faint(self, text: impl Display) -> String {
        self.paint(text, "2")
    }

    pub(crate) fn good(self, text: impl Display) -> String {
        self.paint(text, "32")
    }

    pub(crate) fn warn(self, text: impl Display) -> String {
        self.paint(text, "33")
    }

    pub(crate) fn bad(self, text: impl Display) -> String {
        self.paint(text, "31")
    }
}

/// A line on stdout, on a terminal broken between words. A reader that went away (`| head`) is no error of ours.
pub(crate) fn line(text: impl Display) {
    let text = text.to_string();
    verbatim(if Term::stdout().is_term() { wrap(&text, width()) } else { text });
}

/// A line on stdout as it is, so that it can be copied: commands, JSON.
pub(crate) fn verbatim(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Breaks a line between words; what follows stands two columns further in than its beginning.
pub(crate) fn wrap(text: &str, width: usize) -> String {
    let rest = text.trim_start_matches(' ');
    let lead = text.len() - rest.len();
    let indent = lead + 2;
    if measure_text_width(text) <= width || indent * 2 > width {
        return text.to_owned();
    }
    let mut out = " ".repeat(lead);
    let (mut at, mut first) = (lead, true);
    for word in rest.split(' ') {
        let wide = measure_text_width(word);
        if !first && at + 1 + wide > width {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            (at, first) = (indent, true);
        }
        if !first {
            out.push(' ');
            at += 1;
        }
        out.push_str(word);
        (at, first) = (at + wide, false);
    }
    out
}

/// The one JSON document of `--json`.
pub(crate) fn json(value: &Value) {
    verbatim(serde_json::to_string_pretty(value).expect("a JSON value is always JSON"));
}

/// Text from outside without what a terminal would obey: control characters become spaces.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A JSON value on one line: texts without quotes, nothing as `–`.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::String(text) => plain(text),
        other => hidden(other).unwrap_or_else(|| other.to_string()),
    }
}

/// A JSON value as it is quoted inside a sentence.
pub(crate) fn quoted(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::String(text) => format!("\"{}\"", plain(text)),
        other => match hidden(other) {
            Some(told) => told,
            None => other.to_string(),
        },
    }
}

/// How a value is told that is hidden: by the beginning of its hash, where there is one.
fn hidden(value: &Value) -> Option<String> {
    let text = value.to_string();
    if !is_hidden(&text) {
        return None;
    }
    let hash = value["hidden"].as_str().and_then(|hash| hash.get(..20));
    Some(hash.map_or_else(|| "(hidden)".to_owned(), |hash| format!("(hidden {hash}…)")))
}

/// `12,345`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 row`, `2 rows`.
pub(crate) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// `812 ms`, `1.2 s`, `2 min 5 s`.
pub(crate) fn duration(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{} ms", span.as_millis()),
        1..60 => format!("{:.1} s", span.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// How long ago something was.
pub(crate) fn ago(span: Duration) -> String {
    let seconds = span.as_secs();
    let (count, one) = match seconds {
        0..60 => return "just now".into(),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{} ago", plural(count, one, &format!("{one}s")))
}

/// What became of the records, aligned so that lines below each other can be compared; zeros are faint.
pub(crate) fn counts(counts: &Counts, style: Style) -> String {
    let mut shown = vec![
        ("read", counts.read),
        ("created", counts.created),
        ("updated", counts.updated),
        ("unchanged", counts.unchanged),
        ("skipped", counts.skipped),
        ("failed", counts.failed),
        ("deleted", counts.deleted + counts.swept),
    ];
    // Only a push can have some, and whoever has must see them.
    if counts.unsettled > 0 {
        shown.push(("unsettled", counts.unsettled));
    }
    let parts = shown.into_iter().map(|(name, count)| {
        let text = format!("{name} {:>5}", number(count));
        match (name, count) {
            (_, 0) => style.faint(text),
            ("failed", _) => style.bad(text),
            ("skipped" | "unsettled", _) => style.warn(text),
            _ => text,
        }
    });
    parts.collect::<Vec<_>>().join("  ")
}

/// How wide stdout is.
pub(crate) fn width() -> usize {
    Term::stdout().size_checked().map_or(WIDTH, |(_, columns)| usize::from(columns).max(40))
}

/// Rows under a header, every column as wide as it has to be, the widest cut until all fit into `width`. The first column is what
/// rows are asked for by, so it is never cut. Columns of numbers stand to the right.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>], width: usize, style: Style) -> Vec<String> {
    let mut widths: Vec<usize> = header.iter().map(|name| measure_text_width(name)).collect();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            widths[column] = widths[column].max(measure_text_width(cell));
        }
    }
    fit(&mut widths, width);
    let numeric: Vec<bool> =
        (0..header.len()).map(|column| rows.iter().all(|row| row.get(column).is_none_or(|cell| is_number(cell)))).collect();
    let draw = |cells: &mut dyn Iterator<Item = &str>| -> String {
        let parts: Vec<String> = cells
            .zip(&widths)
            .zip(&numeric)
            .map(|((cell, width), numeric)| {
                let cell = truncate_str(cell, *width, "…");
                let gap = " ".repeat(width.saturating_sub(measure_text_width(&cell)));
                if *numeric { format!("{gap}{cell}") } else { format!("{cell}{gap}") }
            })
            .collect();
        parts.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![style.faint(draw(&mut header.iter().copied()))];
    lines.extend(rows.iter().map(|row| draw(&mut row.iter().map(String::as_str))));
    lines
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    cell == "–"
        || digits.is_empty()
        || digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(|c| matches!(c, '0'..='9' | ',' | '.'))
}

/// Takes from the widest columns until the sum fits, never from the first one.
fn fit(widths: &mut [usize], total: usize) {
    const LEAST: usize = 6;
    let gaps = widths.len().saturating_sub(1) * 2;
    while widths.iter().sum::<usize>() + gaps > total {
        let Some((_, others)) = widths.split_first_mut() else { return };
        let Some(widest) = others.iter_mut().max().filter(|width| **width > LEAST) else { return };
        *widest -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(n), text);
        }
    }

    #[test]
    fn tables_fit_the_width_and_say_where_they_cut() {
        let rows = vec![vec!["k1".into(), "x".repeat(200), "é".into()], vec!["k2".into(), "short".into(), "日本".into()]];
        let lines = table(&["key", "text", "n"], &rows, 40, Style(false));
        assert!(lines.iter().all(|line| measure_text_width(line) <= 40), "{lines:#?}");
        assert!(lines[1].contains('…') && lines[2].contains("short") && lines[2].ends_with("日本"), "{lines:#?}");
        let keys = vec![vec!["a-key-of-some-length".into(), "text of some length".into()]];
        assert!(table(&["key", "text"], &keys, 30, Style(false))[1].starts_with("a-key-of-some-length  text of"), "keys are cut last");
        assert!(table(&["key", "text"], &keys, 12, Style(false))[1].starts_with("a-key-of-some-length "), "and never");
        let numbers = vec![vec!["1,234".into(), "a".into()], vec!["–".into(), "b".into()]];
        assert_eq!(table(&["n", "x"], &numbers, 30, Style(false)), ["    n  x", "1,234  a", "    –  b"]);
    }

    #[test]
    fn long_lines_break_between_words_and_keep_their_colours() {
        let text = "  \u{1b}[1mone\u{1b}[0m two three four";
        assert_eq!(wrap(text, 40), text);
        assert_eq!(wrap(text, 11), "  \u{1b}[1mone\u{1b}[0m two\n    three\n    four");
        assert_eq!(wrap("    a verylongwordthatfitsnowhere b", 20), "    a\n      verylongwordthatfitsnowhere\n      b");
    }

    #[test]
    fn what_a_terminal_would_obey_is_taken_out() {
        assert_eq!(plain("a\u{1b}[31mb\r\nc\u{9b}d"), "a [31mb  c d");
        assert_eq!(cell(&Value::from("x\ny")), "x y");
    }

    #[test]
    fn spans_are_told_in_words() {
        let told: Vec<String> = [5, 60, 7200, 86_400].map(|seconds| ago(Duration::from_secs(seconds))).into();
        assert_eq!(told, ["just now", "1 minute ago", "2 hours ago", "1 day ago"]);
        assert_eq!(duration(Duration::from_millis(812)), "812 ms");
        assert_eq!(duration(Duration::from_millis(1250)), "1.2 s");
        assert_eq!(duration(Duration::from_secs(125)), "2 min 5 s");
    }
}
