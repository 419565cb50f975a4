//! The state that travels through the browser: who began an authorization, and until when it may come back. Signed, so that it cannot be
//! made by others; its nonce is good once.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use sync_core::{Error, ErrorKind, Result, WorkspaceId};

use crate::Keyring;

/// What is signed begins with this, so that the signature is good for nothing else.
const LABEL: &[u8] = b"syncline oauth state 1\0";

/// A longer state is none of ours.
const LONGEST: usize = 4096;

/// What a state says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    #[serde(rename = "k")]
    key: Box<str>,
    #[serde(rename = "n")]
    pub(crate) nonce: Box<str>,
    #[serde(rename = "w")]
    pub(crate) workspace: WorkspaceId,
    #[serde(rename = "u", skip_serializing_if = "Option::is_none", default)]
    pub(crate) user: Option<Box<str>>,
    #[serde(rename = "p")]
    pub(crate) provider: Box<str>,
    #[serde(rename = "i", with = "chrono::serde::ts_seconds")]
    pub(crate) issued: DateTime<Utc>,
    #[serde(rename = "e", with = "chrono::serde::ts_seconds")]
    pub(crate) expires: DateTime<Utc>,
}

impl State {
    pub(crate) fn new(
        keyring: &Keyring,
        nonce: Box<str>,
        workspace: WorkspaceId,
        user: Option<Box<str>>,
        provider: Box<str>,
        life: (DateTime<Utc>, DateTime<Utc>),
    ) -> Self {
        Self { key: keyring.active_id().into(), nonce, workspace, user, provider, issued: life.0, expires: life.1 }
    }

    /// The state as it travels: payload and signature.
    pub(crate) fn sign(&self, keyring: &Keyring) -> Result<String> {
        let payload = serde_json::to_vec(self).map_err(|e| Error::new(ErrorKind::Internal, "state", "the state is no JSON").because(e))?;
        let mac = mac(keyring, &self.key, &payload)
            .ok_or_else(|| Error::new(ErrorKind::Key, "begin_authorization", "this process was given no keys, so it can sign nothing"))?;
        Ok(format!("{}.{}", BASE64.encode(&payload), BASE64.encode(mac.finalize().into_bytes())))
    }

    /// Reads a state that this keyring has signed. Whether it has expired is for the caller to judge: its nonce is used up either way.
    ///
    /// # Errors
    /// [`Auth`](ErrorKind::Auth), without saying which part was wrong.
    pub(crate) fn verify(keyring: &Keyring, text: &str) -> Result<Self> {
        if text.len() > LONGEST {
            return Err(forged());
        }
        let (payload, signature) = text.split_once('.').ok_or_else(forged)?;
        let (payload, signature) = (BASE64.decode(payload).map_err(|_| forged())?, BASE64.decode(signature).map_err(|_| forged())?);
        // Only the key's id is looked at before the signature is proved.
        let state: Self = serde_json::from_slice(&payload).map_err(|_| forged())?;
        let mac = mac(keyring, &state.key, &payload).ok_or_else(forged)?;
        mac.verify_slice(&signature).map_err(|_| forged())?;
        Ok(state)
    }
}

fn mac(keyring: &Keyring, key: &str, payload: &[u8]) -> Option<Hmac<Sha256>> {
    let key = keyring.derived(key, LABEL)?;
    let mut mac = <Hmac<Sha256>>::new_from_slice(&*key).ok()?;
    mac.update(LABEL);
    mac.update(payload);
    Some(mac)
}

fn forged() -> Error {
    let text = "the state is not one that was given out here: the link was damaged, or the keyring has changed; begin again";
    Error::new(ErrorKind::Auth, "finish_authorization", text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring(id: &str) -> Keyring {
        Keyring::parse(&Keyring::generate(id)).expect("well formed")
    }

    fn state(keyring: &Keyring) -> State {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).expect("a time");
        State::new(keyring, "nonce".into(), "acme".into(), Some("ada".into()), "slack".into(), (at(1_000), at(1_600)))
    }

    #[test]
    fn a_signed_state_reads_back() {
        let keyring = ring("k");
        let state = state(&keyring);
        let text = state.sign(&keyring).expect("signed");
        assert_eq!(State::verify(&keyring, &text).expect("ours"), state);
    }

    #[test]
    fn every_changed_character_and_every_cut_is_refused() {
        let keyring = ring("k");
        let text = state(&keyring).sign(&keyring).expect("signed");
        for at in 0..text.len() {
            for other in b"Ab0-_.=" {
                if text.as_bytes()[at] == *other {
                    continue;
                }
                let mut changed = text.clone().into_bytes();
                changed[at] = *other;
                let changed = String::from_utf8(changed).expect("ASCII");
                assert!(State::verify(&keyring, &changed).is_err(), "{at}: {changed}");
            }
            assert!(State::verify(&keyring, &text[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn no_other_key_signs_even_under_the_same_id() {
        let (ours, theirs) = (ring("k"), ring("k"));
        let text = state(&theirs).sign(&theirs).expect("signed");
        assert!(State::verify(&ours, &text).is_err());
        let old = ring("2025");
        let text = state(&old).sign(&old).expect("signed");
        assert!(State::verify(&ours, &text).is_err(), "the key is not in the keyring");
    }

    #[test]
    fn of_a_hundred_thousand_forged_states_none_is_accepted() {
        let keyring = ring("k");
        let genuine = state(&keyring).sign(&keyring).expect("signed");
        let (payload, signature) = genuine.split_once('.').expect("two parts");
        let (payload, signature) = (BASE64.decode(payload).expect("base64"), BASE64.decode(signature).expect("base64"));
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = || {
            // xorshift: the same forgeries each time
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let mut accepted = 0;
        for n in 0..100_001_u64 {
            let (mut payload, mut signature) = (payload.clone(), signature.clone());
            match n % 4 {
                0 => signature[(random() as usize) % 32] ^= 1 << (random() % 8),
                1 => signature.iter_mut().for_each(|byte| *byte = random() as u8),
                2 => {
                    let at = (random() as usize) % payload.len();
                    payload[at] = payload[at].wrapping_add(1 + (random() % 255) as u8);
                }
                _ => {
                    payload = format!(r#"{{"k":"k","n":"{n}","w":"bolt","p":"slack","i":1000,"e":99999999}}"#).into_bytes();
                    signature.truncate((random() % 33) as usize);
                }
            }
            accepted += usize::from(State::verify(&keyring, &format!("{}.{}", BASE64.encode(payload), BASE64.encode(signature))).is_ok());
        }
        assert_eq!(accepted, 0);
    }

    proptest! {
        #[test]
        fn whatever_comes_as_a_state_is_refused_without_a_panic(text in ".{0,300}") {
            prop_assert!(State::verify(&ring("k"), &text).is_err());
        }
    }
}
