//! Before it is written, and after: a plan of what a corrected sheet would change, approved, applied, and taken back.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use syncline::{Apply, Connection, EntityQuery, ItemKind, PlanItem, PlanState, Pull, mapping::Mapping, testkit::Simulation};

use super::{sheet::Book, stage::Stage};
use crate::{
    commands::plans,
    exit::Done,
    output::{number, plural},
};

/// Fields of a row that the diff shows.
const FIELDS: usize = 3;
/// Who looks at the plan and lets it happen.
const APPROVES: &str = "ada";
/// Who has it written.
const APPLIES: &str = "ben";

pub(super) async fn there_and_back(stage: &mut Stage, sheets: &Connection, book: &Simulation<Book>, films: &Mapping) -> Done<()> {
    stage.step("The sheet is corrected: planned, approved, applied, and taken back");
    book.sim().correct_films();
    let before = rows(stage).await?;
    let plan = stage.plan(sheets, Pull::mapped(films.clone()), "Movies").await?;
    let items = stage.workspace.plan_items(plan.plan.run, 0, 1_000).await?;
    let counts = plan.plan.counts;
    let style = stage.style;
    stage.say(format!(
        "{}  {}, {}, {}; {} stay as they are",
        style.bold(format!("plan {}", plan.plan.run)),
        style.good(format!("{} to make", number(counts.created))),
        style.warn(format!("{} to change", number(counts.updated))),
        style.bad(format!("{} to delete", number(counts.swept))),
        number(counts.unchanged),
    ));
    for kind in [ItemKind::Create, ItemKind::Update, ItemKind::Delete] {
        items.iter().filter(|item| item.kind == kind).for_each(|item| shortened(stage, item));
    }
    let untouched = rows(stage).await? == before;

    let approved = stage.workspace.approve_plan(plan.plan.run, APPROVES).await?;
    stage.say(format!("Nothing is written yet. {APPROVES} approves it, {APPLIES} applies it:"));
    stage.header();
    let applied = stage.apply(sheets, Apply::plan(plan.plan.run).triggered_by(APPLIES), "Movies").await?;
    let written = rows(stage).await?;
    stage.say("That run is taken back, by the history of each value:");
    stage.header();
    let undone = stage.undo(sheets, applied.id, APPROVES, "Movies").await?;
    let after = rows(stage).await?;
    let same = after == before;
    stage.say(format!(
        "{}, {}",
        plural(after.len() as u64, "row", "rows"),
        if same { "to the last field as before" } else { "not as before" }
    ));

    let planned = counts.created > 0 && counts.updated > 0 && counts.swept > 0 && approved.state == PlanState::Approved;
    stage.promise(planned && untouched, "a plan is made, and writes nothing")?;
    let made = applied.counts;
    let exact = (made.created, made.updated, made.deleted + made.swept) == (counts.created, counts.updated, counts.swept);
    stage.promise(exact && written != before, "a plan is applied as it was shown")?;
    stage.promise(same && undone.counts.synced() > 0, "a run that is undone leaves the rows as they were")
}

/// A row of the plan with its first fields.
fn shortened(stage: &Stage, item: &PlanItem) {
    let mut lines = plans::row(item, stage.style);
    let more = lines.len().saturating_sub(1 + FIELDS);
    lines.truncate(1 + FIELDS);
    for line in lines {
        stage.say(line);
    }
    if more > 0 {
        stage.say(stage.style.faint(format!("    … {}", plural(more as u64, "more field", "more fields"))));
    }
}

/// Every film with all its fields.
async fn rows(stage: &Stage) -> Done<BTreeMap<Box<str>, Map<String, Value>>> {
    let query = EntityQuery { limit: 10_000, ..EntityQuery::default() };
    let rows = stage.workspace.entities("movie", query).await?;
    Ok(rows.into_iter().map(|row| (row.key, row.fields)).collect())
}
