//! The simulated spreadsheet: two real tables.

use syncline::{
    providers::sheets::simulator::SheetsSim,
    testkit::{AuthorizationServer, SimAnswer, SimRequest, Simulated, Simulator},
};

/// Its id.
pub(crate) const ID: &str = "1DemoSpreadsheet";

const AIRPORTS: &str = include_str!("../../../../examples/data/airports.csv");
const MOVIES: &str = include_str!("../../../../examples/data/movies.csv");

/// The spreadsheet, and what the demo's people do to it.
#[derive(Debug)]
pub(crate) struct Book {
    sim: SheetsSim,
    airports: Vec<Vec<String>>,
}

impl Book {
    /// Lets a token of this server's in as well.
    pub(crate) fn authorized_by(self, server: &AuthorizationServer) -> Self {
        Self { sim: self.sim.authorized_by(server), ..self }
    }

    pub(crate) fn seeded(token: &str) -> Self {
        let (airports, movies) = (rows(AIRPORTS), rows(MOVIES));
        let sim = SheetsSim::new(ID, "Syncline demo");
        sim.expect_token(token);
        sim.set_reads_per_minute(1_000_000);
        sim.set_writes_per_minute(1_000_000);
        sim.load("Airports", &airports);
        sim.load("Movies", &movies);
        sim.load("Partners", &[["email", "name", "deal", "note"]]);
        Self { sim, airports }
    }

    /// Every hundredth airport gets another name; answers their keys.
    pub(super) fn rename_one_in_a_hundred(&self) -> Vec<String> {
        let chosen = self.airports.iter().enumerate().skip(50).step_by(100);
        chosen
            .map(|(row, cells)| {
                self.sim.set_cell("Airports", row + 1, 2, format!("{} International", cells[1]).as_str());
                cells[0].clone()
            })
            .collect()
    }

    /// One of the dates of the films becomes one that is none.
    pub(super) fn misspell_a_date(&self) {
        self.sim.set_cell("Movies", 47, 6, "Febtober 3 2006");
    }

    /// Some films are corrected, each in the way whoever did it writes, and one is taken out. What cannot be read can be read then.
    pub(super) fn correct_films(&self) {
        let cells = [(47, 6, "27.03.1986"), (8, 2, "$48,482"), (8, 3, " $ 240,495.00 "), (8, 5, "USD 6,000"), (10, 7, "pg-13")];
        for (row, column, text) in cells {
            self.sim.set_cell("Movies", row, column, text);
        }
        self.sim.delete_row("Movies", 49);
    }

    /// The key's header is renamed, or gets its name back.
    pub(super) fn rename_key_header(&self, back: bool) {
        let (from, to) = if back { ("IATA code", "iata") } else { ("iata", "IATA code") };
        self.sim.rename_header("Airports", from, to);
    }
}

impl Simulator for Book {
    fn operation(&self, request: &SimRequest) -> &'static str {
        self.sim.operation(request)
    }

    fn answer(&self, request: &SimRequest) -> SimAnswer {
        self.sim.answer(request)
    }

    fn simulated(&self) -> &'static [Simulated] {
        self.sim.simulated()
    }

    fn not_simulated(&self) -> &'static [&'static str] {
        self.sim.not_simulated()
    }
}

fn rows(text: &str) -> Vec<Vec<String>> {
    let records = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes()).into_records();
    records.map(|record| record.expect("the tables are well formed").iter().map(str::to_owned).collect()).collect()
}
