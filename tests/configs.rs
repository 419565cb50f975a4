//! Who changed what of a connection when, and the way back. On both storages.

mod support;

use std::time::Duration;

use serde_json::json;
use support::{On, World, scripted::Scripted};
use syncline::{
    ConfigAction, ConfigVersion, Connection, ConnectionPatch, ConnectionStatus, Credentials, ErrorKind, Syncline, Workspace,
    core::{
        Error,
        store::{NewConfig, Storage as _},
    },
};

async fn open(world: &World) -> (Syncline, Scripted) {
    let provider = Scripted::new("demo");
    (world.open_on(world.place().open().await, provider.clone()).await, provider)
}

async fn connect(workspace: &Workspace) -> Connection {
    workspace.connect("demo", Credentials::api_key("good")).settings(json!({ "account": "main" })).await.expect("it connects")
}

fn told(versions: &[ConfigVersion]) -> Vec<(u64, &'static str, &str)> {
    versions.iter().map(|version| (version.version, version.action.as_str(), &*version.changed_by)).collect()
}

/// Changes in the activity log, the oldest first: who, and which fields.
async fn changes(workspace: &Workspace) -> Vec<String> {
    let rows = workspace.activities(100).await.expect("a log").into_iter().rev();
    rows.filter(|row| &*row.action == "config_changed").map(|row| format!("{} {}", row.metadata["by"], row.metadata["fields"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_says_who_made_it_and_can_be_taken_back_on_sqlite() {
    each_change_says_who_made_it_and_can_be_taken_back(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_says_who_made_it_and_can_be_taken_back_on_postgres() {
    each_change_says_who_made_it_and_can_be_taken_back(On::Postgres).await;
}

async fn each_change_says_who_made_it_and_can_be_taken_back(on: On) {
    let world = World::on(on).await;
    let (syncline, _) = open(&world).await;
    let acme = syncline.workspace("acme");
    let by_ada = connect(&acme.acting("ada")).await;
    let first = by_ada.load_config().await.expect("a row");
    assert_eq!(first.connected_by.as_deref(), Some("ada"), "whoever acts has connected it");

    world.clock.advance(Duration::from_secs(60));
    let changed = world.clock.now();
    by_ada.save_settings(json!({ "account": "main", "note": "two" })).await.expect("saved");
    let same = acme.connection(by_ada.id().clone()).await.expect("there");
    let patch = ConnectionPatch { sync_frequency_minutes: Some(5), account_name: Some("Ours".into()), ..ConnectionPatch::default() };
    same.save_config(patch).await.expect("saved");
    let by_bob = acme.acting("bob").connection(by_ada.id().clone()).await.expect("there");
    by_bob.disable().await.expect("switched off");
    by_bob.save_settings(json!({ "account": "main", "note": "two" })).await.expect("nothing differs");

    let versions = by_bob.config_versions(100).await.expect("versions");
    let expected = [(4, "changed", "bob"), (3, "changed", "app"), (2, "changed", "ada"), (1, "connected", "ada")];
    assert_eq!(told(&versions), expected);
    assert_eq!(versions[2].changed_at, changed);
    let body = |version: &ConfigVersion| version.body.clone().expect("a body");
    assert_eq!(body(&versions[2])["settings"], json!({ "account": "main", "note": "two" }));
    assert_eq!((&body(&versions[0])["status"], &body(&versions[1])["status"]), (&json!("paused"), &json!("active")));
    assert_eq!(by_bob.config_versions(2).await.expect("versions"), versions[..2]);

    world.clock.advance(Duration::from_secs(60));
    let row = by_bob.restore_config(1).await.expect("put in force");
    assert_eq!((row.settings, row.account_name, row.sync_frequency_minutes), (first.settings, first.account_name, 60));
    assert_eq!((row.status, row.sync_enabled), (ConnectionStatus::Active, true));
    let latest = by_bob.config_versions(1).await.expect("versions").remove(0);
    assert_eq!((latest.version, latest.action, &*latest.changed_by), (5, ConfigAction::Restored, "bob"));
    assert_eq!(latest.body, versions[3].body);

    let expected = [
        r#""ada" ["settings"]"#,
        r#""app" ["account_name","sync_frequency_minutes"]"#,
        r#""bob" ["sync_enabled","status"]"#,
        r#""bob" ["settings","account_name","sync_enabled","sync_frequency_minutes","status"]"#,
    ];
    assert_eq!(changes(&acme).await, expected, "each change leaves one row: who, and the names of what changed");
    let missing = by_bob.restore_config(9).await.expect_err("there is no such version");
    assert_eq!(missing.kind(), ErrorKind::NotFound);

    by_bob.disconnect().await.expect("taken away");
    assert_eq!(told(&by_bob.config_versions(1).await.expect("versions")), [(6, "disconnected", "bob")]);
    let gone = by_bob.restore_config(1).await.expect_err("there are no credentials");
    assert!(gone.kind() == ErrorKind::Config && gone.to_string().contains("connect it again"), "{gone}");
    connect(&acme.acting("eve")).await;
    assert_eq!(told(&by_bob.config_versions(1).await.expect("versions")), [(7, "connected", "eve")]);
    let away = by_bob.restore_config(6).await.expect_err("it was disconnected then");
    assert!(away.to_string().contains("disconnect it"), "{away}");
    assert!(acme.erase("acme").await.expect("erased") > 0);
    assert_eq!(world.ask("SELECT count(*) FROM syncline_config_versions"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_a_service_takes_no_more_are_not_restored_on_sqlite() {
    settings_a_service_takes_no_more_are_not_restored(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_a_service_takes_no_more_are_not_restored_on_postgres() {
    settings_a_service_takes_no_more_are_not_restored(On::Postgres).await;
}

async fn settings_a_service_takes_no_more_are_not_restored(on: On) {
    let world = World::on(on).await;
    let (syncline, provider) = open(&world).await;
    let acme = syncline.workspace("acme");
    let connection = connect(&acme).await;
    let row = connection.save_settings(json!({ "account": "main", "note": "two" })).await.expect("saved");
    provider.refuses(Some(ErrorKind::Config));
    assert_eq!(connection.restore_config(1).await.expect_err("the service is asked first").kind(), ErrorKind::Config);
    assert_eq!(connection.load_config().await.expect("a row"), row, "nothing was written");
    assert_eq!(connection.config_versions(9).await.expect("versions").len(), 2);
    provider.refuses(None);
    connection.restore_config(1).await.expect("put in force");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_by_itself_is_no_change_of_the_configuration_on_sqlite() {
    what_goes_wrong_by_itself_is_no_change_of_the_configuration(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_by_itself_is_no_change_of_the_configuration_on_postgres() {
    what_goes_wrong_by_itself_is_no_change_of_the_configuration(On::Postgres).await;
}

async fn what_goes_wrong_by_itself_is_no_change_of_the_configuration(on: On) {
    let world = World::on(on).await;
    let (syncline, provider) = open(&world).await;
    let acme = syncline.workspace("acme");
    let connection = connect(&acme).await;
    provider.fails(|| Error::new(ErrorKind::AuthRevoked, "demo.items", "the grant is gone"));
    assert!(!connection.sync_from_external(syncline::Pull::stream("items")).await.expect("the run began").success());
    assert_eq!(connection.status().await.expect("a status"), ConnectionStatus::Error);
    connection.enable().await.expect("switched on");
    connection.update_oauth_tokens(Credentials::token("good too")).await.expect("stored");
    assert_eq!(told(&connection.config_versions(9).await.expect("versions")), [(1, "connected", "app")]);
    assert!(changes(&acme).await.is_empty(), "nobody changed anything");
    let actions: Vec<String> = acme.activities(9).await.expect("a log").iter().rev().map(|row| row.action.to_string()).collect();
    assert_eq!(actions, ["connected", "sync_failed", "enabled", "oauth_tokens_updated"], "every operation has its row");
    let stored = format!("{:?}", connection.config_versions(9).await.expect("versions"));
    assert!(!stored.contains("good"), "no credential stands in a version: {stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_each_version_is_made_once_on_sqlite() {
    of_many_at_once_each_version_is_made_once(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_each_version_is_made_once_on_postgres() {
    of_many_at_once_each_version_is_made_once(On::Postgres).await;
}

/// Two handles, as two processes have: changes of one connection, and definitions that live nowhere else.
async fn of_many_at_once_each_version_is_made_once(on: On) {
    let world = World::on(on).await;
    let ((one, _), (two, _)) = (open(&world).await, open(&world).await);
    let id = connect(&one.workspace("acme")).await.id().clone();
    let stores = [world.place().open().await, world.place().open().await].map(|storage| storage.workspace(&"acme".into()));
    let each = (0..16usize).map(|n| {
        let (id, store) = (id.clone(), std::sync::Arc::clone(&stores[n % 2]));
        let acme = if n % 2 == 0 { &one } else { &two }.workspace("acme").acting(&format!("user {n}"));
        tokio::spawn(async move {
            let connection = acme.connection(id).await.expect("there");
            let patch = ConnectionPatch { sync_frequency_minutes: Some(100 + n as u32), ..ConnectionPatch::default() };
            connection.save_config(patch).await.expect("saved");
            let body = Some(json!({ "n": n }));
            let (kind, by) = ("mapping".into(), Some(format!("user {n}").into()));
            let new = NewConfig { kind, id: "m".into(), body, expected: 0, restores: None, by, at: support::start() };
            store.put_config(new).await.map_err(|error| error.kind())
        })
    });
    let mut put = Vec::new();
    for done in futures_util::future::join_all(each).await {
        put.push(done.expect("it ends"));
    }
    assert_eq!(put.iter().filter(|put| put.is_ok()).count(), 1, "one goes over the version it was made from");
    assert!(put.iter().all(|put| matches!(put, Ok(_) | Err(ErrorKind::Conflict))), "the others are told: {put:?}");
    let acme = one.workspace("acme");
    let connection = acme.connection(id).await.expect("there");
    let versions = connection.config_versions(100).await.expect("versions");
    assert_eq!(versions.iter().map(|version| version.version).collect::<Vec<_>>(), (1..=17).rev().collect::<Vec<_>>());
    let minutes = |version: &ConfigVersion| version.body.as_ref().and_then(|body| body["sync_frequency_minutes"].as_u64());
    for version in versions.iter().filter(|version| version.version > 1) {
        let user: u64 = version.changed_by.trim_start_matches("user ").parse().expect("a user");
        assert_eq!(minutes(version), Some(100 + user), "each says what its user did");
    }
    let row = connection.load_config().await.expect("a row");
    assert_eq!(minutes(&versions[0]), Some(u64::from(row.sync_frequency_minutes)), "the latest is in force");
    assert_eq!(changes(&acme).await.len(), 16, "a row each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_a_client_says_who_made_it_on_sqlite() {
    a_link_to_a_client_says_who_made_it(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_a_client_says_who_made_it_on_postgres() {
    a_link_to_a_client_says_who_made_it(On::Postgres).await;
}

async fn a_link_to_a_client_says_who_made_it(on: On) {
    let world = World::on(on).await;
    let (syncline, _) = open(&world).await;
    let acme = syncline.workspace("acme");
    let connection = connect(&acme).await;
    let account = syncline::ClientAccount { provider: "demo".into(), account_id: "main".into(), name: None };
    let client = syncline::Client { accounts: vec![account], ..syncline::Client::new("initech", "Initech", support::start()) };
    acme.acting("ada").put_client(client).await.expect("stored");
    assert_eq!(told(&connection.config_versions(9).await.expect("versions")), [(2, "changed", "ada"), (1, "connected", "app")]);
    assert_eq!(changes(&acme).await, [r#""ada" ["subject_id"]"#]);
    connection.restore_config(1).await.expect("put in force");
    assert_eq!(connection.load_config().await.expect("a row").subject_id, None::<Box<str>>, "what was absent is absent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_at_once_keep_what_they_do_not_name_on_sqlite() {
    patches_at_once_keep_what_they_do_not_name(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_at_once_keep_what_they_do_not_name_on_postgres() {
    patches_at_once_keep_what_they_do_not_name(On::Postgres).await;
}

async fn patches_at_once_keep_what_they_do_not_name(on: On) {
    let world = World::on(on).await;
    let (syncline, _) = open(&world).await;
    let acme = syncline.workspace("acme");
    let id = connect(&acme).await.id().clone();
    for round in 1..=16u32 {
        let none = ConnectionPatch::default;
        let patches = [
            ConnectionPatch { sync_frequency_minutes: Some(100 + round), ..none() },
            ConnectionPatch { account_name: Some(format!("name {round}").into()), ..none() },
            ConnectionPatch { subject_id: Some(format!("client {round}").into()), ..none() },
            ConnectionPatch { sync_enabled: Some(round % 2 == 0), ..none() },
        ];
        let each = patches.map(|patch| {
            let (acme, id) = (acme.clone(), id.clone());
            tokio::spawn(async move { acme.connection(id).await.expect("there").save_config(patch).await.expect("saved") })
        });
        for done in futures_util::future::join_all(each).await {
            done.expect("it ends");
        }
        let row = acme.connection(id.clone()).await.expect("there").load_config().await.expect("a row");
        let seen = (row.sync_frequency_minutes, row.account_name.as_deref(), row.subject_id.as_deref(), row.sync_enabled);
        let (name, subject) = (format!("name {round}"), format!("client {round}"));
        assert_eq!(seen, (100 + round, Some(&*name), Some(&*subject), round % 2 == 0), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_go_over_one_version_at_once_one_does_on_sqlite() {
    of_many_that_go_over_one_version_at_once_one_does(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_go_over_one_version_at_once_one_does_on_postgres() {
    of_many_that_go_over_one_version_at_once_one_does(On::Postgres).await;
}

async fn of_many_that_go_over_one_version_at_once_one_does(on: On) {
    let world = World::on(on).await;
    let stores = [world.place().open().await, world.place().open().await].map(|storage| storage.workspace(&"acme".into()));
    for round in 0..16u64 {
        let each = (0..8usize).map(|n| {
            let (store, by) = (std::sync::Arc::clone(&stores[n % 2]), Some(format!("user {n}").into()));
            let new = NewConfig {
                kind: "mapping".into(),
                id: "m".into(),
                body: Some(json!({ "n": n })),
                expected: round,
                restores: None,
                by,
                at: support::start(),
            };
            tokio::spawn(async move { store.put_config(new).await.map_err(|error| error.kind()) })
        });
        let puts = futures_util::future::join_all(each).await;
        let puts: Vec<_> = puts.into_iter().map(|put| put.expect("it ends")).collect();
        assert_eq!(puts.iter().filter(|put| put.is_ok()).count(), 1, "round {round}: {puts:?}");
        assert!(puts.iter().all(|put| matches!(put, Ok(_) | Err(ErrorKind::Conflict))), "round {round}: {puts:?}");
        let made = puts.into_iter().find_map(Result::ok).expect("one");
        assert_eq!(stores[0].config_versions("mapping", "m", 1).await.expect("versions"), [made]);
    }
}
