//! `show`: rows of a table, or one of them.

use serde_json::json;
use syncline::{Entity, EntityQuery, Error, ErrorKind};

use super::View;
use crate::{
    args::Show,
    config::Config,
    exit::{Done, Exit, Failure},
    keys::Need,
    output::{self, Style, number, plural},
    session::Session,
};

/// Columns a table of rows shows besides the key.
const COLUMNS: usize = 8;

pub(crate) async fn run(config: &Config, args: &Show, view: View) -> Done {
    let session = Session::open(config, Need::None).await?;
    let query = EntityQuery { key: args.key.as_deref().map(Into::into), limit: args.limit.max(1), ..EntityQuery::default() };
    let rows = session.workspace.entities(args.entity.as_str(), query).await?;
    let total = session.workspace.count(args.entity.as_str()).await?;
    if let (Some(key), true) = (&args.key, rows.is_empty()) {
        return Err(no_row(&args.entity, key));
    }
    if view.json {
        output::json(&json!({ "entity": args.entity, "total": total, "rows": rows }));
        return Ok(Exit::Done);
    }
    let style = Style::stdout();
    if args.key.is_some() {
        for row in &rows {
            for line in in_full(row, style) {
                output::line(line);
            }
        }
        return Ok(Exit::Done);
    }
    for line in as_table(&rows, output::width(), style) {
        output::line(line);
    }
    let shown = rows.len() as u64;
    let more = if shown < total { format!("; the first {} are shown, --limit shows more", number(shown)) } else { String::new() };
    output::line(style.faint(format!("{}{more}", plural(total, "row", "rows"))));
    Ok(Exit::Done)
}

/// The answer for a key nobody knows.
pub(crate) fn no_row(entity: &str, key: &str) -> Failure {
    let error = Error::new(ErrorKind::NotFound, "entities", format!("{entity} has no row with the key {key:?}"));
    Failure::of(&error).hint(format!("`syncline show {entity}` lists rows with their keys"))
}

/// A row field by field.
pub(crate) fn in_full(row: &Entity, style: Style) -> Vec<String> {
    let wide = row.fields.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut lines = vec![style.bold(output::plain(&row.key))];
    lines.extend(row.fields.iter().map(|(name, value)| {
        let gap = " ".repeat(wide - name.chars().count());
        format!("  {}{gap}  {}", style.faint(output::plain(name)), output::cell(value))
    }));
    if let Some(at) = row.last_synced_at {
        lines.push(style.faint(format!("  last written {}", at.format("%F %T UTC"))));
    }
    lines
}

/// Rows below each other: the key, then the first columns any of them has.
fn as_table(rows: &[Entity], width: usize, style: Style) -> Vec<String> {
    let mut columns: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(|row| row.fields.keys()) {
        if columns.len() == COLUMNS {
            break;
        }
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let names: Vec<String> = std::iter::once("key").chain(columns.iter().copied()).map(output::plain).collect();
    let header: Vec<&str> = names.iter().map(String::as_str).collect();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let key = output::plain(&row.key);
            std::iter::once(key).chain(columns.iter().map(|name| row.fields.get(*name).map(output::cell).unwrap_or_default())).collect()
        })
        .collect();
    output::table(&header, &cells, width, style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_different_fields_share_one_table() {
        let row = |key: &str, fields: serde_json::Value| Entity {
            key: key.into(),
            connection: None,
            last_synced_at: None,
            fields: fields.as_object().expect("an object").clone(),
        };
        let rows = [row("a", json!({ "name": "x\u{1b}y" })), row("b", json!({ "name": null, "extra": 7 }))];
        let lines = as_table(&rows, 80, Style::plain());
        assert_eq!(lines, ["key  name  extra", "a    x y", "b    –         7"]);
    }
}
