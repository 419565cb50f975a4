//! `conflicts` and `resolve`: values that lost to a source of higher priority, and what somebody decides about them.

use std::collections::HashMap;

use serde_json::{Value, json};
use syncline::{
    Conflict, ConflictFilter, ConflictId, ResolveConflict, SyncResult, Workspace,
    core::{json_value, mapping::ConflictState},
};

use super::View;
use crate::{
    args,
    config::Config,
    exit::{self, Done, Exit, Failure},
    keys::Need,
    output::{self, Style, plural},
    session::Session,
};

pub(crate) async fn list(config: &Config, args: &args::Conflicts, view: View) -> Done {
    let session = Session::open(config, Need::None).await?;
    let state = match args.state {
        args::ConflictState::Open => Some(ConflictState::Open),
        args::ConflictState::Accepted => Some(ConflictState::Accepted),
        args::ConflictState::Taken => Some(ConflictState::Taken),
        args::ConflictState::Settled => Some(ConflictState::Settled),
        args::ConflictState::All => None,
    };
    let filter = ConflictFilter {
        entity_type: args.entity.as_deref().map(Into::into),
        key: args.key.as_deref().map(Into::into),
        field: args.field.as_deref().map(Into::into),
        state,
        after: args.after.map(ConflictId),
        limit: args.limit.saturating_add(1),
        ..ConflictFilter::default()
    };
    let mut found = session.workspace.conflicts(filter).await?;
    let more = found.len() > args.limit as usize;
    found.truncate(args.limit as usize);
    if view.json {
        output::json(&json!({ "conflicts": found, "more": more }));
        return Ok(Exit::Done);
    }
    let names = names(&session.workspace).await?;
    let style = Style::stdout();
    if found.is_empty() {
        output::line("no conflicts: wherever sources of different priority meet, they agree, or somebody has decided");
    }
    for conflict in &found {
        for line in lines(conflict, &names, style) {
            output::line(line);
        }
    }
    if let (true, Some(last)) = (more, found.last()) {
        output::line(style.faint(format!("… and more: syncline conflicts --after {}", last.id)));
    }
    Ok(Exit::Done)
}

pub(crate) async fn resolve(config: &Config, args: &args::Resolve, view: View) -> Done {
    let session = Session::open(config, Need::None).await?;
    let id = ConflictId(args.conflict);
    let decision = match args.decision {
        args::Decision::Accept => ResolveConflict::accept(id),
        args::Decision::Take => ResolveConflict::take(id),
    };
    let decision = decision.by(super::plans::by(config));
    let decision = if args.all { decision.all_alike() } else { decision };
    let done = session.workspace.resolve_conflict(decision).await.map_err(|error| Failure::of(&error))?;
    let exit = done.run.as_ref().map_or(Exit::Done, |run| Exit::of_run(run.outcome, &run.errors));
    if view.json {
        output::json(&json!({ "resolved": done.conflicts, "run": done.run.as_ref().map(SyncResult::to_json) }));
        return Ok(exit);
    }
    let what = plural(done.conflicts, "conflict", "conflicts");
    match done.run {
        None => output::line(format!("{what} accepted: the winning value stands until the losing source says something else")),
        Some(result) => {
            let run = result.run.map(|run| run.to_string()).unwrap_or_default();
            output::line(format!("{what} taken by run {run}; to take it back: syncline undo {run}"));
            for failure in &result.failures {
                output::line(format!("  {}", super::failure(failure, Style::stdout())));
            }
            for error in &result.errors {
                exit::print_error(&error.message, &format!("conflict {id}"), &error.hint);
            }
        }
    }
    Ok(exit)
}

/// What people call connections: provider and account.
async fn names(workspace: &Workspace) -> Done<HashMap<String, String>> {
    let named = |connection: syncline::core::store::Connection| {
        let account = connection.account_name.as_deref().unwrap_or(&connection.account_id);
        (connection.id.to_string(), format!("{} {}", connection.provider, output::plain(account)))
    };
    Ok(workspace.connections().await?.into_iter().map(named).collect())
}

fn source(names: &HashMap<String, String>, connection: &str, mapping: &str) -> String {
    let name = names.get(connection).cloned().unwrap_or_else(|| output::plain(connection));
    if mapping.is_empty() { name } else { format!("{name}, mapping {}", output::plain(mapping)) }
}

/// A conflict as a person reads it.
fn lines(conflict: &Conflict, names: &HashMap<String, String>, style: Style) -> Vec<String> {
    let told = |json: &str| match json_value(json) {
        Value::Null => "nothing".to_owned(),
        value => output::quoted(&value),
    };
    let winner = conflict.winner.as_ref();
    let winner = winner.map_or_else(|| "nobody known".to_owned(), |winner| source(names, winner.connection.as_str(), &winner.mapping));
    let loser = source(names, conflict.loser.connection.as_str(), &conflict.loser.mapping);
    let mut lines = vec![
        format!(
            "{} {}  {} {}  {}",
            style.bold(format!("{}", conflict.id)),
            state(conflict.state, style),
            conflict.entity_type,
            style.bold(output::plain(&conflict.entity)),
            style.bold(output::plain(&conflict.field)),
        ),
        format!("  wins   {}  {}", told(conflict.winning.get()), style.faint(format!("{winner}, priority {}", conflict.winner_priority))),
        format!("  loses  {}  {}", told(conflict.value.get()), style.faint(format!("{loser}, priority {}", conflict.priority))),
    ];
    let decided =
        conflict.resolved_by.as_deref().map(|by| format!(", decided by {}", output::plain(super::history::person(by)))).unwrap_or_default();
    lines.push(style.faint(format!("  since {}, last changed by run {}{decided}", conflict.since.format("%F %T UTC"), conflict.run)));
    if matches!(conflict.state, ConflictState::Open) {
        let id = conflict.id;
        lines.push(format!("  {} syncline resolve {id} accept|take (with --all: every one alike)", style.faint("to do:")));
    }
    lines
}

fn state(state: ConflictState, style: Style) -> String {
    match state {
        ConflictState::Open => style.bad("open"),
        ConflictState::Accepted => style.faint("accepted"),
        ConflictState::Taken => style.warn("taken"),
        ConflictState::Settled => style.good("settled"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_says_who_wins_who_loses_with_what_since_when_and_what_to_do() {
        let conflict: Conflict = serde_json::from_value(json!({
            "id": 7, "entity_type": "people", "entity": "a@x", "field": "name", "priority": 1, "value": "Lo\u{1b}w", "winner_priority": 9,
            "loser": {"connection": "c", "stream": "s", "mapping": "guests"}, "winner": {"connection": "d", "mapping": "people"},
            "winning": null, "rule": "lower_priority", "state": "open", "run": 4, "since": "2026-03-02T12:00:00Z",
            "at": "2026-03-02T12:00:00Z", "resolved_by": null, "resolved_at": null,
        }))
        .expect("a conflict");
        let names = HashMap::from([("c".to_owned(), "sheets Staff".to_owned())]);
        let expected = [
            "7 open  people a@x  name",
            "  wins   nothing  d, mapping people, priority 9",
            "  loses  \"Lo w\"  sheets Staff, mapping guests, priority 1",
            "  since 2026-03-02 12:00:00 UTC, last changed by run 4",
            "  to do: syncline resolve 7 accept|take (with --all: every one alike)",
        ];
        assert_eq!(lines(&conflict, &names, Style::plain()), expected);
    }
}
