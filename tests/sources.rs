//! Data sources: which tabs of an account are read through which mappings, stored with their versions, and run by name.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    On, World,
    scripted::{Scripted, last, page},
};
use syncline::{
    Apply, Connection, Credentials, DataSource, EntityQuery, ErrorKind, SourceStatus, SyncOptions, Syncline, TabMapping, Workspace,
    core::{PullPage, Stream},
    mapping::{Column, Mapping},
};

struct Stage {
    provider: Scripted,
    syncline: Syncline,
    connection: Connection,
    world: World,
}

fn tab(n: usize) -> PullPage {
    last(page([("r", json!({ "mail": format!("{n}@x"), "name": format!("Name {n}"), "extra": 1 }))]))
}

fn mapping(tab: &str) -> Mapping {
    let mapping = Mapping::new(tab, tab).entity("person").column(Column::new("mail").to("email").key().then("lower"));
    mapping.column(Column::new("name").priority(3))
}

impl Stage {
    async fn new(on: On, tabs: usize) -> Self {
        let world = World::on(on).await;
        let names: Vec<String> = (0..tabs).map(|n| format!("tab{n}")).collect();
        let provider = Scripted::new("crm").streams(names.iter().map(|name| Stream::full(name.as_str())).collect());
        provider.answer(|request, _| Ok(tab(request.stream.as_str().trim_start_matches("tab").parse().expect("a number"))));
        let syncline = world.builder().storage(world.place().open().await).provider(provider.clone()).build().await.expect("an engine");
        let connection = syncline.workspace("acme").connect("crm", Credentials::api_key("good")).await.expect("it connects");
        let this = Self { provider, syncline, connection, world };
        let source = DataSource {
            id: "crm".into(),
            kind: "api".into(),
            name: "The CRM".into(),
            connection_id: this.connection.id().clone(),
            connector_config: json!({ "region": "eu" }),
            schedule: Some("hourly".into()),
            status: SourceStatus::Active,
        };
        this.acme().put_data_source(&source).await.expect("stored");
        for name in &names {
            this.put(name, mapping(name), SourceStatus::Active).await;
        }
        this
    }

    fn acme(&self) -> Workspace {
        self.syncline.workspace("acme").acting("anna")
    }

    async fn put(&self, id: &str, mapping: Mapping, status: SourceStatus) {
        let tab = TabMapping { id: id.into(), data_source_id: "crm".into(), status, mapping };
        self.acme().put_tab_mapping(&tab).await.expect("stored");
    }

    async fn keys(&self) -> Vec<String> {
        let rows = self.acme().entities("person", EntityQuery::default()).await;
        rows.map(|rows| rows.into_iter().map(|row| row.key.into()).collect()).unwrap_or_default()
    }
}

async fn all_active_tabs_of_a_source_are_read_and_a_bad_one_keeps_no_other_from_it(on: On) {
    let stage = Stage::new(on, 3).await;
    stage.put("tab1", mapping("tab1"), SourceStatus::Paused).await;
    stage.put("lost", mapping("nowhere"), SourceStatus::Active).await;
    let done = stage.acme().sync_data_source("crm", &SyncOptions::default()).await.expect("it begins");
    let told: Vec<_> = done.iter().map(|tab| (&*tab.tab, tab.result.success(), tab.result.counts.created)).collect();
    assert_eq!(told, [("lost", false, 0), ("tab0", true, 1), ("tab2", true, 1)]);
    assert!(done[0].result.errors[0].message.contains("nowhere"), "{:?}", done[0].result.errors);
    assert_eq!(stage.keys().await, ["0@x", "2@x"]);
    // A paused one is read when it is named.
    let one = stage.acme().sync_tab("tab1", &SyncOptions::default()).await.expect("it begins");
    assert!(one.result.success() && one.to_json()["stats"]["rows_created"] == 1, "{}", one.to_json());
    let run = stage.acme().run(one.result.run.expect("a run")).await.expect("the run");
    assert_eq!((&*run.triggered_by, &*run.feed.mapping), ("anna", "tab1"));
    let unknown = stage.acme().sync_tab("nothing", &SyncOptions::default()).await.expect_err("no such tab");
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    let other = stage.syncline.workspace("other");
    assert_eq!(other.sync_data_source("crm", &SyncOptions::default()).await.expect_err("another's").kind(), ErrorKind::NotFound);
}

async fn a_dry_run_of_a_tab_answers_the_changes_and_a_plan_to_apply(on: On) {
    let stage = Stage::new(on, 1).await;
    let dry = SyncOptions { dry_run: true, ..SyncOptions::default() };
    let planned = stage.acme().sync_tab("tab0", &dry).await.expect("it begins");
    let body = planned.to_json();
    let change = json!({ "entity": "person", "keyField": "email", "keyValue": "0@x", "type": "create", "fields": { "email": "0@x", "name": "Name 0" } });
    assert_eq!((&body["success"], &body["stats"]["rows_created"], &body["changes"]), (&json!(true), &json!(1), &json!([change])));
    assert_eq!(stage.keys().await, Vec::<String>::new(), "nothing is written");
    stage.connection.apply(Apply::plan(planned.plan.expect("a plan"))).await.expect("it begins");
    assert_eq!(stage.keys().await, ["0@x"]);
    let limited = SyncOptions { row_limit: Some(1), ..SyncOptions::default() };
    stage.acme().sync_tab("tab0", &limited).await.expect("it begins");
    assert_eq!(stage.provider.requests().last().and_then(|request| request.limit), Some(1), "the limit goes to the service");
}

async fn who_changed_a_mapping_is_kept_and_an_earlier_version_comes_back(on: On) {
    let stage = Stage::new(on, 1).await;
    let acme = stage.acme();
    let first = acme.tab_mapping("tab0").await.expect("the tab");
    stage.put("tab0", mapping("tab0").column(Column::new("extra")), SourceStatus::Active).await;
    stage.put("tab0", mapping("tab0").column(Column::new("extra")), SourceStatus::Active).await;
    let versions = acme.tab_mapping_versions("tab0", 9).await.expect("versions");
    let told: Vec<_> = versions.iter().map(|version| (version.version, &*version.changed_by, version.action.as_str())).collect();
    assert_eq!(told, [(2, "anna", "changed"), (1, "anna", "created")], "what is the same is no version");
    acme.acting("ben").restore_tab_mapping("tab0", 1).await.expect("it comes back");
    assert_eq!(acme.tab_mapping("tab0").await.expect("the tab"), first);
    assert_eq!(&*acme.tab_mapping_versions("tab0", 1).await.expect("versions")[0].changed_by, "ben");
    assert_eq!(acme.restore_tab_mapping("tab0", 77).await.expect_err("no such version").kind(), ErrorKind::NotFound);
    // What cannot be used is not stored, and every problem is told.
    let bad = mapping("tab0").column(Column::new("x").to("x").then("nonsense")).column(Column::new("y").to("x"));
    let tab = TabMapping { id: "tab0".into(), data_source_id: "crm".into(), status: SourceStatus::Active, mapping: bad };
    let refused = acme.put_tab_mapping(&tab).await.expect_err("it cannot be used").to_string();
    assert!(refused.contains("nonsense") && refused.contains("two columns"), "{refused}");
    acme.remove_tab_mapping("tab0").await.expect("it goes");
    assert_eq!(acme.tab_mapping("tab0").await.expect_err("it is gone").kind(), ErrorKind::NotFound);
    assert_eq!(acme.tab_mappings("crm").await.expect("the rest").len(), 0);
}

/// What programs read by name.
async fn sources_tabs_and_columns_have_views_by_their_names(on: On) {
    let stage = Stage::new(on, 1).await;
    let ask = |sql: &str| stage.world.ask(sql);
    assert_eq!(
        ask("SELECT type || '|' || name || '|' || schedule || '|' || status FROM syncline_data_sources"),
        "api|The CRM|hourly|active"
    );
    assert_eq!(
        ask("SELECT data_source_id || '|' || tab_name || '|' || primary_entity || '|' || status FROM syncline_tab_mappings"),
        "crm|tab0|person|active"
    );
    let columns = stage.world.ask_all(
        "SELECT source_column || '>' || target_field || '|' || authority || '|' || CASE WHEN is_key THEN 'key' ELSE '' END || '|' || source_priority \
         FROM syncline_column_mappings ORDER BY target_field",
    );
    assert_eq!(columns, ["mail>email|source_of_truth|key|0", "name>name|source_of_truth||3"]);
    assert_eq!(ask("SELECT count(*) FROM syncline_computed_fields"), "0");
}

/// Four tabs are read side by side, and no more.
#[tokio::test]
async fn tabs_are_read_side_by_side_but_not_all_at_once() {
    let stage = Stage::new(On::Sqlite, 7).await;
    let gate = stage.provider.gate();
    let acme = stage.acme();
    let reading = tokio::spawn(async move { acme.sync_data_source("crm", &SyncOptions::default()).await.expect("it begins") });
    let asked = || stage.provider.requests().len();
    while asked() < 4 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(asked(), 4);
    gate.add_permits(100);
    let done = reading.await.expect("it ends");
    assert_eq!(done.iter().filter(|tab| tab.result.success()).count(), 7);
    let _: Vec<Value> = done.iter().map(|tab| tab.to_json()).collect();
}

mod on_sqlite {
    use super::On::Sqlite;

    #[tokio::test]
    async fn all_active_tabs_of_a_source_are_read_and_a_bad_one_keeps_no_other_from_it() {
        super::all_active_tabs_of_a_source_are_read_and_a_bad_one_keeps_no_other_from_it(Sqlite).await;
    }

    #[tokio::test]
    async fn a_dry_run_of_a_tab_answers_the_changes_and_a_plan_to_apply() {
        super::a_dry_run_of_a_tab_answers_the_changes_and_a_plan_to_apply(Sqlite).await;
    }

    #[tokio::test]
    async fn who_changed_a_mapping_is_kept_and_an_earlier_version_comes_back() {
        super::who_changed_a_mapping_is_kept_and_an_earlier_version_comes_back(Sqlite).await;
    }

    #[tokio::test]
    async fn sources_tabs_and_columns_have_views_by_their_names() {
        super::sources_tabs_and_columns_have_views_by_their_names(Sqlite).await;
    }
}

mod on_postgres {
    use super::On::Postgres;

    #[tokio::test]
    async fn all_active_tabs_of_a_source_are_read_and_a_bad_one_keeps_no_other_from_it() {
        super::all_active_tabs_of_a_source_are_read_and_a_bad_one_keeps_no_other_from_it(Postgres).await;
    }

    #[tokio::test]
    async fn a_dry_run_of_a_tab_answers_the_changes_and_a_plan_to_apply() {
        super::a_dry_run_of_a_tab_answers_the_changes_and_a_plan_to_apply(Postgres).await;
    }

    #[tokio::test]
    async fn who_changed_a_mapping_is_kept_and_an_earlier_version_comes_back() {
        super::who_changed_a_mapping_is_kept_and_an_earlier_version_comes_back(Postgres).await;
    }

    #[tokio::test]
    async fn sources_tabs_and_columns_have_views_by_their_names() {
        super::sources_tabs_and_columns_have_views_by_their_names(Postgres).await;
    }
}
