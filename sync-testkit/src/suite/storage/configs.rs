//! Versions of what people configure.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sync_core::{
    ErrorKind,
    store::{
        APP, CONFIG_CHANGED, CONNECTION_CONFIG, Client, ClientAccount, ConfigAction, ConfigVersion, ConnectionConfig, ConnectionPatch,
        ConnectionStatus, NewConfig, NewConnection, SealedCredentials, WorkspaceStore,
    },
};

use super::{
    Check,
    check::{Looked, refused, there},
    scene::{Scene, at, connection},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(connecting_makes_the_first_version, "A new connection is version 1 of its configuration, by whoever connected it, and no change", needs Config),
    check!(each_change_is_a_version, "Each change of what people configure is the next version, with who, when and how", needs Config),
    check!(what_changes_nothing_makes_no_version, "Patches, credentials, runs and healing that leave the configuration make no version", needs Config),
    check!(going_and_coming_back_are_versions, "Disconnecting, and connecting again with something else, are versions with who did it", needs Config),
    check!(an_earlier_version_is_put_in_force, "A whole configuration takes the place of the one there is, absent names too, as restored", needs Config),
    check!(versions_are_listed_newest_first, "Versions are listed newest first, at most so many, and found by number", needs Config),
    check!(a_change_is_told_by_its_fields, "Each change leaves one config_changed in the activity log, with the fields' names and who", needs Config),
    check!(naming_a_client_is_a_change, "A link that sets the subject of a connection is a version of its configuration", needs Config, Clients),
    check!(what_lives_nowhere_else_has_versions, "What is put is the next version, its latest is in force, and a deletion is one without body", needs Config),
    check!(a_version_is_made_over_the_latest_alone, "Of many that put over one version one does; the others are refused and write nothing", needs Config),
    check!(what_cannot_be_put_is_refused, "Versions of connections, things without kind or id, and deletions of nothing are refused", needs Config),
    check!(versions_are_of_one_workspace, "Another workspace neither sees versions nor counts on from them", needs Config),
];

type Told = (u64, ConfigAction, String);

fn told(versions: &[ConfigVersion]) -> Vec<Told> {
    versions.iter().map(|version| (version.version, version.action, version.changed_by.to_string())).collect()
}

fn line(version: u64, action: ConfigAction, by: &str) -> Told {
    (version, action, by.to_owned())
}

async fn versions(store: &dyn WorkspaceStore) -> Result<Vec<ConfigVersion>, Finding> {
    Ok(store.config_versions(CONNECTION_CONFIG, "c1", 100).await?)
}

async fn latest(store: &dyn WorkspaceStore) -> Result<ConfigVersion, Finding> {
    there(versions(store).await?.into_iter().next(), "a version")
}

async fn in_force(store: &dyn WorkspaceStore) -> Result<ConnectionConfig, Finding> {
    Ok(ConnectionConfig::of(&there(store.connection(&"c1".into()).await?, "the connection")?))
}

fn by(user: &str, patch: ConnectionPatch) -> ConnectionPatch {
    ConnectionPatch { changed_by: Some(user.into()), ..patch }
}

fn none() -> ConnectionPatch {
    ConnectionPatch::default()
}

fn mapping(expected: u64, body: Option<Value>) -> NewConfig {
    NewConfig { kind: "mapping".into(), id: "m".into(), body, expected, restores: None, by: Some("ada".into()), at: at(1) }
}

async fn connecting_makes_the_first_version(scene: Scene) -> Looked {
    let acme = scene.acme();
    let made = acme.connect(connection("c1", "acc")).await?;
    let first = ConfigVersion {
        kind: CONNECTION_CONFIG.into(),
        id: "c1".into(),
        version: 1,
        body: Some(ConnectionConfig::of(&made).body()),
        changed_by: "someone".into(),
        changed_at: at(0),
        action: ConfigAction::Connected,
    };
    same!(versions(&*acme).await?, [first], "the versions");
    acme.connect(NewConnection { connected_by: None, ..connection("c2", "other") }).await?;
    let of_nobody = acme.config_versions(CONNECTION_CONFIG, "c2", 9).await?;
    same!(told(&of_nobody), [line(1, ConfigAction::Connected, APP)], "of a connection nobody made");
    same!(acme.activities(9).await?.len(), 0, "rows of the activity log");
    Ok(())
}

async fn each_change_is_a_version(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(connection("c1", "acc")).await?;
    let patches = [
        ConnectionPatch { settings: Some(json!({"channels": ["b"]})), ..none() },
        ConnectionPatch { account_name: Some("Other".into()), ..none() },
        ConnectionPatch { subject_id: Some("other".into()), ..none() },
        ConnectionPatch { sync_enabled: Some(false), ..none() },
        ConnectionPatch { sync_frequency_minutes: Some(5), ..none() },
        ConnectionPatch { status: Some(ConnectionStatus::Paused), ..none() },
    ];
    for (n, patch) in (2u64..).zip(patches) {
        let row = acme.update_connection(&"c1".into(), by("ada", patch), at(n.cast_signed())).await?;
        let version = latest(&*acme).await?;
        same!(told(std::slice::from_ref(&version)), [line(n, ConfigAction::Changed, "ada")], "the version of a change");
        same!((version.body, version.changed_at), (Some(ConnectionConfig::of(&row).body()), at(n.cast_signed())), "what it says, and when");
    }
    acme.update_connection(&"c1".into(), ConnectionPatch { sync_enabled: Some(true), ..none() }, at(9)).await?;
    same!(told(&[latest(&*acme).await?]), [line(8, ConfigAction::Changed, APP)], "the version of a change nobody made");
    Ok(())
}

async fn what_changes_nothing_makes_no_version(scene: Scene) -> Looked {
    let acme = scene.acme();
    let id = "c1".into();
    acme.connect(connection("c1", "acc")).await?;
    acme.update_connection(&id, by("ada", none()), at(1)).await?;
    acme.update_connection(&id, by("ada", ConnectionPatch { settings: Some(json!({"channels": ["a"]})), ..none() }), at(2)).await?;
    for status in [ConnectionStatus::Error, ConnectionStatus::Active] {
        acme.update_connection(&id, ConnectionPatch { status: Some(status), clear_errors: true, ..none() }, at(3)).await?;
    }
    let access = b"never in a version".to_vec();
    let sealed = SealedCredentials {
        access,
        refresh: None,
        grant: None,
        scopes: None,
        client_id: None,
        issued_at: None,
        expires_at: None,
        version: 1,
    };
    holds!(acme.replace_credentials(&id, 0, sealed, at(4)).await?, "the credentials were not replaced");
    acme.connect(NewConnection { connected_by: Some("bob".into()), at: at(5), ..connection("c1", "acc") }).await?;
    refused(acme.update_connection(&"nope".into(), by("ada", none()), at(6)).await, ErrorKind::NotFound, "an unknown id")?;
    same!(told(&versions(&*acme).await?), [line(1, ConfigAction::Connected, "someone")], "the versions");
    same!(acme.activities(9).await?.len(), 0, "rows of the activity log");
    Ok(())
}

async fn going_and_coming_back_are_versions(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(connection("c1", "acc")).await?;
    acme.disconnect_by(&"c1".into(), Some("ada"), at(1)).await?;
    same!(there(latest(&*acme).await?.body, "a body")?["status"], json!("disconnected"), "the status in its version");
    acme.disconnect(&"c1".into(), at(2)).await?;
    acme.connect(NewConnection { connected_by: Some("bob".into()), at: at(3), ..connection("c1", "acc") }).await?;
    acme.disconnect(&"c1".into(), at(4)).await?;
    let expected = [
        line(4, ConfigAction::Disconnected, APP),
        line(3, ConfigAction::Connected, "bob"),
        line(2, ConfigAction::Disconnected, "ada"),
        line(1, ConfigAction::Connected, "someone"),
    ];
    same!(told(&versions(&*acme).await?), expected, "the versions");
    Ok(())
}

async fn an_earlier_version_is_put_in_force(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(NewConnection { account_name: None, subject_id: None, ..connection("c1", "acc") }).await?;
    let first = in_force(&*acme).await?;
    let change = ConnectionPatch {
        settings: Some(json!({})),
        account_name: Some("Name".into()),
        subject_id: Some("client".into()),
        sync_enabled: Some(false),
        sync_frequency_minutes: Some(7),
        status: Some(ConnectionStatus::Paused),
        ..none()
    };
    acme.update_connection(&"c1".into(), change, at(1)).await?;
    let found = there(acme.config_version(CONNECTION_CONFIG, "c1", 1).await?, "version 1")?;
    let config = ConnectionConfig::from_body(&there(found.body, "its body")?)?;
    same!(config, first, "what version 1 says");
    let back = by("bob", ConnectionPatch { config: Some(config), restores: Some(1), ..none() });
    acme.update_connection(&"c1".into(), back.clone(), at(2)).await?;
    same!(in_force(&*acme).await?, first, "what is in force");
    let version = latest(&*acme).await?;
    same!(told(std::slice::from_ref(&version)), [line(3, ConfigAction::Restored, "bob")], "the version that was made");
    same!(version.body, Some(first.body()), "what it says");
    acme.update_connection(&"c1".into(), back, at(3)).await?;
    same!(versions(&*acme).await?.len(), 3, "versions after it was put in force twice");
    Ok(())
}

async fn versions_are_listed_newest_first(scene: Scene) -> Looked {
    let acme = scene.acme();
    for n in 0..12 {
        acme.put_config(mapping(n, Some(json!({"n": n})))).await?;
    }
    let listed = acme.config_versions("mapping", "m", 3).await?;
    same!(listed.iter().map(|version| version.version).collect::<Vec<_>>(), [12, 11, 10], "the first three");
    same!(acme.config_versions("mapping", "m", 100).await?.len(), 12, "all of them");
    let found = there(acme.config_version("mapping", "m", 2).await?, "version 2")?;
    same!(found.body, Some(json!({"n": 1})), "what version 2 says");
    for (kind, id, version) in [("mapping", "m", 13), ("mapping", "m", 0), ("mapping", "other", 1), ("source", "m", 1)] {
        same!(acme.config_version(kind, id, version).await?, None, "version {version} of {kind} {id}");
    }
    Ok(())
}

async fn a_change_is_told_by_its_fields(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(connection("c1", "acc")).await?;
    let patch = ConnectionPatch { settings: Some(json!({"secret place": 1})), sync_enabled: Some(false), ..none() };
    acme.update_connection(&"c1".into(), by("ada", patch), at(1)).await?;
    acme.update_connection(&"c1".into(), ConnectionPatch { sync_enabled: Some(true), ..none() }, at(2)).await?;
    let mut lines = Vec::new();
    for row in acme.activities(9).await?.into_iter().filter(|row| *row.action == *CONFIG_CHANGED) {
        same!((row.connection_id, row.success, &*row.integration_name), (Some("c1".into()), true, "slack"), "a row of the log");
        holds!(!row.metadata.to_string().contains("secret place"), "a value in the activity log: {}", row.metadata);
        lines.push(format!("{} {} at {}", row.metadata["by"], row.metadata["fields"], row.created_at == at(1)));
    }
    let expected = ["\"app\" [\"sync_enabled\"] at false", "\"ada\" [\"settings\",\"sync_enabled\"] at true"];
    same!(lines, expected, "changes in the activity log, the newest first");
    Ok(())
}

async fn naming_a_client_is_a_change(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(NewConnection { subject_id: None, ..connection("c1", "acc") }).await?;
    let account = ClientAccount { provider: "slack".into(), account_id: "acc".into(), name: None };
    let client = Client { accounts: vec![account], ..Client::new("initech", "Initech", at(3)) };
    for _ in 0..2 {
        acme.put_client(client.clone(), Some("ada")).await?;
    }
    let expected = [line(2, ConfigAction::Changed, "ada"), line(1, ConfigAction::Connected, "someone")];
    same!(told(&versions(&*acme).await?), expected, "the versions");
    same!(there(latest(&*acme).await?.body, "a body")?["subject_id"], json!("initech"), "the subject in the latest");
    same!(acme.activities(9).await?.len(), 1, "rows of the activity log");
    Ok(())
}

async fn what_lives_nowhere_else_has_versions(scene: Scene) -> Looked {
    let acme = scene.acme();
    let body = json!({"columns": [{"from": "a", "exact": 0.1}], "text": "ä\u{1F600}"});
    let expected = |version: u64, action, body: &Option<Value>| ConfigVersion {
        kind: "mapping".into(),
        id: "m".into(),
        version,
        body: body.clone(),
        changed_by: "ada".into(),
        changed_at: at(1),
        action,
    };
    for (n, action, restores, body) in [
        (0, ConfigAction::Created, None, Some(body)),
        (1, ConfigAction::Changed, None, Some(json!({}))),
        (2, ConfigAction::Deleted, None, None),
        (3, ConfigAction::Restored, Some(2), Some(json!({}))),
    ] {
        let made = acme.put_config(NewConfig { restores, ..mapping(n, body.clone()) }).await?;
        same!(made, expected(n + 1, action, &body), "what putting answers");
        same!(acme.config_versions("mapping", "m", 1).await?, [made], "the latest");
    }
    same!(
        acme.put_config(NewConfig { by: None, ..mapping(4, Some(json!({}))) }).await?.changed_by,
        Box::from(APP),
        "who, when nobody said"
    );
    Ok(())
}

async fn a_version_is_made_over_the_latest_alone(scene: Scene) -> Looked {
    let acme = scene.acme();
    refused(acme.put_config(mapping(1, Some(json!({})))).await, ErrorKind::Conflict, "over a version there is not")?;
    acme.put_config(mapping(0, Some(json!({"n": 0})))).await?;
    refused(acme.put_config(mapping(0, Some(json!({"n": 1})))).await, ErrorKind::Conflict, "the first for the second time")?;
    let each = (0..16).map(|n| {
        let acme = Arc::clone(&acme);
        async move { acme.put_config(NewConfig { by: Some(format!("user {n}").into()), ..mapping(1, Some(json!({"n": n}))) }).await }
    });
    let mut made = Vec::new();
    for put in join_all(each).await {
        match put {
            Ok(version) => made.push(version),
            error => drop(refused(error, ErrorKind::Conflict, "over a version that another went over")?),
        }
    }
    same!(made.len(), 1, "versions made over one");
    same!(acme.config_versions("mapping", "m", 9).await?[..1], made[..], "the latest");
    same!(acme.config_versions("mapping", "m", 9).await?.len(), 2, "versions");
    Ok(())
}

async fn what_cannot_be_put_is_refused(scene: Scene) -> Looked {
    let acme = scene.acme();
    for (what, new) in [
        ("a version of a connection", NewConfig { kind: CONNECTION_CONFIG.into(), ..mapping(0, Some(json!({}))) }),
        ("something without kind", NewConfig { kind: "".into(), ..mapping(0, Some(json!({}))) }),
        ("something without id", NewConfig { id: "".into(), ..mapping(0, Some(json!({}))) }),
        ("a deletion of nothing", mapping(0, None)),
    ] {
        refused(acme.put_config(new).await, ErrorKind::Config, what)?;
    }
    same!(acme.config_versions("mapping", "m", 9).await?, [], "versions");
    Ok(())
}

async fn versions_are_of_one_workspace(scene: Scene) -> Looked {
    let (acme, globex) = (scene.acme(), scene.globex());
    acme.connect(connection("c1", "acc")).await?;
    acme.put_config(mapping(0, Some(json!({"n": 1})))).await?;
    for (kind, id) in [(CONNECTION_CONFIG, "c1"), ("mapping", "m")] {
        same!(globex.config_versions(kind, id, 9).await?, [], "versions another workspace lists");
        same!(globex.config_version(kind, id, 1).await?, None, "a version another workspace finds");
    }
    same!(globex.put_config(mapping(0, Some(json!({"n": 2})))).await?.version, 1, "the first version of another workspace");
    let ours = there(acme.config_version("mapping", "m", 1).await?, "the version")?;
    same!(ours.body, Some(json!({"n": 1})), "what it says");
    Ok(())
}
