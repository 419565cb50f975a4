//! Small promises of docs/requirements.md that no other test of this folder is about.

mod support;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use support::{
    World, clean,
    scripted::{Scripted, last, page, then},
    services::{Chat, SPREADSHEET, connect_sheets, movies, movies_pull, sheets},
};
use syncline::{
    Connection, ConnectionPatch, ConnectionStatus, Counts, Credentials, Direction, ErrorKind, Outcome, Pull, RecordFailure, Result, Run,
    RunFilter, RunId, RunStatus, SyncResult, Syncline, WorkspaceId,
    core::{ConnectionId, Error, PullPage, RunError, store},
    mapping::Column,
    providers::slack::communication,
};

fn items() -> Pull {
    Pull::stream("items").safety_lag(Duration::ZERO)
}

async fn connect(syncline: &Syncline) -> Connection {
    syncline.workspace("acme").connect("demo", Credentials::api_key("good")).await.expect("it connects")
}

/// Records `r0`, `r1`, … with these texts.
fn texts(list: &[&str]) -> PullPage {
    let ids: Vec<String> = (0..list.len()).map(|n| format!("r{n}")).collect();
    page(ids.iter().zip(list).map(|(id, text)| (id.as_str(), json!({ "id": id, "text": text }))))
}

#[tokio::test]
async fn a_result_is_one_typed_summary_with_one_documented_body() {
    let world = World::new();
    let provider = Scripted::new("demo");
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    provider.pages(vec![last(texts(&["a", "b", "c"]))]);
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    let clock = world.clock.clone();
    provider.answer(move |_, _| {
        clock.advance(Duration::from_millis(1_500));
        let mut page = texts(&["a", "B", "C", "d", "e", "f"]);
        page.failures.push(RecordFailure::error("Invalid email format").at_row(Some(47)).in_column("Column C"));
        page.failures.push(RecordFailure::warning("no key").at_row(Some(48)));
        page.skipped = 1;
        Ok(page)
    });
    let began = world.clock.now();
    let result: SyncResult = connection.sync_from_external(items()).await.expect("it runs");
    let counts = Counts { read: 8, created: 3, updated: 2, unchanged: 1, skipped: 1, failed: 1, ..Counts::default() };
    assert_eq!((result.counts, result.outcome, result.success()), (counts, Outcome::Partial, true), "rows that fail make it partial");
    assert_eq!(result.counts.synced(), result.counts.created + result.counts.updated);
    assert_eq!((result.direction, result.started_at, result.duration()), (Direction::FromExternal, began, result_span(&result)));
    assert!(result.duration() >= Duration::from_millis(1_500));

    let mut body = result.to_json();
    assert_eq!(body["sync_run_id"], json!(result.run));
    assert_eq!(body["duration_ms"], json!(u64::try_from(result.duration().as_millis()).expect("small")));
    for (name, time) in [("started_at", result.started_at), ("completed_at", result.completed_at)] {
        assert_eq!(body[name].take(), json!(time), "{name}");
    }
    body["duration_ms"].take();
    body["sync_run_id"].take();
    let row_errors = json!([
        { "row": 47, "column": "Column C", "error": "Invalid email format", "severity": "error" },
        { "row": 48, "error": "no key", "severity": "warning" },
    ]);
    let expected = json!({
        "success": true,
        "outcome": "partial",
        "direction": "from_external",
        "records_synced": 5,
        "records_created": 3,
        "records_updated": 2,
        "records_unchanged": 1,
        "records_skipped": 1,
        "records_unsettled": 0,
        "records_failed": 1,
        "records_deleted": 0,
        "errors": ["Row 47, Column C: Invalid email format", "Row 48: no key"],
        "duration_ms": null,
        "started_at": null,
        "completed_at": null,
        "metadata": { "stream": "items", "entity": "demo_items" },
        "sync_run_id": null,
        "stats": { "rows_processed": 8, "rows_created": 3, "rows_updated": 2, "rows_skipped": 1, "errors": row_errors },
        "changes": [],
    });
    assert_eq!(body, expected, "both shapes that were asked for, in one body");
    // The other view is the type's own, and brings the whole of it back.
    let own = serde_json::to_value(&result).expect("JSON");
    assert_eq!(serde_json::from_value::<SyncResult>(own).expect("the same type"), result);

    // A run that stops has the same form.
    provider.fails(|| Error::new(ErrorKind::Transport, "demo.items", "down"));
    let failed = connection.sync_from_external(items()).await.expect("the run began");
    let body = failed.to_json();
    assert_eq!(keys(&body), keys(&expected));
    assert_eq!((&body["success"], &body["outcome"], &body["records_synced"]), (&json!(false), &json!("failed"), &json!(0)));
}

fn result_span(result: &SyncResult) -> Duration {
    (result.completed_at - result.started_at).to_std().expect("it ends after it began")
}

fn keys(body: &Value) -> Vec<&String> {
    body.as_object().expect("an object").keys().collect()
}

/// What a host may keep of a run: every part has a public type with named fields.
#[derive(Debug)]
struct Kept {
    connection: ConnectionId,
    workspace: WorkspaceId,
    status: ConnectionStatus,
    enabled: bool,
    every_minutes: u32,
    error_message: Option<Box<str>>,
    error_count: u32,
    run: RunId,
    ended: RunStatus,
    result: SyncResult,
    errors: Vec<RunError>,
}

impl Kept {
    /// Takes a connection apart completely: a field more or less, or of another type, does not compile.
    fn of(row: store::Connection, run: Run, result: SyncResult) -> Self {
        let store::Connection {
            workspace_id,
            id,
            provider: _,
            subject_id: _,
            account_id: _,
            account_name: _,
            connected_by: _,
            oauth_provider: _,
            settings: _,
            status,
            sync_enabled,
            sync_frequency_minutes,
            last_sync_at: _,
            sync_status: _,
            error_message,
            error_kind: _,
            error_count,
            expires_at: _,
            token_version: _,
            grant: _,
            scopes: _,
            renewal: _,
            created_at: _,
            updated_at: _,
        } = row;
        Self {
            connection: id,
            workspace: workspace_id,
            status,
            enabled: sync_enabled,
            every_minutes: sync_frequency_minutes,
            error_message,
            error_count,
            run: run.id,
            ended: run.status,
            errors: run.errors,
            result,
        }
    }
}

#[tokio::test]
async fn a_host_keeps_connections_runs_and_results_in_public_types() {
    let world = World::new();
    let provider = Scripted::new("demo");
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    provider.fails(|| Error::new(ErrorKind::Transport, "demo.items", "the service is down"));
    let result = connection.sync_from_external(items()).await.expect("the run began");
    let run = syncline.workspace("acme").run(result.run.expect("a run")).await.expect("the run");
    let kept = Kept::of(connection.load_config().await.expect("a row"), run, result);
    assert_eq!((kept.workspace.as_str(), &kept.connection, kept.status), ("acme", connection.id(), ConnectionStatus::Active));
    assert_eq!((Some(kept.run), kept.ended, kept.errors), (kept.result.run, RunStatus::Failed, kept.result.errors));
    assert_eq!((kept.enabled, kept.every_minutes, kept.error_count), (true, 60, 1));
    assert!(kept.error_message.is_some_and(|text| text.contains("the service is down")));
}

#[tokio::test]
async fn a_pull_has_written_when_it_answers_and_leaves_no_task_behind() {
    let world = World::new();
    let provider = Scripted::new("demo");
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    provider.pages(vec![then(texts(&["a", "b"]), "next"), last(texts(&["a", "b", "c"]))]);
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    // Another program sees the rows at once: there is no queue they could still be in.
    assert_eq!(world.ask_all("SELECT text FROM demo_items ORDER BY 1"), ["a", "b", "c"]);
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), tasks);
}

#[tokio::test]
async fn providers_are_known_by_their_names() {
    let world = World::new();
    let (chat, sheet) = (Chat::new(&world), movies(&world, &[vec!["Title"], vec!["Brazil"]]));
    let builder = world.builder().storage(world.storage().await);
    let syncline = builder.provider(chat.provider()).provider(sheets(&sheet)).provider(Scripted::new("demo")).build().await;
    let syncline = syncline.expect("an engine");
    assert_eq!(syncline.providers(), ["demo", "sheets", "slack"]);
    let connection = connect_sheets(&syncline).await;
    assert_eq!(connection.integration_name(), "sheets");
    assert_eq!(&*connection.load_config().await.expect("a row").provider, "sheets");
}

#[tokio::test]
async fn a_disconnected_account_runs_again_only_when_it_is_connected_again() -> Result<()> {
    let world = World::new();
    let provider = Scripted::new("demo");
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    provider.answer(|_, _| Ok(last(texts(&["a"]))));
    clean(&connection.sync_from_external(items()).await?);
    let patch = ConnectionPatch { status: Some(ConnectionStatus::Disconnected), ..ConnectionPatch::default() };
    connection.save_config(patch).await?;
    assert_eq!((connection.status().await?, connection.is_enabled().await?), (ConnectionStatus::Disconnected, false));
    let error = connection.sync_from_external(items()).await.expect_err("taken away");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("connect it again"), "{error}");
    assert_eq!(syncline.workspace("acme").runs(RunFilter::default()).await?.len(), 1, "its history stays");
    let again = connect(&syncline).await;
    assert_eq!((again.id(), again.status().await?), (connection.id(), ConnectionStatus::Active));
    clean(&again.sync_from_external(items()).await?);
    // The words of tables and JSON for each of the four.
    for (status, word) in [
        (ConnectionStatus::Active, "active"),
        (ConnectionStatus::Paused, "paused"),
        (ConnectionStatus::Error, "error"),
        (ConnectionStatus::Disconnected, "disconnected"),
    ] {
        assert_eq!((status.as_str(), ConnectionStatus::parse(word), json!(status)), (word, Some(status), json!(word)));
    }
    assert_eq!(ConnectionStatus::parse("gone"), None);
    Ok(())
}

#[tokio::test]
async fn rows_in_each_commit_are_a_setting() {
    let mut largest = Vec::new();
    for rows in [50, 2_000] {
        let world = World::new();
        let storage = world.storage().await;
        let commits = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&commits);
        storage.on_commit(move |_, committed| {
            seen.lock().expect("not poisoned").push(committed.written.len());
            Ok(())
        });
        let provider = Scripted::new("demo");
        provider.answer(|_, n| {
            let ids: Vec<String> = (0..10).map(|row| format!("r{n:03}{row}")).collect();
            let page = page(ids.iter().map(|id| (id.as_str(), json!({ "id": id }))));
            Ok(if n < 99 { then(page, n.to_string()) } else { last(page) })
        });
        // On the system's clock: with a virtual one every wait for a page would be an age at which to commit.
        let builder = Syncline::builder().storage(storage).keyring(world.keyring()).provider(provider);
        let syncline = builder.build().await.expect("an engine");
        let result = connect(&syncline).await.sync_from_external(items().commit_rows(rows)).await.expect("it runs");
        assert_eq!(result.counts.created, 1_000);
        let commits = commits.lock().expect("not poisoned").clone();
        assert_eq!(commits.iter().sum::<usize>(), 1_000);
        assert!(commits.iter().all(|written| *written <= rows), "{commits:?}");
        largest.push(commits.into_iter().max().expect("commits"));
    }
    assert!(largest[0] == 50 && largest[1] > 50, "{largest:?}");
}

/// The most calls of a minute, less five seconds: the virtual clock may move on between a call's permit and its arrival.
fn busiest_minute(at: &[chrono::DateTime<chrono::Utc>]) -> usize {
    let within = |from: usize| at[from..].iter().take_while(|time| **time - at[from] < chrono::TimeDelta::seconds(55)).count();
    (0..at.len()).map(within).max().unwrap_or_default()
}

#[tokio::test]
async fn a_quota_the_host_sets_takes_the_place_of_the_providers() {
    let rows: Vec<String> = (0..20).map(|n| format!("Film {n}")).collect();
    let table: Vec<Vec<&str>> = std::iter::once(vec!["Title"]).chain(rows.iter().map(|title| vec![title.as_str()])).collect();
    let mut busiest = Vec::new();
    for quota in [None, Some(3)] {
        let world = World::new();
        let simulation = movies(&world, &table);
        let builder = world.builder().storage(world.storage().await).provider(sheets(&simulation));
        let builder = match quota {
            Some(calls) => builder.quota("sheets", "read", calls, Duration::from_secs(60)),
            None => builder,
        };
        let syncline = builder.build().await.expect("an engine");
        let connection = connect_sheets(&syncline).await;
        connection.save_settings(json!({ "spreadsheet_id": SPREADSHEET, "rows_per_page": 2 })).await.expect("taken");
        let result = connection.sync_from_external(movies_pull()).await.expect("it runs");
        clean(&result);
        assert_eq!(result.counts.created, 20);
        let calls: Vec<_> = simulation.calls().into_iter().map(|call| call.at).collect();
        assert!(calls.len() >= 10, "{} calls", calls.len());
        busiest.push(busiest_minute(&calls));
    }
    assert!(busiest[0] > 3 && busiest[1] <= 3, "{busiest:?}");
}

#[tokio::test]
async fn changes_of_one_transaction_are_told_apart_by_their_number() {
    let world = World::new();
    let provider = Scripted::new("demo");
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    provider.pages(vec![last(page([("k", json!({ "id": "k", "text": "first" }))]))]);
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    // One page says two things about one record, neither all of it.
    provider.pages(vec![last(page([("k", json!({ "text": "second", "more": 1 })), ("k", json!({ "text": "third" }))]))]);
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    let lines = syncline.workspace("acme").lineage("demo_items", "k", Some("text")).await.expect("lineage");
    let told: Vec<_> = lines.iter().map(|line| (line.previous_value.clone(), line.new_value.clone())).collect();
    let text = |text: &str| Some(json!(text));
    assert_eq!(told, [(None, text("first")), (text("first"), text("second")), (text("second"), text("third"))]);
    assert_eq!((lines[1].changed_at, lines[1].sync_run_id), (lines[2].changed_at, lines[2].sync_run_id), "one time, one run");
    assert!(lines[1].seq < lines[2].seq);
    assert_eq!(lines.iter().map(|line| line.seq).collect::<BTreeSet<_>>().len(), 3);
}

#[tokio::test]
async fn messages_belong_to_a_tenant_and_to_one_of_its_clients() {
    // Whatever text the host knows its tenants by.
    const TENANT: &str = "Agentur Müller / 7 ☕";
    let world = World::new();
    let chat = Chat::new(&world);
    let syncline = world.open(chat.provider()).await;
    let agency = syncline.workspace(TENANT);
    let connection = agency.connect("slack", Credentials::token("xoxb-good")).subject("client-7").await.expect("it connects");
    let row = connection.load_config().await.expect("a row");
    assert_eq!((row.workspace_id.as_str(), row.subject_id.as_deref()), (TENANT, Some("client-7")));
    let mapping = communication().column(Column::constant("client-7").to("subject_id"));
    clean(&connection.sync_from_external(Pull::mapped(mapping)).await.expect("it runs"));
    assert_eq!(agency.count("communication").await.expect("a count"), 5);
    let owners = world.ask_all("SELECT DISTINCT workspace_id || ' for ' || subject_id FROM communication");
    assert_eq!(owners, [format!("{TENANT} for client-7")]);
    assert_eq!(syncline.workspace("client-7").count("communication").await.unwrap_or_default(), 0, "a client is no tenant");
}

#[tokio::test]
async fn tables_and_views_have_the_columns_programs_rely_on() {
    let world = World::new();
    world.storage().await;
    for (table, columns) in [
        (
            "integration_connections",
            "id provider subject_id account_id account_name connected_by credentials_encrypted refresh_token_encrypted expires_at \
             token_version oauth_provider settings status sync_enabled sync_frequency_minutes last_sync_at sync_status error_message \
             error_count created_at updated_at grant_kind granted_scopes renewal_failing_since renewal_not_before renewal_underway_since \
             renewal_refused_at token_issued_at renewal_failed_at renewal_failures renewal_error_kind error_kind grant_client_id",
        ),
        ("integration_activity", "id integration_name action success records_affected error_message metadata created_at"),
        (
            "integration_sync_logs",
            "id connection_id direction records_created records_updated records_failed errors duration_ms started_at completed_at",
        ),
        (
            "sync_runs",
            "id data_source_id tab_mapping_id connection_id status outcome lease_token lease_until started_at completed_at rows_processed \
             rows_created rows_updated rows_skipped rows_unchanged rows_deleted rows_failed errors triggered_by created_at",
        ),
        (
            "field_lineage",
            "id entity_type entity_id field_name source_type source_id source_ref previous_value new_value sync_run_id changed_by \
             changed_at rule",
        ),
        ("lineage_rules", "id rule mapping"),
        ("oauth_states", "nonce provider browser_hash verifier_encrypted redirect_uri request begun_at expires_at client_id"),
        ("oauth_clients", "authority client_id secret_encrypted redirect_uri updated_at"),
        ("leases", "name holder until"),
        ("sensitive_fields", "entity_type field"),
        ("lineage_keys", "inner_pad outer_pad"),
        ("clients", "id name industry status website created_at updated_at"),
        ("client_accounts", "client_id provider account_id name"),
        ("onboarding_progress", "user_id services_connected current_step first_sync_completed completed_at updated_at"),
        ("sync_looks", "connection_id stream mapping header records run_id seen_at"),
        ("config_versions", "kind id version body changed_by changed_at action"),
    ] {
        let there = world.ask_all(&format!("SELECT name FROM pragma_table_info('syncline_{table}')"));
        for column in columns.split_whitespace().chain(["workspace_id"]) {
            assert!(there.iter().any(|name| name == column), "{table} has no {column}: {there:?}");
        }
    }
}
