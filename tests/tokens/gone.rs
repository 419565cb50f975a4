//! Grants that are gone, found outside of runs, and what heals them.

use std::time::Duration;

use serde_json::json;
use syncline::{Actor, ConnectionPatch, ConnectionStatus, Credentials, ErrorKind, Pull};

use crate::{
    scene::Scene,
    support::{On, clean},
};

const HOUR: Duration = Duration::from_secs(3600);

mod on_sqlite {
    use super::On;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_revoked_grant_found_outside_of_a_run_is_told_once_and_ended_by_new_tokens() {
        super::a_revoked_grant_found_outside_of_a_run_is_told_once_and_ended_by_new_tokens(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_bare_key_has_no_scopes_of_the_grant_before() {
        super::a_bare_key_has_no_scopes_of_the_grant_before(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_connecting_leads_out_of_a_disconnection() {
        super::only_connecting_leads_out_of_a_disconnection(On::Sqlite).await;
    }
}

mod on_postgres {
    use super::On;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_revoked_grant_found_outside_of_a_run_is_told_once_and_ended_by_new_tokens() {
        super::a_revoked_grant_found_outside_of_a_run_is_told_once_and_ended_by_new_tokens(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_bare_key_has_no_scopes_of_the_grant_before() {
        super::a_bare_key_has_no_scopes_of_the_grant_before(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_connecting_leads_out_of_a_disconnection() {
        super::only_connecting_leads_out_of_a_disconnection(On::Postgres).await;
    }
}

async fn a_revoked_grant_found_outside_of_a_run_is_told_once_and_ended_by_new_tokens(on: On) {
    let scene = Scene::new(on, HOUR).await;
    let syncline = scene.open().await;
    let connection = scene.connect(&syncline, "acme").await;
    scene.server.revoke_everything();
    scene.world.clock.advance(HOUR);
    let asked = scene.asked();
    for _ in 0..3 {
        assert_eq!(connection.ensure_valid_token().await.expect_err("it is gone").kind(), ErrorKind::AuthRevoked);
    }
    assert_eq!(scene.asked(), asked + 1, "the service is asked once");
    let told = async || {
        let row = connection.load_config().await.expect("a row");
        (row.status, row.error_message.map(String::from).unwrap_or_default())
    };
    let (status, message) = told().await;
    assert!(status == ConnectionStatus::Error && message.contains("connect again"), "{message}");
    let log = syncline.workspace("acme").activities(100).await.expect("a log");
    assert_eq!(log.iter().filter(|line| &*line.action == "oauth_refresh_failed").count(), 1);
    // Switched on by somebody who does not know, it is told again by whoever asks for a token next.
    connection.enable().await.expect("enabled");
    assert_eq!(told().await, (ConnectionStatus::Active, String::new()));
    connection.ensure_valid_token().await.expect_err("it is gone");
    assert_eq!(told().await.0, ConnectionStatus::Error);
    // A paused connection says why too, and stays paused.
    connection.disable().await.expect("paused");
    connection.ensure_valid_token().await.expect_err("it is gone");
    assert_eq!(told().await.0, ConnectionStatus::Paused);
    connection.enable().await.expect("enabled");
    connection.ensure_valid_token().await.expect_err("it is gone");

    let again = scene.connect(&syncline, "bolt").await;
    let tokens = again.ensure_valid_token().await.expect("a token of the same account");
    let credentials = Credentials::token(tokens.secret).expiring(scene.world.clock.now() + HOUR);
    connection.update_oauth_tokens(credentials).await.expect("the host got tokens by itself");
    assert_eq!(told().await, (ConnectionStatus::Active, String::new()), "success clears it");
    clean(&connection.sync_from_external(Pull::stream("users")).await.expect("it runs"));
}

async fn a_bare_key_has_no_scopes_of_the_grant_before(on: On) {
    let scene = Scene::new(on, HOUR).await;
    let syncline = scene.open().await;
    let connection = scene.connect(&syncline, "acme").await;
    let row = connection.load_config().await.expect("a row");
    assert!(row.oauth_provider.as_deref() == Some("slack") && row.scopes.is_some_and(|scopes| !scopes.is_empty()));
    let token = scene.connect(&syncline, "bolt").await.ensure_valid_token().await.expect("a token");
    let again = syncline.workspace("acme").connect("slack", Credentials::token(token.secret)).settings(json!({})).await.expect("connected");
    assert_eq!(again.id(), connection.id());
    let row = again.load_config().await.expect("a row");
    assert_eq!(
        (row.oauth_provider, row.grant, row.scopes, row.expires_at),
        (None, None, None, None),
        "nobody knows what the key may do, and nothing renews it"
    );
}

async fn only_connecting_leads_out_of_a_disconnection(on: On) {
    let scene = Scene::new(on, HOUR).await;
    let syncline = scene.open().await;
    let connection = scene.connect(&syncline, "acme").await;
    let token = connection.ensure_valid_token().await.expect("a token");
    connection.disconnect().await.expect("disconnected");
    let gone = connection.load_config().await.expect("a row");
    let active = ConnectionPatch { status: Some(ConnectionStatus::Active), ..ConnectionPatch::default() };
    let refused = [
        connection.enable().await.expect_err("there are no credentials"),
        connection.disable().await.expect_err("it would look as if it could be enabled"),
        connection.save_config(active).await.expect_err("there are no credentials"),
        connection.update_oauth_tokens(Credentials::token(token.secret)).await.expect_err("it was taken away"),
    ];
    for error in refused {
        assert!(error.kind() == ErrorKind::Conflict && error.text().contains("connect it again"), "{error}");
    }
    assert_eq!(connection.load_config().await.expect("a row"), gone);
    assert_eq!(connection.config_versions(9).await.expect("versions").len(), 2, "connected and disconnected");
    let why = connection.why().await.expect("a diagnosis");
    assert!(why.actor == Actor::User && why.text.contains("disconnected"), "{why:?}");
    scene.connect(&syncline, "acme").await;
    assert_eq!(connection.status().await.expect("a status"), ConnectionStatus::Active);
}
