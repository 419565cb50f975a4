//! Values that are nobody's business: their hashes in the history, and nowhere else what does not need them; and entities that nobody is
//! to find again.

mod support;

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use support::{
    On, World, clean,
    dump::Dump,
    pushable::{Fate, Pushable},
    scripted::{Scripted, last, page},
};
use syncline::{
    Apply, Connection, Credentials, Edit, EntityQuery, ErrorKind, HostTable, ItemKind, Pull, Push, Retention, RunFilter, RunStatus,
    SyncResult, Syncline, Workspace,
    core::{Field, Operation, PullPage, PushLimits, PushMode, Stream},
    mapping::{Authority, Column, Computed, Mapping, OnError},
};

struct Stage {
    provider: Scripted,
    syncline: Syncline,
    connection: Connection,
    crm: Pushable,
    world: World,
}

impl Stage {
    async fn new(on: On) -> Self {
        let world = World::on(on).await;
        let fields = [Field::new("code"), Field::new("mail").sensitive(), Field::new("phone").sensitive(), Field::new("name")];
        let streams = ["people", "truth"].map(|name| Stream::full(name).with_fields(fields.to_vec()));
        let provider = Scripted::new("desk").streams(streams.to_vec());
        let crm = Pushable::new(PushLimits::default());
        let builder = world.builder().storage(world.place().open().await).provider(provider.clone());
        let syncline = builder.provider(crm.clone()).build().await.expect("an engine");
        let connection = syncline.workspace("acme").connect("desk", Credentials::api_key("good")).await.expect("it connects");
        Self { provider, syncline, connection, crm, world }
    }

    fn acme(&self) -> Workspace {
        self.syncline.workspace("acme")
    }

    fn shows(&self, people: &[Value]) {
        self.provider.pages(vec![records(people)]);
    }

    async fn pull(&self, pull: Pull, people: &[Value]) -> SyncResult {
        self.shows(people);
        let pull = pull.safety_lag(Duration::ZERO).confirm_deletes();
        let result = self.connection.sync_from_external(pull).await.expect("it runs");
        assert!(result.success() && result.counts.balanced(), "{:?} {:?}", result.errors, result.counts);
        result
    }

    /// The names of our tables in which a text stands; views are looked at too.
    fn tables_with(&self, text: &str) -> BTreeSet<String> {
        let dump = Dump::everything_but(&self.world.place(), &[]);
        let tables = dump.0.iter().filter(|(_, rows)| rows.iter().any(|row| row.contains(text))).map(|(name, _)| name.clone());
        let mut tables: BTreeSet<String> = tables.map(|name| name.trim_start_matches("syncline_").to_owned()).collect();
        // The host's own.
        tables.remove("partners");
        for side in ["previous_value", "new_value"] {
            if self.world.ask_all(&format!("SELECT {side} FROM syncline_field_lineage")).iter().any(|value| value.contains(text)) {
                tables.insert("field_lineage".into());
            }
        }
        tables
    }

    async fn told(&self, entity: &str, key: &str, field: &str) -> Vec<(Value, Value)> {
        let history = self.acme().lineage(entity, key, Some(field)).await.expect("lineage");
        let value = |value: Option<Value>| value.unwrap_or_else(|| "-".into());
        history.into_iter().map(|entry| (value(entry.previous_value), value(entry.new_value))).collect()
    }
}

fn records(people: &[Value]) -> PullPage {
    last(page(people.iter().map(|person| (person["code"].as_str().expect("a code"), person.clone()))))
}

fn person(code: &str, mail: &str, phone: &str, name: &str) -> Value {
    json!({ "code": code, "mail": mail, "phone": phone, "name": name })
}

fn mapping() -> Mapping {
    Mapping::new("people", "people")
        .entity("person")
        .column(Column::new("code").key())
        .column(Column::new("mail").to("email"))
        .column(Column::new("phone").sensitive(true).then("number").on_error(OnError::DropValue))
        .column(Column::new("name"))
        .computed(Computed::new("greeting", r#"email + "!""#))
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn sensitive_values_stand_in_rows_and_open_plans_alone(on: On) {
    let stage = Stage::new(on).await;
    let (one, two) = (person("P1", "ada@first.example", "nonsense-4417", "Ada"), person("P1", "ada@second.example", "55127781", "Ada"));
    for pull in [Pull::stream("people"), Pull::mapped(mapping())] {
        stage.pull(pull.clone(), std::slice::from_ref(&one)).await;
        stage.pull(pull, std::slice::from_ref(&two)).await;
    }
    let runs = stage.acme().runs(Default::default()).await.expect("runs");
    let mut said = Vec::new();
    for run in &runs {
        said.extend(stage.acme().failures(run.id, 10).await.expect("failures").into_iter().map(|failure| failure.error.to_string()));
    }
    assert!(said.iter().any(|text| text.contains("a sensitive value")), "the phone that is no number is told: {said:?}");
    // Each stands in the rows, as it is there now; the first in none.
    assert_eq!(stage.tables_with("ada@second.example"), names(&["desk_people", "person"]));
    assert_eq!(stage.tables_with("55127781"), names(&["desk_people", "person"]));
    assert_eq!(stage.tables_with("ada@first.example"), names(&[]));
    assert_eq!(stage.tables_with("nonsense-4417"), names(&[]));

    // A plan has what it writes, and does not show it.
    stage.shows(&[person("P1", "ada@third.example", "1", "Ada L")]);
    let plan = stage.connection.plan(Pull::mapped(mapping()).safety_lag(Duration::ZERO)).await.expect("a plan");
    assert_eq!(stage.tables_with("ada@third.example"), names(&["plan_items"]));
    let items = stage.acme().plan_items(plan.plan.run, 0, 10).await.expect("items");
    let shown: Vec<Value> = items.iter().map(|item| item.to_json(&plan.plan.entity, &plan.plan.key)).collect();
    assert!(!json!(shown).to_string().contains("example") && shown[0]["fields"]["name"] == "Ada L", "{shown:?}");
    assert_eq!(shown[0]["fields"]["greeting"], json!({ "hidden": null }), "what is computed of it is hidden too");
    clean(&stage.connection.apply(Apply::plan(plan.plan.run)).await.expect("applied"));
    let query = EntityQuery { key: Some("P1".into()), ..EntityQuery::default() };
    let row = &stage.acme().entities("person", query).await.expect("rows")[0];
    assert_eq!((&row.fields["email"], &row.fields["greeting"]), (&json!("ada@third.example"), &json!("ada@third.example!")));

    // What people do by hand is hidden as well, and what goes.
    let edit = Edit::of("person", "P1").set("email", json!("ada@fourth.example"));
    stage.acme().edit(edit).await.expect("edited");
    stage.pull(Pull::stream("people").full(), &[]).await;
    stage.pull(Pull::mapped(mapping()).full(), &[]).await;
    assert_eq!(stage.acme().count("person").await.expect("a count"), 0);
    assert_eq!(stage.tables_with("ada@fourth.example"), names(&[]));
    for text in ["ada@second.example", "ada@third.example", "55127781"] {
        assert_eq!(stage.tables_with(text), names(&["plan_items"]), "{text}");
    }
    // What a plan holds goes with it.
    stage.world.clock.advance(Duration::from_secs(86_400));
    let pruned = stage.syncline.prune(Retention::default().plans(Duration::from_secs(3600))).await.expect("pruned");
    assert_eq!(pruned.plans, 1);
    assert_eq!(stage.tables_with("example"), names(&[]));
}

async fn what_any_mapping_marks_is_shown_by_no_plan(on: On) {
    let stage = Stage::new(on).await;
    let marks = Mapping::new("people", "people").entity("person").column(Column::new("code").key());
    stage.pull(Pull::mapped(marks.column(Column::new("name").sensitive(true))), &[person("P1", "", "", "Ada One")]).await;
    // Another mapping writes the same field and says nothing of it.
    let other = Mapping::new("truth", "truth").entity("person").column(Column::new("code").key()).column(Column::new("name").priority(9));
    let shown = async |people: &[Value]| {
        stage.shows(people);
        let pull = Pull::mapped(other.clone()).safety_lag(Duration::ZERO).confirm_deletes();
        let plan = stage.connection.plan(pull).await.expect("a plan");
        let items = stage.acme().plan_items(plan.plan.run, 0, 10).await.expect("items");
        items.iter().map(|item| item.to_json(&plan.plan.entity, &plan.plan.key)).collect::<Vec<_>>()
    };
    let hidden = json!({ "hidden": null });
    let update = shown(&[person("P1", "", "", "Ada Two")]).await;
    assert_eq!((&update[0]["fields"]["name"], &update[0]["existing"]["name"]), (&hidden, &hidden), "{update:?}");
    stage.pull(Pull::mapped(other.clone()), &[person("P2", "", "", "Eve Two"), person("P3", "", "", "Zoe Two")]).await;
    let gone = shown(&[person("P3", "", "", "Zoe Two")]).await;
    assert_eq!((gone.len(), &gone[0]["type"], &gone[0]["existing"]["name"]), (1, &json!("delete"), &hidden), "{gone:?}");
}

async fn a_first_plan_quotes_no_sensitive_value_that_the_table_refuses(on: On) {
    let stage = Stage::new(on).await;
    stage.world.place().change("CREATE TABLE partners (code TEXT PRIMARY KEY, email INTEGER CHECK (email > 0 AND email < 9))");
    let mapping = Mapping::new("partners", "people").table(HostTable::new("partners").key("code"));
    let mapping = mapping.column(Column::new("code").key()).column(Column::new("mail").to("email"));
    stage.shows(&[person("P1", "ada@first.example", "7", "Ada")]);
    let plan = stage.connection.plan(Pull::mapped(mapping).safety_lag(Duration::ZERO)).await.expect("a plan");
    let said: Vec<String> = plan.plan.failures.iter().map(|failure| failure.error.to_string()).collect();
    assert!(said.len() == 1 && !said[0].contains("ada@first"), "{said:?}");
    assert_eq!(stage.tables_with("ada@first"), names(&[]));
}

async fn a_history_tells_whether_a_sensitive_value_was_ever_there(on: On) {
    let stage = Stage::new(on).await;
    for mail in ["ada@first.example", "ada@second.example", "ada@first.example"] {
        stage.pull(Pull::mapped(mapping()), &[person("P1", mail, "7", "Ada")]).await;
    }
    let (first, second) = (
        stage.acme().hidden(&json!("ada@first.example")).await.expect("a hash"),
        stage.acme().hidden(&json!("ada@second.example")).await.expect("a hash"),
    );
    assert!(first["hidden"].as_str().is_some_and(|hash| hash.starts_with("hmac-sha256:")), "{first}");
    let told = [(json!("-"), first.clone()), (first.clone(), second.clone()), (second, first.clone())];
    assert_eq!(stage.told("person", "P1", "email").await, told);
    let now = stage
        .acme()
        .entity_as_of("person", "P1", support::start() + Duration::from_secs(86_400))
        .await
        .expect("a row")
        .expect("there it was");
    assert_eq!(now["email"], first, "as of a time, too");
    let bolt = stage.syncline.workspace("bolt");
    assert_ne!(bolt.hidden(&json!("ada@first.example")).await.expect("a hash"), first, "each workspace has its own");
}

async fn a_run_is_undone_but_for_values_that_are_hidden(on: On) {
    let stage = Stage::new(on).await;
    stage
        .pull(Pull::mapped(mapping()), &[person("P1", "ada@first.example", "7", "Ada"), person("P2", "eve@first.example", "7", "Eve")])
        .await;
    let people = [person("P1", "ada@second.example", "7", "Ada L"), person("P2", "eve@first.example", "7", "Eve H")];
    let run = stage.pull(Pull::mapped(mapping()), &people).await.run.expect("a run");
    let plan = stage.connection.plan_undo(run, "ada").await.expect("a plan");
    let lost: Vec<_> = plan.plan.failures.iter().map(|failure| (failure.record.as_deref(), failure.column.as_deref())).collect();
    assert_eq!(lost, [(Some("P1"), Some("email")), (Some("P1"), Some("greeting"))], "{:?}", plan.plan.failures);
    assert!(plan.plan.failures[0].error.contains("no more than a hash"), "{:?}", plan.plan.failures);
    clean(&stage.connection.apply(Apply::plan(plan.plan.run)).await.expect("undone"));
    let rows = stage.acme().entities("person", EntityQuery::default()).await.expect("rows");
    let fields: Vec<_> = rows.iter().map(|row| (row.fields["name"].clone(), row.fields["email"].clone())).collect();
    assert_eq!(fields, [(json!("Ada"), json!("ada@second.example")), (json!("Eve"), json!("eve@first.example"))]);

    // Rows that a run made go, though their values are hidden: nobody has changed them since.
    let result =
        stage.pull(Pull::mapped(mapping()), &[people[0].clone(), people[1].clone(), person("P3", "zoe@x.example", "7", "Zoe")]).await;
    let plan = stage.connection.plan_undo(result.run.expect("a run"), "ada").await.expect("a plan");
    let items = stage.acme().plan_items(plan.plan.run, 0, 10).await.expect("items");
    let gone: Vec<_> = items.iter().filter(|item| item.kind == ItemKind::Delete).map(|item| &*item.entity).collect();
    assert_eq!(gone, ["P3"]);
    assert!(items.iter().all(|item| !item.to_json(&plan.plan.entity, &plan.plan.key).to_string().contains("zoe@x")));
    clean(&stage.connection.apply(Apply::plan(plan.plan.run)).await.expect("undone"));
    assert_eq!(stage.acme().count("person").await.expect("a count"), 2);

    // A row of which nothing is known but hashes is no row that is as it was.
    let stage = Stage::new(on).await;
    stage.pull(Pull::mapped(mapping()), &[person("P1", "ada@first.example", "7", "Ada")]).await;
    let run = stage.pull(Pull::mapped(mapping()), &[person("P1", "ada@second.example", "7", "Ada")]).await.run.expect("a run");
    let counts = stage.connection.plan_undo(run, "ada").await.expect("a plan").plan.counts;
    assert_eq!((counts.read, counts.skipped, counts.unchanged), (1, 1, 0), "{counts:?}");
}

/// The host's own table of partners.
fn partners(stage: &Stage) -> Pull {
    let sql = "CREATE TABLE partners (code TEXT PRIMARY KEY, email TEXT, name TEXT)";
    stage.world.place().change(sql);
    let mapping = Mapping::new("partners", "people").table(HostTable::new("partners").key("code"));
    Pull::mapped(mapping.column(Column::new("code").key()).column(Column::new("mail").to("email")).column(Column::new("name")))
}

async fn a_table_of_the_hosts_own_has_hashes_in_its_history_too(on: On) {
    let stage = Stage::new(on).await;
    let pull = partners(&stage);
    for mail in ["ada@first.example", "ada@second.example"] {
        stage.pull(pull.clone(), &[person("P1", mail, "7", "Ada")]).await;
    }
    let first = stage.acme().hidden(&json!("ada@first.example")).await.expect("a hash");
    assert_eq!(stage.told("partners", "P1", "email").await[0], (json!("-"), first));
    let tables = stage.tables_with("@first.example");
    assert_eq!(tables, names(&[]));
}

async fn an_erased_entity_is_nowhere_to_be_found(on: On) {
    let stage = Stage::new(on).await;
    let acme = stage.acme();
    // Everything about the one has `ada`, everything about the other `eve`.
    let ada = |n: u32, phone: &str| person("ada-lovelace", &format!("ada{n}@x.example"), phone, &format!("Ada the {n}."));
    let eve = |n: u32| person("eve-harcourt", &format!("eve{n}@x.example"), "7", &format!("Eve the {n}."));
    let plain = mapping().column(Column::new("mail").to("kept").sensitive(false));
    for n in 1..4 {
        stage.pull(Pull::stream("people"), &[ada(n, "7"), eve(n)]).await;
        stage.pull(Pull::mapped(plain.clone()), &[ada(n, "ada-lovelace has none"), eve(n)]).await;
    }
    // What another source says: of higher priority, and as a reference.
    let truth = Mapping::new("truth", "truth").entity("person").column(Column::new("code").key());
    let truth = truth.column(Column::new("name").priority(9)).column(Column::new("phone").authority(Authority::Reference));
    stage.pull(Pull::mapped(truth), &[person("ada-lovelace", "", "ada-phone", "Ada of the truth"), eve(7)]).await;
    stage.pull(Pull::mapped(plain.clone()), &[ada(5, "7"), eve(5)]).await;
    assert!(stage.tables_with("Ada the 5.").contains("mapping_conflicts"), "a conflict is open");
    acme.edit(Edit::of("person", "ada-lovelace").set("kept", json!("ada by hand"))).await.expect("edited");
    stage.shows(&[ada(8, "7"), eve(8)]);
    let plan = stage.connection.plan(Pull::mapped(plain.clone()).safety_lag(Duration::ZERO)).await.expect("a plan");
    // What a push has sent, and what was refused.
    let shop = acme.connect("crm", Credentials::api_key("good")).await.expect("it connects");
    let back = Mapping::new("shop", "people").entity("person").column(Column::new("code").key()).column(Column::new("name").to("name"));
    shop.sync_to_external(Push::mapped(back.clone())).await.expect("it runs");
    // A record of hers that nobody of ours made, in a plan of a mirror, and refused.
    stage.crm.state().records.insert("ada-lovelace".into(), json!({ "name": "Ada the guest", "v": 0 }));
    stage.crm.fates(|item, _| if item.operation == Operation::Delete { Fate::Refused } else { Fate::Well });
    let mirror = Push::mapped(back).mode(PushMode::Mirror).confirm_deletes();
    assert_eq!(shop.plan_push(mirror.clone()).await.expect("a plan").items, 1);
    assert_eq!(shop.sync_to_external(mirror).await.expect("it runs").counts.failed, 1);
    assert!(stage.tables_with("ada-lovelace").is_superset(&names(&["push_links", "plan_items", "record_links", "reference_values"])));

    let runs = acme.runs(Default::default()).await.expect("runs");
    let erased = acme.erase_entity("person", "ada-lovelace").await.expect("erased");
    assert!(erased.rows == 1 && erased.lineage > 3 && erased.plan_items == 2 && erased.beside > 2 && erased.links > 2, "{erased:?}");
    assert_eq!(acme.erase_entity("desk_people", "ada-lovelace").await.expect("erased").rows, 1);
    for text in ["ada-lovelace", "Ada the", "Ada of", "ada-phone", "ada by hand", "ada1@", "ada3@", "ada5@", "ada8@"] {
        assert_eq!(stage.tables_with(text), names(&[]), "{text}");
    }
    if let On::Sqlite = on {
        for file in ["app.db", "app.db-wal"] {
            let bytes = std::fs::read(stage.world.folder.path().join(file)).unwrap_or_default();
            let there = |text: &[u8]| bytes.windows(text.len()).filter(|window| *window == text).count();
            assert_eq!((there(b"ada-lovelace"), there(b"Ada the"), there(b"ada-phone")), (0, 0, 0), "in the bytes of {file}");
        }
    }
    // The other is as it was, and so are the counts.
    assert!(stage.tables_with("eve-harcourt").is_superset(&names(&["person", "desk_people", "plan_items", "push_links"])));
    let counts = |runs: &[syncline::Run]| runs.iter().map(|run| (run.id, run.counts)).collect::<Vec<_>>();
    assert_eq!(counts(&acme.runs(Default::default()).await.expect("runs")), counts(&runs));
    assert_eq!(acme.erase_entity("person", "ada-lovelace").await.expect("again").total(), 0);
    assert_eq!(acme.erase_entity("persons", "x").await.expect_err("nobody knows it").kind(), ErrorKind::NotFound);
    // The plan goes on without it.
    let applied = stage.connection.apply(Apply::plan(plan.plan.run)).await.expect("applied");
    assert_eq!((applied.counts.updated, applied.counts.created), (1, 0), "{:?}", applied.counts);
    // What the service still shows comes again.
    stage.pull(Pull::mapped(plain), &[ada(9, "7"), eve(9)]).await;
    let query = EntityQuery { key: Some("ada-lovelace".into()), ..EntityQuery::default() };
    assert_eq!(acme.entities("person", query).await.expect("rows").len(), 1);
    assert_eq!(stage.told("person", "ada-lovelace", "kept").await, [(json!("-"), json!("ada9@x.example"))], "its history begins anew");
}

async fn an_erased_entity_of_the_hosts_own_table_stays_as_long_as_its_row(on: On) {
    let stage = Stage::new(on).await;
    let acme = stage.acme();
    let pull = partners(&stage);
    for n in 1..3 {
        stage.pull(pull.clone(), &[person("ada-lovelace", "", "7", &format!("Ada the {n}."))]).await;
    }
    let erased = acme.erase_entity("partners", "ada-lovelace").await.expect("erased");
    assert!(erased.host_row && erased.rows == 0 && erased.lineage == 2 && erased.links == 0, "{erased:?}");
    assert_eq!(stage.tables_with("Ada the"), names(&[]), "the host's table is not ours");
    assert_eq!(stage.tables_with("ada-lovelace"), names(&["record_links"]), "so that a push does not take it for new");
    stage.world.place().change("DELETE FROM partners");
    let erased = acme.erase_entity("partners", "ada-lovelace").await.expect("erased");
    assert!(!erased.host_row && erased.links == 1, "{erased:?}");
    // A table that the host has dropped has no rows.
    stage.world.place().change("DROP TABLE partners");
    assert_eq!(acme.erase_entity("partners", "ada-lovelace").await.expect("erased").total(), 0);
    assert_eq!(stage.tables_with("ada-lovelace"), names(&[]));
}

async fn nothing_is_erased_under_a_run(on: On) {
    let stage = Stage::new(on).await;
    let acme = stage.acme();
    stage.pull(Pull::mapped(mapping()), &[person("P1", "ada@x.example", "7", "Ada")]).await;
    let gate = stage.provider.gate();
    stage.shows(&[person("P1", "ada@y.example", "7", "Ada")]);
    let connection = stage.connection.clone();
    let pull = tokio::spawn(async move { connection.sync_from_external(Pull::mapped(mapping()).safety_lag(Duration::ZERO)).await });
    while acme.runs(RunFilter { limit: 1, ..RunFilter::default() }).await.expect("runs")[0].status != RunStatus::Running {
        tokio::task::yield_now().await;
    }
    assert_eq!(acme.erase_entity("person", "P1").await.expect_err("a run is under way").kind(), ErrorKind::Conflict);
    assert_eq!(acme.erase("acme").await.expect_err("a run is under way").kind(), ErrorKind::Conflict);
    assert_eq!(acme.count("person").await.expect("a count"), 1);
    stage.provider.ungate();
    gate.add_permits(1000);
    clean(&pull.await.expect("no panic").expect("it runs"));
    assert_eq!(acme.erase_entity("person", "P1").await.expect("erased").rows, 1);
    assert!(acme.erase("acme").await.expect("erased") > 0);
}

mod on_sqlite {
    use super::On;

    #[tokio::test(flavor = "multi_thread")]
    async fn sensitive_values_stand_in_rows_and_open_plans_alone() {
        super::sensitive_values_stand_in_rows_and_open_plans_alone(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_any_mapping_marks_is_shown_by_no_plan() {
        super::what_any_mapping_marks_is_shown_by_no_plan(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_first_plan_quotes_no_sensitive_value_that_the_table_refuses() {
        super::a_first_plan_quotes_no_sensitive_value_that_the_table_refuses(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_history_tells_whether_a_sensitive_value_was_ever_there() {
        super::a_history_tells_whether_a_sensitive_value_was_ever_there(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_is_undone_but_for_values_that_are_hidden() {
        super::a_run_is_undone_but_for_values_that_are_hidden(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_table_of_the_hosts_own_has_hashes_in_its_history_too() {
        super::a_table_of_the_hosts_own_has_hashes_in_its_history_too(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_erased_entity_is_nowhere_to_be_found() {
        super::an_erased_entity_is_nowhere_to_be_found(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_erased_entity_of_the_hosts_own_table_stays_as_long_as_its_row() {
        super::an_erased_entity_of_the_hosts_own_table_stays_as_long_as_its_row(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_erased_under_a_run() {
        super::nothing_is_erased_under_a_run(On::Sqlite).await;
    }
}

mod on_postgres {
    use super::On;

    #[tokio::test(flavor = "multi_thread")]
    async fn sensitive_values_stand_in_rows_and_open_plans_alone() {
        super::sensitive_values_stand_in_rows_and_open_plans_alone(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_any_mapping_marks_is_shown_by_no_plan() {
        super::what_any_mapping_marks_is_shown_by_no_plan(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_first_plan_quotes_no_sensitive_value_that_the_table_refuses() {
        super::a_first_plan_quotes_no_sensitive_value_that_the_table_refuses(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_history_tells_whether_a_sensitive_value_was_ever_there() {
        super::a_history_tells_whether_a_sensitive_value_was_ever_there(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_is_undone_but_for_values_that_are_hidden() {
        super::a_run_is_undone_but_for_values_that_are_hidden(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_table_of_the_hosts_own_has_hashes_in_its_history_too() {
        super::a_table_of_the_hosts_own_has_hashes_in_its_history_too(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_erased_entity_is_nowhere_to_be_found() {
        super::an_erased_entity_is_nowhere_to_be_found(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_erased_entity_of_the_hosts_own_table_stays_as_long_as_its_row() {
        super::an_erased_entity_of_the_hosts_own_table_stays_as_long_as_its_row(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_erased_under_a_run() {
        super::nothing_is_erased_under_a_run(On::Postgres).await;
    }
}
