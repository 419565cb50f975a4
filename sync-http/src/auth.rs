//! How a token is put on a request.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use sync_core::{Error, Result};
use zeroize::Zeroizing;

/// How a connection's token is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// `Authorization: Bearer <token>`.
    #[default]
    Bearer,
    /// HTTP Basic with the token as password.
    Basic {
        /// The user name; a service that looks at the key alone takes any.
        user: Cow<'static, str>,
    },
    /// HTTP Basic with a token that is user and password, `user:password` (RFC 7617).
    BasicPair,
    /// No token is asked for and none is sent.
    None,
}

impl Auth {
    /// The header for `secret` and the other forms it is shown in: they have to be redacted too.
    pub(crate) fn header(&self, operation: &'static str, secret: &SecretString) -> Result<Option<(HeaderValue, Vec<SecretString>)>> {
        let (text, form) = match self {
            Self::Bearer => (Zeroizing::new(format!("Bearer {}", secret.expose_secret())), Vec::new()),
            Self::Basic { user } => {
                let pair = Zeroizing::new(format!("{user}:{}", secret.expose_secret()));
                let encoded = BASE64_STANDARD.encode(pair.as_bytes());
                (Zeroizing::new(format!("Basic {encoded}")), vec![SecretString::from(encoded)])
            }
            Self::BasicPair => {
                let (_, password) = secret.expose_secret().split_once(':').ok_or_else(|| {
                    Error::config(operation, "the credentials are no user and password; connect the account with both (HTTP Basic)")
                })?;
                let encoded = BASE64_STANDARD.encode(secret.expose_secret().as_bytes());
                (Zeroizing::new(format!("Basic {encoded}")), vec![SecretString::from(encoded), SecretString::from(password.to_owned())])
            }
            Self::None => return Ok(None),
        };
        // the error of HeaderValue says nothing of the value; it is dropped all the same
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| Error::config(operation, "the token holds a character that no header may carry; enter it again"))?;
        value.set_sensitive(true);
        Ok(Some((value, form)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_sent_as_rfc_7617_has_it_and_each_of_its_forms_is_told() {
        let pair = SecretString::from("Aladdin:open sesame");
        let (value, forms) = Auth::BasicPair.header("demo", &pair).expect("well formed").expect("a header");
        assert_eq!(value.to_str().expect("text"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let forms: Vec<&str> = forms.iter().map(|form| form.expose_secret()).collect();
        assert_eq!(forms, ["QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "open sesame"]);
        let error = Auth::BasicPair.header("demo", &"no-pair-4f1d".into()).expect_err("one word");
        assert!(error.kind() == sync_core::ErrorKind::Config && !error.to_string().contains("4f1d"), "{error}");
    }
}
