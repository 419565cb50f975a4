//! The OAuth clients of the host and of workspaces.

use std::collections::HashMap;

use secrecy::SecretString;
use sync_core::{
    Error, Result, WorkspaceId,
    store::{AuthorizationStore, StoredClient},
};

use crate::{
    Keyring,
    services::Shared,
    vault::{Field, Place},
};

/// A client registered with a service.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    pub(crate) id: Box<str>,
    pub(crate) secret: Option<SecretString>,
    pub(crate) redirect_uri: Box<str>,
}

impl OAuthClient {
    /// A client with the redirect URI it is registered with, exactly as it stands there. Public clients have no secret.
    pub fn new(id: impl Into<Box<str>>, redirect_uri: impl Into<Box<str>>) -> Self {
        Self { id: id.into(), secret: None, redirect_uri: redirect_uri.into() }
    }

    /// Adds its secret.
    #[must_use]
    pub fn with_secret(mut self, secret: impl Into<SecretString>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// Its public id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The redirect URI it is registered with.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Refuses what no service would accept, before anybody is sent there.
    pub(crate) fn check(&self, authority: &str) -> Result<()> {
        let wrong = |what: &str| Err(Error::config("oauth_client", what.to_owned()).at("authority", authority));
        if self.id.is_empty() {
            return wrong("the client id is empty");
        }
        if self.redirect_uri.contains('#') {
            return wrong("a redirect URI has no fragment (RFC 6749, section 3.1.2)");
        }
        let rest = match self.redirect_uri.split_once("://") {
            Some(("https", rest)) => rest,
            Some(("http", rest)) if loopback(rest) => rest,
            // An app's own scheme: no host.
            _ if private_use(&self.redirect_uri) => return Ok(()),
            _ => {
                return wrong(
                    "a redirect URI is an https address; http is allowed for this machine alone (127.0.0.1, [::1], localhost), and an app's \
                     own scheme is a domain turned round (com.example.app:/callback)",
                );
            }
        };
        if rest.is_empty() || rest.starts_with('/') {
            return wrong("the redirect URI names no host");
        }
        Ok(())
    }

    pub(crate) async fn seal(&self, shared: &Shared, workspace: &WorkspaceId, authority: &str) -> Result<Option<Vec<u8>>> {
        let place = Place { workspace, owner: authority, field: Field::ClientSecret };
        let Some(secret) = &self.secret else { return Ok(None) };
        shared.seals(1).await?.seal(place, secret).map(Some)
    }
}

/// Whether it is of a scheme that an app made of a domain of its own (RFC 8252, section 7.1).
fn private_use(uri: &str) -> bool {
    let Some((scheme, path)) = uri.split_once(':') else { return false };
    let begins = scheme.starts_with(|c: char| c.is_ascii_lowercase());
    begins && scheme.contains('.') && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c)) && path.starts_with('/')
}

/// Whether the part behind `http://` names this machine.
fn loopback(rest: &str) -> bool {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The host's clients, by authority.
#[derive(Debug, Default)]
pub(crate) struct Clients(pub(crate) HashMap<Box<str>, OAuthClient>);

impl Clients {
    /// The client that something at the service belongs to: the workspace's own or the host's, whichever has this id. Where none is
    /// known it is [the workspace's](Self::find).
    pub(crate) async fn matching(
        &self,
        keyring: &Keyring,
        store: &(impl AuthorizationStore + ?Sized),
        workspace: &WorkspaceId,
        authority: &str,
        id: Option<&str>,
    ) -> Result<OAuthClient> {
        let Some(id) = id else { return self.find(keyring, store, workspace, authority).await };
        if let Some(hosts) = self.0.get(authority).filter(|client| *client.id == *id) {
            // Of two with one id the workspace's own goes first.
            return match self.find(keyring, store, workspace, authority).await? {
                own if *own.id == *id => Ok(own),
                _ => Ok(hosts.clone()),
            };
        }
        match self.find(keyring, store, workspace, authority).await {
            Ok(own) if *own.id == *id => Ok(own),
            Ok(_) => {
                let text = format!(
                    "the account was connected with the OAuth client {id:?} of {authority:?}, and there is another one now: hand that one \
                     over with oauth_client(…) of the builder or set_oauth_client(…) of the workspace, or connect the account again"
                );
                Err(Error::config("oauth_client", text))
            }
            Err(error) => Err(error),
        }
    }

    /// The client of a workspace: its own, else the host's.
    pub(crate) async fn find(
        &self,
        keyring: &Keyring,
        store: &(impl AuthorizationStore + ?Sized),
        workspace: &WorkspaceId,
        authority: &str,
    ) -> Result<OAuthClient> {
        if let Some(StoredClient { client_id, secret, redirect_uri, .. }) = store.oauth_client(authority).await? {
            let place = Place { workspace, owner: authority, field: Field::ClientSecret };
            let secret = secret.map(|envelope| keyring.open(place, &envelope)).transpose()?;
            return Ok(OAuthClient { id: client_id, secret, redirect_uri });
        }
        self.0.get(authority).cloned().ok_or_else(|| {
            let text = format!(
                "there is no OAuth client for {authority:?}: register one at the service, then hand it over with oauth_client(…) of the \
                 builder or set_oauth_client(…) of the workspace"
            );
            Error::config("oauth_client", text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_are_https_or_lead_to_this_machine() {
        for good in [
            "https://app.example/oauth/callback",
            "http://127.0.0.1:8080/callback",
            "http://127.9.9.9/",
            "http://[::1]:9/callback",
            "http://localhost/callback",
            "com.example.app:/callback",
            "com.example.app://callback",
        ] {
            OAuthClient::new("id", good).check("slack").expect(good);
        }
        for (bad, says) in [
            ("http://app.example/callback", "https"),
            ("http://127.0.0.1.example/callback", "https"),
            ("http://localhost.example/", "https"),
            ("ftp://localhost/", "https"),
            ("/callback", "https"),
            ("javascript:/callback", "https"),
            ("1.example:/callback", "https"),
            ("com.example.app:callback", "https"),
            ("https:///callback", "no host"),
            ("https://", "no host"),
            ("https://app.example/#part", "fragment"),
        ] {
            let error = OAuthClient::new("id", bad).check("slack").expect_err(bad).to_string();
            assert!(error.contains(says), "{bad}: {error}");
        }
        assert!(OAuthClient::new("", "https://app.example/").check("slack").is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let client = OAuthClient::new("id", "https://app.example/").with_secret("hunter2");
        assert!(!format!("{client:?}").contains("hunter2"));
    }
}
