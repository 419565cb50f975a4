//! A Slack workspace in memory that answers like Slack's Web API: its methods by GET and POST, its paging, its refusals with status 200,
//! its quotas, and posts, updates and deletes by an app of its own.
//!
//! ```
//! use provider_slack::simulator::SlackSim;
//!
//! let sim = SlackSim::new("T1", "Acme");
//! let ada = sim.add_user("U1", "Ada Lovelace");
//! let general = sim.add_channel("C1", "general");
//! let question = sim.post(&general, &ada, "Lunch?");
//! let answer = sim.reply(&general, &question, &ada, "At noon.");
//! assert!(answer > question);
//! ```

mod answer;
mod arguments;
mod authorization;
mod chat;
mod described;
mod seed;
mod state;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sync_testkit::{AuthorizationRules, AuthorizationServer, SimAnswer, SimRequest, Simulated, Simulator, Window};

use self::{
    arguments::Arguments,
    described::{NOT_SIMULATED, SIMULATED, per_minute},
    state::{Channel, State, Token},
};
use crate::ts::Ts;

/// One workspace with an app in it. Everything can be edited while it is being read.
///
/// Channels and users are named by their ids, messages by channel and `ts`. Methods panic when there is none of that name. A message
/// is written a minute after the one before it, in the order of the calls, unless [`at`](Self::at) or [`set_time`](Self::set_time) says
/// otherwise.
#[derive(Debug)]
pub struct SlackSim {
    state: Mutex<State>,
}

/// The method's name, which is its path.
fn path_of(call: &Simulated) -> &'static str {
    call.operation.trim_start_matches("slack.")
}

fn method(request: &SimRequest) -> &str {
    request.path.rsplit('/').next().unwrap_or_default()
}

impl SlackSim {
    /// A workspace without people and channels, readable with any token, without quotas.
    pub fn new(team_id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { state: Mutex::new(State::new(team_id.into(), name.into())) }
    }

    /// A workspace with people, channels and some weeks of talk, the same for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let sim = Self::new("T0SEEDED", "Acme");
        seed::fill(&sim, seed);
        sim
    }

    /// Adds a person; answers the id.
    pub fn add_user(&self, id: &str, name: &str) -> String {
        let account = name.to_lowercase().replace(' ', ".");
        let mut state = self.state();
        let user = json!({
            "id": id, "team_id": state.team, "name": account, "real_name": name, "deleted": false, "is_bot": false, "updated": 1_700_000_000,
            "profile": {"real_name": name, "display_name": name},
        });
        state.users.insert(id.to_owned(), user);
        id.to_owned()
    }

    /// Lets a person take another name.
    pub fn rename_user(&self, id: &str, name: &str) {
        let mut state = self.state();
        let user = state.users.get_mut(id).expect("the user was added");
        user["real_name"] = name.into();
        user["profile"] = json!({"real_name": name, "display_name": name});
    }

    /// Deactivates a person, who stays in the listing.
    pub fn deactivate_user(&self, id: &str) {
        self.state().users.get_mut(id).expect("the user was added")["deleted"] = true.into();
    }

    /// Leaves a person out of the listing, as guests of other workspaces are; `users.info` still knows them.
    pub fn hide_user(&self, id: &str) {
        self.state().users.get_mut(id).expect("the user was added")["hidden"] = true.into();
    }

    /// Adds a public channel the app is a member of; answers the id.
    pub fn add_channel(&self, id: &str, name: &str) -> String {
        self.state().channels.insert(id.to_owned(), Channel::new(name));
        id.to_owned()
    }

    /// Makes a channel private.
    pub fn make_private(&self, channel: &str) {
        self.state().channel(channel).private = true;
    }

    /// Archives a channel, or brings it back.
    pub fn archive(&self, channel: &str, archived: bool) {
        self.state().channel(channel).archived = archived;
    }

    /// Lets the app into a channel or takes it out.
    pub fn set_member(&self, channel: &str, member: bool) {
        self.state().channel(channel).set_member(member);
    }

    /// Puts the app out of a channel while the listing still shows it as a member; reading says `not_in_channel`.
    /// [`set_member`](Self::set_member) lets it in again.
    pub fn put_out(&self, channel: &str) {
        self.state().channel(channel).put_out = true;
    }

    /// Deletes a channel with all its messages.
    pub fn remove_channel(&self, channel: &str) {
        self.state().channels.remove(channel);
    }

    /// Sets the time of the next message.
    pub fn set_time(&self, at: DateTime<Utc>) {
        self.state().next = Ts::of(at);
    }

    /// The next message, edit or reply has exactly this `ts`, text and all; what follows goes on a minute later.
    ///
    /// ```
    /// # let sim = provider_slack::simulator::SlackSim::new("T1", "Acme");
    /// # let (general, ada) = (sim.add_channel("C1", "general"), sim.add_user("U1", "Ada Lovelace"));
    /// assert_eq!(sim.at("1712345678.000100").post(&general, &ada, "Lunch?"), "1712345678.000100");
    /// ```
    ///
    /// # Panics
    /// When `ts` is no timestamp of Slack's: seconds, a point, six digits.
    pub fn at(&self, ts: &str) -> &Self {
        let at = Ts::parse(ts).unwrap_or_else(|| panic!("{ts:?} is no timestamp of Slack's: seconds, a point, six digits"));
        self.state().next = at;
        self
    }

    /// Posts a message; answers its `ts`.
    pub fn post(&self, channel: &str, user: &str, text: &str) -> String {
        self.write(channel, json!({"user": user, "text": text}))
    }

    /// Answers in the thread of a message; answers the reply's `ts`.
    pub fn reply(&self, channel: &str, parent: &str, user: &str, text: &str) -> String {
        self.write(channel, json!({"user": user, "text": text, "thread_ts": parent}))
    }

    /// Answers in a thread and sends the reply to the channel as well.
    pub fn broadcast(&self, channel: &str, parent: &str, user: &str, text: &str) -> String {
        self.write(channel, json!({"user": user, "text": text, "thread_ts": parent, "subtype": "thread_broadcast"}))
    }

    /// Posts as an app that has no user; answers the `ts`.
    pub fn post_as_bot(&self, channel: &str, bot_id: &str, name: &str, text: &str) -> String {
        self.write(channel, json!({"subtype": "bot_message", "bot_id": bot_id, "username": name, "text": text}))
    }

    /// Writes a message of any form; answers its `ts`.
    pub fn write(&self, channel: &str, fields: Value) -> String {
        let mut state = self.state();
        let ts = state.tick();
        state.channel(channel).add(ts, fields);
        ts.to_string()
    }

    /// Changes a message's text.
    pub fn edit(&self, channel: &str, ts: &str, text: &str) {
        let mut state = self.state();
        let at = state.tick().to_string();
        let message = state.channel(channel).message(ts);
        message["edited"] = json!({"user": message["user"], "ts": at});
        message["text"] = text.into();
    }

    /// Deletes a message. A parent with replies leaves a tombstone.
    pub fn delete(&self, channel: &str, ts: &str) {
        self.state().channel(channel).delete(ts);
    }

    /// Adds a person's reaction to a message.
    pub fn react(&self, channel: &str, ts: &str, user: &str, name: &str) {
        self.state().channel(channel).react(ts, user, name);
    }

    /// Takes all reactions of a message back.
    pub fn clear_reactions(&self, channel: &str, ts: &str) {
        if let Some(fields) = self.state().channel(channel).message(ts).as_object_mut() {
            fields.remove("reactions");
        }
    }

    /// From now on only this token is good.
    pub fn expect_token(&self, token: &str) {
        self.state().token = Token::Only(token.into());
    }

    /// From now on no token is good, until [`expect_token`](Self::expect_token).
    pub fn revoke_token(&self) {
        self.state().token = Token::Revoked;
    }

    /// How Slack's OAuth behaves, for an app with or without token rotation; for the server that [`authorized_by`](Self::authorized_by)
    /// takes.
    #[must_use]
    pub fn authorization_rules(rotation: bool) -> AuthorizationRules {
        authorization::rules(rotation)
    }

    /// Joins it with an authorization server: its page and endpoints answer here, and beside a token that was named with
    /// [`expect_token`](Self::expect_token) only those it gave out are good, each for its scopes.
    #[must_use]
    pub fn authorized_by(self, server: &AuthorizationServer) -> Self {
        self.state().authorization = Some(server.clone());
        self
    }

    /// Takes a scope (`users:read`) from the app.
    pub fn without_scope(&self, scope: &str) {
        self.state().missing_scopes.insert(scope.to_owned());
    }

    /// Shows no more than so many entries a page, whatever is asked for.
    pub fn page_size(&self, entries: usize) {
        self.state().page = Some(entries.max(1));
    }

    /// Puts the published quotas in force: calls by method, posts by channel; one a minute and 15 messages a page for history and replies where the app is `commercial`.
    pub fn enforce_quotas(&self, commercial: bool) {
        let mut state = self.state();
        state.commercial = commercial;
        let quota = |name: &'static str| Some((name, Window::new(per_minute(name, commercial)?, Duration::from_secs(60))));
        state.quotas = SIMULATED.iter().filter_map(|call| quota(path_of(call))).collect();
        state.posts = Some(BTreeMap::new());
    }

    /// A message as its channel or thread shows it, with its metadata.
    #[must_use]
    pub fn message(&self, channel: &str, ts: &str) -> Option<Value> {
        let (mut state, ts) = (self.state(), Ts::parse(ts)?);
        let channel = state.channel(channel);
        channel.messages.contains_key(&ts).then(|| channel.shown(ts, true))
    }

    /// How many messages there are.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.state().channels.values().map(|channel| channel.messages.len()).sum()
    }

    /// Every message as `<channel>/<ts>`, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let state = self.state();
        state.channels.iter().flat_map(|(id, channel)| channel.messages.keys().map(move |ts| format!("{id}/{ts}"))).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Simulator for SlackSim {
    fn operation(&self, request: &SimRequest) -> &'static str {
        if let Some(server) = self.state().authorization.as_ref().filter(|server| server.serves(&request.path)) {
            return server.operation(request);
        }
        SIMULATED.iter().find(|call| path_of(call) == method(request)).map_or("slack.unknown", |call| call.operation)
    }

    fn answer(&self, request: &SimRequest) -> SimAnswer {
        let name = method(request);
        let mut state = self.state();
        if let Some(server) = state.authorization.as_ref().filter(|server| server.serves(&request.path)) {
            return authorization::answer(server, &state, request);
        }
        let arguments = match Arguments::of(request) {
            Ok(arguments) => arguments,
            Err(code) => return SimAnswer::json(200, answer::refuse(code)),
        };
        if let Err(wait) = take(&mut state, name, &arguments, request.now) {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            return SimAnswer::json(429, json!({"ok": false, "error": "ratelimited"})).with_header("retry-after", seconds);
        }
        let mut body = answer::answer(&mut state, name, &arguments, request.now).unwrap_or_else(|refusal| refusal);
        if let Some(warning) = arguments.warning {
            answer::warn(&mut body, warning);
        }
        let known = !matches!(body["error"].as_str(), Some("not_authed" | "invalid_auth" | "token_expired" | "token_revoked"));
        let answer = SimAnswer::json(200, body);
        if known { answer.with_header("x-oauth-scopes", state.scopes()) } else { answer }
    }

    fn simulated(&self) -> &'static [Simulated] {
        SIMULATED
    }

    fn not_simulated(&self) -> &'static [&'static str] {
        NOT_SIMULATED
    }
}

/// Takes a call out of its quota; the error is how long to wait.
fn take(state: &mut State, name: &str, arguments: &Arguments, now: DateTime<Utc>) -> Result<(), Duration> {
    if let Some(quota) = state.quotas.get_mut(name) {
        quota.take(now, 1)?;
    }
    match (&mut state.posts, arguments.text("channel")) {
        (Some(posts), Some(channel)) if name == "chat.postMessage" => {
            posts.entry(channel).or_insert_with(|| Window::new(1, Duration::from_secs(1))).take(now, 1)
        }
        _ => Ok(()),
    }
}
