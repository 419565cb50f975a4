//! Access that is gone: told in one write with what it follows from, and what alone brings it back.

use sync_core::{
    ConnectionId, ErrorKind, GrantKind,
    store::{Connection, ConnectionConfig, ConnectionPatch, ConnectionStatus, NewConnection, Renewal, SealedCredentials, WorkspaceStore},
};

use super::{
    Check,
    check::{Looked, refused, there},
    scene::{Scene, at, connection},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(
        only_connecting_ends_a_disconnection,
        "No patch leads out of disconnected; it is refused as a conflict, and nothing of it is written"
    ),
    check!(a_grant_that_is_gone_is_told_with_its_note, "That a grant is gone is told with the note on renewing, over its version, and of active connections alone", needs OAuth),
    check!(clearing_errors_forgets_the_attempts_that_failed, "Clearing errors forgets the attempts to renew that failed, and neither a refusal nor one under way", needs OAuth),
    check!(new_credentials_end_what_was_wrong_with_the_old, "Replacing credentials ends the error of a grant that was gone, no other one, and no pause or disconnection", needs OAuth),
];

fn status(status: ConnectionStatus) -> ConnectionPatch {
    ConnectionPatch { status: Some(status), ..ConnectionPatch::default() }
}

async fn c1(store: &dyn WorkspaceStore) -> Result<Connection, Finding> {
    there(store.connection(&"c1".into()).await?, "the connection")
}

fn sealed(version: u64) -> SealedCredentials {
    SealedCredentials {
        access: format!("access {version}").into(),
        refresh: Some(b"refresh".to_vec()),
        client_id: None,
        grant: Some(GrantKind::RefreshToken),
        scopes: None,
        issued_at: Some(at(1)),
        expires_at: Some(at(30)),
        version,
    }
}

fn connecting() -> NewConnection {
    NewConnection { credentials: Some(sealed(1)), ..connection("c1", "acc") }
}

fn revoked() -> Renewal {
    Renewal { refused_at: Some(at(8)), ..Renewal::default() }
}

async fn only_connecting_ends_a_disconnection(scene: Scene) -> Looked {
    use ConnectionStatus::{Active, Disconnected, Error, Paused};
    let acme = scene.acme();
    let id = ConnectionId::from("c1");
    let made = acme.connect(connection("c1", "acc")).await?;
    let gone = acme.update_connection(&id, status(Disconnected), at(1)).await?;
    same!(gone.status, Disconnected, "the status to begin with");
    let whole = ConnectionPatch { config: Some(ConnectionConfig::of(&made)), restores: Some(1), ..ConnectionPatch::default() };
    let named = ConnectionPatch { account_name: Some("never".into()), clear_errors: true, ..status(Active) };
    for patch in [status(Active), status(Paused), status(Error), whole, named] {
        refused(acme.update_connection(&id, patch.clone(), at(2)).await, ErrorKind::Conflict, &format!("{patch:?}"))?;
        same!(c1(&*acme).await?, gone, "the connection after {patch:?}");
    }
    let name = ConnectionPatch { account_name: Some("Name".into()), ..status(Disconnected) };
    same!(acme.update_connection(&id, name, at(3)).await?.account_name.as_deref(), Some("Name"), "a name that is changed meanwhile");
    Ok(())
}

async fn a_grant_that_is_gone_is_told_with_its_note(scene: Scene) -> Looked {
    let acme = scene.acme();
    let id = ConnectionId::from("c1");
    let made = acme.connect(connecting()).await?;
    holds!(!acme.note_renewal(&id, 7, revoked(), Some("gone"), at(2)).await?, "it was told over another version");
    same!(c1(&*acme).await?, made, "the connection after it was told of another version");
    holds!(acme.note_renewal(&id, 1, revoked(), Some("gone"), at(3)).await?, "it was not told");
    let told = c1(&*acme).await?;
    let kind = Some(ErrorKind::AuthRevoked);
    same!((told.status, told.error_message.as_deref(), told.error_kind), (ConnectionStatus::Error, Some("gone"), kind), "what is told");
    same!((told.renewal, told.error_count, told.token_version), (revoked(), made.error_count, 1), "note, count and version");
    acme.update_connection(&id, ConnectionPatch { clear_errors: true, ..status(ConnectionStatus::Paused) }, at(4)).await?;
    holds!(acme.note_renewal(&id, 1, revoked(), Some("gone again"), at(5)).await?, "it was not told of a paused one");
    let paused = c1(&*acme).await?;
    same!((paused.status, paused.error_message.as_deref()), (ConnectionStatus::Paused, Some("gone again")), "of a paused one");
    let away = acme.disconnect(&id, at(6)).await?;
    holds!(!acme.note_renewal(&id, 1, revoked(), Some("too late"), at(7)).await?, "it was told of one that was disconnected since");
    same!(c1(&*acme).await?, away, "the connection that was disconnected since");
    Ok(())
}

async fn clearing_errors_forgets_the_attempts_that_failed(scene: Scene) -> Looked {
    let acme = scene.acme();
    let id = ConnectionId::from("c1");
    acme.connect(connecting()).await?;
    let kept = Renewal { not_before: Some(at(3)), underway_since: Some(at(2)), ..revoked() };
    let kind = Some(ErrorKind::Transport);
    let failing = Renewal { failing_since: Some(at(1)), failed_at: Some(at(2)), failures: 9, error_kind: kind, ..kept };
    holds!(acme.note_renewal(&id, 1, failing, Some("gone"), at(2)).await?, "the renewal was not noted");
    let named = ConnectionPatch { account_name: Some("Name".into()), ..ConnectionPatch::default() };
    let still = acme.update_connection(&id, named, at(3)).await?;
    same!((still.renewal, still.error_kind), (failing, Some(ErrorKind::AuthRevoked)), "after a patch of something else");
    let cleared = ConnectionPatch { clear_errors: true, ..status(ConnectionStatus::Active) };
    let cleared = acme.update_connection(&id, cleared, at(4)).await?;
    same!((cleared.renewal, cleared.error_kind, &cleared.error_message), (kept, None, &None), "after the errors were cleared");
    same!(c1(&*acme).await?, cleared, "what is stored");
    Ok(())
}

async fn new_credentials_end_what_was_wrong_with_the_old(scene: Scene) -> Looked {
    let acme = scene.acme();
    let id = ConnectionId::from("c1");
    acme.connect(connecting()).await?;
    holds!(acme.note_renewal(&id, 1, revoked(), Some("gone"), at(2)).await?, "it was not told");
    holds!(acme.replace_credentials(&id, 1, sealed(2), at(3)).await?, "the second were not stored");
    let healed = c1(&*acme).await?;
    let told = |of: &Connection| (of.status, of.error_message.clone(), of.error_kind, of.error_count);
    same!(told(&healed), (ConnectionStatus::Active, None, None, 0), "what is told after new credentials");
    let other = ConnectionPatch { error_message: Some("the sheet is gone".into()), ..status(ConnectionStatus::Error) };
    let other = told(&acme.update_connection(&id, other, at(4)).await?);
    holds!(acme.replace_credentials(&id, 2, sealed(3), at(5)).await?, "the third were not stored");
    same!(told(&c1(&*acme).await?), other, "of an error that is not of the credentials");
    acme.update_connection(&id, status(ConnectionStatus::Paused), at(6)).await?;
    holds!(acme.note_renewal(&id, 3, revoked(), None, at(7)).await?, "the renewal was not noted");
    holds!(acme.replace_credentials(&id, 3, sealed(4), at(8)).await?, "the fourth were not stored");
    same!(c1(&*acme).await?.status, ConnectionStatus::Paused, "the status of a paused one");
    let away = acme.disconnect(&id, at(9)).await?;
    let late = sealed(away.token_version + 1);
    holds!(!acme.replace_credentials(&id, away.token_version, late, at(10)).await?, "credentials were stored for a disconnected one");
    same!(acme.credentials(&id).await?, None, "the credentials of a disconnected one");
    same!(c1(&*acme).await?, away, "the disconnected one");
    Ok(())
}
