//! Simulated services with something in them, and engines that read them.

use std::time::Duration;

use serde_json::json;
use syncline::{
    Connection, Credentials, Pull, Sheets, Slack, Syncline,
    providers::{
        sheets::simulator::{SheetsSim, SimCell},
        slack::simulator::SlackSim,
    },
    testkit::Simulation,
};

use super::{World, start};

pub(crate) const SPREADSHEET: &str = "1AbCdEfG";

/// A spreadsheet with the tab `Movies` on the world's clock.
pub(crate) fn movies(world: &World, rows: &[Vec<&str>]) -> Simulation<SheetsSim> {
    let sim = SheetsSim::new(SPREADSHEET, "Film list");
    sim.load("Movies", rows);
    Simulation::new(sim).with_clock(world.clock.clone())
}

pub(crate) fn sheets(simulation: &Simulation<SheetsSim>) -> Sheets {
    Sheets::builder().transport(simulation.transport()).build().expect("a provider")
}

pub(crate) async fn connect_sheets(syncline: &Syncline) -> Connection {
    let settings = json!({ "spreadsheet_id": SPREADSHEET });
    syncline.workspace("acme").connect("sheets", Credentials::token("ya29.good")).settings(settings).await.expect("it connects")
}

/// The tab `Movies`, by its titles.
pub(crate) fn movies_pull() -> Pull {
    Pull::stream("Movies").key(["Title"])
}

/// Writes a tab anew from its first row on; rows that were there below are blanked.
pub(crate) fn rewrite(sim: &SheetsSim, tab: &str, old_rows: usize, rows: &[Vec<String>]) {
    let width = rows.iter().map(Vec::len).max().unwrap_or_default();
    for row in 0..rows.len().max(old_rows) {
        for column in 0..width {
            let text = rows.get(row).and_then(|cells| cells.get(column)).map_or("", String::as_str);
            sim.set_cell(tab, row + 1, column + 1, SimCell::imported(text));
        }
    }
}

/// Nothing of a pull is held back for late writers.
pub(crate) fn at_once(pull: Pull) -> Pull {
    pull.safety_lag(Duration::ZERO)
}

/// A Slack `ts` so many seconds after the worlds' start.
pub(crate) fn ts(seconds: i64, micros: u32) -> String {
    format!("{}.{micros:06}", start().timestamp() + seconds)
}

/// A Slack workspace with two users, two channels and a thread, all of it before the worlds' start.
#[derive(Debug)]
pub(crate) struct Chat {
    pub(crate) simulation: Simulation<SlackSim>,
    pub(crate) general: String,
    pub(crate) random: String,
    pub(crate) ada: String,
    pub(crate) bob: String,
    /// In general; it begins a thread of two replies.
    pub(crate) question: String,
    pub(crate) answers: [String; 2],
    /// In random.
    pub(crate) news: String,
}

impl Chat {
    pub(crate) fn new(world: &World) -> Self {
        let sim = SlackSim::new("T024BE7LD", "Acme");
        let (ada, bob) = (sim.add_user("U024ADA01", "Ada Lovelace"), sim.add_user("U024BOB02", "Bob"));
        let (general, random) = (sim.add_channel("C024GEN01", "general"), sim.add_channel("C024RND02", "random"));
        sim.at(&ts(-7_200, 1)).post(&general, &bob, "Good morning");
        let question = sim.at(&ts(-3_600, 216)).post(&general, &ada, "Anyone here?");
        let answers = [
            sim.at(&ts(-3_500, 999_999)).reply(&general, &question, &bob, "I am"),
            sim.at(&ts(-3_400, 0)).reply(&general, &question, &ada, "Fine"),
        ];
        sim.react(&general, &question, &bob, "wave");
        let news = sim.at(&ts(-1_800, 500_000)).post_as_bot(&random, "B024NEWS1", "newsbot", "All quiet");
        Self { simulation: Simulation::new(sim).with_clock(world.clock.clone()), general, random, ada, bob, question, answers, news }
    }

    pub(crate) fn sim(&self) -> &SlackSim {
        self.simulation.sim()
    }

    pub(crate) fn provider(&self) -> Slack {
        Slack::builder().transport(self.simulation.transport()).build().expect("a provider")
    }
}

pub(crate) async fn connect_slack(syncline: &Syncline, settings: serde_json::Value) -> Connection {
    syncline.workspace("acme").connect("slack", Credentials::token("xoxb-good")).settings(settings).await.expect("it connects")
}
