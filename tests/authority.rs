//! Who may write a field: sources of truth by priority, references beside it, derived ones never; and what is kept of those that lose.

mod support;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};
use support::{
    Fuse, On, Random, World, clean, quiet_deaths,
    stage::{Cut, Rows, Stage, WHOLE, object},
};
use syncline::{
    Apply, Conflict, ConflictFilter, ConflictId, ErrorKind, Pull, ResolveConflict, RunId, SyncResult,
    core::Stream,
    mapping::{Authority, Column, ConflictState, FieldSource, Mapping},
};

/// Random worlds; a database on a server takes its time to be made.
fn seeds(on: On) -> u64 {
    match on {
        On::Sqlite => 24,
        On::Postgres => 5,
    }
}

/// The streams, each with a mapping of its name, and the priority of that mapping.
const SOURCES: [(&str, i32); 3] = [("low", 1), ("middle", 5), ("high", 9)];
/// A stream that is only a reference for names.
const BESIDE: &str = "beside";

impl Stage {
    async fn new(on: On) -> Self {
        Self::at(World::on(on).await, None).await
    }

    async fn at(world: World, fuse: Option<&Fuse>) -> Self {
        let streams = SOURCES.iter().map(|(name, _)| *name).chain([BESIDE, "scores"]).map(Stream::full);
        Self::of(world, streams.collect(), fuse).await
    }

    /// A pull of one stream that shows these records.
    async fn says(&self, stream: &str, records: &Rows, cut: Cut) -> SyncResult {
        self.pull(pull(stream), records, cut).await
    }

    /// The same with one record about one person.
    async fn says_name(&self, stream: &str, who: &str, name: impl Into<Value>) -> SyncResult {
        self.says(stream, &record(who, name), WHOLE).await
    }

    async fn people(&self) -> Rows {
        self.rows("person").await
    }

    async fn name(&self, who: &str) -> Value {
        self.people().await.get(who).and_then(|row| row.get("name")).cloned().unwrap_or_default()
    }

    async fn conflicts(&self, state: Option<ConflictState>) -> Vec<Conflict> {
        self.acme().conflicts(ConflictFilter { state, limit: 1000, ..ConflictFilter::default() }).await.expect("conflicts")
    }

    /// Open conflicts: entity, field, loser, its value, winner, its value.
    async fn open(&self) -> Vec<[String; 6]> {
        let told = |conflict: &Conflict| {
            let winner = conflict.winner.as_ref().map(|winner| winner.mapping.to_string()).unwrap_or_default();
            let texts =
                [&*conflict.entity, &*conflict.field, &*conflict.loser.mapping, conflict.value.get(), &winner, conflict.winning.get()];
            texts.map(String::from)
        };
        let mut open: Vec<_> = self.conflicts(Some(ConflictState::Open)).await.iter().map(told).collect();
        open.sort();
        open
    }

    /// The only conflict there is.
    async fn conflict(&self) -> Conflict {
        let mut all = self.conflicts(None).await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// Reference values of a person: mapping and value.
    async fn beside(&self, who: &str) -> Vec<(String, String)> {
        let values = self.acme().reference_values("person", who).await.expect("values");
        values.into_iter().map(|kept| (kept.source.mapping.into(), kept.value.get().to_owned())).collect()
    }

    /// Who owns which field, as it is stored.
    fn owners(&self) -> Vec<String> {
        let sql = "SELECT entity_id || '|' || field || '|' || mapping || '|' || priority FROM syncline_field_owners";
        let mut owners = self.world.ask_all(sql);
        owners.sort();
        owners
    }

    /// Everything that is known of people, but for runs and times.
    async fn everything(&self) -> (Rows, Vec<String>, Vec<String>, Vec<String>) {
        let ask = |sql: &str| {
            let mut all = self.world.ask_all(sql);
            all.sort();
            all
        };
        let conflicts = ask(
            "SELECT entity_id || '|' || field || '|' || mapping || '|' || value || '|' || ifnull(winner_mapping, '') || '|' || winning_value \
             || '|' || state FROM syncline_mapping_conflicts WHERE live",
        );
        let references = ask("SELECT entity_id || '|' || field || '|' || mapping || '|' || value FROM syncline_reference_values");
        (self.people().await, self.owners(), conflicts, references)
    }
}

fn record(who: &str, name: impl Into<Value>) -> Rows {
    [(format!("r-{who}"), object(json!({ "mail": who, "name": name.into() })))].into()
}

fn pull(stream: &str) -> Pull {
    let priority = SOURCES.iter().find(|(name, _)| *name == stream).map_or(0, |(_, priority)| *priority);
    let authority = match stream {
        BESIDE => Authority::Reference,
        "scores" => Authority::Derived,
        _ => Authority::SourceOfTruth,
    };
    let column = |name: &str| Column::new(name).optional().authority(authority).priority(priority);
    let mapping = Mapping::new(stream, stream)
        .entity("person")
        .column(Column::new("mail").to("email").key())
        .column(column("name"))
        .column(column("city"));
    Pull::mapped(mapping).safety_lag(Duration::ZERO).confirm_deletes()
}

async fn references_stay_beside_the_field(on: On) {
    let stage = Stage::new(on).await;
    stage.says_name("high", "ann", "Ann").await;
    let first = stage.says_name(BESIDE, "ann", "Anna").await;
    assert_eq!((first.counts.unchanged, first.counts.synced()), (1, 0));
    assert_eq!(stage.beside("ann").await, [(BESIDE.to_owned(), "\"Anna\"".to_owned())]);
    stage.says_name(BESIDE, "ann", "Anne").await;
    stage.says_name("high", "ann", "Bea").await;
    assert_eq!((stage.beside("ann").await, stage.name("ann").await), (vec![(BESIDE.to_owned(), "\"Anne\"".to_owned())], json!("Bea")));
    let kept = stage.acme().reference_values("person", "ann").await.expect("values").remove(0);
    stage.says_name(BESIDE, "ann", "Anne").await;
    let again = stage.acme().reference_values("person", "ann").await.expect("values").remove(0);
    assert_eq!((kept.run, kept.at), (again.run, again.at), "an equal value is not written again");
    assert_eq!(stage.conflicts(None).await.len(), 0, "a reference has no conflict");
    stage.says(BESIDE, &Rows::new(), WHOLE).await;
    assert_eq!((stage.beside("ann").await, stage.name("ann").await), (vec![], json!("Bea")), "gone with its record");
    stage.says_name(BESIDE, "ann", "Anna").await;
    stage.says("high", &Rows::new(), WHOLE).await;
    stage.says(BESIDE, &Rows::new(), WHOLE).await;
    assert_eq!((stage.beside("ann").await, stage.people().await.len()), (vec![], 0), "gone with its entity");
}

async fn a_reference_that_comes_first_waits_for_its_row(on: On) {
    let stage = Stage::new(on).await;
    let early = stage.says_name(BESIDE, "ann", "Anna").await;
    assert_eq!((early.counts.skipped, early.counts.synced(), early.failures.len()), (1, 0, 1), "{:?}", early.counts);
    assert_eq!(stage.people().await.len(), 0, "a reference makes no row");
    stage.says_name("high", "ann", "Ann").await;
    assert_eq!((stage.name("ann").await, stage.beside("ann").await), (json!("Ann"), vec![(BESIDE.to_owned(), "\"Anna\"".to_owned())]));
    stage.says(BESIDE, &Rows::new(), WHOLE).await;
    assert_eq!((stage.name("ann").await, stage.beside("ann").await), (json!("Ann"), vec![]));
}

async fn derived_fields_are_never_written(on: On) {
    let stage = Stage::new(on).await;
    for name in ["One", "Two"] {
        stage.says_name("scores", "ann", name).await;
        assert_eq!(stage.people().await["ann"].get("name"), None);
        stage.shows(&record("ann", name), WHOLE.page);
        clean(&stage.connection.sync_from_external(pull("scores").full()).await.expect("it runs"));
        stage.shows(&record("ann", name), WHOLE.page);
        let plan = stage.connection.plan(pull("scores")).await.expect("a plan");
        clean(&stage.connection.apply(Apply::plan(plan.plan.run)).await.expect("it begins"));
        assert_eq!(stage.people().await["ann"].get("name"), None, "not by a full read and not by a plan");
    }
    assert_eq!((stage.conflicts(None).await.len(), stage.beside("ann").await), (0, vec![]));
}

/// Which fields a source has of which people, once and for all.
fn shape(random: &mut Random) -> Vec<BTreeMap<String, Vec<&'static str>>> {
    let mut people = || -> BTreeMap<String, Vec<&'static str>> {
        let mut people = BTreeMap::new();
        for n in 0..4 {
            if random.below(5) == 0 {
                continue;
            }
            people.insert(format!("p{n}"), ["name", "city"].into_iter().filter(|_| random.below(4) > 0).collect());
        }
        people
    };
    (0..3).map(|_| people()).collect()
}

fn values(people: &BTreeMap<String, Vec<&'static str>>, random: &mut Random) -> Rows {
    let mut records = Rows::new();
    for (who, fields) in people {
        let mut record = Map::from_iter([("mail".to_owned(), Value::from(who.as_str()))]);
        for field in fields {
            let value = if random.below(5) == 0 { Value::Null } else { format!("{field} {}", random.below(3)).into() };
            record.insert((*field).to_owned(), value);
        }
        records.insert(format!("r-{who}"), record);
    }
    records
}

/// In whatever order sources come, over pages, commits and runs: rows, owners and open conflicts are what the sources said last.
async fn sources_end_alike_in_whatever_order_they_come(on: On) {
    for seed in 0..seeds(on) {
        let mut random = Random::new(seed);
        let (stage, shape) = (Stage::new(on).await, shape(&mut random));
        let mut order: Vec<usize> = (0..3).chain((0..3 + random.below(4)).map(|n| n % 3)).collect();
        random.shuffle(&mut order);
        let mut last: BTreeMap<usize, Rows> = BTreeMap::new();
        for at in &order {
            let cut = Cut { page: 1 + random.below(4), commit: 1 + random.below(4) };
            let records = values(&shape[*at], &mut random);
            stage.says(SOURCES[*at].0, &records, cut).await;
            last.insert(*at, records);
        }
        let said = |at: usize, who: &str, field: &str| last[&at].get(&format!("r-{who}")).and_then(|record| record.get(field)).cloned();
        let (mut rows, mut owners, mut open) = (BTreeMap::new(), Vec::new(), Vec::new());
        for who in shape.iter().flat_map(BTreeMap::keys) {
            let mut row = Map::from_iter([("email".to_owned(), Value::from(who.as_str()))]);
            for field in ["name", "city"] {
                let Some(winner) = (0..3).rev().find(|at| said(*at, who, field).is_some()) else { continue };
                let winning = said(winner, who, field).expect("a value");
                owners.push(format!("{who}|{field}|{}|{}", SOURCES[winner].0, SOURCES[winner].1));
                for (at, loser) in SOURCES[..winner].iter().enumerate() {
                    if let Some(value) = said(at, who, field).filter(|value| *value != winning) {
                        let (loser, winner) = (loser.0.to_owned(), SOURCES[winner].0.to_owned());
                        open.push([who.clone(), field.to_owned(), loser, value.to_string(), winner, winning.to_string()]);
                    }
                }
                if !winning.is_null() {
                    row.insert(field.to_owned(), winning);
                }
            }
            rows.insert(who.clone(), row);
        }
        owners.sort();
        owners.dedup();
        open.sort();
        open.dedup();
        assert_eq!(stage.people().await, rows, "seed {seed}, order {order:?}: rows");
        assert_eq!(stage.owners(), owners, "seed {seed}, order {order:?}: owners");
        assert_eq!(stage.open().await, open, "seed {seed}, order {order:?}: open conflicts");
        // What is said again changes nothing of it.
        let before = stage.everything().await;
        for (at, records) in &last {
            let again = stage.says(SOURCES[*at].0, records, WHOLE).await;
            assert_eq!(again.counts.synced(), 0, "seed {seed}");
        }
        assert_eq!(stage.everything().await, before, "seed {seed}: said again");
    }
}

async fn a_conflict_is_followed_and_settles_by_itself(on: On) {
    let stage = Stage::new(on).await;
    stage.says_name("low", "ann", "Low").await;
    stage.says_name("high", "ann", "High").await;
    let conflict = stage.conflict().await;
    assert_eq!((conflict.value.get(), conflict.winning.get(), conflict.state), ("\"Low\"", "\"High\"", ConflictState::Open));
    assert_eq!((conflict.priority, conflict.winner_priority, conflict.rule.as_str()), (1, 9, "lower_priority"));
    assert_eq!((&*conflict.loser.mapping, conflict.loser.stream.as_str()), ("low", "low"));
    stage.says_name("low", "ann", "Lower").await;
    assert_eq!(stage.conflict().await.value.get(), "\"Lower\"");
    stage.says_name("high", "ann", "Lower").await;
    assert_eq!(stage.conflict().await.state, ConflictState::Settled);
    stage.says_name("high", "ann", "High").await;
    assert_eq!((stage.conflict().await.id, stage.conflict().await.state), (conflict.id, ConflictState::Open));
    stage.says("low", &Rows::new(), WHOLE).await;
    assert_eq!(stage.conflict().await.state, ConflictState::Settled, "the losing record is gone");
    assert_eq!(stage.name("ann").await, json!("High"));
    stage.says("high", &Rows::new(), WHOLE).await;
    assert_eq!(stage.conflicts(None).await.len(), 0, "and so is the entity");
}

async fn an_accepted_conflict_opens_again_only_with_the_losing_value(on: On) {
    let stage = Stage::new(on).await;
    stage.says_name("high", "ann", "High").await;
    stage.says_name("low", "ann", "Low").await;
    let id = stage.conflict().await.id;
    let done = stage.acme().resolve_conflict(ResolveConflict::accept(id).by("anna")).await.expect("accepted");
    assert_eq!((done.conflicts, done.run.is_none()), (1, true));
    stage.says_name("high", "ann", "Higher").await;
    let conflict = stage.conflict().await;
    assert_eq!((conflict.state, conflict.resolved_by.as_deref()), (ConflictState::Accepted, Some("anna")));
    stage.says_name("low", "ann", "Lower").await;
    assert_eq!(stage.conflict().await.state, ConflictState::Open);
    let unknown = stage.acme().resolve_conflict(ResolveConflict::accept(ConflictId(id.0 + 1))).await.expect_err("there is no such");
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    stage.says_name("low", "ann", "Higher").await;
    for decision in [ResolveConflict::accept(id), ResolveConflict::take(id)] {
        let settled = stage.acme().resolve_conflict(decision).await.expect_err("it is settled");
        assert!(settled.kind() == ErrorKind::Conflict && settled.to_string().contains("settled"), "{settled}");
    }
    let other = stage.syncline.workspace("other").resolve_conflict(ResolveConflict::accept(id)).await.expect_err("another's");
    assert_eq!(other.kind(), ErrorKind::NotFound);
}

async fn a_taken_value_is_written_and_says_by_whom(on: On) {
    let stage = Stage::new(on).await;
    stage.says_name("low", "ann", "Low").await;
    stage.says_name("high", "ann", "High").await;
    let id = stage.conflict().await.id;
    let done = stage.acme().resolve_conflict(ResolveConflict::take(id).by("ben")).await.expect("it begins");
    let run = done.run.expect("a run");
    clean(&run);
    assert_eq!((done.conflicts, run.counts.updated, stage.name("ann").await), (1, 1, json!("Low")));
    let conflict = stage.conflict().await;
    assert_eq!((conflict.state, conflict.resolved_by.as_deref(), Some(conflict.run)), (ConflictState::Taken, Some("ben"), run.run));
    let history = stage.acme().lineage("person", "ann", Some("name")).await.expect("lineage");
    let entry = history.last().expect("an entry");
    assert_eq!((&*entry.changed_by, &*entry.source_type, &entry.new_value), ("ben", "app", &Some(json!("Low"))));
    assert!(entry.source_ref.as_deref().is_some_and(|place| place.starts_with("taken from ") && place.contains("low")), "{entry:?}");
    // What the winner says once more changes nothing; what it says next does.
    for stream in ["high", "low"] {
        stage.says_name(stream, "ann", if stream == "high" { "High" } else { "Low" }).await;
        assert_eq!((stage.name("ann").await, stage.conflict().await.state), (json!("Low"), ConflictState::Taken), "{stream} again");
    }
    stage.says_name("high", "ann", "Higher").await;
    assert_eq!((stage.name("ann").await, stage.conflict().await.state), (json!("Higher"), ConflictState::Open));
    // A run that took a value is undone as any other.
    let again = stage.acme().resolve_conflict(ResolveConflict::take(id)).await.expect("it begins").run.expect("a run");
    assert_eq!(stage.name("ann").await, json!("Low"));
    clean(&stage.connection.undo(again.run.expect("a number"), "anna").await.expect("it begins"));
    assert_eq!(stage.name("ann").await, json!("Higher"));
    stage.says_name("high", "ann", "Higher").await;
    assert_eq!(
        (stage.name("ann").await, stage.conflict().await.state),
        (json!("Higher"), ConflictState::Open),
        "what was taken back is open"
    );
}

async fn one_decision_is_taken_for_all_alike(on: On) {
    let stage = Stage::new(on).await;
    let all = |name: &str| -> Rows { (0..7).flat_map(|n| record(&format!("p{n}"), format!("{name} {n}"))).collect() };
    stage.says("high", &all("High"), WHOLE).await;
    stage.says("low", &all("Low"), Cut { page: 3, commit: 2 }).await;
    stage.says("middle", &record("p3", "Middle"), WHOLE).await;
    let open = stage.open().await;
    assert_eq!(open.len(), 8);
    let first = stage.conflicts(Some(ConflictState::Open)).await.remove(0);
    assert_eq!(&*first.loser.mapping, "low");
    let done = stage.acme().resolve_conflict(ResolveConflict::take(first.id).all_alike().by("anna")).await.expect("it begins");
    clean(&done.run.expect("a run"));
    assert_eq!(done.conflicts, 7);
    for n in 0..7 {
        assert_eq!(stage.name(&format!("p{n}")).await, json!(format!("Low {n}")));
    }
    let open = stage.conflicts(Some(ConflictState::Open)).await;
    assert_eq!(open.iter().map(|conflict| &*conflict.loser.mapping).collect::<Vec<_>>(), ["middle"], "another loser's is left alone");
    stage.says("high", &all("New"), WHOLE).await;
    let loser = Some(FieldSource { connection: first.loser.connection.clone(), mapping: "low".into() });
    let all_open = ConflictFilter { loser, ..ConflictFilter::default() };
    assert_eq!(stage.acme().conflicts(all_open.clone()).await.expect("conflicts").len(), 7);
    let done = stage.acme().resolve_conflict(ResolveConflict::accept(first.id).all_alike()).await.expect("accepted");
    assert_eq!((done.conflicts, stage.acme().conflicts(all_open).await.expect("conflicts").len()), (7, 0));
    assert_eq!(stage.name("p0").await, json!("New 0"));
}

/// Plans of pulls among owners, references and conflicts: they touch nothing, are exact, and leave what the pull would have left.
async fn plans_and_undoing_are_right_among_owners_and_references(on: On) {
    for seed in 40..40 + seeds(on) / 2 {
        let mut random = Random::new(seed);
        let shape = shape(&mut random);
        let (planned, pulled) = (Stage::new(on).await, Stage::new(on).await);
        let mut told: Vec<(&str, Rows)> = Vec::new();
        for at in [0, 1, 2] {
            told.push((SOURCES[at].0, values(&shape[at], &mut random)));
        }
        let with_references = values(&shape[random.below(3)], &mut random);
        told.push((BESIDE, with_references));
        random.shuffle(&mut told);
        for (stream, records) in &told {
            planned.says(stream, records, WHOLE).await;
            pulled.says(stream, records, WHOLE).await;
        }
        let at = random.below(3);
        let (stream, next) = (SOURCES[at].0, values(&shape[at], &mut random));
        let before = planned.everything().await;
        planned.shows(&next, 2);
        let plan = planned.connection.plan(pull(stream)).await.expect("a plan");
        assert_eq!(planned.everything().await, before, "seed {seed}: a plan leaves everything alone");
        let result = pulled.says(stream, &next, WHOLE).await;
        let applied = planned.connection.apply(Apply::plan(plan.plan.run)).await.expect("it begins");
        clean(&applied);
        let (rows, owners, ..) = planned.everything().await;
        let after = pulled.everything().await;
        assert_eq!(rows, after.0, "seed {seed}: what the pull would have done");
        assert_eq!(plan.items, result.counts.synced() + result.counts.swept, "seed {seed}: {:?}", result.counts);
        assert!(owners.iter().all(|owner| after.1.contains(owner) || before.1.contains(owner)), "seed {seed}: {owners:?}");
        // What the plan did not tell is kept by the next pull, which finds the rows as they are.
        let again = planned.says(stream, &next, WHOLE).await;
        assert_eq!(again.counts.synced() + again.counts.swept, 0, "seed {seed}");
        assert_eq!(planned.everything().await, after, "seed {seed}: after plan and pull");
        // Undoing writes rows by hand: nobody's word changes by it.
        clean(&planned.connection.undo(RunId(applied.run.expect("a run").0), "anna").await.expect("it begins"));
        let undone = planned.everything().await;
        assert_eq!(undone.0, before.0, "seed {seed}: the rows before");
        assert_eq!((undone.1, undone.3), (after.1.clone(), after.3.clone()), "seed {seed}: owners and references");
        planned.says(stream, &next, WHOLE).await;
        assert_eq!(planned.people().await, after.0, "seed {seed}: said again after undoing");
    }
}

/// A process that dies in a commit leaves neither references nor conflicts of it.
async fn a_commit_that_dies_leaves_nothing_beside(on: On) {
    quiet_deaths();
    for point in ["p9", "p10"] {
        let world = World::on(on).await;
        let stage = Stage::at(world, None).await;
        stage.says_name("high", "ann", "High").await;
        let Stage { world, syncline, connection, .. } = stage;
        drop((syncline, connection));
        let fuse = Fuse::new(point, 1);
        let stage = Stage::at(world, Some(&fuse)).await;
        for stream in ["low", BESIDE] {
            stage.shows(&record("ann", "Other"), WHOLE.page);
            let result = stage.connection.sync_from_external(pull(stream)).await;
            assert!(fuse.blown() && result.is_ok_and(|result| !result.success()) || fuse.blown(), "{point}, {stream}");
        }
        let Stage { world, syncline, connection, .. } = stage;
        drop((syncline, connection));
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
        world.place().outlive();
        let stage = Stage::at(world, None).await;
        assert_eq!((stage.conflicts(None).await.len(), stage.beside("ann").await), (0, vec![]), "{point}");
        stage.says_name("low", "ann", "Other").await;
        stage.says_name(BESIDE, "ann", "Other").await;
        assert_eq!((stage.conflicts(None).await.len(), stage.beside("ann").await.len()), (1, 1), "{point}: and then both are kept");
    }
}

mod on_sqlite {
    use super::On::Sqlite;

    #[tokio::test(flavor = "multi_thread")]
    async fn references_stay_beside_the_field() {
        super::references_stay_beside_the_field(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reference_that_comes_first_waits_for_its_row() {
        super::a_reference_that_comes_first_waits_for_its_row(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn derived_fields_are_never_written() {
        super::derived_fields_are_never_written(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sources_end_alike_in_whatever_order_they_come() {
        super::sources_end_alike_in_whatever_order_they_come(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_conflict_is_followed_and_settles_by_itself() {
        super::a_conflict_is_followed_and_settles_by_itself(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_accepted_conflict_opens_again_only_with_the_losing_value() {
        super::an_accepted_conflict_opens_again_only_with_the_losing_value(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_taken_value_is_written_and_says_by_whom() {
        super::a_taken_value_is_written_and_says_by_whom(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_decision_is_taken_for_all_alike() {
        super::one_decision_is_taken_for_all_alike(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn plans_and_undoing_are_right_among_owners_and_references() {
        super::plans_and_undoing_are_right_among_owners_and_references(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_commit_that_dies_leaves_nothing_beside() {
        super::a_commit_that_dies_leaves_nothing_beside(Sqlite).await;
    }
}

mod on_postgres {
    use super::On::Postgres;

    #[tokio::test(flavor = "multi_thread")]
    async fn references_stay_beside_the_field() {
        super::references_stay_beside_the_field(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reference_that_comes_first_waits_for_its_row() {
        super::a_reference_that_comes_first_waits_for_its_row(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn derived_fields_are_never_written() {
        super::derived_fields_are_never_written(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sources_end_alike_in_whatever_order_they_come() {
        super::sources_end_alike_in_whatever_order_they_come(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_conflict_is_followed_and_settles_by_itself() {
        super::a_conflict_is_followed_and_settles_by_itself(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_accepted_conflict_opens_again_only_with_the_losing_value() {
        super::an_accepted_conflict_opens_again_only_with_the_losing_value(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_taken_value_is_written_and_says_by_whom() {
        super::a_taken_value_is_written_and_says_by_whom(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_decision_is_taken_for_all_alike() {
        super::one_decision_is_taken_for_all_alike(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn plans_and_undoing_are_right_among_owners_and_references() {
        super::plans_and_undoing_are_right_among_owners_and_references(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_commit_that_dies_leaves_nothing_beside() {
        super::a_commit_that_dies_leaves_nothing_beside(Postgres).await;
    }
}
