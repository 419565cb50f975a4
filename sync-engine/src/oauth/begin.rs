//! Beginning an authorization.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sync_core::{AuthorizeRequest, ConnectionId, Error, Result, store::PendingAuthorization};

use super::{
    proof::{browser_hash, challenge, nonce, random_secret},
    state::State,
};
use crate::{
    Workspace,
    vault::{Field, Place},
};

/// How long a browser may be away.
const LIFE: Duration = Duration::from_secs(10 * 60);

/// What the connection is to be like, while the browser is away.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// `None`: those the connection has when the browser comes back, or none.
    pub(super) settings: Option<Value>,
    pub(super) subject: Option<Box<str>>,
    pub(super) user: Option<Box<str>>,
    /// `None`: as the connection has it when the browser comes back, or every hour.
    pub(super) frequency_minutes: Option<u32>,
    pub(super) return_to: Option<Box<str>>,
    /// The connection that is to be connected again.
    pub(super) again: Option<ConnectionId>,
    /// Whether an account that is connected already is refused.
    #[serde(default)]
    pub(super) only_new: bool,
}

/// An authorization about to begin; await it.
#[derive(Debug)]
#[must_use = "an authorization begins when this is awaited"]
pub struct BeginAuthorization {
    workspace: Workspace,
    provider: Box<str>,
    wanted: Wanted,
}

/// An authorization that was begun: send the browser to `url` and give it `browser` as a cookie.
///
/// The cookie (`HttpOnly`, `Secure`, `SameSite=Lax`, good for ten minutes) ties the way back to the browser that set out: a link that
/// somebody else was given leads nowhere. Answer the redirect with `Cache-Control: no-store` and `Referrer-Policy: no-referrer`.
pub struct Authorization {
    /// Where the browser goes.
    pub url: String,
    /// The secret this browser brings back.
    pub browser: SecretString,
    /// When it is too late to come back.
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl BeginAuthorization {
    pub(crate) fn new(workspace: Workspace, provider: &str) -> Self {
        let user = workspace.actor();
        Self { workspace, provider: provider.into(), wanted: Wanted { user, ..Wanted::default() } }
    }

    /// For a connection that exists: it has to be the same account that comes back, and what is not said here stays as it is then.
    pub(crate) fn again(mut self, connection: ConnectionId) -> Self {
        self.wanted.again = Some(connection);
        self
    }

    /// The provider's settings, a JSON object; the provider checks them when the account is known.
    pub fn settings(mut self, settings: Value) -> Self {
        self.wanted.settings = Some(settings);
        self
    }

    /// The host's client the account belongs to.
    pub fn subject(mut self, subject: impl Into<Box<str>>) -> Self {
        self.wanted.subject = Some(subject.into());
        self
    }

    /// Whoever begins it, as the host knows them: only they can finish it, and they stand in the record as who connected it. By default
    /// who the workspace is [acting](Workspace::acting) for.
    pub fn user(mut self, user: impl Into<Box<str>>) -> Self {
        self.wanted.user = Some(user.into());
        self
    }

    /// Minutes between scheduled runs; by default as the connection has it, or 60.
    pub fn every_minutes(mut self, minutes: u32) -> Self {
        self.wanted.frequency_minutes = Some(minutes.max(1));
        self
    }

    /// Refuses an account that is connected already, instead of giving its connection these settings: with
    /// [`Conflict`](sync_core::ErrorKind::Conflict) when the browser comes back, and nothing is stored. One that was disconnected is
    /// connected again all the same.
    pub fn only_new(mut self) -> Self {
        self.wanted.only_new = true;
        self
    }

    /// Where in the host's application the browser goes afterwards: a path that the builder's
    /// [`return_path`](crate::Builder::return_path) allows.
    pub fn return_to(mut self, path: impl Into<Box<str>>) -> Self {
        self.wanted.return_to = Some(path.into());
        self
    }

    async fn begin(self) -> Result<Authorization> {
        let Workspace { engine, id: workspace, store, .. } = &self.workspace;
        let provider = engine.registry.provider(&self.provider)?;
        let name = provider.descriptor().name;
        let oauth = provider.as_oauth().ok_or_else(|| {
            let text = "this provider is not authorised in a browser; connect it with a key or token";
            Error::config("begin_authorization", text).at("provider", name)
        })?;
        if let Some(settings) = &self.wanted.settings {
            crate::connection::raw(settings)?;
        }
        if let Some(path) = &self.wanted.return_to
            && !engine.return_paths.contains(path)
        {
            let text = format!("the return path {path:?} is not one of those the host allows: add it with return_path(…) of the builder");
            return Err(Error::config("begin_authorization", text));
        }
        let shared = &engine.shared;
        let client = shared.clients.find(&shared.keyring, &**store, workspace, oauth.spec().authority).await?;
        let now = shared.clock.now();
        let expires_at = now + LIFE;
        let (nonce, verifier, browser) = (nonce(), random_secret(), random_secret());
        let place = Place { workspace, owner: &nonce, field: Field::Verifier };
        let state = State::new(&shared.keyring, nonce.clone(), workspace.clone(), self.wanted.user.clone(), name.into(), (now, expires_at));
        let state = state.sign(&shared.keyring)?;
        let url = oauth.authorize_url(&AuthorizeRequest {
            client_id: &client.id,
            redirect_uri: &client.redirect_uri,
            state: &state,
            challenge: &challenge(&verifier),
        })?;
        let request = serde_json::to_value(&self.wanted)
            .map_err(|e| Error::new(sync_core::ErrorKind::Internal, "begin_authorization", "the request is no JSON").because(e))?;
        store
            .keep_authorization(PendingAuthorization {
                verifier: shared.seals(1).await?.seal(place, &verifier)?,
                nonce,
                provider: name.into(),
                browser: browser_hash(&browser),
                client_id: Some(client.id),
                redirect_uri: client.redirect_uri,
                request,
                begun_at: now,
                expires_at,
            })
            .await?;
        tracing::info!(%workspace, provider = name, "authorization begun");
        Ok(Authorization { url, browser, expires_at })
    }
}

impl IntoFuture for BeginAuthorization {
    type Output = Result<Authorization>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.begin())
    }
}
