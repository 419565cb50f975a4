//! What a workspace holds.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sync_testkit::SimRequest;

use crate::ts::Ts;

/// A timestamp in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Micros(pub(super) i64);

impl Micros {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Ts::parse(text)?;
        text.replace('.', "").parse().ok().map(Self)
    }

    pub(super) fn of(text: &str) -> Self {
        Self::parse(text).expect("a timestamp has six decimals")
    }

    fn text(self) -> String {
        format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[derive(Debug)]
pub(super) struct Team {
    id: String,
    name: String,
    users: Vec<Value>,
    channels: Vec<Channel>,
}

#[derive(Debug)]
pub(super) struct Channel {
    id: String,
    name: String,
    pub(super) is_member: bool,
    /// What reading it says, when the listing is not up to date.
    pub(super) readable: bool,
    pub(super) is_archived: bool,
    pub(super) messages: BTreeMap<Micros, Value>,
}

/// The ends of a read. Exclusive unless asked otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    oldest: Option<Micros>,
    latest: Option<Micros>,
    inclusive: bool,
}

impl Window {
    pub(super) fn of(request: &SimRequest) -> Result<Self, &'static str> {
        let end = |name, error| match request.param(name).as_deref() {
            None | Some("0") => Ok(None),
            Some(text) => Micros::parse(text).map(Some).ok_or(error),
        };
        Ok(Self {
            oldest: end("oldest", "invalid_ts_oldest")?,
            latest: end("latest", "invalid_ts_latest")?,
            inclusive: matches!(request.param("inclusive").as_deref(), Some("true" | "1")),
        })
    }

    fn holds(&self, ts: Micros) -> bool {
        let after = self.oldest.is_none_or(|oldest| ts > oldest || self.inclusive && ts == oldest);
        after && self.latest.is_none_or(|latest| ts < latest || self.inclusive && ts == latest)
    }
}

impl Team {
    pub(super) fn new(id: &str, name: &str) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), users: Vec::new(), channels: Vec::new() }
    }

    pub(super) fn identity(&self) -> Value {
        json!({
            "url": "https://acme.slack.example/", "team": self.name, "user": "syncline", "team_id": self.id, "user_id": "U0APP0001",
            "bot_id": "B0APP0001", "is_enterprise_install": false,
        })
    }

    pub(super) fn add_user(&mut self, handle: &str, name: &str, is_bot: bool) -> String {
        let id = format!("U{:08}", self.users.len() + 1);
        self.users.push(json!({
            "id": id, "team_id": self.id, "name": handle, "real_name": name, "deleted": false, "is_bot": is_bot, "tz": "Europe/London",
            "updated": 1_700_000_000, "profile": { "real_name": name, "display_name": name },
        }));
        id
    }

    pub(super) fn rename_user(&mut self, id: &str, name: &str) {
        let user = self.users.iter_mut().find(|user| user["id"] == id).expect("the user is there");
        user["real_name"] = name.into();
        user["profile"] = json!({ "real_name": name, "display_name": name });
    }

    pub(super) fn deactivate_user(&mut self, id: &str) {
        self.users.iter_mut().find(|user| user["id"] == id).expect("the user is there")["deleted"] = true.into();
    }

    pub(super) fn users(&self) -> Vec<Value> {
        self.users.clone()
    }

    pub(super) fn user(&self, id: &str) -> Option<Value> {
        self.users.iter().find(|user| user["id"] == id).cloned()
    }

    pub(super) fn add_channel(&mut self, name: &str) -> String {
        let id = format!("C{:08}", self.channels.len() + 1);
        let (id_kept, name) = (id.clone(), name.to_owned());
        self.channels.push(Channel { id, name, is_member: true, readable: true, is_archived: false, messages: BTreeMap::new() });
        id_kept
    }

    pub(super) fn remove_channel(&mut self, id: &str) {
        self.channels.retain(|channel| channel.id != id);
    }

    pub(super) fn channels(&self, hide_archived: bool) -> Vec<Value> {
        self.channels.iter().filter(|channel| !(hide_archived && channel.is_archived)).map(Channel::object).collect()
    }

    pub(super) fn known_channel(&mut self, id: &str) -> Result<&mut Channel, &'static str> {
        self.channels.iter_mut().find(|channel| channel.id == id).ok_or("channel_not_found")
    }

    pub(super) fn channel(&mut self, id: &str) -> &mut Channel {
        self.known_channel(id).expect("the channel is there")
    }
}

impl Channel {
    pub(super) fn object(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "is_channel": true, "is_im": false, "is_private": false, "is_member": self.is_member,
            "is_archived": self.is_archived, "created": 1_600_000_000, "updated": 1_678_229_664_302_i64, "num_members": 3,
            "topic": { "value": "", "creator": "", "last_set": 0 }, "purpose": { "value": "", "creator": "", "last_set": 0 },
        })
    }

    fn parent_of(message: &Value) -> Option<Micros> {
        message["thread_ts"].as_str().map(Micros::of)
    }

    fn replies(&self, parent: Micros) -> impl DoubleEndedIterator<Item = (Micros, &Value)> {
        let of_thread = move |(ts, message): &(&Micros, &Value)| **ts != parent && Self::parent_of(message) == Some(parent);
        self.messages.iter().filter(of_thread).map(|(ts, message)| (*ts, message))
    }

    /// A message as it is shown: a parent counts its replies.
    fn shown(&self, ts: Micros, message: &Value) -> Value {
        let mut message = message.clone();
        if let Some((latest, _)) = self.replies(ts).next_back() {
            let mut users: Vec<&Value> = self.replies(ts).map(|(_, reply)| &reply["user"]).collect();
            users.dedup();
            message["thread_ts"] = ts.text().into();
            message["reply_count"] = self.replies(ts).count().into();
            message["reply_users_count"] = users.len().into();
            message["reply_users"] = json!(users);
            message["latest_reply"] = latest.text().into();
            message["is_locked"] = false.into();
        }
        message
    }

    /// The history, newest first: replies are not in it unless they were also sent to the channel.
    pub(super) fn history(&self, window: Window) -> Vec<(Micros, Value)> {
        let in_history = |ts: Micros, message: &Value| {
            Self::parent_of(message).is_none_or(|parent| parent == ts) || message["subtype"] == "thread_broadcast"
        };
        let messages = self.messages.iter().rev().filter(|(ts, message)| window.holds(**ts) && in_history(**ts, message));
        messages.map(|(ts, message)| (*ts, self.shown(*ts, message))).collect()
    }

    /// A thread: its parent, and the replies inside the window, oldest first.
    pub(super) fn thread(&self, parent: Micros, window: Window) -> Option<(Value, Vec<(Micros, Value)>)> {
        let shown = self.shown(parent, self.messages.get(&parent)?);
        let mut replies: Vec<_> =
            self.replies(parent).filter(|(ts, _)| window.holds(*ts)).map(|(ts, message)| (ts, message.clone())).collect();
        for (_, reply) in &mut replies {
            reply["parent_user_id"] = shown["user"].clone();
        }
        Some((shown, replies))
    }

    pub(super) fn delete(&mut self, ts: &str) {
        let ts = Micros::of(ts);
        if self.replies(ts).next().is_none() {
            self.messages.remove(&ts).expect("the message is there");
            return;
        }
        let stone = json!({
            "type": "message", "subtype": "tombstone", "text": "This message was deleted.", "user": "USLACKBOT", "hidden": true,
            "ts": ts.text(), "thread_ts": ts.text(),
        });
        self.messages.insert(ts, stone);
    }
}
