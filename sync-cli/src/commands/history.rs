//! `history`: what changed a row, the newest first, and the row as it was.

use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde_json::json;
use syncline::{ErrorKind, History, LineageEntry, mapping::Rule};

use super::View;
use crate::{
    args,
    config::Config,
    exit::{Done, Exit, Failure},
    keys::Need,
    output::{self, Style},
    session::Session,
};

pub(crate) async fn run(config: &Config, args: &args::History, view: View) -> Done {
    let session = Session::open(config, Need::None).await?;
    let entity = args.entity.as_str();
    let found = session.workspace.history(entity, &args.key, args.field.as_deref(), args.as_of).await;
    let history = found.map_err(|error| {
        let failure = Failure::of(&error);
        match error.kind() {
            ErrorKind::NotFound => failure.hint(format!("`syncline show {entity}` lists rows with their keys and fields")),
            _ => failure,
        }
    })?;
    if view.json {
        output::json(&json!(history));
        return Ok(Exit::Done);
    }
    for line in lines(&history, Style::stdout()) {
        output::line(line);
    }
    Ok(Exit::Done)
}

/// A time as people write it; it counts to its end.
pub(crate) fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    let end = |start: NaiveDateTime, span: Duration| (start + span - Duration::nanoseconds(1)).and_utc();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        let whole = at.timestamp_subsec_nanos() == 0;
        return Ok(if whole { end(at.naive_utc(), Duration::seconds(1)) } else { at.to_utc() });
    }
    let bare = text.trim_end_matches("UTC").trim_end_matches('Z').trim_end();
    for (format, span) in [
        ("%Y-%m-%d %H:%M:%S", Duration::seconds(1)),
        ("%Y-%m-%dT%H:%M:%S", Duration::seconds(1)),
        ("%Y-%m-%d %H:%M", Duration::minutes(1)),
        ("%Y-%m-%dT%H:%M", Duration::minutes(1)),
    ] {
        if let Ok(at) = NaiveDateTime::parse_from_str(bare, format) {
            return Ok(end(at, span));
        }
    }
    match NaiveDate::parse_from_str(bare, "%Y-%m-%d") {
        Ok(day) => Ok(end(day.and_time(NaiveTime::MIN), Duration::days(1))),
        Err(_) => Err("write it as 2026-03-02, \"2026-03-02 14:30\" or 2026-03-02T14:30:00+01:00".into()),
    }
}

/// The row as it was, if a time was named, and the changes, run by run.
pub(crate) fn lines(history: &History, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(at) = history.as_of {
        let when = at.format("%F %T UTC");
        match &history.row {
            Some(row) => {
                lines.push(style.bold(output::plain(&format!("{} {} as of {when}", history.entity, history.key))));
                if row.is_empty() {
                    lines.push(style.faint("  no value, as far as it was written down"));
                }
                let wide = row.keys().map(|name| name.chars().count()).max().unwrap_or(0);
                lines.extend(row.iter().map(|(name, value)| {
                    let gap = " ".repeat(wide.saturating_sub(name.chars().count()));
                    format!("  {}{gap}  {}", style.faint(output::plain(name)), output::cell(value))
                }));
            }
            None if !history.known => {
                let text = "no change was written down up to then, and none after it tells";
                lines.push(style.warn(output::plain(&format!("{} {} at {when}: not known; {text}", history.entity, history.key))));
            }
            None => lines.push(style.warn(output::plain(&format!("{} {} was not there at {when}", history.entity, history.key)))),
        }
        lines.push(String::new());
    }
    let same = |one: &&LineageEntry, next: &&LineageEntry| {
        (one.sync_run_id, one.changed_at, went(one)) == (next.sync_run_id, next.changed_at, went(next))
    };
    let newest_first: Vec<&LineageEntry> = history.changes.iter().rev().collect();
    for group in newest_first.chunk_by(same) {
        let Some(first) = group.first() else { continue };
        let when = first.changed_at.format("%F %T UTC");
        lines.push(format!("{}  run {}  {}", style.bold(when.to_string()), first.sync_run_id, style.faint(output::plain(&who(first)))));
        // Those of one moment in the order of their names.
        let mut group = group.to_vec();
        group.sort_by(|one, next| one.field_name.cmp(&next.field_name));
        lines.extend(group.into_iter().map(|entry| format!("  {}", change(entry, style))));
    }
    if newest_first.is_empty() {
        lines.push(style.faint("no change was written down: it was pulled without lineage, or what was kept is too old and gone"));
    }
    lines
}

fn went(entry: &LineageEntry) -> bool {
    entry.new_value.is_none()
}

/// Who asked for something, as it was written down.
pub(super) fn person(by: &str) -> &str {
    match by {
        "" | "manual" | "app" => "somebody who gave no name",
        by => by,
    }
}

/// Who did it, and how.
fn who(entry: &LineageEntry) -> String {
    let by = person(&entry.changed_by);
    match entry.rule {
        Some(Rule::ByHand) => format!("changed by hand by {by}"),
        Some(Rule::Recorded) => format!("changed in the application by {by}"),
        Some(Rule::Undo) => format!("{}, by {by}", entry.source_id),
        Some(Rule::Taken) => format!("{by} took a value that had lost ({})", entry.source_id),
        Some(Rule::Forced) => format!("pulled from {}, overwriting by force, started by {by}", entry.source_id),
        _ => format!("pulled from {}, started by {by}", entry.source_id),
    }
}

/// From what to what, out of which place.
fn change(entry: &LineageEntry, style: Style) -> String {
    let name = style.bold(output::plain(&entry.field_name));
    let changed = match (&entry.previous_value, &entry.new_value) {
        (None, Some(new)) => format!("{}  (new row)", output::quoted(new)),
        (Some(old), Some(new)) => format!("{} → {}", output::quoted(old), output::quoted(new)),
        (Some(old), None) => format!("{} → the row went", output::quoted(old)),
        (None, None) => "touched".to_owned(),
    };
    let place = entry.source_ref.as_deref().filter(|_| !went(entry));
    let place = place.map(|place| format!("  {}", style.faint(output::plain(place)))).unwrap_or_default();
    format!("{name}  {changed}{place}")
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn a_time_counts_to_its_end_and_is_utc_unless_it_says_otherwise() {
        for (text, expected) in [
            ("2026-03-02", "2026-03-02 23:59:59.999999999 UTC"),
            ("2026-03-02 14:30", "2026-03-02 14:30:59.999999999 UTC"),
            ("2026-03-02T14:30", "2026-03-02 14:30:59.999999999 UTC"),
            ("2026-03-02 14:30:05 UTC", "2026-03-02 14:30:05.999999999 UTC"),
            ("2026-03-02T14:30:05Z", "2026-03-02 14:30:05.999999999 UTC"),
            ("2026-03-02T14:30:05.25Z", "2026-03-02 14:30:05.250 UTC"),
            ("2026-03-02T14:30:05+01:00", "2026-03-02 13:30:05.999999999 UTC"),
        ] {
            assert_eq!(time(text).map(|at| at.to_string()).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "yesterday", "2026-02-30", "2026-03-02 25:00"] {
            assert!(time(text).is_err_and(|problem| problem.contains("2026-03-02")), "{text}");
        }
    }
}
