//! `explain`: where the values of a row came from, in sentences.

use std::collections::BTreeMap;

use serde_json::json;
use syncline::{Absence, Entity, EntityQuery, Error, LineageEntry, Workspace};

use super::{View, show};
use crate::{
    args::Explain,
    config::Config,
    exit::{Done, Exit, Failure},
    keys::Need,
    output::{self, Style},
    session::Session,
};

pub(crate) async fn run(config: &Config, args: &Explain, view: View) -> Done {
    let session = Session::open(config, Need::None).await?;
    let story = Story::of(&session.workspace, &args.entity, &args.key, args.field.as_deref()).await?;
    if story.row.is_none() {
        let absence = session.workspace.explain_absence(args.entity.as_str(), &args.key).await?;
        // A row that nobody ever had, of a table that nobody knows, is a slip of the pen.
        if story.entries.is_empty() && matches!(absence, Absence::NotYetDue { last: None }) {
            return Err(show::no_row(&args.entity, &args.key));
        }
        if story.entries.is_empty() {
            return absent(args, &absence, view);
        }
    }
    if let (Some(field), true) = (&args.field, story.entries.is_empty()) {
        let known: Vec<&str> = story.row.iter().flat_map(|row| row.fields.keys()).map(String::as_str).collect();
        if !known.contains(&field.as_str()) {
            return Err(Failure::usage(
                format!("the row has no field {field:?}; there are: {}", known.join(", ")),
                format!("{} {}", args.entity, args.key),
                "name one of them, or none for all",
            ));
        }
    }
    if view.json {
        output::json(&json!({ "entity": args.entity, "key": args.key, "row": story.row, "history": story.entries }));
        return Ok(Exit::Done);
    }
    for line in story.lines(Style::stdout()) {
        output::line(line);
    }
    Ok(Exit::Done)
}

/// Says why a row that never was is not there.
fn absent(args: &Explain, absence: &Absence, view: View) -> Done {
    if view.json {
        output::json(&json!({ "entity": args.entity, "key": args.key, "row": null, "absent": absence.to_string() }));
    } else {
        let text = output::plain(&absence.to_string());
        output::line(format!("{} has no row {}: {text}", args.entity, Style::stdout().bold(output::plain(&args.key))));
    }
    Ok(Exit::Done)
}

/// A row and what made it so.
#[derive(Debug)]
pub(crate) struct Story {
    row: Option<Entity>,
    entries: Vec<LineageEntry>,
    field: Option<Box<str>>,
}

impl Story {
    /// Reads it from the database.
    pub(crate) async fn of(workspace: &Workspace, entity: &str, key: &str, field: Option<&str>) -> Result<Self, Error> {
        let query = EntityQuery { key: Some(key.into()), limit: 1, ..EntityQuery::default() };
        let row = workspace.entities(entity, query).await?.into_iter().next();
        let entries = workspace.lineage(entity, key, field).await?;
        Ok(Self { row, entries, field: field.map(Into::into) })
    }

    /// Field by field, the oldest change first.
    pub(crate) fn lines(&self, style: Style) -> Vec<String> {
        let mut by_field: BTreeMap<&str, Vec<&LineageEntry>> = BTreeMap::new();
        for entry in &self.entries {
            by_field.entry(&entry.field_name).or_default().push(entry);
        }
        let mut order: Vec<&str> = self.row.iter().flat_map(|row| row.fields.keys()).map(String::as_str).collect();
        order.extend(by_field.keys().filter(|name| self.row.as_ref().is_none_or(|row| !row.fields.contains_key(**name))));
        let mut lines = Vec::new();
        if self.row.is_none() {
            lines.push(style.warn("The row is gone; its history stays."));
        }
        for name in order.into_iter().filter(|name| self.field.as_deref().is_none_or(|field| field == *name)) {
            let now = self.row.as_ref().and_then(|row| row.fields.get(name));
            let entries = by_field.get(name).map_or(&[][..], Vec::as_slice);
            if entries.is_empty() && self.field.is_none() {
                continue;
            }
            let now = now.map_or_else(|| "no longer has a value".to_owned(), |value| format!("is {}", output::quoted(value)));
            lines.push(format!("{} {now}", style.bold(output::plain(name))));
            if entries.is_empty() {
                lines.push(style.faint("  no history: it was pulled without lineage"));
            }
            lines.extend(entries.iter().map(|entry| format!("  {}", sentence(entry))));
        }
        if lines.is_empty() {
            lines.push(style.faint("no history: the row was pulled without lineage"));
        }
        lines
    }
}

/// What happened, to what, out of which place, when, by which run.
fn sentence(entry: &LineageEntry) -> String {
    let change = match (&entry.previous_value, &entry.new_value) {
        (None, Some(new)) => format!("came as {}", output::quoted(new)),
        (Some(old), Some(new)) => format!("changed from {} to {}", output::quoted(old), output::quoted(new)),
        (Some(old), None) => format!("went away; it was {}", output::quoted(old)),
        (None, None) => "was touched".to_owned(),
    };
    let place = entry.source_ref.as_deref().unwrap_or(&entry.source_id);
    let source = match &*entry.source_type {
        "google_sheet" => "the sheet",
        "app" => "the application",
        _ => "the service",
    };
    format!(
        "{change}, out of {source}'s {}, on {} by run {} ({})",
        output::plain(place),
        entry.changed_at.format("%F %T UTC"),
        entry.sync_run_id,
        output::plain(&entry.changed_by),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use syncline::{Clock as _, RunId, SystemClock};

    use super::*;

    fn entry(field: &str, old: Option<Value>, new: Option<Value>, run: i64) -> LineageEntry {
        LineageEntry {
            seq: run,
            entity_type: "sheets_airports".into(),
            entity_id: "00M".into(),
            field_name: field.into(),
            source_type: "google_sheet".into(),
            source_id: "1AbC/Airports".into(),
            source_ref: Some("Airports → Column B".into()),
            previous_value: old,
            new_value: new,
            sync_run_id: RunId(run),
            changed_by: "manual".into(),
            changed_at: SystemClock.now(),
        }
    }

    #[test]
    fn each_change_says_from_what_to_what_out_of_where_by_which_run() {
        let row = Entity {
            key: "00M".into(),
            connection: None,
            last_synced_at: None,
            fields: json!({ "name": "New" }).as_object().expect("an object").clone(),
        };
        let entries = vec![
            entry("name", None, Some(json!("Old")), 1),
            entry("name", Some(json!("Old")), Some(json!("New")), 2),
            entry("fax", Some(json!(7)), None, 3),
        ];
        let lines = Story { row: Some(row), entries, field: None }.lines(Style::plain());
        assert_eq!(lines[0], "name is \"New\"");
        assert!(
            lines[1].starts_with("  came as \"Old\", out of the sheet's Airports → Column B, on ")
                && lines[1].ends_with("by run 1 (manual)")
        );
        assert!(lines[2].starts_with("  changed from \"Old\" to \"New\", out of"), "{lines:#?}");
        assert_eq!(lines[3], "fax no longer has a value");
        assert!(lines[4].starts_with("  went away; it was 7"), "{lines:#?}");
    }
}
