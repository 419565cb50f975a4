//! The reference provider as the suite is given it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sync_core::PassthroughRequest;
use sync_testkit::{
    Fault, Simulation,
    suite::provider::{Exact, ProviderFixture, PushSubject, ServiceSide, Setup, Subject, World},
};

use crate::{
    depot::Depot,
    planted::Planted,
    reference::{Reference, Style},
};

/// The reference provider in one of its styles, with or without a planted fault.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) style: Style,
    pub(crate) planted: Option<Planted>,
}

#[derive(Debug)]
struct Door(Simulation<Depot>);

/// A moment in nanoseconds: more digits than a float has.
const START: u64 = 1_767_225_600_123_456_789;

fn item(n: usize) -> Map<String, Value> {
    Map::from_iter([("name".to_owned(), json!(format!("item-{n}"))), ("amount".to_owned(), json!(n))])
}

/// The fields a push sends, without what the service adds.
fn content(item: &Map<String, Value>) -> Value {
    let fields = item.iter().filter(|(name, _)| !["id", "changed", "marker"].contains(&name.as_str()));
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
}

impl ServiceSide for Door {
    fn records(&self) -> BTreeMap<String, String> {
        let shelves = self.0.sim().shelves();
        let there = shelves.items.iter().filter(|item| !item.contains_key("deleted"));
        there
            .map(|item| (item.get("id").map_or("unreadable", |id| id.as_str().unwrap_or_default()).to_owned(), content(item).to_string()))
            .collect()
    }

    fn add(&self) -> Option<String> {
        let mut shelves = self.0.sim().shelves();
        // far apart, as records of different moments are
        shelves.position += 1_000_000;
        let n = shelves.items.len() + 100;
        Some(if self.0.sim().is_keyed() {
            let id = format!("item-{n}");
            shelves.write(&id, &item(n));
            id
        } else {
            shelves.create(&item(n))
        })
    }

    fn change(&self) -> Option<String> {
        let mut shelves = self.0.sim().shelves();
        let id = shelves.items.first()?["id"].as_str()?.to_owned();
        let mut changed = shelves.items[0].clone();
        changed["amount"] = json!(77);
        shelves.write(&id, &changed);
        Some(id)
    }

    fn remove(&self) -> Option<String> {
        let mut shelves = self.0.sim().shelves();
        let id = shelves.items.get(1)?["id"].as_str()?.to_owned();
        shelves.write(&id, &Map::from_iter([("deleted".to_owned(), json!(true))]));
        Some(id)
    }

    fn add_unreadable(&self) -> bool {
        self.0.sim().shelves().items.insert(3, Map::from_iter([("name".to_owned(), json!("no id"))]));
        true
    }

    fn add_at_last_digit(&self) -> Option<Exact> {
        let mut shelves = self.0.sim().shelves();
        let n = shelves.items.len() + 500;
        let id = format!("item-{n}");
        shelves.write(&id, &item(n));
        Some(Exact { id, position: shelves.position.to_string() })
    }

    fn holding(&self, fields: &Value) -> Vec<String> {
        let shelves = self.0.sim().shelves();
        let same = shelves.items.iter().filter(|item| content(item) == *fields);
        same.map(|item| item["id"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl ProviderFixture for Fixture {
    fn subject(&self) -> Subject {
        let good = (0..4).map(|n| json!({ "name": format!("pushed-{n}"), "amount": 1_000 + n })).collect();
        let keyed = self.style == Style::Keyed;
        let push = PushSubject {
            key: if keyed { vec!["name".into()] } else { Vec::new() },
            changed: (self.style != Style::Blind).then(|| json!({ "name": "pushed-0", "amount": 5 })),
            bad: Some(json!({ "name": "bad", "amount": -1 })),
            deletes: self.style != Style::Blind,
            finds: self.style != Style::Blind,
            writes: vec![if keyed { "depot.items.put" } else { "depot.items.create" }],
            changes: vec!["depot.items.put"],
            removes: vec!["depot.items.delete"],
            looks: vec!["depot.items.find"],
            ..PushSubject::new("items", good)
        };
        Subject {
            required_settings: vec!["depot"],
            wrong_settings: vec![("page", json!({ "depot": "north", "page": "many" })), ("depot", json!({ "depot": 7 }))],
            identity: vec!["depot.account"],
            reads: vec!["depot.items.list"],
            expired: Some(Fault::status(410, r#"{"error":"too old"}"#)),
            passthrough: Some(PassthroughRequest::get("items").query("count", "1")),
            push: (self.style != Style::ReadOnly).then_some(push),
            ..Subject::new("items", json!({ "depot": "north", "page": 3 }))
        }
    }

    fn world(&self, setup: &Setup) -> World {
        let depot = Depot::new(&setup.token, self.style == Style::Keyed, START);
        for n in 0..setup.records {
            let mut shelves = depot.shelves();
            shelves.position += 1_000_000;
            let id = if self.style == Style::Keyed { format!("item-{n}") } else { format!("old{n}") };
            shelves.write(&id, &item(n));
        }
        let simulation = Simulation::new(depot).with_clock(setup.clock.clone());
        let provider = Reference::new(&simulation, self.style, self.planted);
        World::new(provider, simulation.controls(), Door(simulation))
    }
}
