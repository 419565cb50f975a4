//! Pushes of mixed items to the simulated services, and what has to be there in the end: at the service, and in the database.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use syncline::{
    Connection, Push, PushRecord, Syncline,
    providers::{
        sheets::simulator::{SheetsSim, SimCell},
        slack::simulator::SlackSim,
    },
    testkit::{Faults, Served, Simulation, VirtualClock},
};

use super::{
    Random,
    place::Place,
    services::{SPREADSHEET, connect_sheets, connect_slack},
};

const CHANNEL: &str = "C024GEN01";
const TAB: &str = "People";

/// The writes of each service by their names in faults and logs: new records, changes, deletes.
pub(crate) const SHEETS_WRITES: [&str; 3] = ["sheets.values.append", "sheets.values.batchUpdate", "sheets.spreadsheets.batchUpdate"];
pub(crate) const SLACK_WRITES: [&str; 3] = ["slack.chat.postMessage", "slack.chat.update", "slack.chat.delete"];

/// One item of a push.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
pub(crate) enum Change {
    Create,
    Update,
    Delete,
}

/// What is at the service before, and what is pushed then.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub(crate) struct Mix {
    pub(crate) before: Vec<usize>,
    /// What happens to a record by its number, and whether the service refuses it.
    pub(crate) items: Vec<(usize, Change, bool)>,
}

impl Mix {
    /// A hundred items: 40 new ones, 40 updates, 20 deletes; every tenth new one and update is refused.
    pub(crate) fn hundred() -> Self {
        let new = (60..100).map(|n| (n, Change::Create, n % 10 == 0));
        let updates = (0..40).map(|n| (n, Change::Update, n % 10 == 0));
        let deletes = (40..60).map(|n| (n, Change::Delete, false));
        Self { before: (0..60).collect(), items: new.chain(updates).chain(deletes).collect() }
    }

    pub(crate) fn random(random: &mut Random) -> Self {
        let known = 4 + random.below(9);
        let mut items: Vec<(usize, Change, bool)> = Vec::new();
        for n in 0..known {
            match random.below(4) {
                0 => {}
                1 => items.push((n, Change::Delete, false)),
                _ => items.push((n, Change::Update, random.below(6) == 0)),
            }
        }
        items.extend((known..known + 4 + random.below(9)).map(|n| (n, Change::Create, random.below(6) == 0)));
        random.shuffle(&mut items);
        Self { before: (0..known).collect(), items }
    }

    /// Keys and versions that the service has in the end.
    fn truth(&self) -> BTreeMap<String, usize> {
        let mut truth: BTreeMap<String, usize> = self.before.iter().map(|n| (format!("p{n}"), 1)).collect();
        for (n, change, refused) in &self.items {
            match change {
                Change::Delete => drop(truth.remove(&format!("p{n}"))),
                _ if *refused => {}
                Change::Create => drop(truth.insert(format!("p{n}"), 1)),
                Change::Update => drop(truth.insert(format!("p{n}"), 2)),
            }
        }
        truth
    }

    fn refused(&self) -> BTreeSet<String> {
        self.items.iter().filter(|(.., refused)| *refused).map(|(n, ..)| format!("p{n}")).collect()
    }
}

/// A service without its simulation: what a push has to know of it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
pub(crate) enum Kind {
    Sheets,
    Slack,
}

impl Kind {
    pub(crate) async fn connect(self, syncline: &Syncline) -> Connection {
        match self {
            Self::Sheets => connect_sheets(syncline).await,
            Self::Slack => connect_slack(syncline, json!({})).await,
        }
    }

    pub(crate) fn writes(self) -> [&'static str; 3] {
        match self {
            Self::Sheets => SHEETS_WRITES,
            Self::Slack => SLACK_WRITES,
        }
    }

    /// What there is before.
    pub(crate) fn first(self, mix: &Mix) -> Push {
        self.push(mix.before.iter().map(|n| self.record(*n, 1, false)).collect())
    }

    pub(crate) fn second(self, mix: &Mix) -> Push {
        let record = |(n, change, refused): &(usize, Change, bool)| match change {
            Change::Create => self.record(*n, 1, *refused),
            Change::Update => self.record(*n, 2, *refused),
            Change::Delete => PushRecord::delete(format!("p{n}")),
        };
        self.push(mix.items.iter().map(record).collect())
    }

    fn push(self, records: Vec<PushRecord>) -> Push {
        match self {
            Self::Sheets => Push::records(TAB, records).key(["id"]),
            Self::Slack => Push::records("messages", records),
        }
    }

    /// One the service refuses has a list where a cell stands, or a block without its type.
    fn record(self, n: usize, v: usize, refused: bool) -> PushRecord {
        let fields = match self {
            Self::Sheets => json!({ "id": format!("p{n}"), "v": if refused { json!([v]) } else { json!(v) } }),
            Self::Slack if refused => json!({ "channel_id": CHANNEL, "text": format!("p{n}={v}"), "blocks": [{ "odd": true }] }),
            Self::Slack => json!({ "channel_id": CHANNEL, "text": format!("p{n}={v}") }),
        };
        PushRecord::new(format!("p{n}"), &fields)
    }
}

/// A simulated service that is written to.
#[derive(Clone, Debug)]
pub(crate) enum Service {
    Sheets(Simulation<SheetsSim>),
    Slack(Simulation<SlackSim>),
}

impl Service {
    pub(crate) fn new(kind: Kind, clock: &VirtualClock) -> Self {
        match kind {
            Kind::Sheets => {
                let sim = SheetsSim::new(SPREADSHEET, "People list");
                sim.load(TAB, &[vec!["id", "v"]]);
                sim.set_reads_per_minute(u32::MAX);
                sim.set_writes_per_minute(u32::MAX);
                Self::Sheets(Simulation::new(sim).with_clock(clock.clone()))
            }
            Kind::Slack => {
                let sim = SlackSim::new("T024BE7LD", "Acme");
                sim.add_channel(CHANNEL, "general");
                Self::Slack(Simulation::new(sim).with_clock(clock.clone()))
            }
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Sheets(_) => Kind::Sheets,
            Self::Slack(_) => Kind::Slack,
        }
    }

    pub(crate) fn faults(&self) -> &Faults {
        match self {
            Self::Sheets(simulation) => simulation.faults(),
            Self::Slack(simulation) => simulation.faults(),
        }
    }

    pub(crate) async fn serve(&self) -> (Served, String) {
        let served = match self {
            Self::Sheets(simulation) => simulation.serve().await,
            Self::Slack(simulation) => simulation.serve().await,
        };
        let served = served.expect("a port");
        let url = match self {
            Self::Sheets(_) => served.url.clone(),
            Self::Slack(_) => format!("{}/api/", served.url),
        };
        (served, url)
    }

    /// How many calls came that write.
    pub(crate) fn written(&self) -> usize {
        let count = |operation: &&str| match self {
            Self::Sheets(simulation) => simulation.count(operation),
            Self::Slack(simulation) => simulation.count(operation),
        };
        self.kind().writes().iter().map(count).sum()
    }

    /// Every record that is there: key, version, and the service's key. One that is there twice is here twice.
    pub(crate) fn records(&self) -> Vec<(String, usize, String)> {
        let mut records: Vec<(String, usize, String)> = match self {
            Self::Sheets(simulation) => {
                let rows = simulation.sim().cells(TAB).into_iter().skip(1);
                rows.map(|row| {
                    let texts: Vec<String> = row.iter().map(SimCell::text).collect();
                    assert_eq!(texts.len(), 2, "a row is whole: {texts:?}");
                    (texts[0].clone(), texts[1].parse().expect("a version"), texts[0].clone())
                })
                .collect()
            }
            Self::Slack(simulation) => {
                let read = |id: String| {
                    let (channel, ts) = id.split_once('/').expect("channel and ts");
                    // Gone between the two questions, it is gone.
                    let message = simulation.sim().message(channel, ts)?;
                    let (key, v) = message["text"].as_str().and_then(|text| text.split_once('=')).expect("a text of ours");
                    Some((key.to_owned(), v.parse().expect("a version"), id.clone()))
                };
                simulation.sim().keys().into_iter().filter_map(read).collect()
            }
        };
        records.sort();
        records
    }

    /// The service has each item exactly once, and the database says the same: no open write but the refused ones, each with its
    /// reason, and links that lead to the records.
    pub(crate) fn assert_settled(&self, mix: &Mix, place: &Place, about: &str) {
        let records = self.records();
        let there: Vec<(String, usize)> = records.iter().map(|(key, v, _)| (key.clone(), *v)).collect();
        let expected: Vec<(String, usize)> = mix.truth().into_iter().collect();
        assert_eq!(there, expected, "{about}: at the service");

        let ask = |sql: &str| -> Vec<(String, String)> {
            let pair = |row: String| row.split_once('|').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("two columns");
            place.ask_all(sql).into_iter().map(pair).collect()
        };
        let open =
            ask("SELECT entity_id || '|' || state || ' ' || ifnull(CAST(error AS text), '') FROM syncline_push_intents ORDER BY entity_id");
        for (key, state) in &open {
            assert!(state.starts_with("failed {"), "{about}: {key} is still {state}");
        }
        let failed: BTreeSet<String> = open.into_iter().map(|(key, _)| key).collect();
        assert_eq!(failed, mix.refused(), "{about}: what was refused is listed, and nothing else");
        let links = ask("SELECT entity_id || '|' || ifnull(external_id, '') FROM syncline_push_links ORDER BY entity_id");
        let expected: Vec<(String, String)> = records.into_iter().map(|(key, _, id)| (key, id)).collect();
        assert_eq!(links, expected, "{about}: links");
        let running = ask("SELECT status || '|' FROM syncline_sync_runs WHERE status = 'running'");
        assert!(running.is_empty(), "{about}: a run was left");
    }
}
