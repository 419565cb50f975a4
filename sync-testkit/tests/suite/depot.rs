//! A service of items for the kit's own tests: pages, positions in nanoseconds, creates with a marker, changes and deletes by id.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use sync_testkit::{SimAnswer, SimRequest, Simulator};

#[derive(Debug)]
pub(crate) struct Depot {
    token: String,
    /// Whether items are named by their name, and a PUT makes those that are not there.
    keyed: bool,
    shelves: Mutex<Shelves>,
}

#[derive(Debug, Default)]
pub(crate) struct Shelves {
    pub(crate) items: Vec<Map<String, Value>>,
    pub(crate) made: u64,
    pub(crate) position: u64,
}

impl Shelves {
    /// Puts an item in, or changes one; it takes the next position.
    pub(crate) fn write(&mut self, id: &str, fields: &Map<String, Value>) {
        self.position += 1;
        let mut item = fields.clone();
        item.insert("id".into(), id.into());
        item.insert("changed".into(), self.position.to_string().into());
        self.items.retain(|item| item["id"] != id);
        self.items.push(item);
    }

    pub(crate) fn create(&mut self, fields: &Map<String, Value>) -> String {
        self.made += 1;
        let id = format!("i{}", self.made);
        self.write(&id, fields);
        id
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.items.iter().any(|item| item["id"] == id && !item.contains_key("deleted"))
    }
}

impl Depot {
    pub(crate) fn new(token: &str, keyed: bool, position: u64) -> Self {
        let shelves = Shelves { position, ..Shelves::default() };
        Self { token: token.to_owned(), keyed, shelves: Mutex::new(shelves) }
    }

    pub(crate) fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_keyed(&self) -> bool {
        self.keyed
    }

    fn list(&self, request: &SimRequest) -> SimAnswer {
        let shelves = self.shelves();
        let since: u64 = request.query("since").map_or(0, |since| since.parse().unwrap_or(u64::MAX));
        let number = |name, otherwise| request.query(name).map_or(otherwise, |text| text.parse::<usize>().unwrap_or(otherwise));
        let seen = |item: &&Map<String, Value>| {
            let new = item.get("changed").and_then(Value::as_str).is_none_or(|at| at.parse().unwrap_or(u64::MAX) >= since);
            new && (since > 0 || !item.contains_key("deleted"))
        };
        let items: Vec<_> = shelves.items.iter().filter(seen).collect();
        let (from, count) = (number("after", 0).min(items.len()), number("count", 100));
        let to = (from + count).min(items.len());
        SimAnswer::json(200, json!({ "items": items[from..to], "more": (to < items.len()).then(|| to.to_string()) }))
    }
}

fn refused(status: u16, text: &str) -> SimAnswer {
    SimAnswer::json(status, json!({ "error": text }))
}

impl Simulator for Depot {
    fn operation(&self, request: &SimRequest) -> &'static str {
        match (request.method.as_str(), request.path.as_str()) {
            (_, "/account") => "depot.account",
            ("GET", "/items") if ["marker", "name", "id"].iter().any(|name| request.query(name).is_some()) => "depot.items.find",
            ("GET", "/items") => "depot.items.list",
            ("POST", "/items") => "depot.items.create",
            ("PUT", _) => "depot.items.put",
            ("DELETE", _) => "depot.items.delete",
            _ => "depot.unknown",
        }
    }

    fn answer(&self, request: &SimRequest) -> SimAnswer {
        if request.bearer() != Some(&self.token) {
            return refused(401, "who is this?");
        }
        let id = request.path.strip_prefix("/items/").unwrap_or_default();
        let fields = request.json().and_then(|body| body.as_object().cloned());
        let bad = fields.as_ref().is_some_and(|fields| fields.get("amount").and_then(Value::as_i64).is_none_or(|amount| amount < 0));
        match (self.operation(request), fields) {
            ("depot.account", _) => SimAnswer::json(200, json!({ "id": "d1", "name": "Depot" })),
            ("depot.items.list", _) => self.list(request),
            ("depot.items.find", _) => {
                let wanted = |item: &&Map<String, Value>| {
                    ["marker", "name", "id"]
                        .iter()
                        .all(|name| request.query(name).is_none_or(|text| item.get(*name).is_some_and(|value| value == text)))
                };
                let shelves = self.shelves();
                let items: Vec<_> = shelves.items.iter().filter(|item| !item.contains_key("deleted")).filter(wanted).collect();
                SimAnswer::json(200, json!({ "items": items }))
            }
            (_, Some(_)) if bad => refused(422, "the amount is below nothing"),
            ("depot.items.create", Some(fields)) => {
                let id = self.shelves().create(&fields);
                SimAnswer::json(201, json!({ "id": id, "made": true }))
            }
            ("depot.items.put", Some(fields)) => {
                let mut shelves = self.shelves();
                let there = shelves.has(id);
                let wanted = request.query("only").unwrap_or("any");
                match (there, wanted) {
                    (true, "new") => return refused(409, "it is there"),
                    (false, "known") => return refused(404, "no such item"),
                    (false, _) if !self.keyed => return refused(404, "no such item"),
                    _ => {}
                }
                shelves.write(id, &fields);
                SimAnswer::json(200, json!({ "id": id, "made": !there }))
            }
            ("depot.items.delete", _) => {
                let mut shelves = self.shelves();
                if !shelves.has(id) {
                    return refused(404, "no such item");
                }
                let gone = Map::from_iter([("deleted".to_owned(), json!(true))]);
                shelves.write(id, &gone);
                SimAnswer::json(200, json!({ "id": id, "made": false }))
            }
            _ => refused(404, "no such page"),
        }
    }
}
