//! A service that records are written to: it keeps a truth, counts what it received, and loses requests and answers as the test says.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use syncline::core::{
    Account, Capabilities, Delivery, Descriptor, Effect, Error, ErrorKind, Field, Found, IntegrationSync, Method, Next, Operation,
    Partitions, Passthrough, PassthroughAnswer, PassthroughRequest, PullPage, PullRequest, PushBatch, PushItem, PushLimits, PushMode,
    PushOutcome, Result, Retry, Stream, StreamName, SyncContext, Writes, async_trait,
};
use tokio::sync::Semaphore;

use super::scripted::{last, page};

/// What happens to one item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    /// It is done and answered.
    Well,
    /// It never arrives; nobody answers.
    LostBefore,
    /// It is done, but the answer is lost.
    LostAfter,
    /// It arrives after so long; the answer is lost.
    Late(Duration),
    /// It is refused.
    Refused,
    /// It is not done for now.
    NotNow,
    /// It is done elsewhere than it should be, where no look finds it, and answered so.
    Astray,
    /// It is being worked on, and done when asked for.
    Pending,
}

/// What happens to a whole call, by its number counted from 0.
pub(crate) type Call = Arc<dyn Fn(&PushBatch, usize) -> Option<Error> + Send + Sync>;
type Fates = Arc<dyn Fn(&PushItem, usize) -> Fate + Send + Sync>;

/// Clones are the same service.
#[derive(Clone)]
pub(crate) struct Pushable {
    descriptor: Descriptor,
    state: Arc<Mutex<State>>,
}

pub(crate) struct State {
    /// Records by their id.
    pub(crate) records: BTreeMap<String, Value>,
    /// What each marker made.
    made: BTreeMap<String, String>,
    /// Requests on their way: when they arrive, and what they do.
    on_their_way: Vec<(DateTime<Utc>, PushItem)>,
    pending: BTreeMap<String, PushItem>,
    next: usize,
    /// Batches that were received, by the names in them.
    pub(crate) calls: Vec<Vec<String>>,
    /// How often each item was received, by its name.
    pub(crate) received: BTreeMap<String, usize>,
    pub(crate) looks: usize,
    /// How often the streams were asked for.
    pub(crate) asked: usize,
    pub(crate) can_look: bool,
    /// Looks fail with this.
    pub(crate) blind: Option<ErrorKind>,
    pub(crate) stream: Stream,
    /// Outcomes that are left out of each answer.
    pub(crate) withheld: usize,
    pub(crate) incomplete: bool,
    fates: Fates,
    call: Call,
    gate: Option<Arc<Semaphore>>,
    /// Calls that came to the gate.
    pub(crate) waiting: usize,
    /// How often an item was sent.
    sent: BTreeMap<String, usize>,
}

impl fmt::Debug for Pushable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pushable")
    }
}

impl Pushable {
    /// A service `crm` with one writable stream `people` of the fields `name` and `v`.
    pub(crate) fn new(limits: PushLimits) -> Self {
        let fields: Vec<Box<str>> = vec!["name".into(), "v".into(), "note".into()];
        let stream = Stream::full("people")
            .writable(Writes::Fields(fields.clone().into()))
            .with_fields(fields.iter().map(|name| Field::new(name.clone())).collect::<Vec<_>>());
        Self {
            descriptor: Descriptor {
                capabilities: Capabilities { pull: true, push: true, ..Capabilities::default() },
                push: PushLimits { modes: &[PushMode::Upsert, PushMode::Insert, PushMode::Update, PushMode::Mirror], ..limits },
                ..Descriptor::new("crm", "CRM")
            },
            state: Arc::new(Mutex::new(State {
                records: BTreeMap::new(),
                made: BTreeMap::new(),
                on_their_way: Vec::new(),
                pending: BTreeMap::new(),
                next: 1,
                calls: Vec::new(),
                received: BTreeMap::new(),
                looks: 0,
                asked: 0,
                can_look: true,
                blind: None,
                stream,
                withheld: 0,
                incomplete: false,
                fates: Arc::new(|_, _| Fate::Well),
                call: Arc::new(|_, _| None),
                gate: None,
                waiting: 0,
                sent: BTreeMap::new(),
            })),
        }
    }

    /// What happens to items from now on; the number counts how often the item was sent before.
    pub(crate) fn fates(&self, fates: impl Fn(&PushItem, usize) -> Fate + Send + Sync + 'static) {
        self.state().fates = Arc::new(fates);
    }

    /// Calls that fail as a whole from now on; an error whose delivery is unknown comes after everything was done.
    pub(crate) fn calls(&self, call: impl Fn(&PushBatch, usize) -> Option<Error> + Send + Sync + 'static) {
        let mut state = self.state();
        state.call = Arc::new(call);
        state.calls.clear();
    }

    /// Calls wait for a permit of what is answered.
    pub(crate) fn gate(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.state().gate = Some(Arc::clone(&gate));
        gate
    }

    pub(crate) fn ungate(&self) {
        self.state().gate = None;
    }

    /// How many calls there were since this was asked last.
    pub(crate) fn called(&self) -> usize {
        std::mem::take(&mut self.state().calls).len()
    }

    /// Names and values of the records there are, in order; those on their way are not there yet.
    pub(crate) fn truth(&self) -> Vec<String> {
        let state = self.state();
        let mut truth: Vec<String> = state.records.values().map(|fields| format!("{}={}", text(&fields["name"]), fields["v"])).collect();
        truth.sort();
        truth
    }

    /// Everything on its way arrives.
    pub(crate) fn all_arrives(&self) {
        self.state().arrive(DateTime::<Utc>::MAX_UTC);
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a record is called in tests.
pub(crate) fn name_of(item: &PushItem) -> String {
    let fields: Value = serde_json::from_slice(&item.fields).unwrap_or_default();
    item.id.as_ref().map_or_else(|| text(&fields["name"]), |id| id.as_str().to_owned())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl State {
    fn arrive(&mut self, now: DateTime<Utc>) {
        let (due, later) = std::mem::take(&mut self.on_their_way).into_iter().partition(|(at, _)| *at <= now);
        self.on_their_way = later;
        for (_, item) in due {
            self.act(&item);
        }
    }

    /// Does what is asked, as often as it is asked: this service knows no idempotency.
    fn act(&mut self, item: &PushItem) -> PushOutcome {
        *self.received.entry(name_of(item)).or_default() += 1;
        let known = item.id.as_ref().map(|id| id.as_str().to_owned());
        if item.operation == Operation::Delete {
            let id = known.unwrap_or_default();
            return match self.records.remove(&id) {
                Some(_) => PushOutcome::deleted(id),
                None => PushOutcome::Unchanged,
            };
        }
        let fields: Value = serde_json::from_slice(&item.fields).expect("an object");
        match known {
            Some(id) => {
                let there = self.records.insert(id.clone(), fields).is_some();
                let effect = if there { Effect::Updated } else { Effect::Created };
                PushOutcome::Accepted { id: id.into(), version: None, effect }
            }
            None => {
                let id = format!("r{}", self.next);
                self.next += 1;
                self.records.insert(id.clone(), fields);
                self.made.insert(item.marker.as_str().to_owned(), id.clone());
                PushOutcome::created(id)
            }
        }
    }

    fn look(&self, item: &PushItem) -> Found {
        if !self.can_look {
            return Found::CannotTell;
        }
        let id = item.id.as_ref().map(|id| id.as_str().to_owned()).or_else(|| self.made.get(item.marker.as_str()).cloned());
        let Some((id, fields)) = id.and_then(|id| Some((id.clone(), self.records.get(&id)?))) else { return Found::Nothing };
        let same = item.operation == Operation::Delete || serde_json::from_slice::<Value>(&item.fields).is_ok_and(|sent| sent == *fields);
        if same { Found::Sent { id: id.into(), version: None } } else { Found::Other { id: id.into(), version: None } }
    }
}

#[async_trait]
impl IntegrationSync for Pushable {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    async fn validate_credentials(&self, cx: &SyncContext) -> Result<Account> {
        cx.services.token(&cx.connection, None).await?;
        Ok(Account { id: "main".into(), name: None })
    }

    async fn streams(&self, _: &SyncContext) -> Result<Vec<Stream>> {
        self.state().asked += 1;
        Ok(vec![self.state().stream.clone()])
    }

    async fn partitions(&self, _: &SyncContext, _: &StreamName) -> Result<Partitions> {
        Ok(Partitions::whole())
    }

    async fn pull(&self, cx: &SyncContext, _: &PullRequest) -> Result<PullPage> {
        let mut state = self.state();
        state.arrive(cx.services.now());
        let mut page = page(state.records.iter().map(|(id, fields)| (id.as_str(), fields.clone())));
        page.next = Next::End { complete: !state.incomplete };
        Ok(if state.incomplete { page } else { last(page) })
    }

    async fn push(&self, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<PushOutcome>> {
        cx.services.token(&cx.connection, None).await?;
        let gate = self.state().gate.clone();
        if let Some(gate) = gate {
            self.state().waiting += 1;
            gate.acquire().await.expect("never closed").forget();
        }
        let now = cx.services.now();
        let mut state = self.state();
        state.arrive(now);
        let n = state.calls.len();
        let names = batch.items.iter().map(name_of).collect();
        state.calls.push(names);
        let failed = (Arc::clone(&state.call))(batch, n);
        if let Some(error) = failed.as_ref().filter(|error| error.delivery() != Delivery::Unknown) {
            return Err(Error::new(error.kind(), error.operation(), error.text().to_owned())
                .with_delivery(error.delivery())
                .with_retry(error.retry()));
        }
        let mut outcomes = Vec::new();
        for item in batch.items.iter() {
            let times = {
                let sent = state.sent.entry(item.marker.as_str().to_owned()).or_default();
                *sent += 1;
                *sent - 1
            };
            let known = item.id.as_ref().is_some_and(|id| state.records.contains_key(id.as_str()));
            let outcome = match (Arc::clone(&state.fates))(item, times) {
                _ if batch.mode == PushMode::Update && !known => PushOutcome::Skipped("there is no such record"),
                _ if batch.mode == PushMode::Insert && known => PushOutcome::Skipped("it is there already"),
                Fate::Well => state.act(item),
                Fate::LostBefore => PushOutcome::Unknown,
                Fate::LostAfter => {
                    state.act(item);
                    PushOutcome::Unknown
                }
                Fate::Late(after) => {
                    let at = now + chrono::TimeDelta::from_std(after).expect("short");
                    state.on_their_way.push((at, item.clone()));
                    PushOutcome::Unknown
                }
                Fate::Astray => {
                    *state.received.entry(name_of(item)).or_default() += 1;
                    let error = Error::new(ErrorKind::Conflict, "crm.write", "it was put beside the others");
                    PushOutcome::Failed(error.with_delivery(Delivery::Unknown))
                }
                Fate::Refused => PushOutcome::Failed(Error::new(ErrorKind::Invalid, "crm.write", "the service refused the value")),
                Fate::NotNow => {
                    let error = Error::new(ErrorKind::Transport, "crm.write", "the service is being repaired");
                    PushOutcome::Failed(error.with_retry(Retry::After(None)))
                }
                Fate::Pending => {
                    let handle = item.marker.as_str();
                    state.pending.insert(handle.to_owned(), item.clone());
                    PushOutcome::Pending { handle: handle.into(), after: Duration::from_secs(5) }
                }
            };
            outcomes.push(outcome);
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let kept = outcomes.len().saturating_sub(state.withheld);
        outcomes.truncate(kept);
        Ok(outcomes)
    }

    async fn find(&self, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<Found>> {
        let mut state = self.state();
        state.arrive(cx.services.now());
        state.looks += 1;
        if let Some(kind) = state.blind {
            return Err(Error::new(kind, "crm.search", "the search is out of order"));
        }
        Ok(batch.items.iter().map(|item| state.look(item)).collect())
    }

    async fn outcomes(&self, cx: &SyncContext, _: &StreamName, handles: &[Box<str>]) -> Result<Vec<PushOutcome>> {
        let mut state = self.state();
        state.arrive(cx.services.now());
        let done = |state: &mut State, handle: &str| match state.pending.remove(handle) {
            Some(item) => state.act(&item),
            None => PushOutcome::Failed(Error::new(ErrorKind::NotFound, "crm.outcome", "there is no such handle")),
        };
        Ok(handles.iter().map(|handle| done(&mut state, handle)).collect())
    }

    fn as_passthrough(&self) -> Option<&dyn Passthrough> {
        Some(self)
    }
}

#[async_trait]
impl Passthrough for Pushable {
    async fn request(&self, cx: &SyncContext, request: &PassthroughRequest) -> Result<PassthroughAnswer> {
        cx.services.token(&cx.connection, None).await?;
        if request.method == Method::Delete {
            return Err(Error::new(ErrorKind::Forbidden, "crm.request", "the account may not delete"));
        }
        let body = json!({ "path": request.path, "query": request.query.len() });
        Ok(PassthroughAnswer::new(200, Some("application/json".into()), body.to_string().into()))
    }
}
