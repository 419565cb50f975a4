//! Doors for the bench of the vault; not part of what the library offers.

use std::hint::black_box;

use chrono::{Duration, Utc};
use secrecy::SecretString;
use sync_core::{ConnectionId, WorkspaceId};

use super::{Field, Keyring, Place};
use crate::oauth::State;

/// Something to be measured once.
pub type Once = Box<dyn FnMut()>;

/// Each thing to be measured, with its name.
#[must_use]
pub fn all(keyring: &Keyring) -> Vec<(&'static str, Once)> {
    let (workspace, connection) = (WorkspaceId::from("acme"), ConnectionId::from("01a1fe45ace0c85d4567"));
    let secret = SecretString::from("xoxb-".repeat(12));
    let (sealing, opening, signing, verifying) = (keyring.clone(), keyring.clone(), keyring.clone(), keyring.clone());
    let place = |workspace, connection: &'static ConnectionId| Place { workspace, owner: connection.as_str(), field: Field::Access };
    // The bench is over when its process is.
    let workspace: &'static WorkspaceId = Box::leak(Box::new(workspace));
    let connection: &'static ConnectionId = Box::leak(Box::new(connection));
    let envelope = keyring.seal(place(workspace, connection), &secret).expect("sealed");
    let now = Utc::now();
    let state =
        State::new(keyring, "nonce".into(), workspace.clone(), Some("ada".into()), "slack".into(), (now, now + Duration::minutes(10)));
    let signed = state.sign(keyring).expect("signed");
    vec![
        (
            "seal a token of 60 characters",
            Box::new(move || drop(black_box(sealing.seal(place(workspace, connection), &secret).expect("sealed")))),
        ),
        ("open it", Box::new(move || drop(black_box(opening.open(place(workspace, connection), &envelope).expect("opened"))))),
        ("sign a state", Box::new(move || drop(black_box(state.sign(&signing).expect("signed"))))),
        ("verify a state", Box::new(move || drop(black_box(State::verify(&verifying, &signed).expect("ours"))))),
    ]
}
