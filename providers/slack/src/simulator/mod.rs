//! A Slack workspace in memory that answers like Slack's Web API: its methods, cursors, `ok: false` on 200, and per-method limits.
//!
//! ```
//! use provider_slack::simulator::SlackSim;
//!
//! let sim = SlackSim::new("T024BE7LD", "Acme");
//! let ada = sim.add_user("ada", "Ada Lovelace");
//! let general = sim.add_channel("general");
//! let hello = sim.post(&general, &ada, "1712345678.000100", "Hello");
//! sim.reply(&general, &hello, &ada, "1712345700.000200", "Anyone here?");
//! ```

mod paging;
mod workspace;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use sync_core::{ExposeSecret, SecretString};
use sync_testkit::{SimAnswer, SimRequest, Simulator, Window};

use self::{
    paging::Page,
    workspace::{Micros, Team},
};

/// One workspace of an app, with its token and limits. Everything can be edited while it is being read.
///
/// Methods that name a channel or message panic when there is none; timestamps are Slack's text with six decimals.
#[derive(Debug)]
pub struct SlackSim(Mutex<State>);

#[derive(Debug)]
struct State {
    team: Team,
    token: Token,
    missing_scopes: BTreeSet<&'static str>,
    /// Calls a minute by method; `None` is no limit.
    limits: Option<HashMap<&'static str, Window>>,
    /// The most messages a page may hold.
    page_cap: usize,
}

#[derive(Debug)]
enum Token {
    Any,
    Only(SecretString),
    Revoked,
}

/// A method: its operation, its scope, and its calls a minute by Slack's tiers (docs.slack.dev, rate limits).
const METHODS: &[(&str, &str, Option<&str>, u32)] = &[
    ("auth.test", "slack.auth.test", None, 600),
    ("conversations.list", "slack.conversations.list", Some("channels:read"), 20),
    ("conversations.info", "slack.conversations.info", Some("channels:read"), 50),
    ("conversations.join", "slack.conversations.join", Some("channels:join"), 50),
    ("conversations.history", "slack.conversations.history", Some("channels:history"), 50),
    ("conversations.replies", "slack.conversations.replies", Some("channels:history"), 50),
    ("users.list", "slack.users.list", Some("users:read"), 20),
    ("users.info", "slack.users.info", Some("users:read"), 100),
];

impl SlackSim {
    /// A workspace without users and channels, readable with any token within Slack's published limits.
    pub fn new(team_id: &str, name: &str) -> Self {
        let limits = METHODS.iter().map(|method| (method.0, Window::new(method.3, Duration::from_secs(60)))).collect();
        Self(Mutex::new(State {
            team: Team::new(team_id, name),
            token: Token::Any,
            missing_scopes: BTreeSet::new(),
            limits: Some(limits),
            page_cap: 999,
        }))
    }

    /// Lifts the limits.
    pub fn without_limits(&self) {
        self.state().limits = None;
    }

    /// The rule of 2025 for apps sold outside the Marketplace: one call a minute for history and replies, 15 messages each.
    pub fn sold_outside_the_marketplace(&self) {
        let mut state = self.state();
        state.page_cap = 15;
        for method in ["conversations.history", "conversations.replies"] {
            if let Some(limits) = &mut state.limits {
                limits.insert(method, Window::new(1, Duration::from_secs(60)));
            }
        }
    }

    /// Accepts this token only.
    pub fn expect_token(&self, token: &str) {
        self.state().token = Token::Only(token.into());
    }

    /// Refuses every token as revoked.
    pub fn revoke_token(&self) {
        self.state().token = Token::Revoked;
    }

    /// Takes a scope from the app: `users:read`, `channels:history`.
    pub fn take_scope(&self, scope: &'static str) {
        self.state().missing_scopes.insert(scope);
    }

    /// Adds a user; answers the id.
    pub fn add_user(&self, handle: &str, name: &str) -> String {
        self.state().team.add_user(handle, name, false)
    }

    /// Changes the name a user shows.
    pub fn rename_user(&self, user: &str, name: &str) {
        self.state().team.rename_user(user, name);
    }

    /// Marks a user as deactivated; they stay in listings.
    pub fn deactivate_user(&self, user: &str) {
        self.state().team.deactivate_user(user);
    }

    /// Adds a public channel the app is a member of; answers the id.
    pub fn add_channel(&self, name: &str) -> String {
        self.state().team.add_channel(name)
    }

    /// Takes the app out of a channel, or lets it join again. The listing says so when `listed`, else only reading it does.
    pub fn set_member(&self, channel: &str, member: bool, listed: bool) {
        let mut state = self.state();
        let channel = state.team.channel(channel);
        channel.readable = member;
        channel.is_member = member || !listed;
    }

    /// Archives a channel.
    pub fn archive(&self, channel: &str) {
        self.state().team.channel(channel).is_archived = true;
    }

    /// Removes a channel with everything in it.
    pub fn remove_channel(&self, channel: &str) {
        self.state().team.remove_channel(channel);
    }

    /// Posts a message at a time; answers its `ts`.
    pub fn post(&self, channel: &str, user: &str, ts: &str, text: &str) -> String {
        self.add(channel, ts, json!({ "type": "message", "user": user, "text": text, "ts": ts }))
    }

    /// Posts a message of a bot, which has no user.
    pub fn post_as_bot(&self, channel: &str, bot: &str, ts: &str, text: &str) -> String {
        let message = json!({
            "type": "message", "subtype": "bot_message", "bot_id": "B0BOT0001", "username": bot, "text": text, "ts": ts,
        });
        self.add(channel, ts, message)
    }

    /// Replies in a thread.
    pub fn reply(&self, channel: &str, parent: &str, user: &str, ts: &str, text: &str) -> String {
        self.add(channel, ts, json!({ "type": "message", "user": user, "text": text, "ts": ts, "thread_ts": parent }))
    }

    /// Adds any message object; `ts` is its id.
    pub fn add(&self, channel: &str, ts: &str, message: Value) -> String {
        self.state().team.channel(channel).messages.insert(Micros::of(ts), message);
        ts.to_owned()
    }

    /// Changes a message's text.
    pub fn edit(&self, channel: &str, ts: &str, text: &str, edited_at: &str) {
        self.change(channel, ts, |message| {
            message["edited"] = json!({ "user": message["user"], "ts": edited_at });
            message["text"] = text.into();
        });
    }

    /// Adds a reaction.
    pub fn react(&self, channel: &str, ts: &str, user: &str, name: &str) {
        self.change(channel, ts, |message| message["reactions"] = json!([{ "name": name, "count": 1, "users": [user] }]));
    }

    /// Deletes a message; a parent of replies leaves a tombstone.
    pub fn delete(&self, channel: &str, ts: &str) {
        self.state().team.channel(channel).delete(ts);
    }

    /// How many messages a channel has, replies included.
    #[must_use]
    pub fn messages(&self, channel: &str) -> usize {
        self.state().team.channel(channel).messages.len()
    }

    fn change(&self, channel: &str, ts: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        change(state.team.channel(channel).messages.get_mut(&Micros::of(ts)).expect("the message is there"));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Simulator for SlackSim {
    fn operation(&self, request: &SimRequest) -> &'static str {
        method(request).map_or("slack.unknown", |method| method.1)
    }

    fn answer(&self, request: &SimRequest) -> SimAnswer {
        let mut state = self.state();
        let Some(&(name, _, scope, _)) = method(request) else { return refuse("unknown_method") };
        if let Some(Err(wait)) = state.limits.as_mut().and_then(|limits| limits.get_mut(name)).map(|window| window.take(request.now, 1)) {
            let seconds = wait.as_secs_f64().ceil().max(1.0);
            return SimAnswer::json(429, json!({ "ok": false, "error": "ratelimited" })).with_header("retry-after", format!("{seconds}"));
        }
        if let Some(error) = state.token.check(request) {
            return refuse(error);
        }
        if let Some(scope) = scope.filter(|scope| state.missing_scopes.contains(scope)) {
            let body = json!({ "ok": false, "error": "missing_scope", "needed": scope, "provided": "team:read" });
            return SimAnswer::json(200, body);
        }
        match state.call(name, request) {
            Ok(mut body) => {
                body["ok"] = true.into();
                SimAnswer::json(200, body)
            }
            Err(error) => refuse(error),
        }
    }
}

fn method(request: &SimRequest) -> Option<&'static (&'static str, &'static str, Option<&'static str>, u32)> {
    let name = request.path.rsplit('/').next()?;
    METHODS.iter().find(|method| method.0 == name)
}

fn refuse(error: &str) -> SimAnswer {
    SimAnswer::json(200, json!({ "ok": false, "error": error }))
}

impl Token {
    fn check(&self, request: &SimRequest) -> Option<&'static str> {
        match (self, request.bearer()) {
            (_, None) => Some("not_authed"),
            (Self::Revoked, _) => Some("token_revoked"),
            (Self::Only(token), Some(sent)) if token.expose_secret() != sent => Some("invalid_auth"),
            _ => None,
        }
    }
}

impl State {
    fn call(&mut self, method: &str, request: &SimRequest) -> Result<Value, &'static str> {
        let limit = |default: usize| request.param("limit").and_then(|text| text.parse().ok()).unwrap_or(default).clamp(1, 999);
        let cursor = request.param("cursor").filter(|cursor| !cursor.is_empty());
        let cursor = cursor.as_deref();
        let named = |name| request.param(name).ok_or("invalid_arguments");
        match method {
            "auth.test" => Ok(self.team.identity()),
            "conversations.list" => {
                let hide = request.param("exclude_archived").as_deref() == Some("true");
                Ok(Page::of_list(self.team.channels(hide), cursor, limit(100))?.body("channels"))
            }
            "conversations.info" => Ok(json!({ "channel": self.team.known_channel(&named("channel")?)?.object() })),
            "conversations.join" => {
                let channel = self.team.known_channel(&named("channel")?)?;
                (channel.is_member, channel.readable) = (true, true);
                Ok(json!({ "channel": channel.object() }))
            }
            "users.list" => Ok(Page::of_list(self.team.users(), cursor, limit(1000))?.body("members")),
            "users.info" => Ok(json!({ "user": self.team.user(&named("user")?).ok_or("user_not_found")? })),
            "conversations.history" | "conversations.replies" => {
                let limit = limit(100).min(self.page_cap);
                let channel = self.team.known_channel(&named("channel")?)?;
                if !channel.readable {
                    return Err("not_in_channel");
                }
                let window = workspace::Window::of(request)?;
                let page = if method == "conversations.history" {
                    Page::of_history(channel.history(window), cursor, limit)?
                } else {
                    let thread = Micros::parse(&named("ts")?).ok_or("thread_not_found")?;
                    let (parent, replies) = channel.thread(thread, window).ok_or("thread_not_found")?;
                    Page::of_thread(parent, replies, cursor, limit)?
                };
                Ok(page.body("messages"))
            }
            _ => Err("unknown_method"),
        }
    }
}
