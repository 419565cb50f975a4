//! What a workspace holds, and the edits that keep it whole.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use sync_core::SecretString;
use sync_testkit::{AuthorizationServer, Window};

use crate::ts::Ts;

/// 2025-11-03T09:00:00.000100Z, a Monday.
const BEGINNING: i64 = 1_762_160_400_000_100;

/// A minute and a few microseconds, so that the last digits differ.
const STEP: i64 = 60_000_217;

#[derive(Debug)]
pub(super) struct State {
    pub(super) team: String,
    pub(super) name: String,
    pub(super) users: BTreeMap<String, Value>,
    pub(super) channels: BTreeMap<String, Channel>,
    pub(super) token: Token,
    pub(super) authorization: Option<AuthorizationServer>,
    /// What the token of the call under way is good for; `None` for everything the app has.
    pub(super) granted: Option<Vec<String>>,
    pub(super) missing_scopes: BTreeSet<String>,
    pub(super) quotas: BTreeMap<&'static str, Window>,
    pub(super) commercial: bool,
    pub(super) page: Option<usize>,
    pub(super) next: Ts,
    pub(super) app: App,
    /// One a second for each channel, while quotas are in force.
    pub(super) posts: Option<BTreeMap<String, Window>>,
}

/// The app whose token it is.
#[derive(Debug)]
pub(super) struct App {
    pub(super) id: String,
    pub(super) bot: String,
    pub(super) user: String,
    pub(super) name: String,
}

/// What the app was granted, less what was taken from it.
const SCOPES: &[&str] = &[
    "channels:history",
    "channels:join",
    "channels:read",
    "chat:write",
    "chat:write.customize",
    "groups:history",
    "groups:read",
    "im:history",
    "im:read",
    "mpim:history",
    "mpim:read",
    "team:read",
    "users:read",
    "users:read.email",
];

#[derive(Debug)]
pub(super) enum Token {
    Any,
    Only(SecretString),
    Revoked,
}

impl State {
    pub(super) fn new(team: String, name: String) -> Self {
        Self {
            team,
            name,
            users: BTreeMap::new(),
            channels: BTreeMap::new(),
            token: Token::Any,
            authorization: None,
            granted: None,
            missing_scopes: BTreeSet::new(),
            quotas: BTreeMap::new(),
            commercial: false,
            page: None,
            next: Ts::from_micros(BEGINNING),
            app: App { id: "A0SYNCLINE".into(), bot: "B0SYNCLINE".into(), user: "U0SYNCLINE".into(), name: "syncline".into() },
            posts: None,
        }
    }

    pub(super) fn has(&self, scope: &str) -> bool {
        !self.missing_scopes.contains(scope) && self.granted.as_ref().is_none_or(|granted| granted.iter().any(|name| name == scope))
    }

    /// The scopes there are, as headers and refusals list them.
    pub(super) fn scopes(&self) -> String {
        let granted: Vec<&str> = SCOPES.iter().copied().filter(|scope| self.has(scope)).collect();
        granted.join(",")
    }

    pub(super) fn channel(&mut self, id: &str) -> &mut Channel {
        self.channels.get_mut(id).expect("a channel of that id was added")
    }

    /// The time of what happens now; what happens next is a minute later.
    pub(super) fn tick(&mut self) -> Ts {
        let now = self.next;
        self.next = Ts::from_micros(now.micros() + STEP);
        now
    }
}

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) private: bool,
    pub(super) archived: bool,
    /// What the listing says.
    pub(super) member: bool,
    /// Whether the app is out in spite of it.
    pub(super) put_out: bool,
    /// Replies too, each with its `thread_ts`.
    pub(super) messages: BTreeMap<Ts, Value>,
    /// Replies by their parent.
    pub(super) threads: BTreeMap<Ts, BTreeSet<Ts>>,
}

impl Channel {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            private: false,
            archived: false,
            member: true,
            put_out: false,
            messages: BTreeMap::new(),
            threads: BTreeMap::new(),
        }
    }

    pub(super) fn set_member(&mut self, member: bool) {
        (self.member, self.put_out) = (member, false);
    }

    /// Whether the app can read it.
    pub(super) fn is_open(&self) -> bool {
        self.member && !self.put_out
    }

    pub(super) fn message(&mut self, ts: &str) -> &mut Value {
        let ts = Ts::parse(ts).expect("a timestamp that was answered");
        self.messages.get_mut(&ts).expect("a message of that ts was written")
    }

    pub(super) fn add(&mut self, ts: Ts, fields: Value) {
        let mut message = Map::from_iter([("type".to_owned(), json!("message")), ("ts".to_owned(), json!(ts.to_string()))]);
        message.extend(fields.as_object().expect("a message is an object").clone());
        if let Some(parent) = message.get("thread_ts").and_then(Value::as_str).and_then(Ts::parse) {
            let parent_user = self.messages.get(&parent).expect("the parent was written")["user"].clone();
            if !parent_user.is_null() {
                message.insert("parent_user_id".to_owned(), parent_user);
            }
            self.threads.entry(parent).or_default().insert(ts);
        }
        let taken = self.messages.insert(ts, Value::Object(message));
        assert!(taken.is_none(), "there is a message of {ts} in #{} already", self.name);
    }

    pub(super) fn delete(&mut self, ts: &str) {
        let at = Ts::parse(ts).expect("a timestamp that was answered");
        if self.threads.get(&at).is_some_and(|replies| !replies.is_empty()) {
            let text = "This message was deleted.";
            *self.message(ts) =
                json!({"type": "message", "subtype": "tombstone", "user": "USLACKBOT", "text": text, "ts": ts, "hidden": true});
        } else {
            self.messages.remove(&at).expect("a message of that ts was written");
            self.threads.values_mut().for_each(|replies| {
                replies.remove(&at);
            });
            self.threads.retain(|_, replies| !replies.is_empty());
        }
    }

    pub(super) fn react(&mut self, ts: &str, user: &str, name: &str) {
        let message = self.message(ts);
        let mut reactions = message["reactions"].as_array().cloned().unwrap_or_default();
        match reactions.iter_mut().find(|reaction| reaction["name"] == name) {
            Some(reaction) => {
                reaction["users"].as_array_mut().expect("a list").push(user.into());
                reaction["count"] = (reaction["count"].as_u64().unwrap_or_default() + 1).into();
            }
            None => reactions.push(json!({"name": name, "users": [user], "count": 1})),
        }
        message["reactions"] = reactions.into();
    }

    /// The first free `ts` from this moment on, after all that were given in the second that follows it.
    pub(super) fn free_ts(&self, now: DateTime<Utc>) -> Ts {
        let now = Ts::of(now);
        let after = |ts: Ts, micros: i64| Ts::from_micros(ts.micros() + micros);
        let mut ts = self.messages.range(now..after(now, 1_000_000)).next_back().map_or(now, |(last, _)| after(*last, 1));
        while self.messages.contains_key(&ts) {
            ts = after(ts, 1);
        }
        ts
    }

    /// The parent of the thread a message is in or could begin; `None` when there is no such message.
    pub(super) fn parent_of(&self, ts: Ts) -> Option<Ts> {
        let message = self.messages.get(&ts)?;
        Some(message.get("thread_ts").and_then(Value::as_str).and_then(Ts::parse).unwrap_or(ts))
    }

    /// A message as it is answered: a parent knows its thread; metadata is shown to who asks for it.
    pub(super) fn shown(&self, ts: Ts, metadata: bool) -> Value {
        let mut message = self.messages[&ts].clone();
        if let Some(fields) = message.as_object_mut().filter(|_| !metadata) {
            fields.remove("metadata");
        }
        if let Some(replies) = self.threads.get(&ts) {
            let users: BTreeSet<&str> = replies.iter().filter_map(|reply| self.messages[reply]["user"].as_str()).collect();
            message["thread_ts"] = ts.to_string().into();
            message["reply_count"] = replies.len().into();
            message["reply_users_count"] = users.len().into();
            message["reply_users"] = json!(users);
            message["latest_reply"] = replies.last().map(ToString::to_string).into();
        }
        message
    }

    /// Whether the channel itself shows a message: replies it does not, unless they were sent there as well.
    pub(super) fn shows(&self, ts: Ts) -> bool {
        let message = &self.messages[&ts];
        message.get("thread_ts").is_none() || message["subtype"] == "thread_broadcast"
    }
}
