//! Accounts authorised in a browser: the flow end to end against simulated services, on both storages, and what is refused.

mod support;

use std::time::Duration;

use provider_simulators::{REDIRECT, google, slack};
use serde_json::json;
use support::{On, World, clean, start};
use syncline::{
    Actor, Authorization, Authorized, Callback, Client, ClientAccount, ConnectionStatus, ErrorKind, OAuthClient, Pull, Result, Sheets,
    Slack, Syncline,
    core::ExposeSecret as _,
    testkit::{AuthorizationServer, Decision, Fault, Simulation},
};

/// Simulated services with authorization servers before them.
mod provider_simulators {
    use syncline::{
        providers::{sheets::simulator::SheetsSim, slack::simulator::SlackSim},
        testkit::{AuthorizationServer, Simulation},
    };

    use super::support::World;

    pub(crate) const REDIRECT: &str = "https://app.example/oauth/callback";

    pub(crate) fn slack(world: &World) -> (AuthorizationServer, Simulation<SlackSim>) {
        let server = AuthorizationServer::new(SlackSim::authorization_rules(true))
            .with_client("client", Some("s3cret-of-client"), &[REDIRECT])
            .with_client("other", Some("s3cret-of-other"), &[REDIRECT]);
        let sim = SlackSim::new("T024BE7LD", "Acme").authorized_by(&server);
        (server, Simulation::new(sim).with_clock(world.clock.clone()))
    }

    pub(crate) fn google(world: &World) -> (AuthorizationServer, Simulation<SheetsSim>) {
        let server =
            AuthorizationServer::new(SheetsSim::authorization_rules()).with_client("client", Some("s3cret-of-client"), &[REDIRECT]);
        let sim = SheetsSim::new("1AbC", "Film list").authorized_by(&server);
        sim.load("Movies", &[vec!["Title", "Year"], vec!["Alien", "1979"]]);
        (server, Simulation::new(sim).with_clock(world.clock.clone()))
    }
}

fn client() -> OAuthClient {
    OAuthClient::new("client", REDIRECT).with_secret("s3cret-of-client")
}

/// An engine with both services, and what stands behind them.
struct Scene {
    world: World,
    syncline: Syncline,
    slack: AuthorizationServer,
    slack_sim: Simulation<syncline::providers::slack::simulator::SlackSim>,
    google: AuthorizationServer,
    _google_sim: Simulation<syncline::providers::sheets::simulator::SheetsSim>,
}

impl Scene {
    async fn new(on: On) -> Self {
        let world = World::on(on).await;
        let ((slack_server, slack_sim), (google_server, google_sim)) = (slack(&world), google(&world));
        let builder = world
            .builder()
            .storage(world.place().open().await)
            .provider(Slack::builder().transport(slack_sim.transport()).build().expect("a provider"))
            .provider(Sheets::builder().transport(google_sim.transport()).build().expect("a provider"))
            .oauth_client("slack", client())
            .oauth_client("google", client())
            .return_path("/settings");
        let syncline = builder.build().await.expect("an engine");
        Self { world, syncline, slack: slack_server, slack_sim, google: google_server, _google_sim: google_sim }
    }

    async fn begin(&self, provider: &str) -> Authorization {
        let begin = self.syncline.workspace("acme").begin_authorization(provider).user("ada");
        let settings = if provider == "sheets" { json!({ "spreadsheet_id": "1AbC" }) } else { json!({}) };
        begin.settings(settings).return_to("/settings").await.expect("begun")
    }

    /// What the browser is sent back with.
    fn decide(&self, server: &AuthorizationServer, begun: &Authorization, decision: &Decision<'_>) -> String {
        let back = server.decide(&begun.url, decision, self.world.clock.now()).expect("sent back");
        back.split_once('?').expect("a query").1.to_owned()
    }

    async fn finish(&self, begun: &Authorization, query: &str) -> Result<Authorized> {
        let callback = Callback::from_query(query, begun.browser.expose_secret().to_owned())?.user("ada");
        self.syncline.finish_authorization(callback).await
    }

    async fn connected(&self, provider: &str, server: &AuthorizationServer) -> Authorized {
        let begun = self.begin(provider).await;
        let query = self.decide(server, &begun, &Decision::Approve);
        self.finish(&begun, &query).await.expect("authorised")
    }
}

mod on_sqlite {
    use super::On;

    #[tokio::test(flavor = "multi_thread")]
    async fn slack_is_authorised_pulled_renewed_and_taken_away() {
        super::slack_is_authorised_pulled_renewed_and_taken_away(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sheet_is_authorised_pulled_and_renewed_with_the_first_refresh_token() {
        super::a_sheet_is_authorised_pulled_and_renewed_with_the_first_refresh_token(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_state_is_good_once_for_one_browser_one_user_and_ten_minutes() {
        super::a_state_is_good_once_for_one_browser_one_user_and_ten_minutes(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_grant_that_the_user_took_back_is_told_and_healed_by_connecting_again() {
        super::a_grant_that_the_user_took_back_is_told_and_healed_by_connecting_again(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn keys_are_rotated_under_running_connections_and_an_old_one_retired() {
        super::keys_are_rotated_under_running_connections_and_an_old_one_retired(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_erased_workspace_leaves_no_trace_and_the_others_whole() {
        super::an_erased_workspace_leaves_no_trace_and_the_others_whole(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_account_of_a_client_is_authorised_for_it() {
        super::an_account_of_a_client_is_authorised_for_it(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn connecting_again_keeps_what_was_set_meanwhile_and_a_new_account_is_no_known_one() {
        super::connecting_again_keeps_what_was_set_meanwhile_and_a_new_account_is_no_known_one(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_grant_is_renewed_with_the_oauth_client_it_was_given_to_and_with_no_other() {
        super::a_grant_is_renewed_with_the_oauth_client_it_was_given_to_and_with_no_other(On::Sqlite).await;
    }
}

mod on_postgres {
    use super::On;

    #[tokio::test(flavor = "multi_thread")]
    async fn slack_is_authorised_pulled_renewed_and_taken_away() {
        super::slack_is_authorised_pulled_renewed_and_taken_away(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sheet_is_authorised_pulled_and_renewed_with_the_first_refresh_token() {
        super::a_sheet_is_authorised_pulled_and_renewed_with_the_first_refresh_token(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_state_is_good_once_for_one_browser_one_user_and_ten_minutes() {
        super::a_state_is_good_once_for_one_browser_one_user_and_ten_minutes(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_grant_that_the_user_took_back_is_told_and_healed_by_connecting_again() {
        super::a_grant_that_the_user_took_back_is_told_and_healed_by_connecting_again(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn keys_are_rotated_under_running_connections_and_an_old_one_retired() {
        super::keys_are_rotated_under_running_connections_and_an_old_one_retired(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_erased_workspace_leaves_no_trace_and_the_others_whole() {
        super::an_erased_workspace_leaves_no_trace_and_the_others_whole(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_account_of_a_client_is_authorised_for_it() {
        super::an_account_of_a_client_is_authorised_for_it(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn connecting_again_keeps_what_was_set_meanwhile_and_a_new_account_is_no_known_one() {
        super::connecting_again_keeps_what_was_set_meanwhile_and_a_new_account_is_no_known_one(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_grant_is_renewed_with_the_oauth_client_it_was_given_to_and_with_no_other() {
        super::a_grant_is_renewed_with_the_oauth_client_it_was_given_to_and_with_no_other(On::Postgres).await;
    }
}

async fn slack_is_authorised_pulled_renewed_and_taken_away(on: On) {
    let scene = Scene::new(on).await;
    let done = scene.connected("slack", &scene.slack).await;
    assert_eq!((done.return_to.as_deref(), done.missing_scopes.len(), done.lost_streams.len()), (Some("/settings"), 0, 0));
    let row = done.connection.load_config().await.expect("a row");
    assert_eq!((row.oauth_provider.as_deref(), row.connected_by.as_deref()), (Some("slack"), Some("ada")));
    assert!(row.grant.is_some() && row.expires_at.is_some_and(|end| end > start()), "{row:?}");
    clean(&done.connection.sync_from_external(Pull::stream("users")).await.expect("it runs"));

    // Two days later the token has ended; it is renewed by the first call, and the spent refresh token is never sent again.
    for day in 1..=3 {
        scene.world.clock.advance(Duration::from_secs(2 * 24 * 3600));
        done.connection.initialize().await.expect("an expired token is renewed at the start");
        assert_eq!(done.connection.load_config().await.expect("a row").token_version, 1 + day);
        clean(&done.connection.sync_from_external(Pull::stream("users").full()).await.expect("it runs"));
        assert_eq!(done.connection.load_config().await.expect("a row").token_version, 1 + day);
    }
    assert_eq!(scene.slack.grants(), 1, "no spent token came again, or the family would be gone");
    let log = scene.syncline.workspace("acme").activities(100).await.expect("a log");
    assert_eq!(log.iter().filter(|line| &*line.action == "oauth_refreshed" && line.success).count(), 3);

    // The same account once more: healed, not doubled.
    let again = scene.connected("slack", &scene.slack).await;
    assert_eq!(again.connection.id(), done.connection.id());
    // Renewed before it is taken back: Slack takes no token back that has ended, and no refresh token.
    scene.world.clock.advance(Duration::from_secs(2 * 24 * 3600));
    let grants = scene.slack.grants();
    assert!(again.connection.disconnect().await.expect("taken away"), "Slack was told");
    assert_eq!(scene.slack.grants(), grants - 1);
    assert_eq!(again.connection.status().await.expect("a status"), ConnectionStatus::Disconnected);
    assert!(!again.connection.has_valid_tokens().await);
    let error = again.connection.sync_from_external(Pull::stream("users")).await.expect_err("no run begins");
    assert!(error.text().contains("connect it again"), "{error}");
}

async fn a_sheet_is_authorised_pulled_and_renewed_with_the_first_refresh_token(on: On) {
    let scene = Scene::new(on).await;
    let done = scene.connected("sheets", &scene.google).await;
    let pull = || Pull::stream("Movies").key(["Title"]);
    assert_eq!(done.connection.sync_from_external(pull()).await.expect("it runs").counts.created, 1);
    for _ in 0..3 {
        scene.world.clock.advance(Duration::from_secs(2 * 3600));
        clean(&done.connection.sync_from_external(pull()).await.expect("it runs"));
    }
    assert_eq!(done.connection.why().await.expect("a diagnosis").actor, Actor::Nobody);
}

async fn a_state_is_good_once_for_one_browser_one_user_and_ten_minutes(on: On) {
    let scene = Scene::new(on).await;
    let nothing = async || scene.syncline.workspace("acme").connections().await.expect("a list").is_empty();
    let refused = async |begun: &Authorization, query: &str, says: &str| {
        let error = scene.finish(begun, query).await.expect_err(says);
        assert!(error.kind() == ErrorKind::Auth && error.text().contains(says), "{error} lacks {says:?}");
    };
    // another browser, and then it is used up for the right one too
    let (begun, other) = (scene.begin("slack").await, scene.begin("slack").await);
    let query = scene.decide(&scene.slack, &begun, &Decision::Approve);
    let stolen = Callback::from_query(&query, other.browser.expose_secret().to_owned()).expect("a query").user("ada");
    let error = scene.syncline.finish_authorization(stolen).await.expect_err("another browser");
    assert!(error.text().contains("another browser"), "{error}");
    refused(&begun, &query, "used before").await;
    // another user
    let begun = scene.begin("slack").await;
    let query = scene.decide(&scene.slack, &begun, &Decision::Approve);
    let callback = Callback::from_query(&query, begun.browser.expose_secret().to_owned()).expect("a query").user("eve");
    let error = scene.syncline.finish_authorization(callback).await.expect_err("another user");
    assert!(error.text().contains("another user"), "{error}");
    // too late
    let begun = scene.begin("slack").await;
    let query = scene.decide(&scene.slack, &begun, &Decision::Approve);
    scene.world.clock.advance(Duration::from_secs(600));
    refused(&begun, &query, "too late").await;
    // declined; the state is used up by it
    let begun = scene.begin("slack").await;
    let query = scene.decide(&scene.slack, &begun, &Decision::Deny);
    refused(&begun, &query, "declined").await;
    refused(&begun, &query, "used before").await;
    // tampered with
    let begun = scene.begin("slack").await;
    let query = scene.decide(&scene.slack, &begun, &Decision::Approve);
    let forged = query.replace("state=", "state=x");
    refused(&begun, &forged, "not one that was given out here").await;
    assert!(nothing().await, "nothing of all this was stored");
    // and the right one goes through, once
    scene.finish(&begun, &query).await.expect("authorised");
    refused(&begun, &query, "used before").await;
    // where the host never said that browsers may go
    let begin = scene.syncline.workspace("acme").begin_authorization("slack").return_to("//evil.example");
    assert_eq!(begin.await.expect_err("not allowed").kind(), ErrorKind::Config);
    // The service in trouble at the exchange: nothing is half stored, and another try goes through.
    let before = scene.syncline.workspace("acme").connections().await.expect("a list");
    let begun = scene.begin("slack").await;
    let query = scene.decide(&scene.slack, &begun, &Decision::Approve);
    scene.slack_sim.faults().push("oauth.token", Fault::status(500, "<html>down</html>"));
    let error = scene.finish(&begun, &query).await.expect_err("down");
    assert!(!format!("{error:?}").contains("html"), "{error:?}");
    assert_eq!(scene.syncline.workspace("acme").connections().await.expect("a list"), before);
    // another workspace's callback cannot be finished into this one: the state says whose it is
    let begun = scene.syncline.workspace("bolt").begin_authorization("slack").user("ada").await.expect("begun");
    let query = scene.decide(&scene.slack, &begun, &Decision::Approve);
    let theirs = scene.finish(&begun, &query).await.expect("authorised");
    assert_eq!(theirs.connection.load_config().await.expect("a row").workspace_id.as_str(), "bolt");
    assert_eq!(scene.syncline.workspace("acme").connections().await.expect("a list").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_issuer_is_refused_where_the_service_names_itself() {
    let scene = Scene::new(On::Sqlite).await;
    // Google says who it is in some answers and in others not; Slack never does, so there is nothing to compare with.
    for (provider, server, issuer, taken) in [
        ("sheets", &scene.google, "", true),
        ("sheets", &scene.google, "&iss=https%3A%2F%2Faccounts.google.com", true),
        ("sheets", &scene.google, "&iss=https%3A%2F%2Faccounts.google.com.evil.example", false),
        ("sheets", &scene.google, "&iss=", false),
        ("slack", &scene.slack, "&iss=https%3A%2F%2Fslack.com", true),
    ] {
        let begun = scene.begin(provider).await;
        let query = format!("{}{issuer}", scene.decide(server, &begun, &Decision::Approve));
        match scene.finish(&begun, &query).await {
            Ok(_) => assert!(taken, "{provider} {issuer}"),
            Err(error) => {
                assert!(
                    !taken && error.kind() == ErrorKind::Auth && error.text().contains("another issuer"),
                    "{provider} {issuer}: {error}"
                );
            }
        }
    }
}

async fn a_grant_that_the_user_took_back_is_told_and_healed_by_connecting_again(on: On) {
    let scene = Scene::new(on).await;
    let done = scene.connected("slack", &scene.slack).await;
    scene.slack.revoke_everything();
    scene.world.clock.advance(Duration::from_secs(24 * 3600));
    let result = done.connection.sync_from_external(Pull::stream("users")).await.expect("a result");
    assert_eq!(result.errors[0].kind, ErrorKind::AuthRevoked, "{:?}", result.errors);
    assert_eq!(done.connection.status().await.expect("a status"), ConnectionStatus::Error);
    let why = done.connection.why().await.expect("a diagnosis");
    assert!(why.actor == Actor::User && why.text.contains("connect the account again"), "{why:?}");
    let healed = scene.connected("slack", &scene.slack).await;
    assert_eq!(healed.connection.id(), done.connection.id());
    clean(&healed.connection.sync_from_external(Pull::stream("users")).await.expect("it runs"));
    assert_eq!(healed.connection.why().await.expect("a diagnosis").actor, Actor::Nobody);
}

async fn keys_are_rotated_under_running_connections_and_an_old_one_retired(on: On) {
    let scene = Scene::new(on).await;
    let done = scene.connected("slack", &scene.slack).await;
    let acme = scene.syncline.workspace("acme");
    acme.set_oauth_client("slack", client()).await.expect("stored");
    let pending = scene.begin("slack").await;
    let query = scene.decide(&scene.slack, &pending, &Decision::Approve);
    assert_eq!(scene.syncline.keys().await.expect("keys")[0].sealed, 4, "token, refresh token, client secret, verifier");
    assert_eq!(scene.syncline.retire_key("k1").await.expect_err("it is active").kind(), ErrorKind::Config);

    // Another process with a new key in front, beside the one that has only the old one.
    let keys = format!("{},{}", &*syncline::Keyring::generate("k2"), scene.world.keys);
    let newer = scene.world.builder().keyring(syncline::Keyring::parse(&keys).expect("well formed"));
    let newer = newer
        .storage(scene.world.place().open().await)
        .provider(Slack::builder().transport(scene.slack_sim.transport()).build().expect("a provider"));
    let newer = newer.build().await.expect("an engine");
    assert_eq!(newer.retire_key("k1").await.expect_err("in use").kind(), ErrorKind::Conflict);
    let rotated = newer.rotate_keys(|_| {}).await.expect("rotated");
    assert_eq!((rotated.resealed, rotated.failed.len()), (4, 0));
    // A process that has never heard of the new key says so, and stores nothing.
    scene.world.clock.advance(Duration::from_secs(60));
    let error = done.connection.ensure_valid_token().await.expect_err("a new key");
    assert!(error.kind() == ErrorKind::Key && error.text().contains("k2"), "{error}");
    let connection = newer.workspace("acme").connection(done.connection.id().clone()).await.expect("there");
    scene.world.clock.advance(Duration::from_secs(24 * 3600));
    clean(&connection.sync_from_external(Pull::stream("users")).await.expect("it runs, and renews"));
    newer.retire_key("k1").await.expect("nothing is under it");
    let (old, known) = (scene.world.builder(), scene.world.place().open().await);
    let error = old.storage(known).build().await.expect_err("a retired key in front");
    assert_eq!(error.kind(), ErrorKind::Config);
    // What was begun under the old key comes back to a process that knows both.
    let callback = Callback::from_query(&query, pending.browser.expose_secret().to_owned()).expect("a query").user("ada");
    let error = newer.finish_authorization(callback).await.expect_err("too late by a day, but known");
    assert!(error.text().contains("too late"), "{error}");
}

async fn an_erased_workspace_leaves_no_trace_and_the_others_whole(on: On) {
    let scene = Scene::new(on).await;
    for workspace in ["acme", "bolt"] {
        let begun = scene.syncline.workspace(workspace).begin_authorization("sheets").settings(json!({ "spreadsheet_id": "1AbC" }));
        let begun = begun.user("ada").await.expect("begun");
        let query = scene.decide(&scene.google, &begun, &Decision::Approve);
        let done = scene.finish(&begun, &query).await.expect("authorised");
        clean(&done.connection.sync_from_external(Pull::stream("Movies").key(["Title"])).await.expect("it runs"));
        scene.syncline.workspace(workspace).set_oauth_client("google", client()).await.expect("stored");
        let account = ClientAccount { provider: "sheets".into(), account_id: "1AbC".into(), name: None };
        let owner = Client { accounts: vec![account], ..Client::new("initech", workspace, start()) };
        scene.syncline.workspace(workspace).put_client(owner).await.expect("stored");
    }
    let (acme, bolt) = (scene.syncline.workspace("acme"), scene.syncline.workspace("bolt"));
    assert_eq!(acme.erase("bolt").await.expect_err("another name").kind(), ErrorKind::Config);
    let theirs = (bolt.connections().await.expect("a list"), bolt.count("sheets_movies").await.expect("a count"));
    assert!(acme.erase("acme").await.expect("erased") > 8);
    assert!(acme.connections().await.expect("a list").is_empty());
    assert!(acme.activities(100).await.expect("a list").is_empty());
    assert_eq!(acme.count("sheets_movies").await.unwrap_or_default(), 0);
    assert_eq!((bolt.connections().await.expect("a list"), bolt.count("sheets_movies").await.expect("a count")), theirs);
    let dump = format!("{:?}", scene.world.dump());
    assert!(dump.contains("bolt") && !dump.contains("acme"), "a trace of it is left: {dump}");
    assert_eq!(acme.erase("acme").await.expect("again"), 0);
}

async fn an_account_of_a_client_is_authorised_for_it(on: On) {
    let scene = Scene::new(on).await;
    let acme = scene.syncline.workspace("acme");
    let account = ClientAccount { provider: "slack".into(), account_id: "T024BE7LD".into(), name: None };
    acme.put_client(Client { accounts: vec![account], ..Client::new("initech", "Initech", start()) }).await.expect("stored");
    let done = scene.connected("slack", &scene.slack).await;
    let row = done.connection.load_config().await.expect("a row");
    assert_eq!((&*row.account_id, row.subject_id.as_deref()), ("T024BE7LD", Some("initech")));
    let begun = acme.begin_authorization("slack").user("ada").subject("other").await.expect("begun");
    let query = scene.decide(&scene.slack, &begun, &Decision::Approve);
    let again = scene.finish(&begun, &query).await.expect("authorised");
    assert_eq!(again.connection.load_config().await.expect("a row").subject_id.as_deref(), Some("other"), "a subject that is given");
}

async fn a_grant_is_renewed_with_the_oauth_client_it_was_given_to_and_with_no_other(on: On) {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let other = || OAuthClient::new("other", REDIRECT).with_secret("s3cret-of-other");
    let scene = Scene::new(on).await;
    let acme = scene.syncline.workspace("acme");
    let first = scene.connected("slack", &scene.slack).await.connection;
    // Given to the host's client; the workspace has one of its own since.
    acme.set_oauth_client("slack", other()).await.expect("stored");
    for _ in 0..2 {
        scene.world.clock.advance(DAY);
        first.ensure_valid_token().await.expect("renewed with the host's client");
    }
    // Begun with the workspace's client, which is gone when the browser comes back: the code is of no use to the host's.
    let begun = scene.begin("slack").await;
    let query = scene.decide(&scene.slack, &begun, &Decision::Approve);
    acme.remove_oauth_client("slack").await.expect("removed");
    let error = scene.finish(&begun, &query).await.expect_err("another client's code");
    assert!(error.kind() == ErrorKind::Config && error.text().contains("\"other\""), "{error}");
    // Connected anew with the workspace's client.
    acme.set_oauth_client("slack", other()).await.expect("stored");
    let second = scene.connected("slack", &scene.slack).await.connection;
    assert_eq!(second.id(), first.id());
    acme.remove_oauth_client("slack").await.expect("removed");
    scene.world.clock.advance(DAY);
    let calls = scene.slack_sim.count("oauth.token");
    let error = second.ensure_valid_token().await.expect_err("its client is gone");
    assert!(error.kind() == ErrorKind::Config && error.text().contains("\"other\""), "{error}");
    assert_eq!(scene.slack_sim.count("oauth.token"), calls, "the service was not asked");
    assert_eq!(second.status().await.expect("a status"), ConnectionStatus::Active);
    // With the client back it goes on, under a new secret too.
    acme.set_oauth_client("slack", other()).await.expect("stored");
    scene.world.clock.advance(Duration::from_secs(60));
    second.ensure_valid_token().await.expect("renewed with the client it was given to");
    clean(&second.sync_from_external(Pull::stream("users")).await.expect("it runs"));
}

async fn connecting_again_keeps_what_was_set_meanwhile_and_a_new_account_is_no_known_one(on: On) {
    let scene = Scene::new(on).await;
    let first = scene.connected("slack", &scene.slack).await.connection;
    let back = async |begun: Authorization| {
        let query = scene.decide(&scene.slack, &begun, &Decision::Approve);
        scene.finish(&begun, &query).await
    };
    // Changed while the browser is away: that stands.
    let begun = first.begin_authorization().await.expect("there").user("ada").await.expect("begun");
    let (settings, minutes) = (json!({ "channels": ["C1"] }), 15);
    let patch = syncline::core::store::ConnectionPatch {
        settings: Some(settings.clone()),
        sync_frequency_minutes: Some(minutes),
        ..syncline::core::store::ConnectionPatch::default()
    };
    let acme = scene.syncline.workspace("acme");
    let storage = scene.world.place().open().await;
    {
        use syncline::core::store::Storage as _;
        let store = storage.workspace(acme.id());
        store.update_connection(first.id(), patch, scene.world.clock.now()).await.expect("changed");
    }
    back(begun).await.expect("authorised");
    let row = first.load_config().await.expect("a row");
    assert_eq!((&row.settings, row.sync_frequency_minutes), (&settings, minutes));
    // What the host says goes before what is stored.
    let begun = first.begin_authorization().await.expect("there").user("ada").every_minutes(30).await.expect("begun");
    back(begun).await.expect("authorised");
    let row = first.load_config().await.expect("a row");
    assert_eq!((&row.settings, row.sync_frequency_minutes), (&settings, 30));
    // An account that is to be new and is not.
    let new = async || acme.begin_authorization("slack").user("ada").only_new().await.expect("begun");
    let error = back(new().await).await.expect_err("known");
    assert!(error.kind() == ErrorKind::Conflict && error.text().contains("connected already"), "{error}");
    assert_eq!(first.load_config().await.expect("a row"), row, "nothing was stored");
    first.disconnect().await.expect("taken away");
    back(new().await).await.expect("one that was disconnected is connected again");
}
