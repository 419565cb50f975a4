//! Simulated services with something in them, and engines that read them.

use std::time::Duration;

use serde_json::json;
use syncline::{
    Connection, Credentials, Pull, Sheets, Syncline,
    providers::sheets::simulator::{SheetsSim, SimCell},
    testkit::Simulation,
};

use super::World;

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
