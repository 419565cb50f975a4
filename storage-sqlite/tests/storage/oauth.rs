//! Leases by the storage's clock, files from before there were grants and versions, and stored grants that cannot be read.

use std::time::Duration;

use storage_sqlite::{SqliteStorage, migrations};
use sync_core::{
    ErrorKind, GrantKind, RunId,
    store::{ConfigAction, ConnectionPatch, NewConnection, Renewal, SealedCredentials, Storage as _},
};

use crate::{runs::connection, support::*};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_lease_ends_when_the_storages_clock_says_so_and_not_before() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let acme = storage.workspace(&"acme".into());
    let asks = async |holder| acme.lease("renew c1", holder, HALF_A_MINUTE).await.expect("an answer");
    assert!(asks("one").await);
    storage.set_clock_ahead(HALF_A_MINUTE / 2);
    assert!(!asks("two").await, "half of it is left");
    storage.set_clock_ahead(HALF_A_MINUTE);
    assert!(asks("two").await, "the end belongs to the next");
    assert!(!asks("one").await, "who comes back late is refused");
    let other = SqliteStorage::open(folder.db()).await.expect("opens twice").workspace(&"acme".into());
    assert!(!other.lease("renew c1", "three", HALF_A_MINUTE).await.expect("an answer"), "it is in the file, for every process");
    storage.set_clock_ahead(Duration::ZERO);
    assert!(acme.lease("migrate", "one", Duration::MAX).await.expect("a life without end is no error"));
    assert!(!acme.lease("migrate", "two", HALF_A_MINUTE).await.expect("an answer"), "and its end sorts as the others do");
}

#[tokio::test]
async fn a_connection_from_before_there_were_grants_has_none_and_keeps_its_credentials() {
    let folder = Folder::new();
    execute(&folder.db(), "CREATE TABLE syncline_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)");
    for (number, name, script) in migrations().iter().take_while(|(number, ..)| *number < 5) {
        execute(&folder.db(), script);
        execute(&folder.db(), &format!("INSERT INTO syncline_migrations VALUES ({number}, '{name}', 'then')"));
    }
    execute(
        &folder.db(),
        "INSERT INTO syncline_integration_connections (workspace_id, id, provider, account_id, credentials_encrypted, \
             refresh_token_encrypted, token_version, sync_frequency_minutes, created_at, updated_at) \
         VALUES ('acme', 'c1', 'slack', 'acc', x'0102', x'03', 7, 60, '2026-03-01T12:00:00Z', '2026-03-01T12:00:00Z')",
    );
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let acme = storage.workspace(&"acme".into());
    let found = acme.account("slack", "acc").await.expect("read").expect("there");
    assert_eq!(
        (found.id.as_str(), found.token_version, found.grant, found.scopes, found.renewal),
        ("c1", 7, None, None, Renewal::default())
    );
    let sealed = acme.credentials(&"c1".into()).await.expect("read").expect("there");
    assert_eq!((sealed.access, sealed.refresh, sealed.grant, sealed.version), (vec![1, 2], Some(vec![3]), None, 7));
    let renewal = Renewal { underway_since: Some(at(1)), ..Renewal::default() };
    assert!(acme.note_renewal(&"c1".into(), 7, renewal, None, at(1)).await.expect("noted"));
    assert_eq!(acme.connection(&"c1".into()).await.expect("read").expect("there").renewal, renewal);
}

#[tokio::test]
async fn events_from_before_some_had_no_run_keep_theirs_and_no_number_is_given_again() {
    let folder = Folder::new();
    execute(&folder.db(), "CREATE TABLE syncline_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)");
    for (number, name, script) in migrations().iter().take_while(|(number, ..)| *number < 8) {
        execute(&folder.db(), script);
        execute(&folder.db(), &format!("INSERT INTO syncline_migrations VALUES ({number}, '{name}', 'then')"));
    }
    execute(
        &folder.db(),
        "INSERT INTO syncline_sync_events (seq, workspace_id, run_id, body) VALUES (5, 'acme', 3, '{}'), (9, 'acme', 4, '{}'); \
         DELETE FROM syncline_sync_events WHERE seq = 9",
    );
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let acme = storage.workspace(&"acme".into());
    acme.begin_onboarding("ada", at(1)).await.expect("begun");
    let events: Vec<_> = acme.events(0, 9).await.expect("events").into_iter().map(|event| (event.seq, event.run)).collect();
    assert_eq!(events, [(5, Some(RunId(3))), (10, None)]);
}

#[tokio::test]
async fn what_was_connected_before_versions_were_kept_can_be_gone_back_to() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let acme = storage.workspace(&"acme".into());
    acme.connect(connection("c1", "acc")).await.expect("connects");
    execute(&folder.db(), "DELETE FROM syncline_config_versions");
    let patch = ConnectionPatch { sync_enabled: Some(false), changed_by: Some("ada".into()), ..ConnectionPatch::default() };
    acme.update_connection(&"c1".into(), patch, at(5)).await.expect("changed");
    let versions = acme.config_versions("connection", "c1", 9).await.expect("versions");
    let told: Vec<_> = versions.iter().map(|version| (version.version, version.action, &*version.changed_by)).collect();
    assert_eq!(told, [(2, ConfigAction::Changed, "ada"), (1, ConfigAction::Found, "app")]);
}

#[tokio::test]
async fn a_stored_grant_that_cannot_be_read_is_an_error_that_does_not_tell_it() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let acme = storage.workspace(&"acme".into());
    let grant = Some(GrantKind::RefreshToken);
    let sealed = SealedCredentials {
        access: vec![1],
        refresh: None,
        grant,
        scopes: None,
        client_id: None,
        issued_at: None,
        expires_at: None,
        version: 1,
    };
    acme.connect(NewConnection { credentials: Some(sealed), ..connection("c1", "acc") }).await.expect("connects");
    for harm in [
        "PRAGMA ignore_check_constraints = 1; UPDATE syncline_integration_connections SET grant_kind = 'SeCrEt'",
        "UPDATE syncline_integration_connections SET grant_kind = NULL, granted_scopes = 'SeCrEt'",
    ] {
        execute(&folder.db(), harm);
        for error in
            [acme.connection(&"c1".into()).await.expect_err("unreadable"), acme.credentials(&"c1".into()).await.expect_err("unreadable")]
        {
            assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
            assert!(error.text().contains("changed by hand") && !format!("{error:?}").contains("SeCrEt"), "{error:?}");
        }
    }
}
