//! Every operation of both services, in good and refused cases, through a [`Recorder`]. With `SYNCLINE_RECORDINGS` set to a folder the
//! recording is left there; `cargo xtask specs` holds it against what the services publish of themselves.

mod sheets;
mod slack;

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;
use syncline::{
    Result,
    core::{
        Earlier, IntegrationSync, Next, Operation, Partition, PullRequest, PushBatch, PushItem, PushMode, PushOutcome, StreamName,
        SyncContext,
    },
    http::{Answer, Api, Auth, Request},
    testkit::{Canary, Recorder, Simulation, Simulator, TestServices},
};

const OUTSIDE: &str = "outside.call";

/// A simulated service, a recorder before it, and what it takes to call it.
struct Bench<S> {
    simulation: Simulation<S>,
    recorder: Recorder,
    services: TestServices,
    canary: Canary,
    settings: Value,
}

/// A call as an outside client makes it, at a path below the service's base URL.
fn get(path: &str, query: &[(&str, &str)]) -> Request {
    query.iter().fold(Request::get(OUTSIDE, path), |request, (name, value)| request.query(name, value))
}

fn post(path: &str, body: Value) -> Request {
    Request::post(OUTSIDE, path).json(&body)
}

fn form(path: &str, fields: &[(&str, &str)]) -> Request {
    Request::post(OUTSIDE, path).form(fields)
}

/// Records to write into a stream, keyed by these columns where it has no ids of its own.
fn batch(stream: &str, key: &[&str], items: &[PushItem]) -> PushBatch {
    let key = key.iter().map(|column| Box::from(*column)).collect();
    PushBatch { stream: StreamName::from(stream), key, mode: PushMode::Upsert, items: Arc::from(items) }
}

fn item(marker: &str, id: Option<&str>, fields: &Value) -> PushItem {
    PushItem {
        marker: marker.into(),
        id: id.map(Into::into),
        operation: Operation::Upsert,
        fields: fields.to_string().into(),
        version: None,
        earlier: Earlier::Never,
    }
}

fn removal(id: &str) -> PushItem {
    PushItem { operation: Operation::Delete, fields: "".into(), ..item("gone", Some(id), &Value::Null) }
}

impl<S: Simulator> Bench<S> {
    fn new(sim: S, settings: Value) -> Self {
        let canary = Canary::new(11);
        let services = TestServices::new(11).with_token(canary.secret());
        let simulation = Simulation::new(sim).with_clock(services.clock().clone());
        Self { recorder: Recorder::of(&simulation), simulation, services, canary, settings }
    }

    fn sim(&self) -> &S {
        self.simulation.sim()
    }

    fn context(&self) -> SyncContext {
        self.services.context(self.settings.clone())
    }

    async fn call(&self, base: &str, request: Request) -> Result<Answer> {
        let api = Api::builder("outside", base).auth(Auth::Bearer).transport(self.recorder.transport()).build()?;
        api.send(&self.context(), request).await
    }

    /// All pages of a partition of a stream.
    async fn pull(&self, provider: &impl IntegrationSync, stream: &str, partition: Partition, key: &[&str]) -> Result<usize> {
        let mut request = PullRequest::new(stream, partition, self.services.clock().now());
        request.key = key.iter().map(|column| Box::from(*column)).collect::<Vec<_>>().into();
        let mut records = 0;
        loop {
            let page = provider.pull(&self.context(), &request).await?;
            records += page.batch.records().len();
            match page.next {
                Next::Page(token) => request.after = Some(token),
                _ => return Ok(records),
            }
        }
    }

    async fn push(&self, provider: &impl IntegrationSync, batch: &PushBatch) -> Vec<PushOutcome> {
        provider.push(&self.context(), batch).await.expect("a batch that is carried out")
    }

    /// How many exchanges of an operation were answered in a way.
    fn seen(&self, operation: &str, answered: impl Fn(&Value) -> bool) -> usize {
        let exchanges = self.recorder.exchanges();
        exchanges.iter().filter(|exchange| exchange["operation"] == operation && answered(&exchange["response"])).count()
    }

    /// Ends the recording: each operation that is simulated was answered both ways, nothing else was called, no token was kept.
    fn finish(&self, name: &str, good: impl Fn(&Value) -> bool) {
        self.recorder.save(name).expect("the recording is written");
        let simulated: BTreeSet<&str> = self.sim().simulated().iter().map(|call| call.operation).collect();
        assert!(!simulated.is_empty(), "{name} says nothing about what it simulates");
        let called: BTreeSet<&str> = self.simulation.calls().iter().map(|call| call.operation).collect();
        assert_eq!(called, simulated, "{name}: what was called, and what is simulated");
        for operation in simulated {
            assert!(self.seen(operation, &good) > 0, "{operation} never succeeded");
            assert!(self.seen(operation, |answer| !good(answer)) > 0, "{operation} was never refused");
        }
        for exchange in self.recorder.exchanges() {
            self.canary.assert_absent("the recording", &exchange.to_string());
        }
    }
}
