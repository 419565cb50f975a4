//! One simulated spreadsheet, its provider, pulls of whole tabs and pushes into them.

#![expect(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;

use chrono::Utc;
use provider_sheets::{Sheets, simulator::SheetsSim};
use serde_json::{Value, json};
use sync_core::{
    Earlier, Error, Found, IntegrationSync, Marker, Next, Operation, PageToken, Partition, PullPage, PullRequest, PushBatch, PushItem,
    PushMode, PushOutcome, RecordFailure, SyncContext,
};
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

/// A record to write.
pub(crate) fn record(fields: &Value) -> PushItem {
    let (marker, fields) = (Marker::from("m"), fields.to_string().into());
    PushItem { marker, id: None, operation: Operation::Upsert, fields, version: None, earlier: Earlier::Never }
}

/// A record to remove.
pub(crate) fn removal(id: &str) -> PushItem {
    let (marker, fields) = (Marker::from("m"), Default::default());
    PushItem { marker, id: Some(id.into()), operation: Operation::Delete, fields, version: None, earlier: Earlier::Never }
}

/// An outcome in few words: `created a`, `skipped: …`, `failed: …`.
pub(crate) fn said(outcome: &PushOutcome) -> String {
    match outcome {
        PushOutcome::Accepted { id, effect, .. } => format!("{effect:?} {id}").to_lowercase(),
        PushOutcome::Unchanged => "unchanged".into(),
        PushOutcome::Skipped(why) => format!("skipped: {why}"),
        PushOutcome::Failed(error) => format!("failed: {error}"),
        PushOutcome::Pending { .. } => "pending".into(),
        PushOutcome::Unknown => "unknown".into(),
    }
}

impl Bench {
    pub(crate) fn batch(mode: PushMode, key: &[&str], items: Vec<PushItem>) -> PushBatch {
        let key: Vec<Box<str>> = key.iter().map(|column| Box::from(*column)).collect();
        PushBatch { stream: "T".into(), key: key.into(), mode, items: items.into() }
    }

    /// Pushes into `T` by the key column `id`.
    pub(crate) async fn try_push(&self, settings: Value, mode: PushMode, items: Vec<PushItem>) -> Result<Vec<PushOutcome>, Error> {
        self.sheets.push(&self.context(settings), &Self::batch(mode, &["id"], items)).await
    }

    /// Upserts into `T`; what came of it in few words.
    pub(crate) async fn push(&self, items: Vec<PushItem>) -> Vec<String> {
        self.push_as(PushMode::Upsert, items).await
    }

    pub(crate) async fn push_as(&self, mode: PushMode, items: Vec<PushItem>) -> Vec<String> {
        let outcomes = self.try_push(json!({}), mode, items).await.expect("the batch goes through");
        outcomes.iter().map(said).collect()
    }

    pub(crate) async fn find(&self, items: Vec<PushItem>) -> Vec<Found> {
        self.sheets.find(&self.context(json!({})), &Self::batch(PushMode::Upsert, &["id"], items)).await.expect("it looks")
    }

    /// The rows of `T` as a person reads them, cells apart by `|`.
    pub(crate) fn rows(&self) -> Vec<String> {
        let row = |cells: &Vec<provider_sheets::simulator::SimCell>| cells.iter().map(|cell| cell.text()).collect::<Vec<_>>().join("|");
        self.sim().cells("T").iter().map(row).collect()
    }

    /// Calls so far of values.batchGet, values.batchUpdate, spreadsheets.batchUpdate and values.append.
    pub(crate) fn counts(&self) -> [usize; 4] {
        ["sheets.values.batchGet", "sheets.values.batchUpdate", "sheets.spreadsheets.batchUpdate", "sheets.values.append"]
            .map(|operation| self.simulation.count(operation))
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
