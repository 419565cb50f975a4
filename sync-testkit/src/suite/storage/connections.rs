//! Connections and their credentials.

use serde_json::json;
use sync_core::{
    ConnectionId, ErrorKind, GrantKind,
    store::{Connection, ConnectionPatch, ConnectionStatus, NewConnection, Renewal, SealedCredentials},
};

use super::{
    Check,
    check::{Looked, refused, there},
    scene::{Scene, at, connection},
};

pub(super) const CHECKS: &[Check] = &[
    check!(a_new_connection_is_as_it_was_asked_for, "A connection is stored as it was asked for, active and without errors"),
    check!(connecting_again_heals, "Connecting an account again keeps id and history, replaces settings and clears the errors"),
    check!(what_was_paused_is_healed_and_stays_paused, "Connecting a paused account again replaces what it brings and leaves it paused"),
    check!(accounts_are_unique, "A connection is unique by workspace, provider and account, and by its id in the workspace"),
    check!(an_account_is_found, "An account is found by its provider and its id there, and no other is"),
    check!(a_patch_changes_what_it_names, "A patch changes the fields it names and no others"),
    check!(credentials_are_compared_and_swapped, "Credentials are replaced only over the version that was read"),
    check!(connections_are_listed_oldest_first, "Connections are listed in the order in which they were made"),
];

pub(super) fn sealed(version: u64) -> SealedCredentials {
    let (grant, expires_at) = (Some(GrantKind::RefreshToken), Some(at(30)));
    SealedCredentials {
        access: vec![1, version as u8],
        refresh: Some(vec![2]),
        grant,
        scopes: None,
        client_id: None,
        issued_at: None,
        expires_at,
        version,
    }
}

async fn a_new_connection_is_as_it_was_asked_for(scene: Scene) -> Looked {
    let acme = scene.acme();
    let made = acme.connect(connection("c1", "acc")).await?;
    let expected = Connection {
        workspace_id: "acme".into(),
        id: "c1".into(),
        provider: "slack".into(),
        subject_id: Some("client".into()),
        account_id: "acc".into(),
        account_name: Some("Account".into()),
        connected_by: Some("someone".into()),
        oauth_provider: Some("slack".into()),
        settings: json!({"channels": ["a"]}),
        status: ConnectionStatus::Active,
        sync_enabled: true,
        sync_frequency_minutes: 60,
        last_sync_at: None,
        sync_status: None,
        error_message: None,
        error_kind: None,
        error_count: 0,
        expires_at: None,
        token_version: 0,
        grant: None,
        scopes: None,
        renewal: Renewal::default(),
        created_at: at(0),
        updated_at: at(0),
    };
    same!(made, expected, "what connect answers");
    same!(acme.connection(&"c1".into()).await?, Some(expected), "what is stored");
    same!(acme.connection(&"nope".into()).await?, None, "an unknown id");
    Ok(())
}

async fn connecting_again_heals(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(connection("c1", "acc")).await?;
    holds!(acme.replace_credentials(&"c1".into(), 0, sealed(1), at(1)).await?, "the first credentials were not stored");
    let broken = ConnectionPatch { status: Some(ConnectionStatus::Error), ..ConnectionPatch::default() };
    acme.update_connection(&"c1".into(), broken, at(2)).await?;
    let again = NewConnection { settings: json!({"new": true}), subject_id: Some("other".into()), at: at(3), ..connection("c9", "acc") };
    let healed = acme.connect(again).await?;
    same!(healed.id, ConnectionId::from("c1"), "the id");
    same!((healed.created_at, healed.updated_at), (at(0), at(3)), "when it was made and changed");
    same!((healed.status, healed.error_count), (ConnectionStatus::Active, 0), "status and errors");
    same!((healed.settings, healed.subject_id.as_deref()), (json!({"new": true}), Some("other")), "settings and subject");
    same!((healed.token_version, healed.expires_at), (1, Some(at(30))), "version and end of the token that is stored");
    same!(acme.connection(&"c9".into()).await?, None, "a second connection");
    Ok(())
}

async fn what_was_paused_is_healed_and_stays_paused(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(connection("c1", "acc")).await?;
    let paused = ConnectionPatch { status: Some(ConnectionStatus::Paused), sync_enabled: Some(false), ..ConnectionPatch::default() };
    acme.update_connection(&"c1".into(), paused, at(1)).await?;
    let again = NewConnection { settings: json!({"new": true}), at: at(2), ..connection("c1", "acc") };
    let healed = acme.connect(again).await?;
    same!(
        (healed.status, healed.sync_enabled, &healed.settings),
        (ConnectionStatus::Paused, false, &json!({"new": true})),
        "what is healed"
    );
    same!(acme.connection(&"c1".into()).await?, Some(healed), "what is stored");
    Ok(())
}

async fn accounts_are_unique(scene: Scene) -> Looked {
    let (acme, globex) = (scene.acme(), scene.globex());
    acme.connect(connection("c1", "acc")).await?;
    let other = NewConnection { provider: "sheets".into(), ..connection("c2", "acc") };
    same!(acme.connect(other).await?.id, ConnectionId::from("c2"), "the same account at another provider");
    same!(acme.connect(connection("c3", "another")).await?.id, ConnectionId::from("c3"), "another account");
    same!(globex.connect(connection("c4", "acc")).await?.id, ConnectionId::from("c4"), "the same account in another workspace");
    refused(acme.connect(connection("c1", "new account")).await, ErrorKind::Conflict, "an id that is in use")?;
    // Elsewhere the id may be free or taken; either way nothing is told of whose it is.
    if let Err(error) = globex.connect(connection("c1", "new account")).await {
        same!(error.kind(), ErrorKind::Conflict, "the refusal of an id that another workspace uses");
        holds!(!error.to_string().contains("acme"), "the refusal tells whose the id is: {error}");
    }
    same!(acme.connections().await?.len(), 3, "connections of the workspace");
    let elsewhere = globex.connections().await?;
    holds!(elsewhere.iter().all(|one| matches!(one.id.as_str(), "c1" | "c4")), "connections of another workspace: {elsewhere:?}");
    Ok(())
}

async fn an_account_is_found(scene: Scene) -> Looked {
    let acme = scene.acme();
    let first = acme.connect(connection("c1", "acc")).await?;
    let other = acme.connect(NewConnection { provider: "sheets".into(), ..connection("c2", "acc") }).await?;
    scene.globex().connect(connection("c3", "theirs")).await?;
    same!(acme.account("slack", "acc").await?, Some(first), "the account");
    same!(acme.account("sheets", "acc").await?, Some(other), "the account of that id at another provider");
    same!(acme.account("slack", "nobody").await?, None, "an unknown account");
    same!(acme.account("slack", "theirs").await?, None, "an account of another workspace");
    Ok(())
}

async fn a_patch_changes_what_it_names(scene: Scene) -> Looked {
    let acme = scene.acme();
    let id = ConnectionId::from("c1");
    let mut expected = acme.connect(connection("c1", "acc")).await?;
    let untouched = acme.connect(connection("c2", "other")).await?;
    expected.updated_at = at(1);
    same!(acme.update_connection(&id, ConnectionPatch::default(), at(1)).await?, expected, "after an empty patch");
    let patch = ConnectionPatch { sync_enabled: Some(false), account_name: Some("New".into()), ..ConnectionPatch::default() };
    (expected.sync_enabled, expected.account_name, expected.updated_at) = (false, Some("New".into()), at(2));
    same!(acme.update_connection(&id, patch, at(2)).await?, expected, "after switch and name");
    let patch = ConnectionPatch {
        status: Some(ConnectionStatus::Paused),
        sync_frequency_minutes: Some(5),
        settings: Some(json!({})),
        clear_errors: true,
        ..ConnectionPatch::default()
    };
    (expected.status, expected.sync_frequency_minutes, expected.settings) = (ConnectionStatus::Paused, 5, json!({}));
    same!(acme.update_connection(&id, patch, at(2)).await?, expected, "after status, minutes and settings");
    let patch = ConnectionPatch { error_message: Some("why".into()), clear_errors: true, ..ConnectionPatch::default() };
    expected.error_message = Some("why".into());
    same!(acme.update_connection(&id, patch, at(2)).await?, expected, "after a message");
    same!(acme.update_connection(&id, ConnectionPatch::default(), at(2)).await?, expected, "after an empty patch beside a message");
    (expected.status, expected.error_message) = (ConnectionStatus::Active, None);
    let patch = ConnectionPatch { status: Some(ConnectionStatus::Active), clear_errors: true, ..ConnectionPatch::default() };
    same!(acme.update_connection(&id, patch, at(2)).await?, expected, "after clearing the message");
    same!(acme.connection(&id).await?, Some(expected), "what is stored");
    same!(acme.connection(&"c2".into()).await?, Some(untouched), "the other connection");
    refused(acme.update_connection(&"nope".into(), ConnectionPatch::default(), at(3)).await, ErrorKind::NotFound, "an unknown id")?;
    Ok(())
}

async fn credentials_are_compared_and_swapped(scene: Scene) -> Looked {
    let acme = scene.acme();
    let id = ConnectionId::from("c1");
    acme.connect(connection("c1", "acc")).await?;
    holds!(acme.credentials(&id).await?.is_none(), "there are credentials before the first");
    holds!(acme.replace_credentials(&id, 0, sealed(1), at(1)).await?, "the first were not stored");
    holds!(!acme.replace_credentials(&id, 0, sealed(2), at(2)).await?, "somebody was faster, but was overwritten");
    let stored = there(acme.credentials(&id).await?, "the first credentials")?;
    same!((stored.access, stored.version), (vec![1, 1], 1), "what is stored after a lost race");
    let bare = SealedCredentials { refresh: None, issued_at: None, expires_at: None, ..sealed(2) };
    holds!(acme.replace_credentials(&id, 1, bare, at(3)).await?, "the second were not stored");
    let stored = there(acme.credentials(&id).await?, "the second credentials")?;
    same!((stored.access, stored.refresh, stored.expires_at, stored.version), (vec![1, 2], None, None, 2), "what is stored");
    let shown = there(acme.connection(&id).await?, "the connection")?;
    same!((shown.token_version, shown.expires_at), (2, None), "what the connection tells of its token");
    refused(acme.replace_credentials(&"nope".into(), 0, sealed(1), at(1)).await, ErrorKind::NotFound, "an unknown id")?;
    Ok(())
}

async fn connections_are_listed_oldest_first(scene: Scene) -> Looked {
    let acme = scene.acme();
    for (id, minute) in [("z", 1), ("m", 2), ("a", 3)] {
        acme.connect(NewConnection { at: at(minute), ..connection(id, id) }).await?;
    }
    let ids: Vec<String> = acme.connections().await?.iter().map(|connection| connection.id.to_string()).collect();
    same!(ids, ["z", "m", "a"], "the order");
    Ok(())
}
