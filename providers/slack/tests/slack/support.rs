//! One simulated workspace, its provider, and pulls of whole channels.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use provider_slack::{Slack, simulator::SlackSim};
use serde_json::{Value, json};
use sync_core::{
    Cursor, Earlier, Error, Found, IntegrationSync, Next, Operation, PageToken, Partition, PullPage, PullRequest, PushBatch, PushItem,
    PushMode, PushOutcome, RecordFailure, Result, StreamName,
};
use sync_testkit::{Simulation, TestServices};

pub(crate) const HISTORY: &str = "slack.conversations.history";
pub(crate) const REPLIES: &str = "slack.conversations.replies";
pub(crate) const POST: &str = "slack.chat.postMessage";
pub(crate) const UPDATE: &str = "slack.chat.update";
pub(crate) const DELETE: &str = "slack.chat.delete";

/// A provider over a simulation that share one virtual clock.
pub(crate) struct Bench {
    pub(crate) simulation: Simulation<SlackSim>,
    pub(crate) services: TestServices,
    pub(crate) slack: Slack,
    pub(crate) settings: Value,
}

/// What a whole scan brought.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Per record: id, and its cells as one JSON object, in the order they came.
    pub(crate) records: Vec<(String, Value)>,
    pub(crate) failures: Vec<RecordFailure>,
    pub(crate) pages: Vec<PullPage>,
}

impl Bench {
    pub(crate) fn over(sim: SlackSim) -> Self {
        let services = TestServices::new(7);
        let simulation = Simulation::new(sim).with_clock(services.clock().clone());
        let slack = Slack::builder().transport(simulation.transport()).build().expect("valid");
        Self { simulation, services, slack, settings: json!({}) }
    }

    /// With Ada and Ben, and the channel `C1` named general.
    pub(crate) fn new() -> Self {
        let sim = SlackSim::new("T1", "Acme");
        sim.add_user("U1", "Ada");
        sim.add_user("U2", "Ben");
        sim.add_channel("C1", "general");
        Self::over(sim)
    }

    /// With so many messages in `C1`; answers their keys as well.
    pub(crate) fn with_messages(count: usize) -> (Self, Vec<String>) {
        let bench = Self::new();
        let posted = (0..count).map(|n| bench.sim().post("C1", "U1", &format!("message {n}"))).collect();
        (bench, posted)
    }

    /// With these settings.
    pub(crate) fn set(mut self, settings: Value) -> Self {
        self.settings = settings;
        self
    }

    pub(crate) fn sim(&self) -> &SlackSim {
        self.simulation.sim()
    }

    pub(crate) async fn partitions(&self) -> Result<Vec<Partition>> {
        let cx = self.services.context(self.settings.clone());
        Ok(self.slack.partitions(&cx, &StreamName::from("messages")).await?.list)
    }

    pub(crate) async fn partition(&self, id: &str) -> Partition {
        let all = self.partitions().await.expect("partitions");
        all.into_iter().find(|partition| partition.id.as_str() == id).expect("the channel is among them")
    }

    /// A pull of a partition up to now, from its beginning.
    pub(crate) fn request_for(&self, partition: Partition) -> PullRequest {
        PullRequest::new("messages", partition, self.services.clock().now())
    }

    /// A second provider over the same service, as another process has it.
    pub(crate) fn another(&self) -> Slack {
        Slack::builder().transport(self.simulation.transport()).build().expect("valid")
    }

    /// A pull of `C1` up to now, a day before the cursor read again.
    pub(crate) async fn request(&self, cursor: Option<Cursor>) -> PullRequest {
        let mut request = PullRequest::new("messages", self.partition("C1").await, self.services.clock().now());
        request.cursor = cursor;
        request.look_back = Duration::from_secs(24 * 60 * 60);
        request
    }

    pub(crate) async fn page(&self, request: &PullRequest) -> Result<PullPage, Error> {
        self.slack.pull(&self.services.context(self.settings.clone()), request).await
    }

    /// All pages of a request.
    pub(crate) async fn scan(&self, mut request: PullRequest) -> Result<Scan, Error> {
        let mut scan = Scan::default();
        loop {
            let page = self.page(&request).await?;
            request.after = after(&page);
            scan.take(page);
            if request.after.is_none() {
                return Ok(scan);
            }
        }
    }

    /// Everything in `C1`, from the beginning.
    pub(crate) async fn full(&self) -> Result<Scan, Error> {
        self.scan(self.request(None).await).await
    }

    /// Everything in `C1` from a cursor on.
    pub(crate) async fn since(&self, cursor: Cursor) -> Result<Scan, Error> {
        self.scan(self.request(Some(cursor)).await).await
    }

    /// Everything of a stream without parts.
    pub(crate) async fn listing(&self, stream: &str) -> Result<Scan, Error> {
        self.scan(PullRequest::new(stream, Partition::whole(), self.services.clock().now())).await
    }
}

/// The token of the page after this one.
pub(crate) fn after(page: &PullPage) -> Option<PageToken> {
    match &page.next {
        Next::Page(token) => Some(token.clone()),
        _ => None,
    }
}

impl Scan {
    pub(crate) fn take(&mut self, page: PullPage) {
        for record in page.batch.records() {
            let name = |at: usize| page.batch.names()[at].to_string();
            let cells = page.batch.cells(record).map(|(at, text)| (name(at), serde_json::from_str(text).expect("a cell is JSON")));
            self.records.push((record.id.to_string(), Value::Object(cells.collect())));
        }
        self.failures.extend(page.failures.iter().cloned());
        self.pages.push(page);
    }

    /// The ids, sorted; one that came twice stands there twice.
    pub(crate) fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.records.iter().map(|(id, _)| id.as_str()).collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn by_id(&self) -> BTreeMap<&str, &Value> {
        self.records.iter().map(|(id, cells)| (id.as_str(), cells)).collect()
    }

    /// The cells of a message of `C1`.
    pub(crate) fn message(&self, ts: &str) -> &Value {
        self.by_id().get(&*format!("C1/{ts}")).copied().expect("the message came")
    }

    pub(crate) fn has(&self, ts: &str) -> bool {
        self.by_id().contains_key(&*format!("C1/{ts}"))
    }

    pub(crate) fn complete(&self) -> bool {
        self.pages.last().map(|page| &page.next) == Some(&Next::End { complete: true })
    }

    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.pages.last().and_then(|page| page.cursor.clone())
    }
}

/// A moment of the simulation's year.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an RFC 3339 time")
}

/// A record to be written.
pub(crate) fn item(marker: &str, id: Option<&str>, fields: &Value) -> PushItem {
    PushItem {
        marker: marker.into(),
        id: id.map(Into::into),
        operation: Operation::Upsert,
        fields: fields.to_string().into(),
        version: None,
        earlier: Earlier::Never,
    }
}

/// A record to be removed.
pub(crate) fn removal(id: &str) -> PushItem {
    PushItem { operation: Operation::Delete, fields: bytes::Bytes::new(), ..item("removal", Some(id), &json!({})) }
}

pub(crate) fn batch(mode: PushMode, items: Vec<PushItem>) -> PushBatch {
    PushBatch { stream: "messages".into(), key: [].into(), mode, items: items.into() }
}

impl Bench {
    /// Writes one record.
    pub(crate) async fn push(&self, item: PushItem) -> Result<PushOutcome> {
        let cx = self.services.context(self.settings.clone());
        let mut outcomes = self.slack.push(&cx, &batch(PushMode::Upsert, vec![item])).await?;
        assert_eq!(outcomes.len(), 1, "one outcome per item");
        Ok(outcomes.remove(0))
    }

    /// Writes one record, which has to be accepted; answers its id.
    pub(crate) async fn written(&self, item: PushItem) -> String {
        match self.push(item).await.expect("no error of the account") {
            PushOutcome::Accepted { id, .. } => id.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// Looks for one record.
    pub(crate) async fn find(&self, item: PushItem) -> Result<Found> {
        let cx = self.services.context(self.settings.clone());
        let mut found = self.slack.find(&cx, &batch(PushMode::Upsert, vec![item])).await?;
        assert_eq!(found.len(), 1, "one answer per item");
        Ok(found.remove(0))
    }

    /// The messages of the app in `C1` by their ids.
    pub(crate) fn posted(&self) -> BTreeMap<String, Value> {
        let messages = self.sim().keys().into_iter().filter_map(|key| {
            let message = self.sim().message("C1", key.strip_prefix("C1/")?)?;
            (message["bot_id"] == "B0SYNCLINE").then_some((key, message))
        });
        messages.collect()
    }
}
