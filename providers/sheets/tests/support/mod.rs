//! One simulated spreadsheet, its provider, and pulls of whole tabs.

#![expect(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;

use chrono::Utc;
use provider_sheets::{Sheets, simulator::SheetsSim};
use serde_json::{Value, json};
use sync_core::{Error, IntegrationSync, Next, PageToken, Partition, PullPage, PullRequest, RecordFailure, SyncContext};
use sync_testkit::{Simulation, TestServices};

pub(crate) const ID: &str = "1AbC_sheet";

/// A provider over a simulation that share one virtual clock.
pub(crate) struct Bench {
    pub(crate) simulation: Simulation<SheetsSim>,
    pub(crate) services: TestServices,
    pub(crate) sheets: Sheets,
}

/// What a whole scan brought.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Per record: id, row, and its cells as one JSON object.
    pub(crate) records: Vec<(String, u64, Value)>,
    pub(crate) failures: Vec<RecordFailure>,
    pub(crate) pages: Vec<PullPage>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let services = TestServices::new(7);
        let simulation = Simulation::new(SheetsSim::new(ID, "Master Sheet")).with_clock(services.clock().clone());
        let sheets = Sheets::builder().transport(simulation.transport()).build().expect("valid");
        Self { simulation, services, sheets }
    }

    /// With one tab `T` of these rows.
    pub(crate) fn with(rows: &[&[&str]]) -> Self {
        let bench = Self::new();
        bench.sim().load("T", rows);
        bench
    }

    /// With a tab `T` of an id column and `count` rows, `r1` in row 2.
    pub(crate) fn numbered(count: usize) -> Self {
        let mut rows = vec![["id".to_owned(), "n".to_owned()]];
        rows.extend((1..=count).map(|n| [format!("r{n}"), n.to_string()]));
        let bench = Self::new();
        bench.sim().load("T", &rows);
        bench.sim().resize("T", count + 1, 2);
        bench
    }

    pub(crate) fn sim(&self) -> &SheetsSim {
        self.simulation.sim()
    }

    pub(crate) fn context(&self, more: Value) -> SyncContext {
        let mut settings = json!({"spreadsheet_id": ID});
        for (name, value) in more.as_object().expect("an object") {
            settings[name] = value.clone();
        }
        self.services.context(settings)
    }

    pub(crate) fn request(&self, key: &[&str], after: Option<PageToken>) -> PullRequest {
        let mut request = PullRequest::new("T", Partition::whole(), Utc::now());
        request.key = key.iter().map(|column| Box::from(*column)).collect::<Vec<_>>().into();
        request.after = after;
        request
    }

    /// One page of `T` by the key column `id`.
    pub(crate) async fn page(&self, settings: Value, after: Option<PageToken>) -> Result<PullPage, Error> {
        self.sheets.pull(&self.context(settings), &self.request(&["id"], after)).await
    }

    /// All pages of `T` by the key column `id`.
    pub(crate) async fn scan(&self, settings: Value) -> Result<Scan, Error> {
        let mut scan = Scan::default();
        let mut after = None;
        loop {
            let page = self.page(settings.clone(), after).await?;
            after = match &page.next {
                Next::Page(token) => Some(token.clone()),
                _ => None,
            };
            scan.take(page);
            if after.is_none() {
                return Ok(scan);
            }
        }
    }
}

impl Scan {
    pub(crate) fn take(&mut self, page: PullPage) {
        for record in page.batch.records() {
            let name = |at: usize| page.batch.names()[at].to_string();
            let cells = page.batch.cells(record).map(|(at, text)| (name(at), serde_json::from_str(text).expect("a cell is JSON")));
            self.records.push((record.id.to_string(), record.position.expect("rows have numbers"), Value::Object(cells.collect())));
        }
        self.failures.extend(page.failures.iter().cloned());
        self.pages.push(page);
    }

    pub(crate) fn ids(&self) -> Vec<&str> {
        self.records.iter().map(|(id, ..)| id.as_str()).collect()
    }

    pub(crate) fn complete(&self) -> bool {
        self.pages.last().map(|page| &page.next) == Some(&Next::End { complete: true })
    }

    pub(crate) fn messages(&self) -> Vec<String> {
        self.failures.iter().map(ToString::to_string).collect()
    }
}

/// So that a provider is known to be usable as the engine uses it.
pub(crate) fn erased(sheets: &Sheets) -> Arc<dyn IntegrationSync> {
    Arc::new(sheets.clone())
}
