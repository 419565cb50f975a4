//! What a host sees of connections: how they are made, healed and switched, what counts against them, and that runs end cleanly.

mod support;

use std::time::Duration;

use serde_json::json;
use support::{
    World, clean, look, messages,
    scripted::{Scripted, last, page},
    start,
};
use syncline::{
    Connection, ConnectionPatch, ConnectionStatus, Credentials, Direction, EntityQuery, ErrorKind, Outcome, Pull, RunFilter, RunStatus,
    Syncline,
    core::{Error, ExposeSecret as _, IntegrationSync, Retry, Stream},
};

fn items() -> Pull {
    Pull::stream("items").safety_lag(Duration::ZERO)
}

async fn connect(syncline: &Syncline, account: &str) -> Connection {
    let settings = json!({ "account": account });
    syncline.workspace("acme").connect("demo", Credentials::api_key("good")).settings(settings).await.expect("it connects")
}

async fn open(world: &World) -> (Syncline, Scripted) {
    let provider = Scripted::new("demo");
    (world.open(provider.clone()).await, provider)
}

fn one() -> syncline::core::PullPage {
    last(page([("r1", json!({ "id": "r1", "text": "one" }))]))
}

#[tokio::test]
async fn an_account_connected_again_is_healed_and_keeps_its_id_and_history() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let acme = syncline.workspace("acme");
    let first = connect(&syncline, "main").await;
    provider.pages(vec![one()]);
    clean(&first.sync_from_external(items()).await.expect("it runs"));
    provider.fails(|| Error::new(ErrorKind::AuthRevoked, "demo.items", "the grant is gone"));
    assert!(!first.sync_from_external(items()).await.expect("the run began").success());
    assert_eq!(first.status().await.expect("a status"), ConnectionStatus::Error);

    world.clock.advance(Duration::from_secs(60));
    let then = world.clock.now();
    let again = acme
        .connect("demo", Credentials::api_key("good too"))
        .settings(json!({ "account": "main", "note": "second" }))
        .subject("client 7")
        .connected_by("ada")
        .every_minutes(15)
        .await
        .expect("it heals");
    assert_eq!(again.id(), first.id());
    let row = again.load_config().await.expect("a row");
    assert_eq!((row.status, row.error_count, row.error_message.as_deref()), (ConnectionStatus::Active, 0, None));
    assert_eq!(row.settings, json!({ "account": "main", "note": "second" }));
    assert_eq!((row.subject_id.as_deref(), row.connected_by.as_deref(), row.sync_frequency_minutes), (Some("client 7"), Some("ada"), 15));
    assert_eq!((row.created_at, row.updated_at), (start(), then));
    assert_eq!(acme.runs(RunFilter::default()).await.expect("runs").len(), 2, "its history stays");
    provider.pages(vec![one()]);
    let result = again.sync_from_external(items()).await.expect("it runs");
    assert_eq!(result.counts.unchanged, 1, "its rows stay its own");
    assert_eq!(acme.connections().await.expect("connections").len(), 1);
}

#[tokio::test]
async fn several_accounts_of_one_provider_are_connections_of_their_own() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let (a, b) = (connect(&syncline, "a").await, connect(&syncline, "b").await);
    assert_ne!(a.id(), b.id());
    provider.answer(|_, _| Ok(one()));
    for connection in [&a, &b] {
        let result = connection.sync_from_external(items()).await.expect("it runs");
        assert_eq!(result.counts.created, 1, "the same record id in two accounts is two rows");
    }
    let acme = syncline.workspace("acme");
    assert_eq!(acme.count("demo_items").await.expect("a count"), 2);
    let of_b = EntityQuery { connection: Some(b.id().clone()), ..EntityQuery::default() };
    assert_eq!(acme.entities("demo_items", of_b).await.expect("rows").len(), 1);
}

#[tokio::test]
async fn nothing_of_another_workspace_can_be_seen_or_touched() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let (acme, bolt) = (syncline.workspace("acme"), syncline.workspace("bolt"));
    let ours = connect(&syncline, "main").await;
    provider.answer(|_, _| Ok(one()));
    let result = ours.sync_from_external(items()).await.expect("it runs");
    let run = result.run.expect("a run");

    let error = bolt.connection(ours.id().clone()).await.expect_err("not theirs");
    let unknown = bolt.connection("no such id").await.expect_err("nobody's");
    assert_eq!((error.kind(), unknown.kind()), (ErrorKind::NotFound, ErrorKind::NotFound));
    assert_eq!(error.to_string().replace(ours.id().as_str(), "ID"), unknown.to_string().replace("no such id", "ID"));
    assert_eq!(bolt.run(run).await.expect_err("not theirs").kind(), ErrorKind::NotFound);
    assert!(bolt.connections().await.expect("a list").is_empty());
    assert!(bolt.runs(RunFilter::default()).await.expect("a list").is_empty());
    assert!(bolt.runs(RunFilter { connection: Some(ours.id().clone()), ..RunFilter::default() }).await.expect("a list").is_empty());
    assert!(bolt.failures(run, 10).await.expect("a list").is_empty());
    assert!(bolt.events_after(0, 100).await.expect("a list").is_empty());
    assert!(bolt.activities(100).await.expect("a list").is_empty());
    assert!(bolt.entity_types().await.expect("a list").is_empty());
    assert_eq!(bolt.count("demo_items").await.map_or(0, |count| count), 0);
    assert!(bolt.entities("demo_items", EntityQuery::default()).await.map_or(true, |rows| rows.is_empty()));
    assert!(bolt.lineage("demo_items", "r1", None).await.map_or(true, |lines| lines.is_empty()));
    // The same account in both is two connections with rows of their own, and what one deletes the other keeps.
    let theirs = bolt.connect("demo", Credentials::api_key("good")).settings(json!({ "account": "main" })).await.expect("it connects");
    assert_ne!(theirs.id(), ours.id());
    assert_eq!(theirs.sync_from_external(items()).await.expect("it runs").counts.created, 1);
    provider.answer(|_, _| Ok(last(page([("r1", serde_json::Value::Null)]))));
    assert_eq!(theirs.sync_from_external(items()).await.expect("it runs").counts.deleted, 1);
    assert_eq!((acme.count("demo_items").await.expect("a count"), bolt.count("demo_items").await.expect("a count")), (1, 0));
}

#[tokio::test]
async fn three_failed_runs_put_a_connection_into_error_and_one_success_clears_it() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let connection = connect(&syncline, "main").await;
    provider.fails(|| Error::new(ErrorKind::Transport, "demo.items", "the service is down"));
    for failed in 1..=4 {
        world.clock.advance(Duration::from_secs(60));
        let result = connection.sync_from_external(items()).await.expect("the run began");
        assert!(!result.success());
        let row = connection.load_config().await.expect("a row");
        assert_eq!(row.error_count, failed);
        assert_eq!(row.status, if failed < 3 { ConnectionStatus::Active } else { ConnectionStatus::Error }, "after {failed}");
        assert!(row.error_message.as_deref().is_some_and(|text| text.contains("the service is down")), "{row:?}");
        assert_eq!((row.last_sync_at, row.sync_status.as_deref()), (None, Some("failed")), "only success moves it");
    }
    world.clock.advance(Duration::from_secs(60));
    provider.pages(vec![one()]);
    let result = connection.sync_from_external(items()).await.expect("it runs");
    clean(&result);
    let row = connection.load_config().await.expect("a row");
    assert_eq!((row.status, row.error_count, row.error_message.as_deref()), (ConnectionStatus::Active, 0, None));
    assert_eq!((row.last_sync_at, row.sync_status.as_deref()), (Some(result.completed_at), Some("completed")));
    assert_eq!(connection.last_sync_at().await.expect("a time"), Some(result.completed_at));
    // A failure later leaves the time of the last success.
    provider.fails(|| Error::new(ErrorKind::Transport, "demo.items", "down again"));
    world.clock.advance(Duration::from_secs(60));
    assert!(!connection.sync_from_external(items()).await.expect("the run began").success());
    assert_eq!(connection.last_sync_at().await.expect("a time"), Some(result.completed_at));
}

#[tokio::test]
async fn a_revoked_grant_puts_a_connection_into_error_at_once() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let connection = connect(&syncline, "main").await;
    provider.fails(|| Error::new(ErrorKind::AuthRevoked, "demo.items", "the grant was revoked"));
    let result = connection.sync_from_external(items()).await.expect("the run began");
    assert_eq!((result.success(), &*result.errors[0].hint), (false, "connect the account again"));
    let row = connection.load_config().await.expect("a row");
    assert_eq!((row.status, row.error_count), (ConnectionStatus::Error, 1));
    assert!(!connection.is_enabled().await.expect("an answer"));
}

#[tokio::test]
async fn rate_limits_an_open_breaker_and_cancelling_never_count_against_a_connection() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let connection = connect(&syncline, "main").await;
    for kind in [ErrorKind::RateLimited, ErrorKind::CircuitOpen, ErrorKind::Cancelled, ErrorKind::LeaseLost] {
        provider.fails(move || Error::new(kind, "demo.items", "later").with_retry(Retry::After(Some(Duration::from_secs(900)))));
        for _ in 0..4 {
            let result = connection.sync_from_external(items()).await.expect("the run began");
            assert!(!result.success());
            let row = connection.load_config().await.expect("a row");
            assert_eq!((row.status, row.error_count), (ConnectionStatus::Active, 0), "{kind:?}");
            assert_eq!(row.last_sync_at, None);
        }
    }
    let gate = provider.gate();
    for _ in 0..4 {
        drop_half_way(&connection).await;
    }
    drop(gate);
    let row = connection.load_config().await.expect("a row");
    assert_eq!((row.status, row.error_count), (ConnectionStatus::Active, 0));
}

/// Starts a run and drops it once its row is there.
async fn drop_half_way(connection: &Connection) {
    let mut run = Box::pin(connection.sync_from_external(items()));
    let began = std::time::Instant::now();
    while connection.load_config().await.expect("a row").sync_status.as_deref() != Some("running") {
        assert!(look(&mut run).await.is_pending(), "the gate holds it");
        tokio::task::yield_now().await;
        assert!(began.elapsed() < Duration::from_secs(60), "the run never began");
    }
    assert!(look(&mut run).await.is_pending());
}

#[tokio::test]
async fn a_dropped_run_is_cancelled_and_the_connection_usable_at_once() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let connection = connect(&syncline, "main").await;
    // Whether the dropped run got so far as to ask or not, the next one is answered.
    provider.answer(|_, _| Ok(one()));
    let gate = provider.gate();
    drop_half_way(&connection).await;
    provider.ungate();
    let result = connection.sync_from_external(items()).await.expect("the next run begins at once");
    clean(&result);
    drop(gate);
    let runs = syncline.workspace("acme").runs(RunFilter::default()).await.expect("runs");
    let ended: Vec<_> = runs.iter().map(|run| (run.status, run.outcome)).collect();
    assert_eq!(ended, [(RunStatus::Completed, Some(Outcome::Ok)), (RunStatus::Cancelled, Some(Outcome::Failed))]);
    assert!(runs[1].errors[0].message.contains("stopped"), "{:?}", runs[1].errors);
    assert_eq!(world.ask("SELECT count(*) FROM syncline_sync_runs WHERE status = 'running'"), "0");
}

#[tokio::test]
async fn a_second_run_of_a_stream_is_refused_and_told_which_is_under_way() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let provider = provider.streams(vec![Stream::incremental("items"), Stream::incremental("others")]);
    let connection = connect(&syncline, "main").await;
    provider.answer(|_, _| Ok(one()));
    let gate = provider.gate();
    let first = tokio::spawn({
        let connection = connection.clone();
        async move { connection.sync_from_external(items()).await }
    });
    while provider.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let runs = syncline.workspace("acme").runs(RunFilter::default()).await.expect("runs");
    let error = connection.sync_from_external(items()).await.expect_err("one is under way");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let text = error.to_string();
    assert!(text.contains(&format!("run {}", runs[0].id)) && text.contains("items") && text.contains("2026-03-02"), "{text}");
    // Another stream, another account and another workspace are free.
    gate.add_permits(10);
    let others = Pull::stream("others").safety_lag(Duration::ZERO);
    clean(&connection.sync_from_external(others).await.expect("it runs"));
    clean(&connect(&syncline, "second").await.sync_from_external(items()).await.expect("it runs"));
    clean(&first.await.expect("no panic").expect("it runs"));
    clean(&connection.sync_from_external(items()).await.expect("it is over, so the next begins"));
}

#[tokio::test]
async fn a_process_on_the_same_file_is_refused_too_and_takes_over_when_the_first_is_gone() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let connection = connect(&syncline, "main").await;
    provider.answer(|_, _| Ok(one()));
    let gate = provider.gate();
    let mut run = Box::pin(connection.sync_from_external(items()));
    while provider.requests().is_empty() {
        assert!(look(&mut run).await.is_pending());
        tokio::task::yield_now().await;
    }
    let free = Scripted::new("demo");
    free.answer(|_, _| Ok(one()));
    let second = world.open(free.clone()).await;
    let theirs = second.workspace("acme").connection(connection.id().clone()).await.expect("the same connection");
    assert_eq!(theirs.sync_from_external(items()).await.expect_err("it is alive").kind(), ErrorKind::Conflict);
    // The first process ends: its future, its engine, its lock.
    drop(run);
    drop((connection, syncline, gate));
    let mut refused = 0;
    let result = loop {
        match theirs.sync_from_external(items()).await {
            // Until the first has written down its end.
            Err(error) if error.kind() == ErrorKind::Conflict && refused < 10_000 => refused += 1,
            other => break other.expect("the lock is free"),
        }
    };
    clean(&result);
}

#[tokio::test]
async fn a_failed_run_answers_a_result_with_its_error_direction_and_duration() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let connection = connect(&syncline, "main").await;
    let clock = world.clock.clone();
    provider.answer(move |_, _| {
        clock.advance(Duration::from_millis(1_500));
        Err(Error::new(ErrorKind::Transport, "demo.items", "the service answered 503").at("host", "api.demo"))
    });
    let result = connection.sync_from_external(items()).await.expect("the run began");
    assert_eq!((result.success(), result.outcome, result.direction), (false, Outcome::Failed, Direction::FromExternal));
    assert_eq!(result.duration(), Duration::from_millis(1_500));
    assert_eq!((result.started_at, result.completed_at), (start(), start() + Duration::from_millis(1_500)));
    let error = &result.errors[0];
    assert_eq!(error.kind, ErrorKind::Transport);
    assert!(error.message.contains("demo.items") && error.message.contains("503") && error.message.contains("api.demo"), "{error:?}");
    let body = result.to_json();
    assert_eq!((&body["success"], &body["direction"], &body["duration_ms"]), (&json!(false), &json!("from_external"), &json!(1500)));
    assert_eq!(body["errors"].as_array().map(Vec::len), Some(1));
    // What is stored says the same, and the log has a line.
    let acme = syncline.workspace("acme");
    let run = acme.run(result.run.expect("a run")).await.expect("the run");
    assert_eq!((run.status, run.errors.clone()), (RunStatus::Failed, result.errors.clone()));
    let logged = acme.activities(10).await.expect("the log");
    let line = logged.iter().find(|line| &*line.action == "sync_failed").expect("a line");
    assert_eq!((line.success, line.error_message.as_deref()), (false, Some(&*error.message)));
}

#[tokio::test]
async fn a_direction_a_provider_lacks_is_a_clean_not_supported_result() {
    let world = World::new();
    let provider = Scripted::new("demo").described(|it| it.capabilities.pull = false);
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline, "main").await;
    let result = connection.sync_from_external(items()).await.expect("an answer, not an error");
    assert_eq!((result.success(), result.run, result.errors[0].kind), (false, None, ErrorKind::Unsupported));
    assert!(messages(&result).contains("not supported"), "{}", messages(&result));
    assert!(syncline.workspace("acme").runs(RunFilter::default()).await.expect("runs").is_empty());
    let push = provider.as_campaign_platform().is_none() && provider.as_oauth().is_none();
    assert!(push, "roles it does not play are absent");
}

#[tokio::test]
async fn a_provider_that_fails_affects_no_other() {
    let world = World::new();
    let (bad, good) = (Scripted::new("bad"), Scripted::new("good"));
    let syncline =
        world.builder().storage(world.storage().await).provider(bad.clone()).provider(good.clone()).build().await.expect("an engine");
    let acme = syncline.workspace("acme");
    let failing = acme.connect("bad", Credentials::api_key("t")).await.expect("it connects");
    let working = acme.connect("good", Credentials::api_key("t")).await.expect("it connects");
    bad.answer(
        |_, n| if n % 2 == 0 { panic!("a bug of the provider") } else { Err(Error::new(ErrorKind::Transport, "bad.items", "down")) },
    );
    good.answer(|_, _| Ok(one()));
    for _ in 0..6 {
        let (failed, went_well) = tokio::join!(failing.sync_from_external(items()), working.sync_from_external(items()));
        assert!(!failed.expect("a result, whatever the provider does").success());
        clean(&went_well.expect("it runs"));
    }
    assert_eq!(failing.status().await.expect("a status"), ConnectionStatus::Error);
    assert_eq!(working.status().await.expect("a status"), ConnectionStatus::Active);
}

#[tokio::test]
async fn a_partition_that_cannot_be_read_makes_the_run_partial_and_the_others_go_on() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let connection = connect(&syncline, "main").await;
    provider.partitions("items", &["general", "secret", "random"], true);
    provider.answer(|request, _| match request.partition.id.as_str() {
        "secret" => Err(Error::new(ErrorKind::Forbidden, "demo.items", "not_in_channel")),
        channel => Ok(last(page([(channel, json!({ "id": channel }))]))),
    });
    let mut events = syncline.events();
    let result = connection.sync_from_external(items().full()).await.expect("it runs");
    assert_eq!((result.outcome, result.counts.created, result.success()), (Outcome::Partial, 2, true));
    assert_eq!(result.errors.len(), 1);
    assert_eq!((result.errors[0].partition.as_deref(), result.errors[0].kind), (Some("secret"), ErrorKind::Forbidden));
    let row = connection.load_config().await.expect("a row");
    assert_eq!((row.status, row.error_count, row.last_sync_at), (ConnectionStatus::Active, 0, Some(result.completed_at)));
    let mut named = Vec::new();
    while let Some(event) = events.next().await {
        let body = serde_json::to_value(&event).expect("JSON");
        named.push(body["type"].as_str().unwrap_or_default().to_owned());
        if named.last().is_some_and(|name| name == "sync-complete") {
            break;
        }
    }
    named.dedup();
    assert_eq!(named.first().map(String::as_str), Some("sync-started"));
    assert!(named.contains(&"partition-failed".to_owned()) && named.contains(&"sync-progress".to_owned()), "{named:?}");
    // All of them failing is a failed run.
    provider.fails(|| Error::new(ErrorKind::Forbidden, "demo.items", "not_in_channel"));
    assert!(!connection.sync_from_external(items()).await.expect("the run began").success());
}

#[tokio::test]
async fn settings_and_schedule_come_back_as_they_were_saved() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let connection = connect(&syncline, "main").await;
    let settings = json!({ "account": "main", "deep": { "list": [1, 2.5, null, "é\"\\"], "big": 9_007_199_254_740_993_i64 } });
    world.clock.advance(Duration::from_secs(5));
    let patch = ConnectionPatch {
        settings: Some(settings.clone()),
        sync_frequency_minutes: Some(5),
        account_name: Some("Renamed".into()),
        ..ConnectionPatch::default()
    };
    let saved = connection.save_config(patch).await.expect("saved");
    let loaded = connection.load_config().await.expect("loaded");
    assert_eq!(saved, loaded);
    assert_eq!((&loaded.settings, loaded.sync_frequency_minutes), (&settings, 5));
    assert_eq!((loaded.account_name.as_deref(), loaded.updated_at), (Some("Renamed"), start() + Duration::from_secs(5)));
    assert_eq!(loaded.created_at, start());
    // Settings the provider refuses are not saved.
    provider.refuses(Some(ErrorKind::Config));
    let error = connection.save_settings(json!({ "account": 7 })).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(connection.load_config().await.expect("loaded").settings, settings);
    provider.refuses(None);
    connection.save_settings(json!({ "account": "main" })).await.expect("taken");
    assert_eq!(connection.save_settings(json!([1])).await.expect_err("no object").kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_connection_can_be_switched_off_and_on() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let connection = connect(&syncline, "main").await;
    provider.answer(|_, _| Ok(one()));
    assert_eq!(connection.integration_name(), "demo");
    assert_eq!(connection.last_sync_at().await.expect("a time"), None, "never run");
    assert!(connection.is_enabled().await.expect("an answer"));
    connection.disable().await.expect("switched off");
    assert_eq!(connection.status().await.expect("a status"), ConnectionStatus::Paused);
    assert!(!connection.is_enabled().await.expect("an answer"));
    for error in
        [connection.sync_from_external(items()).await.expect_err("it is off"), connection.initialize().await.expect_err("it is off")]
    {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("switched off"), "{error}");
    }
    assert!(provider.requests().is_empty());
    connection.enable().await.expect("switched on");
    connection.initialize().await.expect("everything is in place");
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    let actions: Vec<String> =
        syncline.workspace("acme").activities(10).await.expect("the log").into_iter().map(|line| line.action.to_string()).collect();
    assert_eq!(actions, ["sync_completed", "config_changed", "config_changed", "connected"], "one line for each operation");
}

#[tokio::test]
async fn operations_of_the_host_are_logged_with_what_they_did() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let connection = connect(&syncline, "main").await;
    provider.pages(vec![one()]);
    let result = connection.sync_from_external(items()).await.expect("it runs");
    connection.log_sync_activity(&result).await.expect("logged");
    let activity = syncline::core::store::NewActivity {
        integration: "demo".into(),
        connection: Some(connection.id().clone()),
        action: "exported".into(),
        success: false,
        records_affected: 3,
        error: Some("no room".into()),
        metadata: json!({ "file": "x.csv" }),
        at: start(),
    };
    connection.log_activity(activity).await.expect("logged");
    let log = syncline.workspace("acme").activities(10).await.expect("the log");
    assert_eq!((&*log[0].action, log[0].success, log[0].records_affected), ("exported", false, 3));
    assert_eq!((log[0].error_message.as_deref(), &log[0].metadata), (Some("no room"), &json!({ "file": "x.csv" })));
    assert_eq!((&*log[1].action, log[1].success, log[1].records_affected), ("sync_completed", true, 1));
    assert_eq!(log[1].connection_id.as_ref(), Some(connection.id()));
}

#[tokio::test]
async fn a_connection_without_a_token_says_so_in_plain_words() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let connection = connect(&syncline, "main").await;
    provider.answer(|_, _| Ok(one()));
    world.sql().execute("UPDATE syncline_integration_connections SET credentials_encrypted = NULL", []).expect("emptied");
    let error = connection.initialize().await.expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.to_string().contains("no access token found"), "{error}");
    let result = connection.sync_from_external(items()).await.expect("the run began");
    assert!(messages(&result).contains("no access token found"), "{}", messages(&result));
    assert!(!connection.is_valid().await);
}

#[tokio::test]
async fn a_run_reads_its_token_from_the_sealed_record_alone() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let id = connect(&syncline, "main").await.id().clone();
    drop(syncline);
    // Another process: all it has is the file and the key.
    let syncline = world.open(provider.clone()).await;
    let connection = syncline.workspace("acme").connection(id).await.expect("it is stored");
    connection.initialize().await.expect("the credential opens");
    assert_eq!(&*connection.validate_credentials().await.expect("it is good").id, "main");
    provider.pages(vec![one()]);
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    let sealed = world.ask("SELECT hex(credentials_encrypted) FROM syncline_integration_connections");
    assert!(sealed.starts_with("01") && !sealed.contains(&hex("good")), "{sealed}");
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

#[tokio::test]
async fn credentials_that_are_refused_connect_nothing() {
    let world = World::new();
    let (syncline, _) = open(&world).await;
    let acme = syncline.workspace("acme");
    let error = acme.connect("demo", Credentials::api_key("bad token")).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(!format!("{error} {error:?}").contains("bad token"));
    let error = acme.connect("slok", Credentials::api_key("good")).await.expect_err("unknown");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("\"slok\"") && error.to_string().contains("demo"), "{error}");
    assert!(acme.connections().await.expect("a list").is_empty());
    assert_eq!(world.ask("SELECT count(*) FROM syncline_integration_connections"), "0");
}

#[tokio::test]
async fn an_engine_reports_everything_that_is_missing_at_once() {
    let error = Syncline::builder().provider(Scripted::new("demo")).provider(Scripted::new("demo")).build().await.expect_err("incomplete");
    assert_eq!(error.kind(), ErrorKind::Config);
    for word in ["\"demo\"", "storage", "keyring"] {
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn an_expired_token_without_a_refresh_token_is_an_auth_error_not_a_call() {
    let world = World::new();
    let (syncline, provider) = open(&world).await;
    let credentials = Credentials::token("good").expiring(start() + Duration::from_secs(600));
    let connection = syncline.workspace("acme").connect("demo", credentials).await.expect("it connects");
    provider.answer(|_, _| Ok(one()));
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    world.clock.advance(Duration::from_secs(601));
    let result = connection.sync_from_external(items()).await.expect("the run began");
    assert!(!result.success());
    assert_eq!(result.errors[0].kind, ErrorKind::Auth);
    assert!(messages(&result).contains("expired"), "{}", messages(&result));
    let row = connection.load_config().await.expect("a row");
    assert_eq!((row.error_count, row.expires_at), (1, Some(start() + Duration::from_secs(600))));
}

#[tokio::test]
async fn a_secret_handed_over_is_never_shown() {
    let credentials = Credentials::token("very secret").with_refresh("more secret");
    assert!(!format!("{credentials:?}").contains("secret\""), "{credentials:?}");
    let secret = syncline::core::SecretString::from("very secret");
    assert!(!format!("{secret:?}").contains("very"));
    assert_eq!(secret.expose_secret(), "very secret");
}
