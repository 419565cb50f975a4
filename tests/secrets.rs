//! Planted secrets, looked for in everything that comes out: log lines, errors with their causes, events, results, the bytes of the
//! database, what handles show of themselves. And envelopes that must not open.

mod support;

use std::{sync::OnceLock, time::Duration};

use serde_json::json;
use support::{
    World, clean,
    scripted::{Scripted, last, page},
    services::{Chat, SPREADSHEET, movies, movies_pull, sheets},
};
use syncline::{
    ConnectionStatus, Credentials, ErrorKind, Keyring, Pull, RunFilter, Sheets, Slack, SyncResult, Syncline, Workspace,
    testkit::{Canary, Fault, Log, Outputs},
};

/// Everything that is logged in this process, at every level.
fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let sink = log.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_writer(move || sink.clone())
            .init();
        log
    })
}

fn see_result(seen: &mut Outputs, place: &str, result: &syncline::Result<SyncResult>) {
    match result {
        Ok(result) => {
            seen.text(place, format!("{result:?}\n{}\n{}", result.to_json(), serde_json::to_string(result).expect("JSON")));
        }
        Err(error) => seen.error(place, error),
    }
}

async fn see_stored(seen: &mut Outputs, workspace: &Workspace) {
    let runs = workspace.runs(RunFilter::default()).await.expect("runs");
    for run in &runs {
        seen.debug("failures", &workspace.failures(run.id, 1_000).await.expect("failures"));
    }
    seen.debug("runs", &runs);
    seen.debug("connections", &workspace.connections().await.expect("connections"));
    seen.debug("activity", &workspace.activities(1_000).await.expect("activity"));
    seen.debug("stored events", &workspace.events_after(0, 1_000).await.expect("events"));
}

/// Everything that can go wrong with one call, in which a service repeats the secret it was sent wherever it can.
fn faults(secret: &str) -> Vec<Fault> {
    let echo = |status: u16| Fault::Status {
        status,
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("x-echo", secret.to_owned()),
            ("www-authenticate", format!("Bearer realm=\"{secret}\"")),
            ("retry-after", "7200".to_owned()),
            ("location", format!("https://elsewhere.example/?token={secret}")),
        ],
        body: json!({
            "ok": false,
            "error": format!("the token {secret} is not good"),
            "needed": secret,
            "error_description": secret,
            "message": secret,
        })
        .to_string(),
    };
    let google = |status: u16, name: &str| {
        let body = json!({ "error": { "code": status, "status": name, "message": format!("Request had {secret} in it"), "errors": [{ "reason": secret }] } });
        Fault::status(status, body.to_string())
    };
    let mut faults: Vec<Fault> = [301, 307, 400, 401, 403, 404, 409, 410, 429, 500, 503].into_iter().map(echo).collect();
    faults.extend([
        google(400, "INVALID_ARGUMENT"),
        google(401, "UNAUTHENTICATED"),
        google(403, "PERMISSION_DENIED"),
        google(500, "INTERNAL"),
        Fault::Html,
        Fault::Cut(10),
        Fault::Empty,
        Fault::Refused,
        Fault::LostAnswer,
        Fault::LostRequest,
        Fault::Huge(65),
        Fault::Slow(Duration::from_secs(86_400)),
        Fault::Body(format!("<html>your token {secret} has gone")),
        Fault::Body(format!(r#"{{"ok":false,"error":"{secret}"}}"#)),
        Fault::Body(format!(r#"{{"ok":true,"{secret}":1}}"#)),
        Fault::Body(format!(r#"{{"ok":true,"messages":"{secret}"}}"#)),
        Fault::Body(format!(r#"{{"spreadsheetId":{{"{secret}":2}}}}"#)),
    ]);
    faults
}

#[tokio::test]
async fn no_planted_secret_turns_up_anywhere_through_good_and_failing_pulls() {
    log();
    let (google, slack, refresh, wrong) = (Canary::new(1), Canary::new(2), Canary::new(3), Canary::new(4));
    let world = World::new();
    let sheet = movies(&world, &[vec!["Title", "Year"], vec!["Brazil", "1985"], vec!["Alien", "1979"]]);
    sheet.sim().expect_token(google.secret());
    sheet.sim().set_reads_per_minute(u32::MAX);
    let chat = Chat::new(&world);
    chat.sim().expect_token(slack.secret());
    let storage = world.storage().await;
    let builder = world.builder().storage(storage.clone()).provider(sheets(&sheet)).provider(chat.provider());
    let mut seen = Outputs::default();
    seen.debug("builder", &builder);
    let syncline = builder.build().await.expect("an engine");
    let mut events = syncline.events();
    let acme = syncline.workspace("acme");

    let good = Credentials::token(google.secret()).with_refresh(refresh.secret());
    seen.debug("credentials", &good);
    let connect = acme.connect("sheets", good).settings(json!({ "spreadsheet_id": SPREADSHEET }));
    seen.debug("connect", &connect);
    let films = connect.await.expect("it connects");
    let talk = acme.connect("slack", Credentials::token(slack.secret()).with_refresh(refresh.secret())).await.expect("it connects");
    // A wrong one, in each place a host may put it by mistake.
    for (provider, settings) in [("sheets", json!({ "spreadsheet_id": SPREADSHEET })), ("slack", json!({}))] {
        let error = acme.connect(provider, Credentials::token(wrong.secret())).settings(settings).await.expect_err("refused");
        seen.error("a wrong token", &error);
    }

    let pulls = [(&films, movies_pull(), "sheets.values.batchGet"), (&films, movies_pull(), "sheets.spreadsheets.get")];
    let talks = ["slack.conversations.history", "slack.conversations.list", "slack.users.list"];
    for (connection, pull, operation) in pulls.into_iter().chain(talks.map(|operation| (&talk, Pull::stream("messages").full(), operation)))
    {
        let (simulated, secret) =
            if operation.starts_with("sheets") { (sheet.faults(), google.secret()) } else { (chat.simulation.faults(), slack.secret()) };
        for fault in faults(secret) {
            simulated.push_times(operation, fault, 8);
            let result = connection.sync_from_external(pull.clone()).await;
            see_result(&mut seen, operation, &result);
            simulated.clear();
            connection.enable().await.expect("enabled");
            world.clock.advance(Duration::from_secs(7_200));
        }
        clean(&connection.sync_from_external(pull.clone()).await.expect("it runs"));
    }
    assert!(sheet.faults().used() + chat.simulation.faults().used() > 100, "they were met");
    sheet.sim().revoke_token();
    chat.sim().revoke_token();
    for (connection, pull) in [(&films, movies_pull()), (&talk, Pull::stream("users"))] {
        see_result(&mut seen, "revoked", &connection.sync_from_external(pull).await);
        if let Err(error) = connection.validate_credentials().await {
            seen.error("validate", &error);
        }
    }

    for (label, shown) in
        [("engine", format!("{syncline:?}")), ("workspace", format!("{acme:?}")), ("connection", format!("{films:#?} {talk:#?}"))]
    {
        seen.text(label, shown);
    }
    seen.debug("keyring", &world.keyring());
    seen.debug("storage", &storage);
    seen.debug("provider", &chat.provider());
    see_stored(&mut seen, &acme).await;
    seen.files(world.folder.path());
    assert!(
        seen.pieces().any(|(place, text)| place.ends_with("app.db-wal") && !text.is_empty()),
        "the log of the database is looked at too"
    );
    drop((films, talk, acme, storage, syncline));
    while let Some(event) = events.next().await {
        seen.text("event", format!("{event:?} {}", serde_json::to_string(&event).expect("JSON")));
    }
    seen.files(world.folder.path());

    let logged = log().text();
    for line in ["run started", "run stopped", "run completed", "connected"] {
        assert!(logged.contains(line), "the log was listened to: {line:?}");
    }
    assert!(seen.pieces().any(|(place, _)| place == "event") && seen.pieces().len() > 100);
    seen.log(log());
    seen.assert_without(&[&google, &slack, &refresh, &wrong]);
    // Nor the key they are sealed with, nor a good part of it.
    let secret_key = world.keys.split_once(':').expect("id:key").1;
    assert_eq!(seen.leaks_of(&secret_key[..20]), []);
}

#[tokio::test]
async fn nor_through_the_real_transport() {
    log();
    let secret = Canary::new(11);
    let world = World::new();
    let sheet = movies(&world, &[vec!["Title", "Year"], vec!["Brazil", "1985"]]);
    sheet.sim().expect_token(secret.secret());
    let chat = Chat::new(&world);
    chat.sim().expect_token(secret.secret());
    let (sheet_url, chat_url) = (sheet.serve().await.expect("a port"), chat.simulation.serve().await.expect("a port"));
    let syncline = world
        .builder()
        .storage(world.storage().await)
        .provider(Sheets::builder().base_url(&sheet_url.url).build().expect("a provider"))
        .provider(Slack::builder().base_url(format!("{}/api/", chat_url.url)).build().expect("a provider"))
        .build()
        .await
        .expect("an engine");
    let acme = syncline.workspace("acme");
    let films = acme.connect("sheets", Credentials::token(secret.secret())).settings(json!({ "spreadsheet_id": SPREADSHEET }));
    let films = films.await.expect("it connects");
    let talk = acme.connect("slack", Credentials::token(secret.secret())).await.expect("it connects");
    let mut seen = Outputs::default();
    for (connection, pull, faults, operation) in [
        (&films, movies_pull(), sheet.faults(), "sheets.values.batchGet"),
        (&talk, Pull::stream("users"), chat.simulation.faults(), "slack.users.list"),
    ] {
        for fault in
            [Fault::Cut(10), Fault::LostAnswer, Fault::Html, Fault::status(500, secret.secret()), Fault::status(302, secret.secret())]
        {
            faults.push_times(operation, fault, 8);
            let result = connection.sync_from_external(pull.clone()).await;
            assert!(!result.as_ref().is_ok_and(SyncResult::success), "{operation}");
            see_result(&mut seen, operation, &result);
            faults.clear();
            connection.enable().await.expect("enabled");
            world.clock.advance(Duration::from_secs(7_200));
        }
        clean(&connection.sync_from_external(pull.clone()).await.expect("it runs"));
    }
    // Nobody listens there any more.
    drop((sheet_url, chat_url));
    for (connection, pull) in [(&films, movies_pull()), (&talk, Pull::stream("users"))] {
        see_result(&mut seen, "gone", &connection.sync_from_external(pull).await);
    }
    see_stored(&mut seen, &acme).await;
    seen.files(world.folder.path());
    seen.log(log());
    seen.assert_without(&[&secret]);
}

/// One connected account with a row, and the provider behind it.
async fn connected(world: &World) -> (Syncline, Scripted, syncline::Connection) {
    let provider = Scripted::new("demo");
    let syncline = world.open(provider.clone()).await;
    let connection = syncline.workspace("acme").connect("demo", Credentials::token("good").with_refresh("r")).await.expect("it connects");
    provider.answer(|_, _| Ok(last(page([("1", json!({ "id": "1" }))]))));
    (syncline, provider, connection)
}

#[tokio::test]
async fn no_column_is_made_for_a_secret_in_plain_text() {
    let world = World::new();
    let (syncline, _, connection) = connected(&world).await;
    clean(&connection.sync_from_external(Pull::stream("items")).await.expect("it runs"));
    drop((connection, syncline));
    let columns = world.ask_all(
        "SELECT m.name || '.' || c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name LIKE 'syncline%'",
    );
    assert!(columns.len() > 50, "{columns:?}");
    let telling = ["token", "secret", "password", "credential", "key", "auth"];
    let plain: Vec<&String> = columns
        .iter()
        .filter(|column| telling.iter().any(|word| column.split_once('.').expect("a column").1.contains(word)))
        .filter(|column| !column.ends_with("_encrypted"))
        .collect();
    // A version, a time, the fence of a run, a place in a listing, and the names of who does OAuth: no secrets.
    assert_eq!(
        plain,
        [
            "syncline_integration_connections.token_version",
            "syncline_integration_connections.oauth_provider",
            "syncline_integration_connections.token_issued_at",
            "syncline_sync_runs.lease_token",
            "syncline_sync_cursors.page_token",
            "syncline_oauth_clients.authority"
        ]
    );
    let sealed = "SELECT hex(credentials_encrypted) || '.' || hex(refresh_token_encrypted) FROM syncline_integration_connections";
    for envelope in world.ask(sealed).split('.') {
        // version 1, two bytes of key id, "k1", then at least nonce and tag.
        assert!(envelope.starts_with("01026B31") && envelope.len() >= 2 * (4 + 12 + 16), "{envelope}");
    }
}

#[tokio::test]
async fn without_its_key_a_credential_stays_shut_and_the_key_is_named() {
    let world = World::new();
    let (syncline, provider, connection) = connected(&world).await;
    let id = connection.id().clone();
    drop((connection, syncline));
    let other = Keyring::generate("k2");
    let reopen = async |keys: String| {
        let builder = Syncline::builder().clock(support::TestClock(world.clock.clone())).keyring(Keyring::parse(&keys).expect("keys"));
        builder.storage(world.storage().await).provider(provider.clone()).build().await.expect("an engine")
    };
    let syncline = reopen(other.to_string()).await;
    let connection = syncline.workspace("acme").connection(id.clone()).await.expect("the row is there");
    let error = connection.initialize().await.expect_err("it cannot be opened");
    assert_eq!(error.kind(), ErrorKind::Key);
    assert!(error.to_string().contains("\"k1\"") && error.to_string().contains("k2"), "{error}");
    provider.answer(|_, _| Ok(last(page([("2", json!({ "id": "2" }))]))));
    let result = connection.sync_from_external(Pull::stream("items")).await.expect("the run began");
    assert_eq!((result.success(), result.errors[0].kind), (false, ErrorKind::Key));
    assert!(provider.requests().is_empty(), "nothing was opened, so nothing was sent");
    assert!(result.errors[0].hint.contains("keyring"), "{:?}", result.errors);
    drop((connection, syncline));
    // With the old key behind a new one everything opens again, and what is sealed from now on is under the new one.
    let syncline = reopen(format!("{},{}", &*other, world.keys)).await;
    let acme = syncline.workspace("acme");
    clean(&acme.connection(id).await.expect("there").sync_from_external(Pull::stream("items")).await.expect("it runs"));
    acme.connect("demo", Credentials::token("good")).await.expect("it heals");
    assert!(world.ask("SELECT hex(credentials_encrypted) FROM syncline_integration_connections").starts_with("01026B32"));
}

#[tokio::test]
async fn a_damaged_or_moved_envelope_stays_shut() {
    let world = World::new();
    let (syncline, provider, first) = connected(&world).await;
    let settings = json!({ "account": "second" });
    let second =
        syncline.workspace("acme").connect("demo", Credentials::token("good 2")).settings(settings.clone()).await.expect("it connects");
    let foreign = syncline.workspace("bolt").connect("demo", Credentials::token("good 3")).await.expect("it connects");
    let envelope = |id: &syncline::core::ConnectionId| {
        world.ask(&format!("SELECT hex(credentials_encrypted) FROM syncline_integration_connections WHERE id = '{id}'"))
    };
    let mine = envelope(first.id());
    let flipped = |at: usize| {
        let mut text = mine.clone().into_bytes();
        text[at] = if text[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(text).expect("hex")
    };
    let refresh =
        world.ask(&format!("SELECT hex(refresh_token_encrypted) FROM syncline_integration_connections WHERE id = '{}'", first.id()));
    let mut cases: Vec<(String, String)> = (0..mine.len()).step_by(7).map(|at| (format!("digit {at} changed"), flipped(at))).collect();
    cases.extend([
        ("cut".to_owned(), mine[..mine.len() - 2].to_owned()),
        ("longer".to_owned(), format!("{mine}00")),
        ("nothing".to_owned(), String::new()),
        ("of another connection".to_owned(), envelope(second.id())),
        ("of another workspace".to_owned(), envelope(foreign.id())),
        ("of another field".to_owned(), refresh),
    ]);
    for (what, text) in cases {
        let sql = format!("UPDATE syncline_integration_connections SET credentials_encrypted = x'{text}' WHERE id = '{}'", first.id());
        world.sql().execute(&sql, []).expect("written by hand");
        // A handle keeps an opened token for half a minute; a new one asks the store.
        let handle = syncline.workspace("acme").connection(first.id().clone()).await.expect("there");
        let error = handle.initialize().await.expect_err(&what);
        assert_eq!(error.kind(), ErrorKind::Key, "{what}: {error}");
        assert!(error.to_string().contains(first.id().as_str()), "{what}: {error}");
        provider.answer(|_, _| Ok(last(page([]))));
        let result = handle.sync_from_external(Pull::stream("items")).await.expect("the run began");
        assert!(!result.success() && provider.requests().is_empty(), "{what}");
    }
    assert_eq!(first.status().await.expect("a status"), ConnectionStatus::Error);
    assert_eq!(second.status().await.expect("a status"), ConnectionStatus::Active);
    let sql = format!("UPDATE syncline_integration_connections SET credentials_encrypted = x'{mine}' WHERE id = '{}'", first.id());
    world.sql().execute(&sql, []).expect("written by hand");
    clean(&first.sync_from_external(Pull::stream("items")).await.expect("it runs"));
}
