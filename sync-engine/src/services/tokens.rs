//! Tokens: opened from the vault, renewed ahead of their end by one caller at a time over all processes.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use sync_core::{
    AccessToken, ConnectionId, Delivery, Error, ErrorKind, Grant, GrantKind, OAuthCall, OAuthProvider, RefreshRule, Result, Retry,
    Services as _, TokenSet,
    store::{Connection, ConnectionStatus, DueRenewal, NewActivity, Renewal, SealedCredentials},
};
use tokio::sync::Mutex;

use super::{
    ConnectionServices,
    renewal::{self, COOLDOWN, Need, Stored, Verdict, given_up, judge},
};
use crate::{
    Credentials,
    vault::{Field, Place, Seals},
};

/// How long an opened token is kept before the store is asked again.
const KEPT: Duration = Duration::from_secs(30);
/// How long a renewal may take before another process may try (TS1).
const LEASE: Duration = Duration::from_secs(30);
/// How long to wait for another process: longer than its lease lasts.
const LEASE_WAIT: Duration = Duration::from_secs(35);
/// How often the store is asked to take renewed tokens before they are given up.
const SAVES: u32 = 6;

/// Where tokens come from.
#[derive(Clone, Debug)]
pub(super) enum Tokens {
    /// From the vault, with the last one that was opened.
    Vault(Arc<Mutex<Option<Opened>>>),
    /// Handed over by a host that is just connecting.
    Given(SecretString),
}

/// A token as it was opened.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    token: AccessToken,
    at: DateTime<Utc>,
    /// Until when it is sent without looking at the store.
    until: DateTime<Utc>,
}

/// What became of a token that was to be renewed ahead of its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// There is a newer one.
    Renewed,
    /// It is not to be renewed, as a closer look has shown.
    Left,
}

impl ConnectionServices {
    /// Renews a token that ends within `least`, whoever may use it next.
    pub(crate) async fn renew_ahead(&self, due: &DueRenewal, least: chrono::Duration) -> Result<Ahead> {
        let need = Need::Lasting { seen: due.version, least };
        let (credentials, row) = self.look(&due.connection).await?;
        let stored = Stored { credentials: &credentials, renewal: &row.renewal, rule: self.rule() };
        if row.status != ConnectionStatus::Active || !matches!(judge(stored, need, self.now()), Verdict::Renew { .. }) {
            return Ok(Ahead::Left);
        }
        let (token, _) = self.renewed_apart(&due.connection, need).await?;
        Ok(if token.version > due.version { Ahead::Renewed } else { Ahead::Left })
    }

    pub(super) async fn usable_token(&self, connection: &ConnectionId, need: Need) -> Result<AccessToken> {
        let opened = match &self.tokens {
            Tokens::Given(access) if need == Need::Now => return Ok(AccessToken { secret: access.clone(), version: 0 }),
            Tokens::Given(_) => return Err(refused(connection)),
            Tokens::Vault(opened) => opened,
        };
        let mut opened = opened.lock().await;
        let now = self.now();
        if need == Need::Now
            && let Some(opened) = &*opened
            // A clock that was set back opens it anew.
            && opened.at <= now
            && now < opened.until
        {
            return Ok(opened.token.clone());
        }
        *opened = None;
        let (token, ends) = self.stored_token(connection, need).await?;
        let until = ends.map_or(now + KEPT, |end| end.min(now + KEPT));
        Ok(opened.insert(Opened { token, at: now, until }).token.clone())
    }

    /// Forgets the token that was opened last: it was taken back.
    pub(crate) async fn forget_token(&self) {
        if let Tokens::Vault(opened) = &self.tokens {
            *opened.lock().await = None;
        }
    }

    /// Renews the token whatever its life, and whatever came of renewing it before.
    pub(crate) async fn renewed_token(&self, connection: &ConnectionId) -> Result<AccessToken> {
        let version = self.credentials(connection).await?.version;
        self.usable_token(connection, Need::Asked(version)).await
    }

    async fn credentials(&self, connection: &ConnectionId) -> Result<SealedCredentials> {
        self.stores.connections.credentials(connection).await?.ok_or_else(|| {
            let text = "no access token found: the connection was never authorised, or was disconnected; connect the account";
            auth(connection, text)
        })
    }

    /// The stored token, renewed if need be, and when it ends.
    async fn stored_token(&self, connection: &ConnectionId, need: Need) -> Result<(AccessToken, Option<DateTime<Utc>>)> {
        let credentials = self.credentials(connection).await?;
        // Nothing is known of renewals yet; what looks good without is good.
        let stored = Stored { credentials: &credentials, renewal: &Renewal::default(), rule: self.rule() };
        match judge(stored, need, self.now()) {
            Verdict::Good => self.open(connection, &credentials),
            Verdict::Refused => Err(refused(connection)),
            Verdict::Ended => Err(ended(connection)),
            Verdict::Bare => Err(bare(connection)),
            Verdict::Renew { .. }
            | Verdict::NotBefore(_)
            | Verdict::GivenUp { .. }
            | Verdict::Revoked { .. }
            | Verdict::Doubtful { .. } => self.renewed_apart(connection, need).await,
        }
    }

    /// Renews in a task of its own: a caller that gives up must not lose tokens that were answered and not yet saved.
    async fn renewed_apart(&self, connection: &ConnectionId, need: Need) -> Result<(AccessToken, Option<DateTime<Utc>>)> {
        let (this, id) = (self.clone(), connection.clone());
        let task = tokio::spawn(async move { this.renew_in_turn(&id, need).await });
        task.await.map_err(|e| Error::new(ErrorKind::Internal, "token", "renewing the token ended early").because(e))?
    }

    fn rule(&self) -> Option<RefreshRule> {
        self.provider.as_oauth().map(|oauth| oauth.spec().refresh)
    }

    fn open(&self, connection: &ConnectionId, credentials: &SealedCredentials) -> Result<(AccessToken, Option<DateTime<Utc>>)> {
        let place = Place { workspace: &self.workspace, owner: connection.as_str(), field: Field::Access };
        let secret = self.shared.keyring.open(place, &credentials.access)?;
        Ok((AccessToken { secret, version: credentials.version }, credentials.expires_at))
    }

    async fn renew_in_turn(&self, connection: &ConnectionId, need: Need) -> Result<(AccessToken, Option<DateTime<Utc>>)> {
        let _turn = self.shared.renewals.wait(&self.workspace, connection).await;
        let name = format!("token:{connection}");
        let holder = uuid::Uuid::now_v7().simple().to_string();
        // Leases end by the storage's clock, so it is real time that passes while one is waited for.
        let begun = tokio::time::Instant::now();
        loop {
            let (credentials, row) = self.look(connection).await?;
            let stored = Stored { credentials: &credentials, renewal: &row.renewal, rule: self.rule() };
            let alive = match judge(stored, need, self.now()) {
                Verdict::Renew { alive } => alive,
                // Somebody has switched it on since that was told: it is told again, by whoever has the lease.
                Verdict::Revoked { .. } | Verdict::GivenUp { .. } if row.status == ConnectionStatus::Active => false,
                verdict => return self.answer(verdict, connection, &credentials),
            };
            if self.stores.leases.lease(&name, &holder, LEASE).await? {
                let done = self.renew_leased(connection, need).await;
                if let Err(error) = self.stores.leases.release(&name, &holder).await {
                    tracing::warn!(%connection, %error, "the lease on a token's renewal was not given back; it ends by itself");
                }
                return done;
            }
            if begun.elapsed() >= LEASE_WAIT {
                if alive {
                    return self.open(connection, &credentials);
                }
                let text = "another process has been renewing the token for longer than it may; try again";
                let error = Error::new(ErrorKind::Transport, "token", text).with_retry(Retry::After(Some(COOLDOWN)));
                return Err(error.with_delivery(Delivery::NotSent).at("connection", connection.as_str()));
            }
            tokio::time::sleep(Duration::from_millis(20 + rand::random::<u64>() % 60)).await;
        }
    }

    async fn look(&self, connection: &ConnectionId) -> Result<(SealedCredentials, Connection)> {
        let row = self.stores.connections.connection(connection).await?.ok_or_else(|| crate::workspace::unknown(connection))?;
        Ok((self.credentials(connection).await?, row))
    }

    fn answer(
        &self,
        verdict: Verdict,
        connection: &ConnectionId,
        credentials: &SealedCredentials,
    ) -> Result<(AccessToken, Option<DateTime<Utc>>)> {
        Err(match verdict {
            Verdict::Good | Verdict::Renew { .. } => return self.open(connection, credentials),
            Verdict::Refused => refused(connection),
            Verdict::Ended => ended(connection),
            Verdict::Bare => bare(connection),
            Verdict::Doubtful { since, end } => {
                let when = |at: DateTime<Utc>| at.format("%F %T UTC").to_string();
                let end = end.map_or_else(|| "as long as the service takes it".to_owned(), |end| format!("until {}", when(end)));
                let text = format!(
                    "the answer to the renewal of {} was lost, so the refresh token may be spent, and sending it again may end the grant; \
                     the access token serves {end}, then it is tried. To be sure now, connect the account again",
                    when(since)
                );
                let error = Error::new(ErrorKind::Conflict, "token", text).with_delivery(Delivery::NotSent);
                error.at("connection", connection.as_str())
            }
            Verdict::NotBefore(end) => {
                let wait = (end - self.now()).to_std().unwrap_or_default();
                let text = format!("renewing the access token has just failed; the next attempt is in {} s", wait.as_secs() + 1);
                let error = Error::new(ErrorKind::Transport, "token", text).with_retry(Retry::After(Some(wait)));
                error.with_delivery(Delivery::NotSent).at("connection", connection.as_str())
            }
            Verdict::Revoked { at } => {
                let text = format!("the grant is gone since {}: the service takes its refresh token no more", at.format("%F %T UTC"));
                Error::new(ErrorKind::AuthRevoked, "token", text).at("connection", connection.as_str())
            }
            Verdict::GivenUp { since } => exhausted(connection, since),
        })
    }

    /// Writes down that somebody has to connect the account again, unless the credentials are others by now.
    async fn tell_gone(&self, connection: &ConnectionId, version: u64, renewal: Renewal, error: &Error) -> Result<()> {
        let text = error.to_string();
        if self.stores.connections.note_renewal(connection, version, renewal, Some(&text), self.now()).await? {
            let provider = self.provider.descriptor().name;
            tracing::warn!(%connection, provider, %error, "the grant is gone; somebody has to connect the account again");
        }
        Ok(())
    }

    async fn renew_leased(&self, connection: &ConnectionId, need: Need) -> Result<(AccessToken, Option<DateTime<Utc>>)> {
        // The holder before may have renewed it between our look and our lease.
        let (credentials, row) = self.look(connection).await?;
        let stored = Stored { credentials: &credentials, renewal: &row.renewal, rule: self.rule() };
        let (alive, oauth) = match (judge(stored, need, self.now()), self.provider.as_oauth()) {
            (Verdict::Renew { alive }, Some(oauth)) => (alive, oauth),
            (verdict, _) => {
                let answer = self.answer(verdict, connection, &credentials);
                if let (Err(error), ConnectionStatus::Active) = (&answer, row.status)
                    && error.kind() == ErrorKind::AuthRevoked
                {
                    self.tell_gone(connection, credentials.version, row.renewal, error).await?;
                }
                return answer;
            }
        };
        // Before the service is asked: what it answers may be good once.
        let seals = self.seals().await?;
        let grant = self.grant(connection, &credentials)?;
        let begun = Renewal { underway_since: Some(self.now()), not_before: None, ..row.renewal };
        if !self.stores.connections.note_renewal(connection, credentials.version, begun, None, self.now()).await? {
            let (credentials, _) = self.look(connection).await?;
            return self.open(connection, &credentials);
        }
        self.shared.crash_points.at("p3");
        let answered = self.ask(oauth, &grant, credentials.client_id.as_deref()).await;
        self.shared.crash_points.at("p4");
        match answered {
            Ok(tokens) => self.save(&row, &credentials, seals, grant, tokens).await,
            // Nobody waits for a token that is renewed ahead of its use, so who asked is told.
            Err(error) => self.failed(&row, &credentials, alive && !matches!(need, Need::Lasting { .. }), error).await,
        }
    }

    /// The token whose revocation ends the grant; `None` where the service never gave one.
    pub(crate) fn revocable(&self, connection: &ConnectionId, credentials: &SealedCredentials) -> Result<Option<SecretString>> {
        Ok(match credentials.grant {
            Some(GrantKind::RefreshToken) => match self.grant(connection, credentials)? {
                Grant::RefreshToken(token) => Some(token),
                Grant::ClientCredentials | Grant::ServiceAccount(_) => None,
            },
            Some(GrantKind::ClientCredentials | GrantKind::ServiceAccount) => None,
            // Issued by a token endpoint, without an end.
            None if credentials.issued_at.is_some() => Some(self.open(connection, credentials)?.0.secret),
            None => None,
        })
    }

    fn grant(&self, connection: &ConnectionId, credentials: &SealedCredentials) -> Result<Grant> {
        let place = Place { workspace: &self.workspace, owner: connection.as_str(), field: Field::Refresh };
        let text = |envelope: &Option<Vec<u8>>| match envelope {
            Some(envelope) => self.shared.keyring.open(place, envelope),
            None => Err(ended(connection)),
        };
        Ok(match credentials.grant {
            Some(GrantKind::RefreshToken) => Grant::RefreshToken(text(&credentials.refresh)?),
            Some(GrantKind::ServiceAccount) => Grant::ServiceAccount(text(&credentials.refresh)?),
            Some(GrantKind::ClientCredentials) => Grant::ClientCredentials,
            None => return Err(ended(connection)),
        })
    }

    /// Asks the service for a token, with the client the grant belongs to where that is known; answers the id of the one that asked too.
    pub(crate) async fn ask(
        &self,
        oauth: &dyn OAuthProvider,
        grant: &Grant,
        client_id: Option<&str>,
    ) -> Result<(TokenSet, Option<Box<str>>)> {
        let client = match grant {
            // The key file is the client.
            Grant::ServiceAccount(_) => None,
            Grant::RefreshToken(_) | Grant::ClientCredentials => {
                let (keyring, store, authority) = (&self.shared.keyring, &*self.stores.authorizations, oauth.spec().authority);
                Some(self.shared.clients.matching(keyring, store, &self.workspace, authority, client_id).await?)
            }
        };
        let call = OAuthCall {
            workspace: &self.workspace,
            client_id: client.as_ref().map_or("", |client| &client.id),
            client_secret: client.as_ref().and_then(|client| client.secret.as_ref()),
            redirect_uri: client.as_ref().map_or("", |client| &client.redirect_uri),
            services: self,
        };
        let tokens = oauth.renew(&call, grant).await?;
        Ok((tokens, client.map(|client| client.id)))
    }

    /// Stores new tokens before anybody uses them (TS2).
    async fn save(
        &self,
        row: &Connection,
        old: &SealedCredentials,
        mut seals: Seals,
        grant: Grant,
        (tokens, client_id): (TokenSet, Option<Box<str>>),
    ) -> Result<(AccessToken, Option<DateTime<Utc>>)> {
        let (connection, now) = (&row.id, self.now());
        let renewed = Credentials::answered(tokens, client_id, Some(grant), now);
        let sealed = self.seal(&mut seals, connection, &renewed, old.version + 1)?;
        for attempt in 1.. {
            match self.stores.connections.replace_credentials(connection, old.version, sealed.clone(), now).await {
                Ok(true) => break,
                // Somebody connected the account anew meanwhile: those tokens count.
                Ok(false) => {
                    let credentials = self.credentials(connection).await?;
                    return self.open(connection, &credentials);
                }
                Err(error) if attempt >= SAVES => return Err(error),
                Err(error) => {
                    tracing::warn!(%connection, %error, attempt, "renewed tokens could not be stored yet");
                    tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
                }
            }
        }
        self.shared.crash_points.at("p5");
        tracing::info!(%connection, provider = self.provider.descriptor().name, "renewed the token");
        metrics::counter!("syncline_token_renewals_total", "provider" => self.provider.descriptor().name, "outcome" => "ok").increment(1);
        self.log(row, "oauth_refreshed", None).await;
        self.open(connection, &sealed)
    }

    /// Leave to [`seal`](Self::seal) credentials once.
    pub(crate) async fn seals(&self) -> Result<Seals> {
        self.shared.seals(2).await
    }

    pub(crate) fn seal(
        &self,
        seals: &mut Seals,
        connection: &ConnectionId,
        credentials: &Credentials,
        version: u64,
    ) -> Result<SealedCredentials> {
        let place = |field| Place { workspace: &self.workspace, owner: connection.as_str(), field };
        let access =
            credentials.access.as_ref().ok_or_else(|| Error::new(ErrorKind::Internal, "seal", "there is no access token to seal"))?;
        if access.expose_secret().is_empty() {
            return Err(Error::config("connect", "the access token or key is empty"));
        }
        let refresh = match &credentials.grant {
            Some(Grant::RefreshToken(secret) | Grant::ServiceAccount(secret)) => Some(seals.seal(place(Field::Refresh), secret)?),
            Some(Grant::ClientCredentials) | None => None,
        };
        Ok(SealedCredentials {
            access: seals.seal(place(Field::Access), access)?,
            refresh,
            grant: credentials.grant.as_ref().map(Grant::kind),
            scopes: credentials.scopes.clone(),
            client_id: credentials.client_id.clone(),
            issued_at: credentials.issued_at,
            expires_at: credentials.expires_at,
            version,
        })
    }

    /// The refresh token that is stored, sealed anew with the active key.
    pub(crate) fn resealed(&self, seals: &mut Seals, connection: &ConnectionId, kept: &SealedCredentials) -> Result<Option<Vec<u8>>> {
        let place = Place { workspace: &self.workspace, owner: connection.as_str(), field: Field::Refresh };
        let anew = |envelope: &Vec<u8>| seals.seal(place, &self.shared.keyring.open(place, envelope)?);
        kept.refresh.as_ref().map(anew).transpose()
    }

    /// Judges a failed attempt: another one's success counts for us, a revoked grant is told, everything else is tried again later.
    async fn failed(
        &self,
        row: &Connection,
        old: &SealedCredentials,
        alive: bool,
        error: Error,
    ) -> Result<(AccessToken, Option<DateTime<Utc>>)> {
        let (connection, now) = (&row.id, self.now());
        let name = self.provider.descriptor().name;
        let credentials = self.credentials(connection).await?;
        // TS3: what was refused may have been a copy that another process has replaced.
        if credentials.version > old.version {
            return self.open(connection, &credentials);
        }
        metrics::counter!("syncline_token_renewals_total", "provider" => name, "outcome" => error.kind().as_str()).increment(1);
        self.log(row, "oauth_refresh_failed", Some(error.to_string().into())).await;
        if error.kind() == ErrorKind::AuthRevoked {
            let kind = Some(ErrorKind::AuthRevoked);
            let refused = Renewal { refused_at: Some(now), underway_since: None, not_before: None, error_kind: kind, ..row.renewal };
            let error = error.at("connection", connection.as_str());
            self.tell_gone(connection, old.version, refused, &error).await?;
            return Err(error);
        }
        let renewal = renewal::failed(&row.renewal, &error, now);
        if let (Some(since), Some(true)) = (given_up(&renewal), old.expires_at.map(|end| end <= now)) {
            let error = exhausted(connection, since).because(error);
            self.tell_gone(connection, old.version, renewal, &error).await?;
            return Err(error);
        }
        self.stores.connections.note_renewal(connection, old.version, renewal, None, now).await?;
        if alive {
            tracing::warn!(%connection, provider = name, %error, "the token could not be renewed yet; the old one still serves");
            return self.open(connection, old);
        }
        Err(error.at("connection", connection.as_str()))
    }

    async fn log(&self, row: &Connection, action: &str, error: Option<Box<str>>) {
        let activity = NewActivity {
            integration: row.provider.clone(),
            connection: Some(row.id.clone()),
            action: action.into(),
            success: error.is_none(),
            records_affected: 0,
            error,
            metadata: serde_json::json!({ "account": row.account_name }),
            at: self.now(),
        };
        if let Err(error) = self.stores.activity.log_activity(activity).await {
            tracing::error!(connection = %row.id, %error, action, "the activity log did not take a line");
        }
    }
}

fn auth(connection: &ConnectionId, text: &'static str) -> Error {
    Error::new(ErrorKind::Auth, "token", text).at("connection", connection.as_str())
}

fn refused(connection: &ConnectionId) -> Error {
    auth(connection, "the service refused the access token, and there is nothing to renew it with")
}

fn bare(connection: &ConnectionId) -> Error {
    auth(connection, "there is nothing to renew the access token with; hand over a new one, or connect the account again")
}

fn exhausted(connection: &ConnectionId, since: DateTime<Utc>) -> Error {
    let text = format!(
        "renewing the token has failed since {}; it is given up until somebody connects the account again, enables the connection or asks \
         for a renewal",
        since.format("%F %T UTC")
    );
    Error::new(ErrorKind::AuthRevoked, "token", text).at("connection", connection.as_str())
}

fn ended(connection: &ConnectionId) -> Error {
    auth(connection, "the access token has expired, and there is no refresh token to renew it with")
}
