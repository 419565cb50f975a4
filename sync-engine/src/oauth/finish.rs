//! Finishing an authorization: the nonce is used up first, then the code is exchanged, then the account is asked who it is, and then
//! everything is stored at once.

use std::sync::Arc;

use subtle::ConstantTimeEq as _;
use sync_core::{Error, ErrorKind, OAuthCall, Result, TokenSet, store::PendingAuthorization};

use super::{Callback, begin::Wanted, proof::browser_hash, state::State};
use crate::{
    Connection, Credentials, Syncline, Workspace,
    connection::Making,
    vault::{Field, Place},
};

const OPERATION: &str = "finish_authorization";

/// An account that was authorised.
#[derive(Clone, Debug)]
pub struct Authorized {
    /// Its connection, made or healed.
    pub connection: Connection,
    /// Where in the host's application the browser goes now.
    pub return_to: Option<Box<str>>,
    /// Scopes that were asked for and not granted.
    pub missing_scopes: Vec<Box<str>>,
    /// Streams that cannot be used without them.
    pub lost_streams: Vec<Box<str>>,
}

impl Syncline {
    /// Takes what the browser brought back and makes the connection, or heals the one there is for this account.
    ///
    /// The state is used up by this call, whatever comes of it. It goes on to its end when its future is dropped, so that no tokens are
    /// lost that the service has given.
    ///
    /// # Errors
    /// [`Auth`](ErrorKind::Auth) for a state that was not given out here, has expired, was used before, or was begun by another browser or
    /// user, and when the user declined: begin again. [`Forbidden`](ErrorKind::Forbidden) when a scope that nothing works without was not
    /// granted. [`Conflict`](ErrorKind::Conflict) when another account came back than the one to be connected again. Otherwise what the
    /// service answered.
    pub async fn finish_authorization(&self, callback: Callback) -> Result<Authorized> {
        let this = self.clone();
        let task = tokio::spawn(async move { this.finish(callback).await });
        task.await.map_err(|e| Error::new(ErrorKind::Internal, OPERATION, "the authorization's task ended early").because(e))?
    }

    async fn finish(&self, callback: Callback) -> Result<Authorized> {
        let engine = &self.0;
        let shared = &engine.shared;
        let state = State::verify(&shared.keyring, &callback.state)?;
        let workspace = self.workspace(state.workspace.clone());
        let pending = workspace.store.take_authorization(&state.nonce).await?;
        engine.crash_points.at("o1");
        let pending = check(&state, pending, &callback, shared.clock.now()).map_err(|e| e.at("provider", &*state.provider))?;
        let provider = engine.registry.provider(&pending.provider)?;
        let name = provider.descriptor().name;
        let oauth = provider.as_oauth().ok_or_else(|| Error::unsupported(OPERATION).at("provider", name))?;
        if let (Some(came), Some(ours)) = (&callback.issuer, &oauth.spec().issuer)
            && **came != **ours
        {
            return Err(begin_again("the answer comes from another issuer than the one that was asked (RFC 9207)").at("provider", name));
        }
        let code =
            callback.code.as_ref().ok_or_else(|| begin_again("the service sent neither a code nor an error").at("provider", name))?;
        let wanted: Wanted = serde_json::from_value(pending.request.clone())
            .map_err(|e| Error::new(ErrorKind::Internal, OPERATION, "the stored request cannot be read").because(e))?;
        let (authority, sent_with) = (oauth.spec().authority, pending.client_id.as_deref());
        let client = shared.clients.matching(&shared.keyring, &*workspace.store, &workspace.id, authority, sent_with).await;
        let client = client.map_err(|e| e.at("provider", name))?;
        if client.redirect_uri != pending.redirect_uri {
            let text = "the client's redirect URI was changed while the browser was away; begin again";
            return Err(Error::new(ErrorKind::Auth, OPERATION, text).at("provider", name));
        }
        let place = Place { workspace: &workspace.id, owner: &pending.nonce, field: Field::Verifier };
        let verifier = shared.keyring.open(place, &pending.verifier)?;
        let making = Making::new(&workspace, Arc::clone(&provider));
        let services = making.services.clone();
        let call = OAuthCall {
            workspace: &workspace.id,
            client_id: &client.id,
            client_secret: client.secret.as_ref(),
            redirect_uri: &client.redirect_uri,
            services: &services,
        };
        let tokens = oauth.exchange(&call, code, &verifier).await.map_err(|e| e.at("provider", name))?;
        engine.crash_points.at("o2");
        let missing: Vec<_> = oauth.spec().missing(tokens.scopes.as_deref()).into_iter().copied().collect();
        let required: Vec<&str> = missing.iter().filter(|scope| scope.required).map(|scope| scope.name).collect();
        if !required.is_empty() {
            let text = format!(
                "nothing works without these permissions, which were not granted: {}; begin again and grant them",
                required.join(", ")
            );
            return Err(Error::new(ErrorKind::Forbidden, OPERATION, text).at("provider", name));
        }
        // Tokens that are not stored are not revoked either: that may take back the grant of a connection that works.
        let connection = self.keep(&workspace, making, wanted.clone(), (&client.id, &tokens)).await.map_err(|e| e.at("provider", name))?;
        engine.crash_points.at("o3");
        let mut lost_streams: Vec<Box<str>> =
            missing.iter().flat_map(|scope| scope.streams.iter().map(|stream| (*stream).into())).collect();
        lost_streams.sort_unstable();
        lost_streams.dedup();
        let missing_scopes = missing.iter().map(|scope| scope.name.into()).collect();
        Ok(Authorized { connection, return_to: wanted.return_to, missing_scopes, lost_streams })
    }

    /// Asks the account who it is, and stores the connection with its tokens.
    async fn keep(&self, workspace: &Workspace, making: Making, wanted: Wanted, (client, tokens): (&str, &TokenSet)) -> Result<Connection> {
        let credentials = Credentials::answered(tokens.clone(), Some(client.into()), None, self.0.shared.clock.now());
        let making = Making {
            settings: wanted.settings,
            answered: tokens.settings.clone(),
            only_new: wanted.only_new,
            subject: wanted.subject,
            connected_by: wanted.user,
            frequency_minutes: wanted.frequency_minutes,
            again: wanted.again,
            ..making
        };
        making.make(workspace, credentials).await
    }
}

/// Whether what came back is the answer to what was begun. The nonce is used up by now.
fn check(
    state: &State,
    pending: Option<PendingAuthorization>,
    callback: &Callback,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<PendingAuthorization> {
    let pending = pending.ok_or_else(|| begin_again("this answer was used before, or is too old"))?;
    if pending.expires_at <= now || state.expires <= now {
        return Err(begin_again("the browser came back too late"));
    }
    let browser = browser_hash(&callback.browser);
    if !bool::from(browser.ct_eq(&pending.browser)) {
        return Err(begin_again("it was begun in another browser"));
    }
    if callback.user.as_ref().is_some_and(|user| state.user.as_ref() != Some(user)) {
        return Err(begin_again("it was begun by another user"));
    }
    if pending.provider != state.provider {
        return Err(begin_again("it was begun for another provider"));
    }
    if let Some(error) = &callback.error {
        let said = callback.description.as_ref().map_or_else(String::new, |text| format!(": {text}"));
        let text = match error.as_str() {
            "access_denied" => format!("the user declined, or may not grant it{said}"),
            other => format!("the service refused the authorization ({other}){said}"),
        };
        return Err(Error::new(ErrorKind::Auth, OPERATION, text));
    }
    Ok(pending)
}

fn begin_again(what: &'static str) -> Error {
    Error::new(ErrorKind::Auth, OPERATION, format!("{what}; begin the authorization again"))
}
