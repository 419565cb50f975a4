//! What the server remembers: clients, codes, grants and their tokens.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use rand::{RngExt, distr::Alphanumeric};
use serde_json::{Value, json};
use sync_core::RefreshRule;

use super::AuthorizationRules;

/// How long a code is good.
const CODE_LIFE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) clients: BTreeMap<String, Registered>,
    /// Public keys of service accounts, by their addresses.
    pub(super) accounts: BTreeMap<String, Vec<u8>>,
    pub(super) codes: BTreeMap<String, Code>,
    grants: Vec<Grant>,
    access: BTreeMap<String, AccessToken>,
    refresh: BTreeMap<String, RefreshToken>,
    pub(super) approving: bool,
    pub(super) secrets: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Registered {
    pub(super) secret: Option<String>,
    redirect_uris: Vec<String>,
    local: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) client: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) offline: bool,
    expires: DateTime<Utc>,
    /// The grant it became.
    used: Option<usize>,
}

#[derive(Debug)]
struct Grant {
    client: String,
    revoked: bool,
}

#[derive(Debug)]
struct AccessToken {
    grant: usize,
    scopes: Vec<String>,
    expires: Option<DateTime<Utc>>,
}

#[derive(Debug)]
struct RefreshToken {
    grant: usize,
    scopes: Vec<String>,
    spent: bool,
}

/// What an access token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// These scopes.
    Good(Vec<String>),
    /// Nothing any more; a renewal helps.
    Expired,
    /// Nothing any more; the grant was taken back.
    Revoked,
    /// It was never given out.
    Unknown,
}

/// What a token endpoint gives out.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The access token.
    pub access: String,
    /// A refresh token, where there is a new one.
    pub refresh: Option<String>,
    /// The life of the access token.
    pub life: Option<Duration>,
    /// What it is good for.
    pub scopes: Vec<String>,
}

impl Issued {
    /// As RFC 6749 has it.
    pub(super) fn json(&self, separator: char) -> Value {
        let mut body = json!({"access_token": self.access, "token_type": "Bearer", "scope": self.scopes.join(&separator.to_string())});
        if let Some(refresh) = &self.refresh {
            body["refresh_token"] = refresh.as_str().into();
        }
        if let Some(life) = self.life {
            body["expires_in"] = life.as_secs().into();
        }
        body
    }
}

impl Registered {
    /// Whether a browser may be sent there.
    pub(super) fn allows(&self, redirect_uri: &str) -> bool {
        let local = |uri: &str| {
            url::Url::parse(uri)
                .is_ok_and(|url| url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")))
        };
        self.redirect_uris.iter().any(|known| known == redirect_uri) || self.local && local(redirect_uri)
    }
}

impl State {
    pub(super) fn register(&mut self, id: &str, secret: Option<&str>, redirect_uris: &[&str], local: bool) {
        let redirect_uris = redirect_uris.iter().map(|&uri| uri.to_owned()).collect();
        self.clients.insert(id.to_owned(), Registered { secret: secret.map(str::to_owned), redirect_uris, local });
    }

    fn make(&mut self, prefix: &str) -> String {
        let tail: String = rand::rng().sample_iter(Alphanumeric).take(40).map(char::from).collect();
        let text = format!("{prefix}{tail}");
        self.secrets.push(text.clone());
        text
    }

    pub(super) fn make_code(
        &mut self,
        client: &str,
        redirect_uri: &str,
        challenge: Option<&str>,
        scopes: Vec<String>,
        offline: bool,
        now: DateTime<Utc>,
    ) -> String {
        let code = self.make("code-");
        let (client, redirect_uri, challenge) = (client.to_owned(), redirect_uri.to_owned(), challenge.map(str::to_owned));
        self.codes.insert(code.clone(), Code { client, redirect_uri, challenge, scopes, offline, expires: now + CODE_LIFE, used: None });
        code
    }

    /// A code as it is, if it is good. One that was used before takes what it became with it (RFC 6749, section 4.1.2).
    pub(super) fn code(&mut self, code: &str, client: &str, now: DateTime<Utc>) -> Option<Code> {
        let found = self.codes.get(code).filter(|found| found.client == client)?.clone();
        if let Some(grant) = found.used {
            self.grants[grant].revoked = true;
            return None;
        }
        (now < found.expires).then_some(found)
    }

    /// Turns a code into tokens.
    pub(super) fn redeem(&mut self, code: &str, found: &Code, rules: &AuthorizationRules, now: DateTime<Utc>) -> Issued {
        let grant = self.begin(&found.client);
        if let Some(code) = self.codes.get_mut(code) {
            code.used = Some(grant);
        }
        let refreshable = rules.refresh != RefreshRule::None && (found.offline || !rules.offline);
        self.issue(grant, found.scopes.clone(), refreshable, rules, now)
    }

    /// A grant without a user.
    pub(super) fn direct(&mut self, client: &str, scopes: Vec<String>, rules: &AuthorizationRules, now: DateTime<Utc>) -> Issued {
        let grant = self.begin(client);
        self.issue(grant, scopes, false, rules, now)
    }

    fn begin(&mut self, client: &str) -> usize {
        self.grants.push(Grant { client: client.to_owned(), revoked: false });
        self.grants.len() - 1
    }

    fn issue(&mut self, grant: usize, scopes: Vec<String>, refreshable: bool, rules: &AuthorizationRules, now: DateTime<Utc>) -> Issued {
        let access = self.make(rules.access_prefix);
        let expires = rules.life.map(|life| now + life);
        self.access.insert(access.clone(), AccessToken { grant, scopes: scopes.clone(), expires });
        let refresh = refreshable.then(|| {
            let refresh = self.make(rules.refresh_prefix);
            self.refresh.insert(refresh.clone(), RefreshToken { grant, scopes: scopes.clone(), spent: false });
            refresh
        });
        Issued { access, refresh, life: rules.life, scopes }
    }

    /// A new access token. A spent refresh token takes the whole grant with it.
    pub(super) fn renew(&mut self, token: &str, client: &str, rules: &AuthorizationRules, now: DateTime<Utc>) -> Option<Issued> {
        let found = self.refresh.get_mut(token)?;
        let (grant, scopes) = (found.grant, found.scopes.clone());
        if self.grants[grant].client != client || self.grants[grant].revoked {
            return None;
        }
        if found.spent {
            self.grants[grant].revoked = true;
            return None;
        }
        let rotated = rules.refresh == RefreshRule::Rotated;
        found.spent = rotated;
        Some(self.issue(grant, scopes, rotated, rules, now))
    }

    pub(super) fn access(&self, token: &str, now: DateTime<Utc>) -> Access {
        match self.access.get(token) {
            None => Access::Unknown,
            Some(found) if self.grants[found.grant].revoked => Access::Revoked,
            Some(found) if found.expires.is_some_and(|expires| expires <= now) => Access::Expired,
            Some(found) => Access::Good(found.scopes.clone()),
        }
    }

    pub(super) fn revoke(&mut self, token: &str) -> bool {
        let grant = self.access.get(token).map(|found| found.grant).or_else(|| self.refresh.get(token).map(|found| found.grant));
        grant.is_some_and(|grant| !std::mem::replace(&mut self.grants[grant].revoked, true))
    }

    pub(super) fn revoke_all(&mut self) {
        self.grants.iter_mut().for_each(|grant| grant.revoked = true);
    }

    pub(super) fn good_grants(&self) -> usize {
        self.grants.iter().filter(|grant| !grant.revoked).count()
    }
}
