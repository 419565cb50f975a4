use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::store::{ConnectionPatch, Renewal};

fn minute(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::Duration::minutes(minute)
}

fn connection() -> Connection {
    Connection {
        workspace_id: "acme".into(),
        id: "c1".into(),
        provider: "slack".into(),
        subject_id: None,
        account_id: "T1".into(),
        account_name: Some("Acme".into()),
        connected_by: Some("ada".into()),
        oauth_provider: None,
        settings: json!({ "channels": ["a"] }),
        status: ConnectionStatus::Active,
        sync_enabled: true,
        sync_frequency_minutes: 60,
        last_sync_at: None,
        sync_status: None,
        error_message: None,
        error_kind: None,
        error_count: 0,
        expires_at: None,
        token_version: 3,
        grant: None,
        scopes: None,
        renewal: Renewal::default(),
        created_at: minute(0),
        updated_at: minute(5),
    }
}

fn cause(action: ConfigAction, by: Option<&str>) -> ConfigCause<'_> {
    ConfigCause { action, by, at: minute(9) }
}

fn made(change: &ConfigChange) -> Vec<(u64, ConfigAction, &str)> {
    change.versions.iter().map(|version| (version.version, version.action, &*version.changed_by)).collect()
}

#[test]
fn actions_are_read_back() {
    for action in ["found", "created", "changed", "restored", "deleted", "connected", "disconnected"] {
        assert_eq!(ConfigAction::parse(action).map(ConfigAction::as_str), Some(action));
        assert_eq!(serde_json::to_value(ConfigAction::parse(action)).expect("JSON"), action);
    }
    assert_eq!(ConfigAction::parse("moved"), None);
}

#[test]
fn a_body_is_read_back_and_holds_what_people_configure_alone() {
    let config = ConnectionConfig::of(&connection());
    assert_eq!(ConnectionConfig::from_body(&config.body()).expect("it is read"), config);
    let body = config.body();
    let fields: Vec<&String> = body.as_object().expect("an object").keys().collect();
    assert_eq!(fields, ["account_name", "settings", "status", "subject_id", "sync_enabled", "sync_frequency_minutes"]);
    assert_eq!(ConnectionConfig::from_body(&json!({ "settings": {} })).expect_err("half of one").kind(), ErrorKind::Storage);
}

#[test]
fn each_field_that_differs_is_named() {
    let before = ConnectionConfig::of(&connection());
    let patch = |patch: ConnectionPatch| {
        let mut after = connection();
        patch.apply(&mut after, minute(9)).expect("nothing leads out of disconnected");
        ConnectionConfig::of(&after).changed(&before)
    };
    let none = ConnectionPatch::default;
    for (changed, fields) in [
        (patch(none()), [].as_slice()),
        (patch(ConnectionPatch { settings: Some(json!({})), ..none() }), &["settings"]),
        (patch(ConnectionPatch { account_name: Some("B".into()), ..none() }), &["account_name"]),
        (patch(ConnectionPatch { subject_id: Some("b".into()), ..none() }), &["subject_id"]),
        (patch(ConnectionPatch { sync_enabled: Some(false), ..none() }), &["sync_enabled"]),
        (patch(ConnectionPatch { sync_frequency_minutes: Some(5), ..none() }), &["sync_frequency_minutes"]),
        (patch(ConnectionPatch { status: Some(ConnectionStatus::Paused), ..none() }), &["status"]),
        (patch(ConnectionPatch { status: Some(ConnectionStatus::Error), ..none() }), &[]),
        (patch(ConnectionPatch { clear_errors: true, ..none() }), &[]),
    ] {
        assert_eq!(changed, fields);
    }
}

#[test]
fn a_new_connection_is_its_first_version_and_no_change() {
    let done = config_change(None, None, &connection(), cause(ConfigAction::Connected, Some("ada")));
    assert_eq!(made(&done), [(1, ConfigAction::Connected, "ada")]);
    assert!(done.activity.is_none(), "{done:?}");
}

#[test]
fn what_was_there_before_versions_were_kept_is_the_first_of_them() {
    let (before, mut after) = (connection(), connection());
    after.sync_enabled = false;
    let done = config_change(None, Some(&before), &after, cause(ConfigAction::Changed, None));
    assert_eq!(made(&done), [(1, ConfigAction::Found, APP), (2, ConfigAction::Changed, APP)]);
    assert_eq!((done.versions[0].changed_at, done.versions[1].changed_at), (minute(5), minute(9)));
    assert_eq!(done.versions[0].body, Some(ConnectionConfig::of(&before).body()));
    let told = done.activity.expect("a row").metadata;
    assert_eq!((&told["fields"], &told["by"], &told["how"]), (&json!(["sync_enabled"]), &json!("app"), &json!("changed")));
}

#[test]
fn nothing_is_left_where_nothing_differs() {
    let first = config_change(None, None, &connection(), cause(ConfigAction::Connected, None)).versions.remove(0);
    let failing = Connection { status: ConnectionStatus::Error, error_count: 3, token_version: 9, ..connection() };
    for after in [connection(), failing] {
        let done = config_change(Some(&first), Some(&connection()), &after, cause(ConfigAction::Changed, Some("bob")));
        assert!(done.versions.is_empty() && done.activity.is_none(), "{done:?}");
        let done = config_change(None, Some(&connection()), &after, cause(ConfigAction::Changed, Some("bob")));
        assert!(done.versions.is_empty() && done.activity.is_none(), "{done:?}");
    }
}

#[test]
fn an_activity_names_fields_and_no_values() {
    let mut after = connection();
    after.settings = json!({ "channels": ["value that is nobody's business"] });
    let first = config_change(None, None, &connection(), cause(ConfigAction::Connected, None)).versions.remove(0);
    let told = config_change(Some(&first), None, &after, cause(ConfigAction::Restored, Some("bob"))).activity.expect("a row");
    assert_eq!((&*told.action, told.connection.clone()), ("config_changed", Some("c1".into())));
    assert!(told.metadata.to_string().contains("\"settings\"") && told.metadata.to_string().contains("\"bob\""), "{told:?}");
    assert!(!told.metadata.to_string().contains("nobody's business"), "{told:?}");
}

#[test]
fn putting_a_whole_configuration_leaves_failing_connections_failing() {
    let mut failing = Connection { status: ConnectionStatus::Error, error_count: 3, ..connection() };
    let earlier = ConnectionConfig { account_name: None, sync_frequency_minutes: 5, ..ConnectionConfig::of(&connection()) };
    let patch = ConnectionPatch { config: Some(earlier.clone()), ..ConnectionPatch::default() };
    patch.apply(&mut failing, minute(9)).expect("nothing leads out of disconnected");
    assert_eq!((failing.status, failing.error_count, failing.updated_at), (ConnectionStatus::Error, 3, minute(9)));
    assert_eq!(ConnectionConfig::of(&failing), earlier);
}

#[test]
fn what_cannot_be_put_is_refused() {
    let new = |kind: &str, id: &str, body: Option<Value>, expected: u64| NewConfig {
        kind: kind.into(),
        id: id.into(),
        body,
        expected,
        restores: None,
        by: None,
        at: minute(1),
    };
    for (new, action) in [
        (new("mapping", "m", Some(json!({})), 0), Some(ConfigAction::Created)),
        (new("mapping", "m", Some(json!({})), 4), Some(ConfigAction::Changed)),
        (NewConfig { restores: Some(1), ..new("mapping", "m", Some(json!({})), 4) }, Some(ConfigAction::Restored)),
        (new("mapping", "m", None, 4), Some(ConfigAction::Deleted)),
        (new("mapping", "m", None, 0), None),
        (new("", "m", Some(json!({})), 0), None),
        (new("mapping", "", Some(json!({})), 0), None),
        (new(CONNECTION_CONFIG, "c1", Some(json!({})), 0), None),
    ] {
        assert_eq!(new.check().is_ok().then(|| new.version().action), action, "{new:?}");
        assert_eq!((new.version().version, &*new.version().changed_by), (new.expected + 1, APP));
    }
}

proptest! {
    #[test]
    fn the_latest_version_is_always_what_is_configured(steps in proptest::collection::vec((0..5u32, any::<bool>(), 0..4u8), 1..30)) {
        let (mut versions, mut before): (Vec<ConfigVersion>, Option<Connection>) = (Vec::new(), None);
        for (minutes, enabled, status) in steps {
            let mut after = before.clone().unwrap_or_else(connection);
            after.sync_frequency_minutes = minutes;
            after.sync_enabled = enabled;
            after.status = [ConnectionStatus::Active, ConnectionStatus::Paused, ConnectionStatus::Error, ConnectionStatus::Disconnected]
                [usize::from(status)];
            let done = config_change(versions.last(), before.as_ref(), &after, cause(ConfigAction::Changed, None));
            prop_assert_eq!(done.activity.is_some(), before.is_some() && !done.versions.is_empty());
            versions.extend(done.versions);
            prop_assert!(versions.iter().enumerate().all(|(at, version)| version.version == at as u64 + 1));
            let latest = versions.last().and_then(|latest| latest.body.clone());
            prop_assert_eq!(latest, Some(ConnectionConfig::of(&after).body()));
            before = Some(after);
        }
    }
}
