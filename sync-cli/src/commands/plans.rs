//! `plan`, `plans`, `apply` and `undo`: what a pull or a push would change, shown before it is written.

use serde_json::json;
use syncline::{
    Apply, Counts, Direction, ItemKind, ItemState, Plan, PlanItem, PlanState, PlannedChange, RunId,
    core::{sensitive::is_hidden, store::without_stranger},
    mapping::Rule,
};

use super::{View, ended};
use crate::{
    args,
    config::Config,
    exit::{self, Done, Exit, Failure},
    keys::Need,
    output::{self, Style, number, plural},
    progress::{self, Show, Watched},
    session::Session,
};

/// The rules that need no telling: a source's word counts, and what is gone goes.
const PLAIN_RULES: [Rule; 2] = [Rule::SourceOfTruth, Rule::Deleted];
/// Warnings and failures shown.
const FAILURES: usize = 10;

pub(crate) async fn plan(config: &Config, args: &args::Plan, view: View) -> Done {
    let pull = super::pull::request(&args.pull)?;
    let session = Session::open(config, Need::Open).await?;
    let pull = super::pull::forced(pull, &args.pull, config, &session);
    let connection = session.connection(&args.pull.connection).await?;
    let title = format!("{}/{}", connection.integration_name(), output::plain(&args.pull.stream));
    let show = Show::for_terminal(view.quiet);
    let planned = progress::watch(&session.engine, connection.plan(pull), &title, show).await;
    told(&session, planned, args.show, view).await
}

/// Shows a plan that was just made, or why there is none.
pub(crate) async fn told(session: &Session, planned: Watched<Plan>, limit: u32, view: View) -> Done {
    match planned {
        Watched::Ended(ended) => tell(session, &(*ended).map_err(|error| Failure::of(&error))?, limit, view).await,
        Watched::Stopped(run) => ended::stopped(&session.workspace, run, view).await,
    }
}

pub(crate) async fn plans(config: &Config, args: &args::Plans, view: View) -> Done {
    let session = Session::open(config, Need::None).await?;
    let Some(run) = args.plan.map(RunId) else { return list(&session, args.show, view).await };
    let plan = match (args.approve, args.discard) {
        (true, _) => session.workspace.approve_plan(run, by(config)).await?,
        (_, true) => session.workspace.discard_plan(run, by(config)).await?,
        _ => session.workspace.plan(run).await?,
    };
    tell(&session, &plan, args.show, view).await
}

pub(crate) async fn apply(config: &Config, args: &args::Apply, view: View) -> Done {
    let session = Session::open(config, Need::None).await?;
    let plan = session.workspace.plan(RunId(args.plan)).await?;
    let connection = session.workspace.connection(plan.plan.feed.connection.clone()).await?;
    let mut apply = Apply::plan(plan.plan.run);
    if !args.only.is_empty() {
        apply = apply.only(args.only.iter().map(String::as_str));
    }
    let title = format!("plan {}", plan.plan.run);
    let show = Show::for_terminal(view.quiet);
    let watched = progress::watch(&session.engine, connection.apply(apply), &title, show).await;
    ended::tell(&session.workspace, watched, &title, view).await
}

pub(crate) async fn undo(config: &Config, args: &args::Undo, view: View) -> Done {
    let session = Session::open(config, Need::None).await?;
    let run = session.workspace.run(RunId(args.run)).await?;
    let connection = session.workspace.connection(run.feed.connection.clone()).await?;
    if !args.now {
        let plan = connection.plan_undo(run.id, by(config)).await?;
        return tell(&session, &plan, args.show, view).await;
    }
    let title = format!("undo of run {}", run.id);
    let undone = connection.undo(run.id, by(config));
    let watched = progress::watch(&session.engine, undone, &title, Show::for_terminal(view.quiet)).await;
    ended::tell(&session.workspace, watched, &title, view).await
}

/// Who asks for something, for the record.
pub(super) fn by(config: &Config) -> &str {
    config.acting.as_deref().unwrap_or("manual")
}

async fn list(session: &Session, limit: u32, view: View) -> Done {
    let plans = session.workspace.plans(None, limit).await?;
    if view.json {
        output::json(&json!({ "plans": plans }));
        return Ok(Exit::Done);
    }
    if plans.is_empty() {
        output::line("no plans yet; make one: syncline plan --help");
        return Ok(Exit::Done);
    }
    let row = |plan: &Plan| {
        vec![
            plan.plan.run.to_string(),
            plan.state.as_str().to_owned(),
            if outward(plan) { "push" } else { "pull" }.to_owned(),
            output::plain(plan.plan.feed.stream.as_str()),
            plan.plan.entity.to_string(),
            number(plan.items),
            plan.plan.made_at.format("%F %T").to_string(),
            output::plain(&plan.plan.made_by),
            plan.changed_by.as_deref().map(output::plain).unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = plans.iter().map(row).collect();
    let header = ["plan", "state", "of a", "stream", "table", "rows", "made (UTC)", "by", "last changed by"];
    for line in output::table(&header, &rows, output::width().max(100), Style::stdout()) {
        output::line(line);
    }
    Ok(Exit::Done)
}

/// Shows a plan with its first rows.
async fn tell(session: &Session, plan: &Plan, limit: u32, view: View) -> Done {
    let items = session.workspace.plan_items(plan.plan.run, 0, limit).await?;
    let exit = if plan.plan.errors.is_empty() && plan.plan.counts.failed == 0 { Exit::Done } else { Exit::Partial };
    if view.json {
        let changes: Vec<_> = items.iter().map(|item| item.to_json(&plan.plan.entity, &plan.plan.key)).collect();
        output::json(&json!({ "plan": plan, "changes": changes }));
        return Ok(exit);
    }
    let style = Style::stdout();
    for line in lines(plan, &items, style) {
        output::line(line);
    }
    for failure in plan.plan.failures.iter().take(FAILURES) {
        output::line(format!("  {}", super::failure(failure, style)));
    }
    if plan.plan.failures.len() > FAILURES {
        output::line(
            style.faint(format!("  … and more that could not be taken, or were left out: syncline plans {} --json", plan.plan.run)),
        );
    }
    for error in &plan.plan.errors {
        exit::print_error(&error.message, &format!("plan {}", plan.plan.run), &error.hint);
    }
    output::line(next(plan, style));
    Ok(exit)
}

/// What to do with it.
fn next(plan: &Plan, style: Style) -> String {
    let run = plan.plan.run;
    match plan.state {
        _ if plan.items == 0 => style.faint("nothing would change"),
        PlanState::Open | PlanState::Approved => {
            style.faint(format!("nothing was written. To write it: syncline apply {run}; a part of it: syncline apply {run} --only KEY"))
        }
        PlanState::Partial => style.faint(format!("applied in part; the rest: syncline apply {run}")),
        PlanState::Applied => style.faint("applied"),
        PlanState::Discarded => style.faint("discarded; it will not be applied"),
    }
}

/// The plan as a diff.
fn lines(plan: &Plan, items: &[PlanItem], style: Style) -> Vec<String> {
    let Counts { created, updated, deleted, swept, unchanged, skipped, failed, unsettled, .. } = plan.plan.counts;
    let (stream, entity) = (output::plain(plan.plan.feed.stream.as_str()), plan.plan.entity.to_string());
    let (from, to) = if outward(plan) { (entity, stream) } else { (stream, entity) };
    let mut lines = vec![format!(
        "{}  {from} → {to}  {}, {}, {}",
        style.bold(format!("plan {}", plan.plan.run)),
        style.good(format!("{} to make", number(created))),
        style.warn(format!("{} to change", number(updated))),
        style.bad(format!("{} to delete", number(deleted + swept))),
    )];
    let rest = format!("{} as they are, {} skipped, {} failed", number(unchanged), number(skipped), number(failed));
    let open = if unsettled > 0 { format!(", {} of earlier pushes not settled", number(unsettled)) } else { String::new() };
    lines.push(style.faint(format!("  {rest}{open}")));
    for item in items {
        lines.extend(row(item, style));
    }
    let left = plan.items - items.len() as u64;
    if left > 0 {
        lines.push(style.faint(format!(
            "  … {} more: syncline plans {} --show {}",
            plural(left, "row", "rows"),
            plan.plan.run,
            plan.items
        )));
    }
    lines
}

/// One row, and below it its fields.
pub(crate) fn row(item: &PlanItem, style: Style) -> Vec<String> {
    let (sign, key) = match item.kind {
        ItemKind::Create => (style.good("+"), style.good(output::plain(name(item)))),
        ItemKind::Update | ItemKind::Adopt => (style.warn("~"), style.bold(output::plain(name(item)))),
        ItemKind::Delete => (style.bad("-"), style.bad(output::plain(name(item)))),
    };
    let place = item.position.map(|row| style.faint(format!("  row {row}"))).unwrap_or_default();
    let state = match item.state {
        ItemState::Open => String::new(),
        ItemState::Applied => style.good("  applied"),
        ItemState::Moved => style.warn("  left alone: it has changed since"),
    };
    let why = item.write.as_ref().map(|write| style.faint(format!("  {}", why(item, write.rule)))).unwrap_or_default();
    let wide = item.changes.iter().map(|change| console::measure_text_width(&change.field)).max().unwrap_or(0);
    let mut lines = vec![format!("{sign} {key}{place}{why}{state}")];
    lines.extend(item.changes.iter().map(|change| field(change, item, wide, style)));
    lines
}

/// What people know it by. A record of nobody of ours has the service's id behind a control character.
fn name(item: &PlanItem) -> &str {
    without_stranger(&item.entity)
}

/// Which record of the service a push writes, and for what reason.
fn why(item: &PlanItem, rule: Rule) -> String {
    let reason = match (item.kind, rule) {
        (ItemKind::Adopt, _) => "is there already and is not linked yet",
        (_, Rule::New) => "is not known there",
        (_, Rule::Changed) => "changed since the last push",
        (_, Rule::Resent) => "is sent although unchanged",
        (_, Rule::Deleted) => "shall go",
        (_, Rule::Mirrored) => "is not among the rows",
        (_, Rule::Retried) => "failed before",
        (_, other) => other.as_str(),
    };
    match item.records.first() {
        // A record of nobody of ours goes by its own id.
        Some((_, id)) if name(item) != id.as_str() => format!("{}  {reason}", output::plain(id.as_str())),
        _ => reason.to_owned(),
    }
}

/// Whether it writes to the service.
fn outward(plan: &Plan) -> bool {
    plan.plan.direction == Direction::ToExternal
}

fn field(change: &PlannedChange, item: &PlanItem, wide: usize, style: Style) -> String {
    let name = output::plain(&change.field);
    let gap = " ".repeat(wide.saturating_sub(console::measure_text_width(&name)));
    let unknown = item.write.is_some() && change.old.is_none();
    let (old, new) = change.shown();
    let values = match item.kind {
        ItemKind::Update | ItemKind::Adopt if unknown => format!("{} → {}", style.faint("unknown"), value(new)),
        ItemKind::Create => value(new),
        ItemKind::Delete => style.faint(value(old)),
        ItemKind::Update | ItemKind::Adopt => format!("{} → {}", style.faint(value(old)), value(new)),
    };
    let rule = if item.write.is_some() || PLAIN_RULES.contains(&change.rule) {
        String::new()
    } else {
        style.faint(format!("  ({})", change.rule))
    };
    format!("    {}{gap}  {values}{rule}", style.faint(name))
}

/// A value with all its digits.
fn value(json: Option<&str>) -> String {
    match json {
        None | Some("null") => "nothing".into(),
        Some(text) if is_hidden(text) => "(hidden)".into(),
        Some(text) if text.starts_with('"') => match serde_json::from_str::<String>(text) {
            Ok(read) => format!("\"{}\"", output::plain(&read)),
            Err(_) => output::plain(text),
        },
        Some(other) => output::plain(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> PlanItem {
        serde_json::from_str(text).expect("an item")
    }

    #[test]
    fn rows_are_told_as_a_diff_with_every_digit_and_the_rule_where_it_says_something() {
        let changed = item(
            r#"{"no":1,"entity":"a@x","kind":"update","records":[["","r1"]],"position":7,"changes":[
                {"field":"name","old":"An\u001bn","new":"Anna","rule":"source_of_truth"},
                {"field":"balance","old":null,"new":12345678901234567890.10,"rule":"forced"}]}"#,
        );
        assert_eq!(
            row(&changed, Style::plain()),
            ["~ a@x  row 7", "    name     \"An n\" → \"Anna\"", "    balance  nothing → 12345678901234567890.10  (forced)"]
        );
        let made = item(r#"{"no":1,"entity":"b","kind":"create","records":[],"changes":[{"field":"n","new":7,"rule":"source_of_truth"}]}"#);
        assert_eq!(row(&made, Style::plain()), ["+ b", "    n  7"]);
        let pushed = item(
            r#"{"no":1,"entity":"7","kind":"update","records":[["","rec9"]],"write":{"rule":"changed","hash":1},"changes":[
                {"field":"n","new":1,"rule":"changed"},{"field":"m","old":null,"new":2,"rule":"changed"}]}"#,
        );
        let lines = ["~ 7  rec9  changed since the last push", "    n  unknown → 1", "    m  nothing → 2"];
        assert_eq!(row(&pushed, Style::plain()), lines);
        let stranger =
            item(r#"{"no":1,"entity":"\u0001c9","kind":"delete","records":[["","c9"]],"write":{"rule":"mirrored","hash":0},"changes":[]}"#);
        assert_eq!(row(&stranger, Style::plain()), ["- c9  is not among the rows"]);
        let hidden = item(
            r#"{"no":1,"entity":"d","kind":"update","records":[],"changes":[{"field":"m","old":"a@x","new":"b@x","rule":"forced","sensitive":true}]}"#,
        );
        assert_eq!(row(&hidden, Style::plain()), ["~ d", "    m  (hidden) → (hidden)  (forced)"]);
        let gone = item(r#"{"no":1,"entity":"c","kind":"delete","records":[],"changes":[{"field":"n","old":[1],"rule":"deleted"}]}"#);
        assert_eq!(row(&gone, Style::plain()), ["- c", "    n  [1]"]);
    }
}
