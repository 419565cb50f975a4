//! Grants: credentials that come with a connection, how renewing them goes, and that they are gone with it.

use futures_util::future::join;
use sync_core::{
    ConnectionId, ErrorKind, GrantKind,
    store::{
        Connection, ConnectionPatch, ConnectionStatus, DueRenewal, NewConnection, Renewal, SealedCredentials, SealedField, SealedPlace,
        SealedValue, WorkspaceStore,
    },
};

use super::{
    Check,
    authorizations::{client, pending},
    check::{Looked, broken, refused, there},
    scene::{Scene, at, connection},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(credentials_come_with_the_connection, "Connecting with credentials stores both, the credentials under the next version", needs OAuth),
    check!(new_credentials_heal_under_the_kept_id, "Connecting again replaces the credentials where it brings some, and ends a failed renewal", needs OAuth),
    check!(connecting_without_credentials_keeps_those_there_are, "Connecting again without credentials leaves those there are, and their version", needs OAuth),
    check!(credentials_sealed_for_another_id_are_refused, "Credentials for an account that is known under another id are refused, and nothing is written", needs OAuth),
    check!(a_renewal_is_noted_over_its_own_version, "How renewing goes is noted only over the version of the credentials it is about", needs OAuth),
    check!(new_credentials_end_a_renewal, "Replacing the credentials clears what was noted of renewing them", needs OAuth),
    check!(scopes_stay_when_the_service_does_not_tell, "Credentials without scopes leave those that are stored beside a grant of their kind, and no others", needs OAuth),
    check!(the_same_credentials_once_more_change_nothing, "Replacing credentials once more, as after a lost answer, says yes and changes nothing", needs OAuth),
    check!(tokens_near_their_end_are_listed, "Tokens near their end are listed over all workspaces, those ending first at first, of connections that may be renewed", needs OAuth),
    check!(tokens_near_their_end_are_listed_in_pages, "A page of tokens near their end goes on behind the last one of the page before", needs OAuth),
    check!(uses_of_a_key_add_up, "Uses of a key are counted over all handles", needs OAuth, Owners),
    check!(a_retired_key_seals_nothing, "What is sealed with a retired key is refused, and nothing is written", needs OAuth),
    check!(sealing_and_retiring_take_turns, "A key is retired while others seal with it only if nothing of it is stored, then or later", needs OAuth, Owners),
    check!(credentials_made_of_others_need_those, "Credentials that hold a part of those stored are refused when these were changed since", needs OAuth),
    check!(a_disconnected_connection_has_no_credentials, "Disconnecting deletes the credentials and lets their version grow; the connection stays", needs OAuth),
    check!(connecting_again_ends_a_disconnection, "An account that was disconnected is connected again under its id", needs OAuth),
    check!(secrets_that_were_taken_away_are_nowhere, "Of credentials, clients and authorizations that were deleted no table holds a trace", needs OAuth, Search),
];

fn granted(access: &[u8]) -> SealedCredentials {
    SealedCredentials {
        access: access.to_vec(),
        refresh: Some([access, b"/refresh"].concat()),
        grant: Some(GrantKind::RefreshToken),
        scopes: Some(vec!["read".into(), "write".into()]),
        client_id: Some("client of acme".into()),
        issued_at: Some(at(1)),
        expires_at: Some(at(30)),
        // Not looked at by connect, which counts by itself.
        version: 77,
    }
}

fn connecting(id: &str, access: &[u8]) -> NewConnection {
    NewConnection { credentials: Some(granted(access)), ..connection(id, "acc") }
}

fn failing() -> Renewal {
    Renewal {
        failing_since: Some(at(5)),
        failed_at: Some(at(6)),
        failures: 3,
        error_kind: Some(ErrorKind::Transport),
        not_before: Some(at(6)),
        underway_since: Some(at(7)),
        refused_at: Some(at(8)),
    }
}

/// The credentials as they are stored, under this version.
async fn stored(store: &dyn WorkspaceStore, expected: &SealedCredentials, version: u64, what: &str) -> Looked {
    let expected = SealedCredentials { version, ..expected.clone() };
    same!(store.credentials(&"c1".into()).await?, Some(expected), "{what}");
    Ok(())
}

/// What the connection tells of its credentials.
fn told(of: &Connection) -> (u64, Option<GrantKind>, Option<Vec<Box<str>>>, bool) {
    (of.token_version, of.grant, of.scopes.clone(), of.expires_at.is_some())
}

async fn c1(store: &dyn WorkspaceStore) -> Result<Connection, Finding> {
    there(store.connection(&"c1".into()).await?, "the connection")
}

async fn credentials_come_with_the_connection(scene: Scene) -> Looked {
    let acme = scene.acme();
    let made = acme.connect(connecting("c1", b"first")).await?;
    let scopes = granted(b"").scopes;
    same!(told(&made), (1, Some(GrantKind::RefreshToken), scopes, true), "what connect tells of the credentials");
    same!(c1(&*acme).await?, made, "what is stored of the connection");
    stored(&*acme, &granted(b"first"), 1, "the credentials that are stored").await
}

async fn new_credentials_heal_under_the_kept_id(scene: Scene) -> Looked {
    let acme = scene.acme();
    let id = ConnectionId::from("c1");
    let first = acme.connect(connecting("c1", b"first")).await?;
    holds!(acme.note_renewal(&id, 1, failing(), None, at(1)).await?, "the renewal was not noted");
    let broken = ConnectionPatch { status: Some(ConnectionStatus::Error), ..ConnectionPatch::default() };
    acme.update_connection(&id, broken, at(2)).await?;
    let key = SealedCredentials { refresh: None, grant: None, client_id: None, issued_at: None, expires_at: None, ..granted(b"second") };
    let again = NewConnection { at: at(3), credentials: Some(key.clone()), ..connection("c1", "acc") };
    let healed = acme.connect(again).await?;
    same!((&healed.id, healed.created_at, healed.updated_at), (&id, first.created_at, at(3)), "id and times");
    same!(healed.status, ConnectionStatus::Active, "its status");
    same!(told(&healed), (2, None, key.scopes.clone(), false), "what it tells of the credentials");
    same!(healed.renewal, Renewal::default(), "what is kept of the failed renewal");
    stored(&*acme, &key, 2, "the credentials that are stored").await
}

async fn connecting_without_credentials_keeps_those_there_are(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(connecting("c1", b"first")).await?;
    holds!(acme.note_renewal(&"c1".into(), 1, failing(), None, at(1)).await?, "the renewal was not noted");
    let again = acme.connect(connection("c1", "acc")).await?;
    same!((told(&again).0, again.renewal), (1, failing()), "version and renewal");
    let other = acme.connect(connection("c9", "acc")).await?;
    same!(other.id, ConnectionId::from("c1"), "the id of the account, whatever id is offered");
    stored(&*acme, &granted(b"first"), 1, "the credentials that are stored").await
}

async fn credentials_sealed_for_another_id_are_refused(scene: Scene) -> Looked {
    let acme = scene.acme();
    let first = acme.connect(connection("c1", "acc")).await?;
    let other = NewConnection { settings: serde_json::json!({"other": true}), at: at(9), ..connecting("c2", b"other") };
    refused(acme.connect(other).await, ErrorKind::Conflict, "credentials sealed for an id that is not the account's")?;
    same!(c1(&*acme).await?, first, "the connection of the account");
    same!(acme.credentials(&"c1".into()).await?, None, "its credentials");
    same!(acme.connections().await?.len(), 1, "connections");
    let id = there(acme.account("slack", "acc").await?, "the account")?.id;
    same!(acme.connect(connecting(id.as_str(), b"own")).await?.token_version, 1, "the version when they are sealed for its id");
    Ok(())
}

async fn a_renewal_is_noted_over_its_own_version(scene: Scene) -> Looked {
    let acme = scene.acme();
    let id = ConnectionId::from("c1");
    let mut expected = acme.connect(connecting("c1", b"first")).await?;
    same!(expected.renewal, Renewal::default(), "what is noted at first");
    holds!(!acme.note_renewal(&id, 0, failing(), None, at(1)).await?, "it was noted over a version that is not there any more");
    same!(c1(&*acme).await?, expected, "the connection after a note that came too late");
    holds!(acme.note_renewal(&id, 1, failing(), None, at(2)).await?, "it was not noted over the version that is there");
    (expected.renewal, expected.updated_at) = (failing(), at(2));
    same!(c1(&*acme).await?, expected, "the connection with the note");
    let listed: Vec<Renewal> = acme.connections().await?.iter().map(|connection| connection.renewal).collect();
    same!(listed, [failing()], "what the list tells of it");
    let waits = Renewal { underway_since: None, ..failing() };
    holds!(acme.note_renewal(&id, 1, waits, None, at(3)).await?, "a second note was refused");
    (expected.renewal, expected.updated_at) = (waits, at(3));
    same!(c1(&*acme).await?, expected, "the connection with the second note");
    stored(&*acme, &granted(b"first"), 1, "the credentials, which it does not touch").await?;
    refused(acme.note_renewal(&"nope".into(), 0, failing(), None, at(1)).await, ErrorKind::NotFound, "an unknown id")?;
    Ok(())
}

async fn new_credentials_end_a_renewal(scene: Scene) -> Looked {
    let acme = scene.acme();
    let id = ConnectionId::from("c1");
    acme.connect(connecting("c1", b"first")).await?;
    holds!(acme.note_renewal(&id, 1, failing(), None, at(1)).await?, "the renewal was not noted");
    let second = SealedCredentials { version: 2, ..granted(b"second") };
    holds!(!acme.replace_credentials(&id, 0, second.clone(), at(2)).await?, "a version that is gone was replaced");
    same!(c1(&*acme).await?.renewal, failing(), "what is noted when nothing was replaced");
    holds!(acme.replace_credentials(&id, 1, second, at(2)).await?, "the credentials were not replaced");
    same!(c1(&*acme).await?.renewal, Renewal::default(), "what is noted after they were replaced");
    Ok(())
}

async fn scopes_stay_when_the_service_does_not_tell(scene: Scene) -> Looked {
    let acme = scene.acme();
    let id = ConnectionId::from("c1");
    acme.connect(connecting("c1", b"first")).await?;
    let bare = SealedCredentials { scopes: None, version: 2, ..granted(b"second") };
    holds!(acme.replace_credentials(&id, 1, bare, at(1)).await?, "the second were not stored");
    stored(&*acme, &granted(b"second"), 2, "the second, with the scopes of the first").await?;
    let file = SealedCredentials { grant: Some(GrantKind::ServiceAccount), scopes: Some(Vec::new()), version: 3, ..granted(b"third") };
    holds!(acme.replace_credentials(&id, 2, file.clone(), at(2)).await?, "the third were not stored");
    stored(&*acme, &file, 3, "the third, of another grant and without any scope").await?;
    let client = SealedCredentials { grant: Some(GrantKind::ClientCredentials), version: 4, ..file };
    holds!(acme.replace_credentials(&id, 3, client, at(3)).await?, "the fourth were not stored");
    same!(told(&c1(&*acme).await?), (4, Some(GrantKind::ClientCredentials), Some(Vec::new()), true), "what the connection tells");
    let key = SealedCredentials {
        refresh: None,
        grant: None,
        scopes: None,
        client_id: None,
        issued_at: None,
        expires_at: None,
        version: 5,
        ..granted(b"fifth")
    };
    holds!(acme.replace_credentials(&id, 4, key.clone(), at(4)).await?, "the fifth were not stored");
    same!(told(&c1(&*acme).await?), (5, None, None, false), "what the connection tells of a bare key");
    stored(&*acme, &key, 5, "the bare key, whose scopes nobody knows").await?;
    acme.connect(connecting("c1", b"sixth")).await?;
    let again = NewConnection { credentials: Some(key), oauth_provider: None, ..connection("c1", "acc") };
    let again = acme.connect(again).await?;
    same!(
        (told(&again), again.oauth_provider),
        ((7, None, None, false), None),
        "what the connection tells when it is made again with a bare key"
    );
    Ok(())
}

async fn the_same_credentials_once_more_change_nothing(scene: Scene) -> Looked {
    let acme = scene.acme();
    let id = ConnectionId::from("c1");
    acme.connect(connecting("c1", b"first")).await?;
    let second = SealedCredentials { version: 2, ..granted(b"second") };
    holds!(acme.replace_credentials(&id, 1, second.clone(), at(2)).await?, "the credentials were not replaced");
    holds!(acme.note_renewal(&id, 2, failing(), None, at(3)).await?, "the renewal was not noted");
    let before = c1(&*acme).await?;
    holds!(acme.replace_credentials(&id, 1, second.clone(), at(4)).await?, "who asks again is told that others were faster");
    same!(c1(&*acme).await?, before, "the connection after the same call once more");
    let theirs = SealedCredentials { access: b"theirs".to_vec(), ..second.clone() };
    holds!(!acme.replace_credentials(&id, 1, theirs, at(5)).await?, "other credentials of that version are taken for the stored ones");
    let third = SealedCredentials { version: 3, ..granted(b"third") };
    holds!(acme.replace_credentials(&id, 2, third.clone(), at(6)).await?, "the third were not stored");
    holds!(!acme.replace_credentials(&id, 1, second, at(7)).await?, "credentials that were replaced since are said to be stored");
    stored(&*acme, &third, 3, "the credentials that are stored").await
}

/// A connection of a workspace whose token ends then.
async fn ending(store: &dyn WorkspaceStore, id: &str, minute: i64) -> Result<Connection, Finding> {
    let sealed = SealedCredentials { expires_at: Some(at(minute)), ..granted(id.as_bytes()) };
    Ok(store.connect(NewConnection { credentials: Some(sealed), ..connection(id, id) }).await?)
}

fn due(of: &Connection) -> DueRenewal {
    DueRenewal {
        ends: of.expires_at.unwrap_or_default(),
        workspace: of.workspace_id.clone(),
        connection: of.id.clone(),
        provider: of.provider.clone(),
        version: of.token_version,
    }
}

async fn tokens_near_their_end_are_listed(scene: Scene) -> Looked {
    let (acme, globex) = (scene.acme(), scene.globex());
    let listed = async || scene.storage.fleet().due_renewals(at(100), at(120), None, 100).await;
    same!(listed().await?, [], "what is due in an empty database");
    let late = ending(&*acme, "late", 119).await?;
    ending(&*acme, "later", 120).await?;
    // One that has ended already is the first of all.
    let theirs = ending(&*globex, "theirs", 90).await?;
    let soon = ending(&*acme, "soon", 110).await?;
    for id in ["paused", "broken", "refused", "waiting", "gone"] {
        ending(&*acme, id, 111).await?;
    }
    for (id, status) in [("paused", ConnectionStatus::Paused), ("broken", ConnectionStatus::Error)] {
        let patch = ConnectionPatch { status: Some(status), ..ConnectionPatch::default() };
        acme.update_connection(&id.into(), patch, at(1)).await?;
    }
    let (refused, waits) = (Some(at(50)), |minute| Renewal { not_before: Some(at(minute)), ..Renewal::default() });
    let refused = Renewal { refused_at: refused, ..Renewal::default() };
    for (id, renewal) in [("refused", refused), ("waiting", waits(101)), ("soon", waits(100))] {
        holds!(acme.note_renewal(&id.into(), 1, renewal, None, at(2)).await?, "the renewal was not noted");
    }
    acme.disconnect(&"gone".into(), at(3)).await?;
    let bare = SealedCredentials { grant: None, refresh: None, expires_at: Some(at(110)), ..granted(b"bare") };
    acme.connect(NewConnection { credentials: Some(bare), ..connection("bare", "bare") }).await?;
    let endless = SealedCredentials { expires_at: None, ..granted(b"endless") };
    acme.connect(NewConnection { credentials: Some(endless), ..connection("endless", "endless") }).await?;
    same!(listed().await?, [due(&theirs), due(&soon), due(&late)], "what is due");
    let renewed = SealedCredentials { version: 2, expires_at: Some(at(170)), ..granted(b"renewed") };
    holds!(acme.replace_credentials(&"soon".into(), 1, renewed, at(4)).await?, "the credentials were not replaced");
    same!(listed().await?, [due(&theirs), due(&late)], "what is due when one was renewed");
    Ok(())
}

async fn tokens_near_their_end_are_listed_in_pages(scene: Scene) -> Looked {
    let (acme, globex) = (scene.acme(), scene.globex());
    let mut all = Vec::new();
    // Many end at once, in both workspaces: then names decide.
    for n in 0..12 {
        let (store, id) = (if n % 3 == 0 { &globex } else { &acme }, format!("c{}", 11 - n));
        all.push(due(&ending(&**store, &id, 10 + n / 6).await?));
    }
    all.sort();
    let fleet = scene.storage.fleet();
    for limit in [1, 5, 12, 13] {
        let mut found: Vec<DueRenewal> = Vec::new();
        loop {
            let page = fleet.due_renewals(at(0), at(60), found.last(), limit).await?;
            holds!(page.len() <= limit as usize, "a page of {limit} has {} entries", page.len());
            holds!(found.len() <= all.len(), "pages of {limit} never end");
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        same!(found, all, "all pages of {limit}");
    }
    Ok(())
}

async fn uses_of_a_key_add_up(scene: Scene) -> Looked {
    let fleet = scene.storage.fleet();
    fleet.know_key("one", b"check of one").await?;
    fleet.know_key("two", b"check of two").await?;
    same!(fleet.use_key("one", 16).await?, 16, "the first uses");
    same!(fleet.use_key("two", 5).await?, 5, "the uses of another key");
    let other = scene.database.open().await?;
    same!(other.fleet().use_key("one", (1 << 32) + 4).await?, (1 << 32) + 20, "the uses through another handle");
    same!(fleet.know_key("one", b"check of one").await?.retired_at, None, "whether it is retired");
    same!(fleet.use_key("one", 0).await?, (1 << 32) + 20, "the uses in all");
    Ok(())
}

/// What an envelope under a key looks like.
fn under(key: &str, rest: &[u8]) -> Vec<u8> {
    [&[1, key.len() as u8], key.as_bytes(), rest].concat()
}

fn sealed_under(key: &str, access: &[u8]) -> SealedCredentials {
    SealedCredentials { access: under(key, access), refresh: Some(under(key, b"refresh")), ..granted(access) }
}

async fn a_retired_key_seals_nothing(scene: Scene) -> Looked {
    let (acme, fleet) = (scene.acme(), scene.storage.fleet());
    for key in ["old", "new"] {
        fleet.know_key(key, b"check").await?;
    }
    let connecting = |key: &str| NewConnection { credentials: Some(sealed_under(key, b"first")), ..connection("c1", "acc") };
    acme.connect(connecting("old")).await?;
    holds!(!fleet.retire_key("old", &under("old", b""), at(1)).await?, "a key was retired that something is sealed with");
    let second = SealedCredentials { version: 2, ..sealed_under("new", b"second") };
    holds!(acme.replace_credentials(&"c1".into(), 1, second.clone(), at(2)).await?, "the credentials were not replaced");
    holds!(fleet.retire_key("old", &under("old", b""), at(3)).await?, "a key was not retired that nothing is sealed with");
    let refresh = SealedCredentials { refresh: Some(under("old", b"kept")), version: 3, ..sealed_under("new", b"third") };
    for (late, what) in [(SealedCredentials { version: 3, ..sealed_under("old", b"late") }, "a token"), (refresh, "a refresh token")] {
        refused(acme.replace_credentials(&"c1".into(), 2, late, at(4)).await, ErrorKind::Key, what)?;
    }
    refused(acme.connect(connecting("old")).await, ErrorKind::Key, "connecting again")?;
    let other = NewConnection { id: "c2".into(), account_id: "other".into(), ..connecting("old") };
    refused(acme.connect(other).await, ErrorKind::Key, "connecting")?;
    refused(acme.keep_authorization(pending("nonce", &under("old", b"verifier"))).await, ErrorKind::Key, "a verifier")?;
    refused(acme.set_oauth_client(client("google", Some(&under("old", b"secret")))).await, ErrorKind::Key, "a client's secret")?;
    let stored = SealedValue {
        place: SealedPlace { field: SealedField::Access, workspace: "acme".into(), owner: "c1".into() },
        envelope: second.access.clone(),
    };
    refused(fleet.reseal(&stored, under("old", b"again")).await, ErrorKind::Key, "a value that is sealed anew")?;
    same!(acme.credentials(&"c1".into()).await?, Some(second), "the credentials that are stored");
    same!(acme.connections().await?.len(), 1, "the connections there are");
    same!(fleet.count_sealed(&under("old", b"")).await?, 0, "what is sealed with the retired key");
    Ok(())
}

async fn sealing_and_retiring_take_turns(scene: Scene) -> Looked {
    let other = scene.database.open().await?;
    for round in 0..20 {
        let key = format!("key {round}");
        let (acme, fleet) = (scene.acme(), other.fleet());
        fleet.know_key(&key, b"check").await?;
        let account = format!("account {round}");
        let new = NewConnection { credentials: Some(sealed_under(&key, b"late")), ..connection(&format!("c{round}"), &account) };
        let header = under(&key, b"");
        // Now the one sets out first, now the other.
        let (connected, retired) = if round % 2 == 0 {
            join(acme.connect(new), fleet.retire_key(&key, &header, at(1))).await
        } else {
            let (retired, connected) = join(fleet.retire_key(&key, &header, at(1)), acme.connect(new)).await;
            (connected, retired)
        };
        let sealed = fleet.count_sealed(&header).await?;
        match (connected, retired?) {
            (Ok(_), false) => holds!(sealed > 0, "a key was not retired, and nothing is sealed with it"),
            (Ok(_), true) => return Err(broken(format!("a key was retired, and {sealed} values are sealed with it"))),
            (Err(error), true) if error.kind() == ErrorKind::Key => same!(sealed, 0, "what is sealed with a retired key"),
            (Err(error), _) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn credentials_made_of_others_need_those(scene: Scene) -> Looked {
    let acme = scene.acme();
    let over = |version: u64, access: &[u8]| NewConnection { over: Some(version), ..connecting("c1", access) };
    refused(acme.connect(over(1, b"first")).await, ErrorKind::Conflict, "credentials made of some that never were")?;
    same!(acme.connections().await?, [], "the connections there are");
    acme.connect(connecting("c1", b"first")).await?;
    acme.connect(over(1, b"second")).await?;
    refused(acme.connect(over(1, b"third")).await, ErrorKind::Conflict, "credentials made of some that are gone")?;
    stored(&*acme, &granted(b"second"), 2, "the credentials that are stored").await
}

async fn a_disconnected_connection_has_no_credentials(scene: Scene) -> Looked {
    let acme = scene.acme();
    let id = ConnectionId::from("c1");
    acme.connect(connecting("c1", b"first")).await?;
    let untouched = acme.connect(NewConnection { account_id: "other".into(), ..connecting("c2", b"other") }).await?;
    holds!(acme.note_renewal(&id, 1, failing(), None, at(1)).await?, "the renewal was not noted");
    let before = c1(&*acme).await?;
    let gone = acme.disconnect(&id, at(5)).await?;
    same!((gone.status, gone.updated_at), (ConnectionStatus::Disconnected, at(5)), "status and time");
    same!(told(&gone), (2, None, None, false), "what it tells of its credentials");
    same!(gone.renewal, Renewal::default(), "what is noted of renewing them");
    same!((&gone.settings, gone.created_at), (&before.settings, before.created_at), "what stays");
    same!(c1(&*acme).await?, gone, "what is stored");
    same!(acme.credentials(&id).await?, None, "its credentials");
    let late = SealedCredentials { version: 2, ..granted(b"late") };
    holds!(!acme.replace_credentials(&id, 1, late, at(6)).await?, "a renewal that came too late brought credentials back");
    holds!(!acme.note_renewal(&id, 1, failing(), None, at(6)).await?, "a renewal that came too late was noted");
    same!(acme.credentials(&id).await?, None, "its credentials after a renewal that came too late");
    same!(acme.disconnect(&id, at(7)).await?.status, ConnectionStatus::Disconnected, "disconnecting once more");
    same!(acme.connection(&"c2".into()).await?, Some(untouched), "the other connection");
    refused(acme.disconnect(&"nope".into(), at(5)).await, ErrorKind::NotFound, "an unknown id")?;
    Ok(())
}

async fn connecting_again_ends_a_disconnection(scene: Scene) -> Looked {
    let acme = scene.acme();
    let first = acme.connect(connecting("c1", b"first")).await?;
    let gone = acme.disconnect(&"c1".into(), at(5)).await?;
    let again = acme.connect(NewConnection { at: at(6), ..connecting("c1", b"again") }).await?;
    same!((&again.id, again.created_at, again.status), (&first.id, first.created_at, ConnectionStatus::Active), "the connection");
    same!(again.token_version, gone.token_version + 1, "the version");
    stored(&*acme, &granted(b"again"), again.token_version, "the credentials that are stored").await
}

async fn secrets_that_were_taken_away_are_nowhere(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(connecting("c1", b"sealed-token-of-c1")).await?;
    acme.keep_authorization(pending("nonce", b"sealed-verifier")).await?;
    acme.set_oauth_client(client("google", Some(b"sealed-client-secret"))).await?;
    // The whole of the refresh token is found by its beginning too.
    let secrets: [&[u8]; 4] = [b"sealed-token-of-c1", b"sealed-token-of-c1/refresh", b"sealed-verifier", b"sealed-client-secret"];
    for secret in secrets {
        let found = scene.database.search(secret).await?;
        holds!(!found.is_empty(), "a secret that was stored is not found, so the check proves nothing");
    }
    acme.disconnect(&"c1".into(), at(1)).await?;
    there(acme.take_authorization("nonce").await?, "the authorization")?;
    holds!(acme.remove_oauth_client("google").await?, "there was no client");
    for secret in secrets {
        let found = scene.database.search(secret).await?;
        same!(found, [""; 0], "tables in which {:?} stands", String::from_utf8_lossy(secret));
    }
    Ok(())
}
