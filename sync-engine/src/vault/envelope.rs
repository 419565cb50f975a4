//! The envelope: `version (0x01) | length of key id | key id | nonce (12) | ciphertext | tag (16)`, AES-256-GCM.
//! The header and the place the secret belongs to are authenticated with it, so that an envelope opens nowhere else.

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead, Generate, KeyInit, Payload, consts::U12},
};
use secrecy::{ExposeSecret, SecretString};
pub(crate) use sync_core::store::SealedField as Field;
use sync_core::{Error, ErrorKind, Result, WorkspaceId};
use zeroize::Zeroizing;

use super::Keyring;

const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;

/// Where an envelope belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) workspace: &'a WorkspaceId,
    /// Whose secret it is inside the workspace: the id of a connection, or what the [`Field`] says.
    pub(crate) owner: &'a str,
    pub(crate) field: Field,
}

impl Place<'_> {
    fn authenticated(&self, header: &[u8]) -> Vec<u8> {
        let mut data = header.to_vec();
        for part in [self.workspace.as_str(), self.owner, self.field.as_str()] {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

/// What the envelopes of a key begin with.
pub(crate) fn header(key: &str) -> Vec<u8> {
    let mut header = vec![VERSION, key.len() as u8];
    header.extend_from_slice(key.as_bytes());
    header
}

impl Keyring {
    /// Seals a secret for one place, which [`Seals`](super::Seals) counts.
    pub(in crate::vault) fn seal(&self, place: Place<'_>, secret: &SecretString) -> Result<Vec<u8>> {
        let (id, key) = self.active()?;
        let mut envelope = header(id);
        let data = place.authenticated(&envelope);
        let nonce = Nonce::<U12>::generate();
        let sealed = Aes256Gcm::new(&(*key).into())
            .encrypt(&nonce, Payload { msg: secret.expose_secret().as_bytes(), aad: &data })
            .map_err(|_| Error::new(ErrorKind::Key, "seal", "the secret could not be sealed"))?;
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(&sealed);
        Ok(envelope)
    }

    /// Opens an envelope that was sealed for this place.
    pub(crate) fn open(&self, place: Place<'_>, envelope: &[u8]) -> Result<SecretString> {
        let damaged = |what: &str| {
            Error::new(ErrorKind::Key, "open", format!("the stored credentials are damaged: {what}")).at(place.field.owner(), place.owner)
        };
        let (&version, rest) = envelope.split_first().ok_or_else(|| damaged("they are empty"))?;
        if version != VERSION {
            return Err(damaged(&format!("envelope version {version} is unknown")));
        }
        let (&length, rest) = rest.split_first().ok_or_else(|| damaged("they are cut short"))?;
        if rest.len() < usize::from(length) + NONCE + TAG {
            return Err(damaged("they are cut short"));
        }
        let (id, rest) = rest.split_at(usize::from(length));
        let (nonce, sealed) = rest.split_at(NONCE);
        let id = std::str::from_utf8(id).map_err(|_| damaged("the key id is not text"))?;
        let key = self.key(id).ok_or_else(|| {
            let known = self.ids().collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none" } else { &known };
            Error::new(ErrorKind::Key, "open", format!("key {id:?} is not in the keyring, which has: {known}"))
                .at(place.field.owner(), place.owner)
        })?;
        let data = place.authenticated(&envelope[..2 + usize::from(length)]);
        let nonce = Nonce::<U12>::try_from(nonce).map_err(|_| damaged("they are cut short"))?;
        let plain = Aes256Gcm::new(&(*key).into())
            .decrypt(&nonce, Payload { msg: sealed, aad: &data })
            .map(Zeroizing::new)
            .map_err(|_| damaged(&format!("key {id:?} does not open them here")))?;
        let text = std::str::from_utf8(&plain).map_err(|_| damaged("what was sealed is not text"))?;
        Ok(SecretString::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(ids: &[&str]) -> Keyring {
        let text: Vec<String> = ids.iter().map(|id| Keyring::generate(id).to_string()).collect();
        Keyring::parse(&text.join(",")).expect("well formed")
    }

    struct Owner(WorkspaceId, &'static str);

    impl Owner {
        fn new(workspace: &str, owner: &'static str) -> Self {
            Self(workspace.into(), owner)
        }

        fn place(&self, field: Field) -> Place<'_> {
            Place { workspace: &self.0, owner: self.1, field }
        }
    }

    #[test]
    fn what_was_sealed_opens_at_its_place() {
        let (ring, owner) = (ring(&["a"]), Owner::new("acme", "c1"));
        let envelope = ring.seal(owner.place(Field::Access), &"xoxb-secret".into()).expect("sealed");
        assert!(!envelope.windows(4).any(|w| w == b"xoxb"));
        assert_eq!(ring.open(owner.place(Field::Access), &envelope).expect("opens").expose_secret(), "xoxb-secret");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let (ring, owner) = (ring(&["k"]), Owner::new("acme", "c1"));
        let envelope = ring.seal(owner.place(Field::Access), &"s".into()).expect("sealed");
        for bit in 0..envelope.len() * 8 {
            let mut flipped = envelope.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = ring.open(owner.place(Field::Access), &flipped).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Key, "bit {bit}");
        }
        for length in 0..envelope.len() {
            assert!(ring.open(owner.place(Field::Access), &envelope[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn an_envelope_opens_in_no_other_field_connection_or_workspace() {
        let ring = ring(&["k"]);
        let owners = [Owner::new("acme", "c1"), Owner::new("acme", "c2"), Owner::new("bolt", "c1"), Owner::new("acm", "ec1")];
        let places: Vec<Place<'_>> = owners.iter().flat_map(|o| Field::ALL.map(|field| o.place(field))).collect();
        for (n, from) in places.iter().enumerate() {
            let envelope = ring.seal(*from, &"s".into()).expect("sealed");
            for (m, to) in places.iter().enumerate() {
                assert_eq!(ring.open(*to, &envelope).is_ok(), n == m, "{from:?} in {to:?}");
            }
        }
    }

    #[test]
    fn a_missing_key_is_named_and_an_older_one_still_opens() {
        let (old, owner) = (ring(&["2025"]), Owner::new("acme", "c1"));
        let envelope = old.seal(owner.place(Field::Access), &"s".into()).expect("sealed");
        let error = ring(&["2026"]).open(owner.place(Field::Access), &envelope).expect_err("refused").to_string();
        assert!(error.contains("\"2025\"") && error.contains("2026"), "{error}");
    }
}
