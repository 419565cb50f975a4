//! Who set a value and why: every cell and every missing row of worlds with sources of different priority, references, computed and derived
//! fields, edits, force and undoing; and rows as they were.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Map, Value, json};
use support::{
    On, Random, World,
    scripted::{Scripted, last, page},
    start,
};
use syncline::{
    Absence, Connection, Credentials, DataSource, Edit, EntityQuery, ErrorKind, Explanation, Pull, ResolveConflict, RunId, SourceStatus,
    Syncline, TabMapping, Workspace,
    core::{RecordFailure, Stream},
    explain::{MadeFrom, Standing, Why},
    mapping::{Authority, Column, Computed, ConflictState, Mapping, Rule},
};

/// Random worlds, and what happens in each.
fn worlds(on: On) -> (u64, usize) {
    match on {
        On::Sqlite => (12, 24),
        On::Postgres => (2, 20),
    }
}

/// The sources of truth, each a stream with a mapping of its name, and their priorities.
const SOURCES: [(&str, i32); 3] = [("low", 1), ("middle", 5), ("high", 9)];
const BESIDE: &str = "beside";

/// What a stream shows: fields by record.
type Records = BTreeMap<String, Map<String, Value>>;

struct Stage {
    world: World,
    provider: Scripted,
    syncline: Syncline,
    connection: Connection,
}

fn mapping(stream: &str) -> Mapping {
    let keyed = Mapping::new(stream, stream).entity("person").column(Column::new("mail").to("email").key().then("trim").then("lower"));
    match SOURCES.iter().find(|(name, _)| *name == stream) {
        Some((_, priority)) => {
            let column = |name: &str| Column::new(name).optional().priority(*priority);
            let mapping = keyed.column(column("name").then("trim")).column(column("city"));
            if stream != "high" {
                return mapping;
            }
            mapping.column(column("visits")).computed(Computed::new("twice", "visits * 2").priority(9))
        }
        None if stream == BESIDE => keyed.column(Column::new("name").optional().authority(Authority::Reference)),
        None => keyed.column(Column::new("score").authority(Authority::Derived)).column(Column::new("city").optional().priority(7)),
    }
}

fn pull(stream: &str) -> Pull {
    Pull::mapped(mapping(stream)).safety_lag(Duration::ZERO).confirm_deletes().triggered_by(format!("{stream}'s friend"))
}

fn record(who: &str, fields: Value) -> Records {
    let mut record = json!({ "mail": who }).as_object().expect("an object").clone();
    record.extend(fields.as_object().expect("an object").clone());
    [(format!("r-{who}"), record)].into()
}

impl Stage {
    async fn new(on: On) -> Self {
        let world = World::on(on).await;
        let streams = ["low", "middle", "high", BESIDE, "scores", "bare"].map(Stream::full);
        let provider = Scripted::new("crm").streams(streams.into());
        let syncline = world.builder().storage(world.place().open().await).provider(provider.clone()).build().await.expect("an engine");
        let connection = syncline.workspace("acme").connect("crm", Credentials::api_key("good")).await.expect("it connects");
        Self { world, provider, syncline, connection }
    }

    fn acme(&self) -> Workspace {
        self.syncline.workspace("acme")
    }

    async fn run(&self, pull: Pull, records: &Records) -> RunId {
        self.world.clock.advance(Duration::from_secs(60));
        self.provider.pages(vec![last(page(records.iter().map(|(id, fields)| (id.as_str(), Value::Object(fields.clone())))))]);
        let result = self.connection.sync_from_external(pull).await.expect("it runs");
        assert!(result.success() && result.counts.balanced(), "{:?} {:?}", result.errors, result.counts);
        result.run.expect("a run")
    }

    async fn says(&self, stream: &str, records: &Records) -> RunId {
        self.run(pull(stream), records).await
    }

    async fn explain(&self, key: &str, field: &str) -> Explanation {
        self.acme().explain("person", key, field).await.expect("an explanation")
    }

    async fn rows(&self) -> BTreeMap<String, Map<String, Value>> {
        if self.acme().count("person").await.expect("a count") == 0 {
            return BTreeMap::new();
        }
        let all = self.acme().entities("person", EntityQuery { limit: 1000, ..EntityQuery::default() }).await.expect("rows");
        all.into_iter().map(|row| (row.key.to_string(), row.fields)).collect()
    }
}

/// Who set a value, as the tests expect it.
#[derive(Clone, Debug, PartialEq)]
struct Set {
    run: RunId,
    rule: Rule,
    by: String,
    previous: Option<Value>,
}

fn set_by(told: &Explanation) -> Option<Set> {
    let change = told.set_by.as_ref()?;
    Some(Set { run: change.run, rule: change.rule?, by: change.by.to_string(), previous: change.previous.clone() })
}

/// The mappings that lost, with what they say.
fn lost(told: &Explanation) -> BTreeMap<String, Value> {
    told.losers().map(|other| (other.origin.mapping.as_deref().unwrap_or_default().to_owned(), other.value.clone())).collect()
}

/// What is known of random worlds by watching them: an own account of who did what, made of nothing but rows before and after.
#[derive(Default)]
struct Watch {
    /// By row and field.
    cells: BTreeMap<(String, String), Set>,
    /// What each source said last, by source, row and field.
    said: BTreeMap<(&'static str, String, String), Value>,
    /// What people wrote, by row and field: of a source that says the same it cannot always be told whose word that is.
    peoples: BTreeSet<(String, String, String)>,
    /// Sources that only confirmed what stood there already, and whether it was overwritten by force since: of those nothing is left.
    confirmed: BTreeMap<(&'static str, String, String), bool>,
}

impl Watch {
    fn saw(
        &mut self,
        before: &BTreeMap<String, Map<String, Value>>,
        after: &BTreeMap<String, Map<String, Value>>,
        run: RunId,
        rule: Rule,
        by: &str,
    ) {
        for (key, row) in after {
            let was = before.get(key);
            let fields = row.keys().chain(was.into_iter().flat_map(|was| was.keys()));
            for field in fields {
                let (old, new) = (was.and_then(|was| was.get(field)), row.get(field));
                if old != new {
                    if let (true, Some(new)) = (rule.by_people(), new) {
                        self.peoples.insert((key.clone(), field.clone(), new.to_string()));
                    }
                    if rule == Rule::Forced {
                        let of_cell = self.confirmed.iter_mut().filter(|((_, of, name), _)| of == key && name == field);
                        of_cell.for_each(|(_, forced)| *forced = true);
                    }
                    let previous = was.map(|was| was.get(field).cloned().unwrap_or_default());
                    self.cells.insert((key.clone(), field.clone()), Set { run, rule, by: by.into(), previous });
                }
            }
        }
    }

    fn hears(&mut self, source: &'static str, key: &str, field: &str, said: &Value, now: Option<&Value>) {
        let word = (source, key.to_owned(), field.to_owned());
        if now == Some(said) {
            self.confirmed.entry(word.clone()).or_default();
        } else {
            self.confirmed.remove(&word);
        }
        self.said.insert(word, said.clone());
    }

    /// The sources whose last word about a cell is not its value.
    fn losers(&self, key: &str, field: &str, now: &Value) -> BTreeMap<String, Value> {
        let of_cell = self.said.iter().filter(|((_, of, name), said)| of == key && name == field && *said != now);
        let heard = of_cell.filter(|((source, ..), _)| self.tells(source, key, field));
        heard.map(|((source, ..), said)| ((*source).to_owned(), said.clone())).collect()
    }

    /// Whether a source's last word about a cell is its alone.
    fn tells(&self, source: &str, key: &str, field: &str) -> bool {
        let mut words = self.said.iter().filter(|((name, of, cell), _)| *name == source && of == key && cell == field);
        words.all(|(word, said)| {
            self.confirmed.get(word) != Some(&true) && !self.peoples.contains(&(key.to_owned(), field.to_owned(), said.to_string()))
        })
    }

    fn heard(&self, told: &Explanation) -> BTreeMap<String, Value> {
        lost(told).into_iter().filter(|(source, _)| self.tells(source, &told.key, &told.field)).collect()
    }
}

/// In worlds of pulls, edits, force and undoing every cell is explained as somebody says who only compared rows before and after.
async fn every_cell_of_a_random_world_is_explained(on: On) {
    let (seeds, steps) = worlds(on);
    for seed in 0..seeds {
        let mut random = Random::new(seed);
        let (stage, mut watch, mut last_pull) = (Stage::new(on).await, Watch::default(), None);
        for step in 0..steps {
            let before = stage.rows().await;
            let who = format!("p{}", random.below(2));
            let (run, rule, by) = match random.below(10) {
                0 if before.contains_key(&who) => {
                    stage.world.clock.advance(Duration::from_secs(60));
                    let edit = Edit::of("person", who.as_str()).set("name", format!("Edit {step}")).by("ben");
                    (stage.acme().edit(edit).await.expect("it is written").id, Rule::ByHand, "ben".to_owned())
                }
                1 if last_pull.is_some() => {
                    stage.world.clock.advance(Duration::from_secs(60));
                    let undone = stage.connection.undo(last_pull.take().expect("a run"), "cleo").await.expect("it is undone");
                    (undone.run.expect("a run"), Rule::Undo, "cleo".to_owned())
                }
                kind => {
                    let (source, _) = SOURCES[random.below(3)];
                    // Every record has all fields, so that nothing is ever gone.
                    let mut records = Records::new();
                    for n in 0..2 {
                        let fields = json!({ "name": format!("Name {}", random.below(6)), "city": format!("City {}", random.below(6)) });
                        let mut fields = fields.as_object().expect("an object").clone();
                        if source == "high" {
                            fields.insert("visits".into(), json!(random.below(3)));
                        }
                        for (field, value) in &fields {
                            let key = format!("p{n}");
                            watch.hears(source, &key, field, value, before.get(&key).and_then(|row| row.get(field)));
                        }
                        records.extend(record(&format!("p{n}"), fields.into()));
                    }
                    let (pull, rule, by) = if kind == 2 {
                        let capability = stage.syncline.force_overwrite("anna");
                        (pull(source).force_overwrite(&capability), Rule::Forced, "anna".to_owned())
                    } else {
                        (pull(source), Rule::SourceOfTruth, format!("{source}'s friend"))
                    };
                    let run = stage.run(pull, &records).await;
                    last_pull = Some(run).filter(|_| rule == Rule::SourceOfTruth && !before.is_empty());
                    (run, rule, by)
                }
            };
            let after = stage.rows().await;
            watch.saw(&before, &after, run, rule, &by);
            for (key, row) in &after {
                for (field, now) in row {
                    let told = stage.explain(key, field).await;
                    let place = format!("seed {seed}, step {step}, {key} {field}\n{told}");
                    assert_eq!((told.value.as_ref(), &told.standing), (Some(now), &Standing::Told), "{place}");
                    assert_eq!(set_by(&told).as_ref(), watch.cells.get(&(key.clone(), field.clone())), "{place}");
                    if ["name", "city"].contains(&field.as_str()) {
                        assert_eq!(watch.heard(&told), watch.losers(key, field, now), "{place}");
                    }
                }
            }
        }
    }
}

/// A small world in which everything there is happens once.
async fn everything_that_can_be_said_of_a_cell_is_said(on: On) {
    let stage = Stage::new(on).await;
    let ann = |fields: Value| record("ann", fields);
    let high = stage.says("high", &ann(json!({ "name": " Ann ", "city": "Ulm", "visits": 4 }))).await;
    let low = stage.says("low", &ann(json!({ "name": "Anna", "city": "Ulm" }))).await;
    let beside = stage.says(BESIDE, &ann(json!({ "name": "Anne" }))).await;
    stage.says("scores", &ann(json!({ "score": 3 }))).await;

    // The winner, how its value was made, who lost and what stands beside it.
    let name = stage.explain("ann", "name").await;
    let change = name.set_by.as_ref().expect("a change");
    assert_eq!(set_by(&name), Some(Set { run: high, rule: Rule::SourceOfTruth, by: "high's friend".into(), previous: None }));
    let making = change.making.as_ref().expect("the mapping");
    assert_eq!((making.from.clone(), making.priority, &making.source_value), (MadeFrom::Columns(vec!["name".into()]), 9, &None));
    assert_eq!(making.steps.iter().map(|step| &*step.name).collect::<Vec<_>>(), ["trim"]);
    assert_eq!((change.origin.mapping.as_deref(), change.origin.place.as_deref()), (Some("high"), Some("high → name")));
    let loser = name.losers().next().expect("a loser");
    assert_eq!((loser.origin.mapping.as_deref(), &loser.value, loser.priority, loser.run), (Some("low"), &json!("Anna"), Some(1), low));
    let open = matches!(&loser.why, Why::LowerPriority { winner_priority: 9, state: Some(ConflictState::Open), conflict: Some(_), .. });
    assert!(open, "{:?}", loser.why);
    assert_eq!(name.beside.iter().map(|kept| (&kept.value, kept.run)).collect::<Vec<_>>(), [(&json!("Anne"), beside)]);
    let text = name.to_string();
    for part in [
        "name of person ann is \"Ann\"",
        "the crm account \"",
        "(high → name), through the mapping \"high\"",
        "started by high's friend",
        "the row was new",
        "from the source's field \"name\", then trim; what stood there before that was not kept",
        "its priority, 9, is the highest of all that say something about this field",
        "\"Anna\", says the crm account \"",
        "Its priority, 1, is lower than 9",
        "Nobody has decided about that yet (conflict ",
        "\"Anne\", says the crm account \"",
        "It is only a reference for this field, and never writes it",
    ] {
        assert!(text.contains(part), "lacks {part:?}:\n{text}");
    }

    // Sources that agree; values that nothing was done to; fields that are computed, derived, or of the key.
    let city = stage.explain("ann", "city").await;
    assert_eq!((city.losers().count(), city.others[0].why.clone()), (0, Why::Agrees), "{city}");
    let source_value = city.set_by.as_ref().and_then(|change| change.making.as_ref()?.source_value.clone());
    assert_eq!(source_value, Some(json!("Ulm")), "nothing was done to it");
    let twice = stage.explain("ann", "twice").await;
    let Some(MadeFrom::Computed { expression, inputs }) =
        twice.set_by.as_ref().and_then(|change| Some(change.making.as_ref()?.from.clone()))
    else {
        panic!("computed: {twice}")
    };
    assert_eq!(&*expression, "visits * 2");
    let input = (&*inputs[0].name, inputs[0].value.clone(), inputs[0].place.as_deref());
    assert_eq!((input, inputs.len()), (("visits", Some(json!(4)), Some("high → visits")), 1));
    assert!(twice.to_string().contains("computed as `visits * 2`, with visits = 4 (high → visits)"), "{twice}");
    let score = stage.explain("ann", "score").await;
    assert_eq!((&score.standing, &score.value), (&Standing::Derived { mapping: "scores".into() }, &None));
    assert_eq!(stage.explain("ann", "email").await.set_by.map(|change| change.run), Some(high));

    // A person changes it, and another takes that back together with the value before.
    let edited = stage.acme().edit(Edit::of("person", "ann").set("name", "Annie").by("ben")).await.expect("it is written").id;
    let name = stage.explain("ann", "name").await;
    assert_eq!(set_by(&name), Some(Set { run: edited, rule: Rule::ByHand, by: "ben".into(), previous: Some(json!("Ann")) }));
    assert_eq!(lost(&name), BTreeMap::from([("high".into(), json!("Ann")), ("low".into(), json!("Anna"))]));
    assert!(name.losers().any(|other| other.why == Why::Decided { rule: Rule::ByHand, conflict: None }), "{name}");
    assert!(name.to_string().contains("ben changed it by hand"), "{name}");
    let second = stage.says("high", &ann(json!({ "name": "Bea", "city": "Ulm", "visits": 5 }))).await;
    let name = stage.explain("ann", "name").await;
    let earlier: Vec<_> = name.by_people.iter().map(|change| (change.run, change.value.clone())).collect();
    assert_eq!((set_by(&name).map(|set| set.run), earlier), (Some(second), vec![(edited, Some(json!("Annie")))]));
    let undone = stage.connection.undo(second, "cleo").await.expect("it is undone").run.expect("a run");
    let name = stage.explain("ann", "name").await;
    assert_eq!(set_by(&name), Some(Set { run: undone, rule: Rule::Undo, by: "cleo".into(), previous: Some(json!("Bea")) }));
    let change = name.set_by.as_ref().expect("a change");
    assert_eq!((change.undid, change.restores.as_ref().map(|restored| restored.run)), (Some(second), Some(edited)), "{name}");
    assert!(name.to_string().contains(&format!("cleo took back what run {second} had done")), "{name}");
    assert_eq!(lost(&name), BTreeMap::from([("high".into(), json!("Bea")), ("low".into(), json!("Anna"))]));

    // Force.
    let capability = stage.syncline.force_overwrite("anna");
    let forced = stage.run(pull(BESIDE).force_overwrite(&capability), &ann(json!({ "name": "Forced" }))).await;
    let name = stage.explain("ann", "name").await;
    assert_eq!(set_by(&name), Some(Set { run: forced, rule: Rule::Forced, by: "anna".into(), previous: Some(json!("Annie")) }));
    let text = name.to_string();
    assert!(text.contains("by force: anna let this run overwrite whatever was there (by itself it is only a reference"), "{text}");
    assert!(name.losers().any(|other| other.why == Why::Forced), "{text}");

    // A value that had lost is taken.
    let stage = Stage::new(on).await;
    stage.says("high", &ann(json!({ "name": "Ann" }))).await;
    stage.says("low", &ann(json!({ "name": "Anna" }))).await;
    let conflict = stage.acme().conflicts(Default::default()).await.expect("conflicts").remove(0).id;
    stage.acme().resolve_conflict(ResolveConflict::accept(conflict).by("dora")).await.expect("it is accepted");
    let accepted = stage.explain("ann", "name").await.to_string();
    assert!(accepted.contains(&format!("and dora accepted that (conflict {conflict})")), "{accepted}");
    let taken = stage.acme().resolve_conflict(ResolveConflict::take(conflict).by("dora")).await.expect("it is taken");
    let name = stage.explain("ann", "name").await;
    let run = taken.run.and_then(|result| result.run).expect("a run");
    assert_eq!(set_by(&name), Some(Set { run, rule: Rule::Taken, by: "dora".into(), previous: Some(json!("Ann")) }));
    assert_eq!(lost(&name), BTreeMap::from([("high".into(), json!("Ann"))]));
    assert_eq!(name.others[0].why, Why::Decided { rule: Rule::Taken, conflict: Some(conflict) }, "{name}");
    assert!(name.to_string().contains("dora decided that a value counts which had lost"), "{name}");
}

/// Everything that is not a cell with a history: rows that are not there, fields without values, tables without mappings.
async fn what_is_not_there_is_explained_too(on: On) {
    let stage = Stage::new(on).await;
    let unknown = stage.acme().explain("person", "ann", "name").await.expect_err("nothing is there");
    assert!(unknown.kind() == ErrorKind::NotFound && unknown.text().contains("there are no tables with rows yet"), "{unknown}");
    let mut both = record("ann", json!({ "name": "Ann", "city": null }));
    both.extend(record("ben", json!({ "name": "Ben" })));
    stage.says("middle", &both).await;

    // Rows.
    let never = stage.explain("nobody", "name").await;
    assert!(matches!(&never.standing, Standing::NoRow { absence: Absence::NeverSeen { read: 2, .. } }), "{never}");
    assert!(never.set_by.is_none() && never.to_string().contains("the row is not there: the service has not shown it"), "{never}");
    let gone = stage.says("middle", &record("ann", json!({ "name": "Ann" }))).await;
    let ben = stage.explain("ben", "name").await;
    assert!(matches!(&ben.standing, Standing::NoRow { absence: Absence::Deleted { run, .. } } if *run == gone), "{ben}");
    assert_eq!(set_by(&ben), Some(Set { run: gone, rule: Rule::Deleted, by: "middle's friend".into(), previous: Some(json!("Ben")) }));
    assert!(ben.to_string().starts_with("name of person ben is gone; it was \"Ben\""), "{ben}");
    stage.provider.answer(|_, _| {
        let mut page = page([("r-ann", json!({ "mail": "ann", "name": "Ann" }))]);
        page.failures.push(RecordFailure::error("is not a mail address").of_record("eve").at_row(Some(7)));
        Ok(last(page))
    });
    let failed = stage.connection.sync_from_external(pull("middle")).await.expect("it runs").run.expect("a run");
    let eve = stage.explain("eve", "name").await;
    assert!(matches!(&eve.standing, Standing::NoRow { absence: Absence::Failed { run, .. } } if *run == failed), "{eve}");

    // Fields.
    let city = stage.explain("ann", "city").await;
    assert_eq!((&city.value, &city.standing), (&None, &Standing::Empty { written_by: vec!["middle".into()] }));
    let wrong = stage.acme().explain("person", "ann", "nmae").await.expect_err("no such field");
    assert!(wrong.kind() == ErrorKind::NotFound && wrong.text().contains("this one has: city, email, name"), "{wrong}");
    let wrong = stage.acme().explain("persons", "ann", "name").await.expect_err("no such table");
    assert!(wrong.text().contains("there is no table \"persons\"; there are: person"), "{wrong}");
    let other = stage.syncline.workspace("other");
    assert_eq!(other.explain("person", "ann", "name").await.expect_err("another's").kind(), ErrorKind::NotFound);

    // A stream's own table, without a mapping; without lineage; and the same key of two accounts.
    let bare = Pull::stream("bare").safety_lag(Duration::ZERO);
    stage.run(bare.clone().without_lineage(), &record("dan", json!({ "name": "Dan" }))).await;
    let dan = stage.acme().explain("crm_bare", "r-dan", "name").await.expect("an explanation");
    assert_eq!((dan.standing, dan.set_by), (Standing::Untold, None));
    let run = stage.run(bare.clone(), &record("dan", json!({ "name": "Danny" }))).await;
    let dan = stage.acme().explain("crm_bare", "r-dan", "name").await.expect("an explanation");
    assert_eq!(set_by(&dan).map(|set| (set.run, set.previous)), Some((run, Some(json!("Dan")))));
    assert!(
        dan.to_string().contains("there is no mapping in between") && dan.to_string().contains("belongs to this stream alone"),
        "{dan}"
    );
    stage.run(bare.clone().without_lineage(), &record("dan", json!({ "name": "Dana" }))).await;
    let dan = stage.acme().explain("crm_bare", "r-dan", "name").await.expect("an explanation");
    assert_eq!(dan.standing, Standing::ChangedSince, "{dan}");
    assert!(dan.to_string().contains("since then it was changed without a word"), "{dan}");
}

/// The version of a stored mapping that made a value, and who had changed it.
async fn the_version_of_the_mapping_is_named(on: On) {
    let stage = Stage::new(on).await;
    let source = DataSource {
        id: "crm".into(),
        kind: "api".into(),
        name: "The CRM".into(),
        connection_id: stage.connection.id().clone(),
        connector_config: Value::Null,
        schedule: None,
        status: SourceStatus::Active,
    };
    stage.acme().put_data_source(&source).await.expect("stored");
    let put = async |who: &str, mapping: Mapping| {
        stage.world.clock.advance(Duration::from_secs(60));
        let tab = TabMapping { id: "people".into(), data_source_id: "crm".into(), status: SourceStatus::Active, mapping };
        stage.acme().acting(who).put_tab_mapping(&tab).await.expect("stored");
    };
    put("anna", mapping("low")).await;
    put("ben", mapping("low").column(Column::new("note").optional())).await;
    stage.world.clock.advance(Duration::from_secs(60));
    stage.provider.pages(vec![last(page([("r", json!({ "mail": "ann", "name": "Ann", "note": "n" }))]))]);
    stage.acme().sync_tab("people", &Default::default()).await.expect("it runs");
    put("cleo", mapping("low")).await;
    let note = stage.explain("ann", "note").await;
    let version = note.set_by.as_ref().and_then(|change| change.making.as_ref()?.version.clone()).expect("a version");
    assert_eq!((&*version.tab, version.version, &*version.changed_by), ("people", 2, "ben"));
    assert!(note.to_string().contains("the mapping was that of \"people\" in version 2, made by ben"), "{note}");
    // Another mapping of the same name is no version of it.
    stage.run(Pull::mapped(mapping("low").column(Column::new("other").optional())), &record("ann", json!({ "name": "Anna" }))).await;
    let name = stage.explain("ann", "name").await;
    assert_eq!(name.set_by.and_then(|change| change.making?.version), None);
}

/// History, and a row as it was.
async fn a_history_ends_where_it_is_asked_to(on: On) {
    let stage = Stage::new(on).await;
    stage.says("middle", &record("ann", json!({ "name": "Ann", "city": "Ulm" }))).await;
    stage.says("middle", &record("ann", json!({ "name": "Anna", "city": "Ulm" }))).await;
    stage.world.clock.advance(Duration::from_secs(60));
    stage.acme().edit(Edit::of("person", "ann").set("city", "Bonn").by("ben")).await.expect("it is written");
    let acme = stage.acme();
    let all = acme.history("person", "ann", None, None).await.expect("a history");
    let told: Vec<_> = all.changes.iter().map(|change| (&*change.field_name, change.rule.expect("a rule").as_str())).collect();
    let (first, second) = (all.changes[0].changed_at, all.changes[3].changed_at);
    assert_eq!(told[..3].iter().filter(|(_, rule)| *rule == "source_of_truth").count(), 3);
    assert_eq!(told[3..], [("name", "source_of_truth"), ("city", "by_hand")]);
    assert_eq!(all.row.map(Value::from), Some(json!({ "email": "ann", "name": "Anna", "city": "Bonn" })));
    let then = acme.history("person", "ann", None, Some(first)).await.expect("a history");
    assert_eq!((then.changes.len(), then.row.map(Value::from)), (3, Some(json!({ "email": "ann", "name": "Ann", "city": "Ulm" }))));
    let city = acme.history("person", "ann", Some("city"), Some(second)).await.expect("a history");
    assert_eq!(city.row.map(Value::from), Some(json!({ "city": "Ulm" })), "the edit came later");
    let before = acme.history("person", "ann", None, Some(start())).await.expect("a history");
    assert_eq!((before.row, before.changes.len()), (None, 0), "it was not there yet");
    for (entity, key, field, part) in [
        ("person", "ann", Some("nmae"), "city, email, name"),
        ("person", "nobody", None, "no row with the key \"nobody\""),
        ("persons", "ann", None, "there are: person"),
    ] {
        let error = acme.history(entity, key, field, None).await.expect_err("there is none");
        assert!(error.kind() == ErrorKind::NotFound && error.text().contains(part), "{error}");
    }
}

/// A sensitive value is compared by its hash and told as one, whoever says it.
async fn a_sensitive_value_is_explained_and_not_shown(on: On) {
    let stage = Stage::new(on).await;
    let hides = |stream: &str, priority: i32| {
        let keyed = Mapping::new(stream, stream).entity("person").column(Column::new("mail").to("email").key());
        let mapping = keyed.column(Column::new("name").sensitive(true).priority(priority));
        Pull::mapped(mapping).safety_lag(Duration::ZERO).confirm_deletes()
    };
    stage.run(hides("high", 9), &record("ann", json!({ "name": "Secret Ann" }))).await;
    stage.run(hides("middle", 5), &record("ann", json!({ "name": "Secret Ann" }))).await;
    stage.run(hides("low", 1), &record("ann", json!({ "name": "Secret Anna" }))).await;
    let name = stage.explain("ann", "name").await;
    assert_eq!(
        (&name.standing, name.value.clone()),
        (&Standing::Told, Some(stage.acme().hidden(&json!("Secret Ann")).await.expect("a hash")))
    );
    let others: BTreeMap<_, _> = name.others.iter().map(|other| (other.origin.mapping.as_deref(), other.why == Why::Agrees)).collect();
    assert_eq!(others, BTreeMap::from([(Some("middle"), true), (Some("low"), false)]), "{name}");
    let history = stage.acme().history("person", "ann", None, None).await.expect("a history");
    let told = [name.to_string(), serde_json::to_string(&name).expect("JSON"), serde_json::to_string(&history).expect("JSON")];
    assert!(told.iter().all(|text| !text.contains("Secret")), "{told:?}");
    assert!(told[0].starts_with("name of person ann is (hidden hmac-sha256:"), "{}", told[0]);
}

/// A row of the host that no run has had to do with, and wrong ways of asking.
#[tokio::test]
async fn what_nobody_wrote_down_is_not_denied() {
    let stage = Stage::new(On::Sqlite).await;
    stage.says("middle", &record("ann", json!({ "name": "Ann" }))).await;
    // A managed row that came without lineage.
    stage
        .run(pull("middle").without_lineage(), &{
            let mut both = record("ann", json!({ "name": "Anna" }));
            both.extend(record("ben", json!({ "name": "Ben" })));
            both
        })
        .await;
    // Runs of other tables hide nothing.
    for n in 0..201 {
        stage.run(Pull::stream("bare").safety_lag(Duration::ZERO), &record("dan", json!({ "name": format!("Dan {n}") }))).await;
    }
    let never = stage.explain("nobody", "name").await;
    assert!(matches!(&never.standing, Standing::NoRow { absence: Absence::NeverSeen { .. } }), "{never}");
    assert!(matches!(stage.explain("ann", "city").await.standing, Standing::Empty { .. }), "the mapping is known still");

    // Whose row it is, where that means something.
    let other =
        stage.acme().connect("crm", Credentials::api_key("good")).settings(json!({ "account": "second" })).await.expect("it connects");
    for (entity, key, part) in
        [("person", "ann", "leave the connection out"), ("crm_bare", "r-dan", "there is one of "), ("person", "", "the key is empty")]
    {
        let error = stage.acme().explain_of(Some(other.id().clone()), entity, key, "name").await.err();
        let error = error.unwrap_or_else(|| panic!("{entity} {key:?} is explained"));
        assert!(error.text().contains(part), "{error}");
    }
    let error = stage.acme().explain("person", "Ann", "name").await.expect_err("another key");
    assert!(error.kind() == ErrorKind::NotFound && error.text().contains("did you mean \"ann\"?"), "{error}");
}

/// A loser is told with the run that brought it, not with the winner's.
#[tokio::test]
async fn what_lost_is_told_with_its_own_run() {
    let stage = Stage::new(On::Sqlite).await;
    let low = stage.says("low", &record("ann", json!({ "name": "Anna" }))).await;
    let high = stage.says("high", &record("ann", json!({ "name": "Ann" }))).await;
    let name = stage.explain("ann", "name").await;
    let runs: Vec<_> = name.losers().map(|other| (other.run, other.own_run)).collect();
    assert_eq!((runs, set_by(&name).map(|set| set.run)), (vec![(low, true)], Some(high)), "{name}");
}

/// Rows of two accounts with one key.
#[tokio::test]
async fn a_key_of_two_accounts_is_explained_when_it_is_said_whose() {
    let stage = Stage::new(On::Sqlite).await;
    let bare = Pull::stream("bare").safety_lag(Duration::ZERO);
    stage.run(bare.clone(), &record("dan", json!({ "name": "Dan" }))).await;
    let other = stage.acme().connect("crm", Credentials::api_key("good")).settings(json!({ "account": "second" }));
    let other = other.await.expect("it connects");
    stage.provider.pages(vec![last(page([("r-dan", json!({ "name": "Other" }))]))]);
    other.sync_from_external(bare).await.expect("it runs");
    let unsaid = stage.acme().explain("crm_bare", "r-dan", "name").await.expect_err("whose?");
    assert!(unsaid.kind() == ErrorKind::Config && unsaid.text().contains("say whose is meant"), "{unsaid}");
    let theirs = stage.acme().explain_of(Some(other.id().clone()), "crm_bare", "r-dan", "name").await.expect("an explanation");
    assert_eq!((theirs.value, theirs.set_by.and_then(|change| change.value)), (Some(json!("Other")), Some(json!("Other"))));
}

mod on_sqlite {
    use super::On;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_cell_of_a_random_world_is_explained() {
        super::every_cell_of_a_random_world_is_explained(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn everything_that_can_be_said_of_a_cell_is_said() {
        super::everything_that_can_be_said_of_a_cell_is_said(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_not_there_is_explained_too() {
        super::what_is_not_there_is_explained_too(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_version_of_the_mapping_is_named() {
        super::the_version_of_the_mapping_is_named(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_history_ends_where_it_is_asked_to() {
        super::a_history_ends_where_it_is_asked_to(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_sensitive_value_is_explained_and_not_shown() {
        super::a_sensitive_value_is_explained_and_not_shown(On::Sqlite).await;
    }
}

mod on_postgres {
    use super::On;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_cell_of_a_random_world_is_explained() {
        super::every_cell_of_a_random_world_is_explained(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn everything_that_can_be_said_of_a_cell_is_said() {
        super::everything_that_can_be_said_of_a_cell_is_said(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_not_there_is_explained_too() {
        super::what_is_not_there_is_explained_too(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_version_of_the_mapping_is_named() {
        super::the_version_of_the_mapping_is_named(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_history_ends_where_it_is_asked_to() {
        super::a_history_ends_where_it_is_asked_to(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_sensitive_value_is_explained_and_not_shown() {
        super::a_sensitive_value_is_explained_and_not_shown(On::Postgres).await;
    }
}
