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
    /// No token is asked for and none is sent.
    None,
}

impl Auth {
    /// The header for `secret` and, where the header shows it in another form, that form: it has to be redacted too.
    pub(crate) fn header(&self, operation: &'static str, secret: &SecretString) -> Result<Option<(HeaderValue, Option<SecretString>)>> {
        let (text, form) = match self {
            Self::Bearer => (Zeroizing::new(format!("Bearer {}", secret.expose_secret())), None),
            Self::Basic { user } => {
                let pair = Zeroizing::new(format!("{user}:{}", secret.expose_secret()));
                let encoded = BASE64_STANDARD.encode(pair.as_bytes());
                (Zeroizing::new(format!("Basic {encoded}")), Some(SecretString::from(encoded)))
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
