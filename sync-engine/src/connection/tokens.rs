//! What a host may do with a connection's tokens, and taking the connection away.

use sync_core::{
    AccessToken, AuthScheme, Error, ErrorKind, OAuthCall, Result, Revokes, Services as _,
    store::{self, ConnectionStatus},
};

use super::Connection;
use crate::{BeginAuthorization, Credentials, Diagnosis, connection::diagnosis::diagnose};

/// How often others may change the credentials between our look and our write.
const LOOKS: u32 = 5;

impl Connection {
    /// A token that is good now: the stored one, renewed when its end is near. Never ask for it ahead of its use.
    ///
    /// # Errors
    /// [`Auth`](ErrorKind::Auth) when it has ended and there is nothing to renew it with;
    /// [`AuthRevoked`](ErrorKind::AuthRevoked) when the grant is gone.
    pub async fn ensure_valid_token(&self) -> Result<AccessToken> {
        self.services.token(&self.id, None).await
    }

    /// Whether [`ensure_valid_token`](Self::ensure_valid_token) succeeds; never an error.
    pub async fn has_valid_tokens(&self) -> bool {
        self.ensure_valid_token().await.is_ok()
    }

    /// Renews the token, however long the one there is would last, and whether or not renewing was given up or the grant refused before.
    /// Success ends the `error` that came of that.
    ///
    /// # Errors
    /// [`Auth`](ErrorKind::Auth) when there is nothing to renew it with; [`Transport`](ErrorKind::Transport) within half a minute of a failed
    /// attempt; [`Conflict`](ErrorKind::Conflict) while the token lives and the answer to an attempt was lost, where a refresh token is good
    /// once: sending it again may end the grant; what the service answers.
    pub async fn refresh_oauth_token(&self) -> Result<AccessToken> {
        self.services.renewed_token(&self.id).await
    }

    /// A token that is newer than the version a service has refused ([`AccessToken::version`]): somebody else's, or renewed now. For hosts
    /// that call the service by themselves.
    ///
    /// # Errors
    /// As of [`ensure_valid_token`](Self::ensure_valid_token).
    pub async fn renewed_since(&self, refused: u64) -> Result<AccessToken> {
        self.services.token(&self.id, Some(refused)).await
    }

    /// Stores tokens the host got by itself. Without a refresh token the stored one is kept. Ends the `error` of a connection whose grant
    /// was gone.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when the connection is gone; [`Config`](ErrorKind::Config) when there is no access token;
    /// [`Conflict`](ErrorKind::Conflict) when it was disconnected.
    pub async fn update_oauth_tokens(&self, credentials: Credentials) -> Result<()> {
        if credentials.access.is_none() {
            return Err(Error::config("update_oauth_tokens", "there is no access token").at("connection", self.id.as_str()));
        }
        let store = &self.workspace.store;
        for _ in 0..LOOKS {
            let row = self.load_config().await?;
            if row.status == ConnectionStatus::Disconnected {
                let text = "the account was disconnected; connect it again with these credentials";
                return Err(Error::new(ErrorKind::Conflict, "update_oauth_tokens", text).at("connection", self.id.as_str()));
            }
            let kept = store.credentials(&self.id).await?;
            let mut seals = self.services.seals().await?;
            let mut sealed = self.services.seal(&mut seals, &self.id, &credentials, row.token_version + 1)?;
            if sealed.grant.is_none()
                && let Some(kept) = kept
            {
                // Sealed anew: a rotation of keys may have passed by since we looked.
                sealed.refresh = self.services.resealed(&mut seals, &self.id, &kept)?;
                (sealed.grant, sealed.client_id) = (kept.grant, kept.client_id);
            }
            let now = self.services.now();
            if store.replace_credentials(&self.id, row.token_version, sealed, now).await? {
                return self.log(&row, "oauth_tokens_updated", true, None).await;
            }
        }
        let text = "others keep changing the credentials of this connection";
        Err(Error::new(ErrorKind::Conflict, "update_oauth_tokens", text).at("connection", self.id.as_str()))
    }

    /// Begins to connect this account again in a browser. Its settings and frequency stay what they are when the browser comes back, unless
    /// others are given.
    pub async fn begin_authorization(&self) -> Result<BeginAuthorization> {
        self.load_config().await?;
        Ok(self.workspace.begin_authorization(self.integration_name()).again(self.id.clone()))
    }

    /// Takes the connection away: its tokens are revoked at the service where that is possible, and deleted here in any case. Its rows
    /// and history stay; connecting the account again heals it. Answers whether the service has revoked the tokens. Some services (Google)
    /// take back with them whatever else the same person has granted to the same client.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), or what the database says. That the service could not be reached is no error.
    pub async fn disconnect(&self) -> Result<bool> {
        let revoked = match self.revoke().await {
            Ok(revoked) => revoked,
            Err(error) => {
                tracing::warn!(connection = %self.id, %error, "the tokens could not be revoked at the service; they are deleted here");
                false
            }
        };
        let row = self.workspace.store.disconnect_by(&self.id, self.workspace.user.as_deref(), self.services.now()).await?;
        self.services.forget_token().await;
        self.log(&row, "disconnected", true, None).await?;
        Ok(revoked)
    }

    async fn revoke(&self) -> Result<bool> {
        let (Some(oauth), Some(sealed)) = (self.provider.as_oauth(), self.workspace.store.credentials(&self.id).await?) else {
            return Ok(false);
        };
        let Some(mut token) = self.services.revocable(&self.id, &sealed)? else { return Ok(false) };
        if oauth.spec().revokes == Revokes::Access {
            // Renewed first where it has ended: what has ended cannot be revoked, and the refresh token would go on living.
            token = self.services.token(&self.id, None).await?.secret;
        }
        let shared = &self.workspace.engine.shared;
        let (workspace, authority) = (&self.workspace.id, oauth.spec().authority);
        let client =
            shared.clients.matching(&shared.keyring, &*self.workspace.store, workspace, authority, sealed.client_id.as_deref()).await?;
        let call = OAuthCall {
            workspace,
            client_id: &client.id,
            client_secret: client.secret.as_ref(),
            redirect_uri: &client.redirect_uri,
            services: &*self.services,
        };
        match oauth.revoke(&call, &token).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How the connection stands, in a sentence, and who has to do something about it.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn why(&self) -> Result<Diagnosis> {
        let row: store::Connection = self.load_config().await?;
        let needs_none = self.provider.descriptor().auth == AuthScheme::None;
        let opens = needs_none || self.workspace.store.credentials(&self.id).await?.is_some();
        Ok(diagnose(&row, opens, self.services.now()))
    }
}
