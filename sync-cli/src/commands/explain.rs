//! `explain`: who set the values of a row and why, in sentences.

use serde_json::{Value, json};
use syncline::{
    Explanation,
    core::ConnectionId,
    explain::{Line, Standing},
};

use super::View;
use crate::{
    args::Explain,
    config::Config,
    exit::{Done, Exit, Failure},
    keys::Need,
    output::{self, Style},
    session::Session,
};

/// As wide as the longest word a line begins with.
const ABOUT: usize = 7;

pub(crate) async fn run(config: &Config, args: &Explain, view: View) -> Done {
    let session = Session::open(config, Need::None).await?;
    let connection = match &args.connection {
        Some(named) => Some(session.connection(named).await?.id().clone()),
        None => None,
    };
    let all = explanations(&session, args, connection).await?;
    // A row that is not there, and of which nothing is known but why.
    let told = |one: &Explanation| !matches!(one.standing, Standing::NoRow { .. }) || one.set_by.is_some();
    if !all.iter().any(told) {
        return absent(&session, args, view).await;
    }
    if view.json {
        let all: Vec<Value> = all.iter().map(|one| json!({ "explanation": one, "text": one.to_string() })).collect();
        output::json(&json!({ "entity": args.entity, "key": args.key, "fields": all }));
        return Ok(Exit::Done);
    }
    let style = Style::stdout();
    for line in match args.field {
        Some(_) => all.iter().flat_map(|one| in_full(one, style)).collect(),
        None => briefly(&all, style),
    } {
        output::line(line);
    }
    Ok(Exit::Done)
}

async fn explanations(session: &Session, args: &Explain, connection: Option<ConnectionId>) -> Done<Vec<Explanation>> {
    let (entity, key) = (args.entity.as_str(), args.key.as_str());
    let found = match &args.field {
        Some(field) => session.workspace.explain_of(connection, entity, key, field).await.map(|one| vec![one]),
        None => session.workspace.explain_row(connection, entity, key).await,
    };
    found.map_err(|error| {
        let hint = match error.kind() {
            syncline::ErrorKind::Config if args.connection.is_some() => "leave --connection out".to_owned(),
            syncline::ErrorKind::Config => "say --connection CONNECTION".to_owned(),
            _ if args.field.is_some() && !key.is_empty() => {
                let row = output::plain(&format!("{} {}", word(entity), word(key)));
                format!("`syncline explain {row}` names every field; `syncline show TABLE` lists rows")
            }
            _ => "`syncline runs` lists the tables that runs fill".to_owned(),
        };
        Failure::of(&error).hint(hint)
    })
}

/// Says why a row is not there.
async fn absent(session: &Session, args: &Explain, view: View) -> Done {
    let absence = session.workspace.explain_absence(args.entity.as_str(), &args.key).await?;
    if view.json {
        output::json(&json!({ "entity": args.entity, "key": args.key, "row": null, "absent": absence.to_string(), "absence": absence }));
    } else {
        let text = output::plain(&absence.to_string());
        output::line(format!("{} has no row {}: {text}", args.entity, Style::stdout().bold(output::plain(&args.key))));
    }
    Ok(Exit::Done)
}

/// Everything about one field.
pub(crate) fn in_full(one: &Explanation, style: Style) -> Vec<String> {
    let line = |Line { about, text, .. }: Line| {
        let gap = " ".repeat(ABOUT.saturating_sub(about.len()));
        format!("  {}{gap}  {}", style.faint(about), output::plain(&text))
    };
    std::iter::once(style.bold(output::plain(&one.headline()))).chain(one.lines().into_iter().map(line)).collect()
}

/// Each field in a sentence.
fn briefly(all: &[Explanation], style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(Explanation { standing: Standing::NoRow { absence }, .. }) = all.first() {
        lines.push(style.warn(output::plain(&format!("The row is not there: {absence}"))));
    }
    for one in all.iter().filter(|one| one.value.is_some() || one.set_by.is_some()) {
        let now = match &one.value {
            Some(value) => format!("is {}", output::quoted(value)),
            None => "has no value".to_owned(),
        };
        lines.push(format!("{} {now}", style.bold(output::plain(&one.field))));
        lines.push(format!("  {}", output::plain(&one.brief())));
    }
    let empty: Vec<String> =
        all.iter().filter(|one| one.value.is_none() && one.set_by.is_none()).map(|one| output::plain(&one.field)).collect();
    if !empty.is_empty() {
        lines.push(style.faint(format!("without a value so far: {}", empty.join(", "))));
    }
    if let Some(one) = all.first() {
        let row = output::plain(&format!("{} {}", one.entity, word(&one.key)));
        lines.push(style.faint(format!("more: syncline explain {row} FIELD; every change: syncline history {row}")));
    }
    lines
}

/// A key as a shell takes it.
fn word(key: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-/@:+".contains(c);
    if !key.is_empty() && key.chars().all(plain) { key.to_owned() } else { format!("'{}'", key.replace('\'', r"'\''")) }
}
