//! What the browser brings back.

use std::fmt;

use secrecy::SecretString;
use sync_core::{Error, ErrorKind, Result};

/// What a service sent to the redirect URI, with the secret that this browser was given when it set out. `Debug` shows neither.
#[derive(Clone)]
pub struct Callback {
    pub(super) state: String,
    pub(super) code: Option<SecretString>,
    pub(super) error: Option<String>,
    pub(super) description: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) browser: SecretString,
    pub(super) user: Option<Box<str>>,
}

impl Callback {
    /// Reads the query of the request to the redirect URI, without its `?`. `browser` is the secret of the browser's cookie
    /// ([`Authorization::browser`](crate::Authorization)).
    ///
    /// # Errors
    /// [`Auth`](ErrorKind::Auth) when there is no `state`, or a parameter comes twice (RFC 6749, section 3.1).
    pub fn from_query(query: &str, browser: impl Into<SecretString>) -> Result<Self> {
        let mut callback =
            Self { state: String::new(), code: None, error: None, description: None, issuer: None, browser: browser.into(), user: None };
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if seen.iter().any(|known| *known == name) {
                return Err(Error::new(ErrorKind::Auth, "finish_authorization", format!("the parameter {:?} came twice", cut(&name, 40))));
            }
            match &*name {
                "state" => callback.state = value.into_owned(),
                "code" => callback.code = Some(SecretString::from(value.into_owned())),
                "error" => callback.error = Some(cut(&value, 100)),
                "error_description" => callback.description = Some(cut(&value, 500)),
                "iss" => callback.issuer = Some(value.into_owned()),
                _ => {}
            }
            seen.push(name.into_owned());
        }
        if callback.state.is_empty() {
            let text = "there is no state: this is not the answer to an authorization that was begun here";
            return Err(Error::new(ErrorKind::Auth, "finish_authorization", text));
        }
        Ok(callback)
    }

    /// Whoever is signed in to the host in this browser; it has to be who began the authorization.
    #[must_use]
    pub fn user(mut self, user: impl Into<Box<str>>) -> Self {
        self.user = Some(user.into());
        self
    }
}

/// At most so many characters, on one line: what others wrote goes into errors and logs.
fn cut(text: &str, most: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("error", &self.error).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_query_is_read_and_shown_without_its_secrets() {
        let callback = Callback::from_query("code=4%2F0Ab&state=s.t&iss=https%3A%2F%2Fa&scope=x", "cookie").expect("well formed");
        assert_eq!(callback.code.as_ref().map(|code| code.expose_secret()), Some("4/0Ab"));
        assert_eq!((callback.state.as_str(), callback.issuer.as_deref()), ("s.t", Some("https://a")));
        let shown = format!("{callback:?}");
        assert!(!shown.contains("0Ab") && !shown.contains("cookie") && !shown.contains("s.t"), "{shown}");
    }

    #[test]
    fn a_missing_state_and_doubled_parameters_are_refused() {
        for bad in ["", "code=1", "state=", "state=a&state=b", "state=a&code=1&code=2"] {
            assert_eq!(Callback::from_query(bad, "").expect_err(bad).kind(), ErrorKind::Auth);
        }
    }

    #[test]
    fn what_a_service_says_is_cut_and_put_on_one_line() {
        let query = format!("state=s&error=access_denied&error_description={}%0Aend", "x".repeat(600));
        let callback = Callback::from_query(&query, "").expect("well formed");
        assert_eq!(callback.description.map(|text| text.len()), Some(500));
        let callback = Callback::from_query("state=s&error=a%0Ab", "").expect("well formed");
        assert_eq!(callback.error.as_deref(), Some("a b"));
    }
}
