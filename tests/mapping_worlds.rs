//! What must hold of mappings in any world: the order in which facts arrive makes no difference, undoing gives back what was there, and
//! applying a plan makes the changes it said and no others.
//!
//! `MAPPING_WORLDS` asks for more worlds than the few that every run of the tests plays.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Map, Value, json};
use support::{
    On, Random, World, clean,
    scripted::{Scripted, reaching},
    stage::{Rows, Stage, WHOLE, object, pages, rows_of},
};
use syncline::{
    Apply, ConflictFilter, Connection, Credentials, Edit, ItemKind, ItemState, PlanItem, Pull, RunId, SyncResult, Syncline, Workspace,
    core::Stream,
    mapping::{Authority, Column, ConflictState, Mapping},
};

/// The seeds of the worlds to play: so many, unless the environment asks for more.
fn seeds(from: u64, sqlite: u64, postgres: u64, on: On) -> std::ops::Range<u64> {
    let few = if on == On::Sqlite { sqlite } else { postgres };
    let worlds = std::env::var("MAPPING_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(few);
    from..from + worlds
}

/// The streams, each with a mapping of its name, and the priority of that mapping; the last is a reference.
const SOURCES: [(&str, i32); 4] = [("low", 1), ("middle", 5), ("high", 9), ("beside", 0)];
const BESIDE: usize = 3;

/// One record as a source tells it.
#[derive(Clone, Debug)]
struct Fact {
    source: usize,
    record: String,
    fields: Map<String, Value>,
}

fn source(at: usize) -> Pull {
    let (name, priority) = SOURCES[at];
    let authority = if at == BESIDE { Authority::Reference } else { Authority::SourceOfTruth };
    let column = |field: &str| Column::new(field).optional().authority(authority).priority(priority);
    let mapping = Mapping::new(name, name).entity("person").column(Column::new("mail").to("email").key());
    Pull::mapped(mapping.column(column("name")).column(column("city")).column(column("visits"))).safety_lag(Duration::ZERO)
}

/// What the sources tell, in one order: each record once or twice, both times with the same fields. Every person is known to a source of
/// truth, since a reference makes nobody.
fn facts(random: &mut Random) -> Vec<Fact> {
    let mut facts = Vec::new();
    for person in 0..3 + random.below(3) {
        let sure = random.below(BESIDE);
        for source in 0..SOURCES.len() {
            if source != sure && random.below(3) == 0 {
                continue;
            }
            let names: Vec<&str> = ["name", "city", "visits"].into_iter().filter(|_| random.below(4) > 0).collect();
            for _ in 0..1 + random.below(2) {
                let mut fields = object(json!({ "mail": format!("p{person}") }));
                for name in &names {
                    let value = if random.below(6) == 0 { Value::Null } else { format!("{name} {}", random.below(3)).into() };
                    fields.insert((*name).to_owned(), value);
                }
                facts.push(Fact { source, record: format!("r{source}-{person}"), fields });
            }
        }
    }
    facts
}

/// Another order of the same facts, in which what a source says of a record still comes in its order.
fn in_another_order(facts: &[Fact], random: &mut Random) -> Vec<Fact> {
    let mut order: Vec<usize> = (0..facts.len()).collect();
    random.shuffle(&mut order);
    let mut told: BTreeMap<&str, std::vec::IntoIter<&Fact>> = BTreeMap::new();
    for fact in facts {
        told.entry(&fact.record)
            .or_insert_with(|| facts.iter().filter(|other| other.record == fact.record).collect::<Vec<_>>().into_iter());
    }
    // Each place goes to the next fact of the record whose turn it is.
    order.into_iter().map(|at| told.get_mut(&*facts[at].record).and_then(Iterator::next).expect("one for each").clone()).collect()
}

/// One engine whose workspaces are the worlds.
struct Worlds {
    world: World,
    provider: Scripted,
    syncline: Syncline,
}

impl Worlds {
    async fn new(on: On) -> Self {
        let world = World::on(on).await;
        let provider = Scripted::new("crm").streams(SOURCES.iter().map(|(name, _)| Stream::incremental(*name)).collect());
        let syncline = world.builder().storage(world.place().open().await).provider(provider.clone()).build().await.expect("an engine");
        Self { world, provider, syncline }
    }

    async fn open(&self, name: &str) -> (Workspace, Connection) {
        let workspace = self.syncline.workspace(name);
        let connection = workspace.connect("crm", Credentials::api_key("good")).await.expect("it connects");
        (workspace, connection)
    }

    /// The facts in this order: neighbours of one source are a run, or several, each in pages and commits of any size.
    async fn tell(&self, connection: &Connection, facts: &[Fact], random: &mut Random) {
        let mut rest = facts;
        let mut runs = 0;
        while let Some(first) = rest.first() {
            // A record twice in one run would be a duplicate, of which one is left out.
            let mut seen = BTreeSet::new();
            let alike = rest.iter().take_while(|fact| fact.source == first.source && seen.insert(fact.record.as_str())).count();
            let (run, after) = rest.split_at(1 + random.below(alike));
            let mut shown = pages(run.iter().map(|fact| (fact.record.as_str(), &fact.fields)), 1 + random.below(3));
            runs += 1;
            let end = shown.pop().expect("a page");
            shown.push(reaching(end, &runs.to_string()));
            self.provider.pages(shown);
            let pull = source(first.source).commit_rows(1 + random.below(3));
            let result = connection.sync_from_external(pull).await.expect("it runs");
            assert!(result.success() && result.counts.balanced(), "{:?} {:?}", result.errors, result.counts);
            assert_eq!(result.counts.read, run.len() as u64, "nothing is passed over: {:?}", result.counts);
            rest = after;
        }
    }

    /// Rows, who owns which field, open conflicts, and what references say.
    async fn end(&self, name: &str, workspace: &Workspace) -> (Rows, Vec<String>, Vec<String>, Vec<String>) {
        let ask = |sql: &str| {
            let mut all = self.world.ask_all(&format!("{sql} WHERE workspace_id = '{name}'"));
            all.sort();
            all
        };
        let filter = ConflictFilter { state: Some(ConflictState::Open), limit: 1000, ..ConflictFilter::default() };
        let open = workspace.conflicts(filter).await.expect("conflicts").into_iter().map(|conflict| {
            let winner = conflict.winner.map(|winner| winner.mapping).unwrap_or_default();
            let (loser, value, winning) = (conflict.loser.mapping, conflict.value, conflict.winning);
            format!("{} {} {loser} {} {winner} {}", conflict.entity, conflict.field, value.get(), winning.get())
        });
        let mut open: Vec<String> = open.collect();
        open.sort();
        (
            rows_of(workspace, "person").await,
            ask("SELECT entity_id || '|' || field || '|' || mapping || '|' || priority FROM syncline_field_owners"),
            open,
            ask("SELECT entity_id || '|' || field || '|' || mapping || '|' || value FROM syncline_reference_values"),
        )
    }
}

/// The rows that the facts make, whoever tells them when: of each field the value of the highest source that has it.
fn truth(facts: &[Fact]) -> Rows {
    let mut said: BTreeMap<(&str, &str, usize), &Value> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.source != BESIDE) {
        let who = fact.fields["mail"].as_str().expect("a mail");
        said.extend(fact.fields.iter().map(|(field, value)| ((who, field.as_str(), fact.source), value)));
    }
    let mut rows = Rows::new();
    // In the order of the sources, so that the highest one comes last.
    for ((who, field, _), value) in said {
        let row = rows.entry(who.to_owned()).or_default();
        let field = if field == "mail" { "email" } else { field };
        if value.is_null() {
            row.remove(field)
        } else {
            row.insert(field.to_owned(), value.clone())
        };
    }
    rows
}

async fn facts_end_alike_in_whatever_order_pages_and_runs_they_come(on: On) {
    let worlds = Worlds::new(on).await;
    for seed in seeds(0, 24, 6, on) {
        let mut random = Random::new(seed);
        let facts = facts(&mut random);
        let mut ends = Vec::new();
        for n in 0..3 {
            let order = if n == 0 { facts.clone() } else { in_another_order(&facts, &mut random) };
            let name = format!("w{seed}x{n}");
            let (workspace, connection) = worlds.open(&name).await;
            worlds.tell(&connection, &order, &mut random).await;
            ends.push((worlds.end(&name, &workspace).await, order));
        }
        assert_eq!(ends[0].0.0, truth(&facts), "seed {seed}: {facts:?}");
        for (end, order) in &ends[1..] {
            assert_eq!(*end, ends[0].0, "seed {seed}: {order:?}\nand not {facts:?}");
        }
    }
}

fn people() -> Pull {
    let mapping = Mapping::new("people", "people").entity("person").column(Column::new("mail").to("email").key());
    let mapping = mapping.column(Column::new("name").optional()).column(Column::new("city").optional());
    Pull::mapped(mapping.column(Column::new("visits").optional())).confirm_deletes()
}

fn record(n: usize, random: &mut Random) -> Map<String, Value> {
    let mut fields = object(json!({ "mail": format!("p{n}"), "name": format!("Name {}", random.below(3)) }));
    match random.below(4) {
        0 => {}
        1 => drop(fields.insert("city".into(), Value::Null)),
        n => drop(fields.insert("city".into(), format!("City {n}").into())),
    }
    if random.below(2) == 0 {
        fields.insert("visits".into(), random.below(3).into());
    }
    fields
}

fn first(random: &mut Random) -> Rows {
    (0..4 + random.below(5)).map(|n| (format!("p{n}"), record(n, random))).collect()
}

/// Some records gone, some changed, some new.
fn later(before: &Rows, random: &mut Random) -> Rows {
    let mut after = Rows::new();
    for (at, (id, known)) in before.iter().enumerate() {
        match random.below(4) {
            0 => {}
            1 | 2 => drop(after.insert(id.clone(), record(at, random))),
            _ => drop(after.insert(id.clone(), known.clone())),
        }
    }
    for n in 20..20 + random.below(3) {
        after.insert(format!("p{n}"), record(n, random));
    }
    after
}

const EDITABLE: [&str; 4] = ["name", "city", "visits", "note"];

/// What somebody writes by hand into some of the rows: by key and field.
async fn edited(workspace: &Workspace, rows: &Rows, random: &mut Random) -> BTreeMap<(String, &'static str), Value> {
    let mut edits = BTreeMap::new();
    for key in rows.keys() {
        if random.below(3) > 0 {
            continue;
        }
        let field = EDITABLE[random.below(EDITABLE.len())];
        let value: Value = if field == "visits" { (100 + random.below(9)).into() } else { format!("by hand {}", random.below(9)).into() };
        let edit = Edit::of("person", key.as_str()).set(field, value.clone()).by("ben");
        workspace.edit(edit).await.expect("it is written");
        edits.insert((key.clone(), field), value);
    }
    edits
}

fn run(result: &SyncResult) -> RunId {
    result.run.expect("a run")
}

async fn undoing_gives_back_what_was_there_but_for_what_was_written_by_hand(on: On) {
    for seed in seeds(100, 16, 8, on) {
        let mut random = Random::new(seed);
        let (stage, one) = (Stage::full(on, &["people"]).await, first(&mut random));
        stage.pull(people(), &one, WHOLE).await;
        let before = stage.rows("person").await;
        let undone = stage.pull(people(), &later(&one, &mut random), WHOLE).await;
        let left = stage.rows("person").await;
        let edits = edited(&stage.acme(), &left, &mut random).await;
        let found = stage.rows("person").await;
        let plan = stage.connection.plan_undo(run(&undone), "anna").await.expect("a plan");
        let mut expected = Rows::new();
        for key in before.keys().chain(left.keys()).collect::<BTreeSet<_>>() {
            let own: Vec<_> = edits.iter().filter(|((edited, _), _)| edited == key).collect();
            let mut listed = false;
            match (before.get(key), left.get(key)) {
                (None, Some(_)) if !own.is_empty() => {
                    // The run made it and somebody has written into it since: it is left as it is.
                    expected.insert(key.clone(), found[key].clone());
                    listed = true;
                }
                (None, _) => {}
                (Some(was), is) => {
                    let mut row = was.clone();
                    for ((_, field), value) in &own {
                        row.insert((*field).to_owned(), (*value).clone());
                        listed |= is.is_some_and(|is| was.get(*field) != is.get(*field));
                    }
                    expected.insert(key.clone(), row);
                }
            }
            let told = plan.plan.failures.iter().filter(|failure| failure.record.as_deref() == Some(key)).count();
            assert_eq!(told, usize::from(listed), "seed {seed}: {key} is listed: {:?}, edits {edits:?}", plan.plan.failures);
        }
        clean(&stage.connection.apply(Apply::plan(plan.plan.run)).await.expect("it begins"));
        assert_eq!(stage.rows("person").await, expected, "seed {seed}: before {before:?}, left {left:?}, edits {edits:?}");
    }
}

/// A row as a plan's changes make it.
fn changed(row: Option<&Map<String, Value>>, item: &PlanItem) -> Option<Map<String, Value>> {
    if item.kind == ItemKind::Delete {
        return None;
    }
    let mut row = row.cloned().unwrap_or_default();
    for change in &item.changes {
        let new: Value = serde_json::from_str(change.new.as_ref().expect("a value").get()).expect("JSON");
        if new.is_null() {
            row.remove(&*change.field)
        } else {
            row.insert(change.field.to_string(), new)
        };
    }
    Some(row)
}

/// Between plan and apply somebody writes into rows by hand, and sometimes the source itself is read once more.
async fn a_plan_changes_what_it_said_and_nothing_else_whatever_happened_since(on: On) {
    let (mut applied, mut moved) = (0, 0);
    for seed in seeds(200, 16, 4, on) {
        let mut random = Random::new(seed);
        let (stage, one) = (Stage::full(on, &["people"]).await, first(&mut random));
        stage.pull(people(), &one, WHOLE).await;
        let planned_on = stage.rows("person").await;
        stage.shows(&later(&one, &mut random), 2);
        let plan = stage.connection.plan(people().safety_lag(Duration::ZERO)).await.expect("a plan").plan.run;
        assert_eq!(stage.rows("person").await, planned_on, "seed {seed}: a plan writes nothing");
        let edits = edited(&stage.acme(), &planned_on, &mut random).await;
        if random.below(3) == 0 {
            stage.pull(people(), &later(&one, &mut random), WHOLE).await;
        }
        let found = stage.rows("person").await;
        let items = stage.items(plan).await;
        let result = stage.connection.apply(Apply::plan(plan).commit_rows(1 + random.below(4))).await.expect("it begins");
        assert!(result.success() && result.counts.balanced(), "seed {seed}: {:?} {:?}", result.errors, result.counts);
        let (now, after) = (stage.rows("person").await, stage.items(plan).await);
        let mut expected = found.clone();
        for (item, after) in items.iter().zip(after) {
            let (was, is) = (planned_on.get(&*item.entity), found.get(&*item.entity));
            let value = |row: Option<&Map<String, Value>>, field: &str| row.and_then(|row| row.get(field)).cloned();
            let same_fields = item.changes.iter().all(|change| value(was, &change.field) == value(is, &change.field));
            let untouched = same_fields && was.is_some() == is.is_some() && (item.kind != ItemKind::Delete || was == is);
            let state = if untouched { ItemState::Applied } else { ItemState::Moved };
            assert_eq!(after.state, state, "seed {seed}: {item:?}\nplanned on {was:?}\nfound {is:?}\nedits {edits:?}");
            if untouched {
                applied += 1;
                match changed(is, item) {
                    Some(row) => drop(expected.insert(item.entity.to_string(), row)),
                    None => drop(expected.remove(&*item.entity)),
                }
            } else {
                moved += 1;
                assert!(result.failures.iter().any(|failure| failure.error.contains(&*item.entity)), "seed {seed}: {:?}", result.failures);
            }
        }
        assert_eq!(now, expected, "seed {seed}: {items:?}");
    }
    assert!(applied > 0 && moved > 0, "{applied} items were applied and {moved} had moved");
}

mod on_sqlite {
    use super::On::Sqlite;

    #[tokio::test(flavor = "multi_thread")]
    async fn facts_end_alike_in_whatever_order_pages_and_runs_they_come() {
        super::facts_end_alike_in_whatever_order_pages_and_runs_they_come(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn undoing_gives_back_what_was_there_but_for_what_was_written_by_hand() {
        super::undoing_gives_back_what_was_there_but_for_what_was_written_by_hand(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_plan_changes_what_it_said_and_nothing_else_whatever_happened_since() {
        super::a_plan_changes_what_it_said_and_nothing_else_whatever_happened_since(Sqlite).await;
    }
}

mod on_postgres {
    use super::On::Postgres;

    #[tokio::test(flavor = "multi_thread")]
    async fn facts_end_alike_in_whatever_order_pages_and_runs_they_come() {
        super::facts_end_alike_in_whatever_order_pages_and_runs_they_come(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn undoing_gives_back_what_was_there_but_for_what_was_written_by_hand() {
        super::undoing_gives_back_what_was_there_but_for_what_was_written_by_hand(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_plan_changes_what_it_said_and_nothing_else_whatever_happened_since() {
        super::a_plan_changes_what_it_said_and_nothing_else_whatever_happened_since(Postgres).await;
    }
}
