//! What ties an authorization to the browser that began it, and a code to the one who asked for it.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// 256 random bits from the operating system as text: 43 characters, as RFC 7636 asks of a verifier at least.
pub(super) fn random_secret() -> SecretString {
    let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
    SecretString::from(BASE64.encode(*bytes))
}

/// 128 random bits as text.
pub(super) fn nonce() -> Box<str> {
    BASE64.encode(rand::random::<[u8; 16]>()).into()
}

/// The challenge of a PKCE verifier: S256 (RFC 7636, section 4.2).
pub(super) fn challenge(verifier: &SecretString) -> String {
    BASE64.encode(Sha256::digest(verifier.expose_secret().as_bytes()))
}

/// What is stored of the secret a browser holds.
pub(super) fn browser_hash(secret: &SecretString) -> Box<[u8]> {
    let mut hash = Sha256::new();
    hash.update(b"syncline browser 1\0");
    hash.update(secret.expose_secret().as_bytes());
    hash.finalize().to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        // RFC 7636, appendix B
        let verifier = SecretString::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn secrets_are_long_and_never_the_same() {
        let (one, other) = (random_secret(), random_secret());
        assert_eq!(one.expose_secret().len(), 43);
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert_ne!(browser_hash(&one), browser_hash(&other));
        assert_ne!(nonce(), nonce());
    }
}
