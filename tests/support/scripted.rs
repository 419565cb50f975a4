//! A provider whose service is a closure, and a small service with pages, cursors and a truth to compare with.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use syncline::core::{
    Account, Capabilities, Cursor, Descriptor, Error, ErrorKind, IntegrationSync, Next, Operation, PageToken, Partition, Partitions,
    PullPage, PullRequest, RecordBatch, Result, Stream, StreamName, SyncContext, async_trait,
};
use tokio::sync::Semaphore;

/// What the service answers to a request for a page; the number counts such requests from 0.
type Answer = Arc<dyn Fn(&PullRequest, usize) -> Result<PullPage> + Send + Sync>;

/// A provider that answers as the test says. Clones are the same service.
///
/// Any token is good but one that begins with `bad`. The account is the setting `account`, `main` without one.
#[derive(Clone)]
pub(crate) struct Scripted {
    descriptor: Descriptor,
    state: Arc<Mutex<State>>,
}

struct State {
    streams: Vec<Stream>,
    partitions: BTreeMap<String, Partitions>,
    answer: Answer,
    requests: Vec<PullRequest>,
    gate: Option<Arc<Semaphore>>,
    refusal: Option<ErrorKind>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scripted({})", self.descriptor.name)
    }
}

impl Scripted {
    /// A provider with one incremental stream `items` of one partition, and no records.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            descriptor: Descriptor {
                capabilities: Capabilities { pull: true, ..Capabilities::default() },
                settings: &[("account", "which account this is")],
                lanes: 2,
                ..Descriptor::new(name, name)
            },
            state: Arc::new(Mutex::new(State {
                streams: vec![Stream::incremental("items")],
                partitions: BTreeMap::new(),
                answer: Arc::new(|_, _| Ok(last(page([])))),
                requests: Vec::new(),
                gate: None,
                refusal: None,
            })),
        }
    }

    pub(crate) fn described(mut self, change: impl FnOnce(&mut Descriptor)) -> Self {
        change(&mut self.descriptor);
        self
    }

    pub(crate) fn streams(self, streams: Vec<Stream>) -> Self {
        self.state().streams = streams;
        self
    }

    /// Sets the parts of a stream; [`Partitions::whole`] without it.
    pub(crate) fn partitions(&self, stream: &str, ids: &[&str], complete: bool) {
        let list = ids.iter().map(|id| Partition::new(*id)).collect();
        self.state().partitions.insert(stream.to_owned(), Partitions { list, complete });
    }

    pub(crate) fn answer(&self, answer: impl Fn(&PullRequest, usize) -> Result<PullPage> + Send + Sync + 'static) {
        let mut state = self.state();
        state.requests.clear();
        state.answer = Arc::new(answer);
    }

    /// From now on it answers these pages in turn, then an error.
    pub(crate) fn pages(&self, pages: Vec<PullPage>) {
        self.answer(move |_, n| pages.get(n).cloned().ok_or_else(|| Error::new(ErrorKind::Internal, "pull", "no page was scripted")));
    }

    pub(crate) fn fails(&self, error: impl Fn() -> Error + Send + Sync + 'static) {
        self.answer(move |_, _| Err(error()));
    }

    /// From now on it answers as this source.
    pub(crate) fn source(&self, source: Source) {
        self.answer(move |request, _| source.answer(request));
    }

    /// Requests for pages wait for a permit of what is answered.
    pub(crate) fn gate(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.state().gate = Some(Arc::clone(&gate));
        gate
    }

    pub(crate) fn ungate(&self) {
        self.state().gate = None;
    }

    /// The proof of credentials fails from now on, or works again.
    pub(crate) fn refuses(&self, kind: Option<ErrorKind>) {
        self.state().refusal = kind;
    }

    /// Requests for pages since the answers were last changed.
    pub(crate) fn requests(&self) -> Vec<PullRequest> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl IntegrationSync for Scripted {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    async fn validate_credentials(&self, cx: &SyncContext) -> Result<Account> {
        use syncline::core::ExposeSecret as _;
        let token = cx.services.token(&cx.connection, None).await?;
        let refusal = self.state().refusal.or(token.secret.expose_secret().starts_with("bad").then_some(ErrorKind::Auth));
        if let Some(kind) = refusal {
            return Err(Error::new(kind, "validate", "the service refused the credentials"));
        }
        let settings: Value = cx.settings()?;
        let id = settings["account"].as_str().unwrap_or("main");
        Ok(Account { id: id.into(), name: Some(format!("Account {id}").into()) })
    }

    async fn streams(&self, _: &SyncContext) -> Result<Vec<Stream>> {
        Ok(self.state().streams.clone())
    }

    async fn partitions(&self, _: &SyncContext, stream: &StreamName) -> Result<Partitions> {
        Ok(self.state().partitions.get(stream.as_str()).cloned().unwrap_or_else(Partitions::whole))
    }

    async fn pull(&self, cx: &SyncContext, request: &PullRequest) -> Result<PullPage> {
        cx.services.token(&cx.connection, None).await?;
        let (answer, n, gate) = {
            let mut state = self.state();
            state.requests.push(request.clone());
            (Arc::clone(&state.answer), state.requests.len() - 1, state.gate.clone())
        };
        if let Some(gate) = gate {
            gate.acquire().await.expect("never closed").forget();
        }
        answer(request, n)
    }
}

/// A page of these records, the last of an incomplete scan until told otherwise. A record that is null is a delete.
pub(crate) fn page<'a>(records: impl IntoIterator<Item = (&'a str, Value)>) -> PullPage {
    let mut batch = RecordBatch::default();
    for (id, fields) in records {
        let Value::Object(fields) = fields else {
            batch.record().finish(id, Operation::Delete, None);
            continue;
        };
        let names: Vec<usize> = fields.keys().map(|name| batch.name(name)).collect();
        let mut record = batch.record();
        for (name, value) in names.into_iter().zip(fields.values()) {
            record.made(name, &value.to_string());
        }
        record.finish(id, Operation::Upsert, None);
    }
    PullPage::new(batch)
}

/// The last page of a scan that showed everything.
pub(crate) fn last(mut page: PullPage) -> PullPage {
    page.next = Next::End { complete: true };
    page
}

/// A page with another to follow.
pub(crate) fn then(mut page: PullPage, token: impl Into<PageToken>) -> PullPage {
    page.next = Next::Page(token.into());
    page
}

/// A page that reaches a position.
pub(crate) fn reaching(mut page: PullPage, cursor: &str) -> PullPage {
    page.cursor = Some(Cursor::new(1, cursor));
    page
}

/// A record of a [`Source`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) id: String,
    /// When it last changed.
    pub(crate) at: DateTime<Utc>,
    pub(crate) fields: Value,
}

impl Item {
    pub(crate) fn new(id: impl Into<String>, at: DateTime<Utc>, text: impl Into<String>) -> Self {
        let (id, text): (String, String) = (id.into(), text.into());
        Self { fields: json!({ "id": id, "text": text }), id, at }
    }
}

/// A service with partitions of records that are found in the order of their changes, oldest first. Clones are the same service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) partitions: BTreeMap<String, Vec<Item>>,
    pub(crate) page_size: usize,
    /// Cursors before this position are no longer accepted.
    pub(crate) forgets_before: Option<String>,
}

impl Source {
    pub(crate) fn new(page_size: usize) -> Self {
        Self(Arc::new(Mutex::new(Content { page_size, ..Content::default() })))
    }

    pub(crate) fn edit(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a record in, or in the place of the one with its id.
    pub(crate) fn put(&self, partition: &str, item: Item) {
        let mut content = self.edit();
        let items = content.partitions.entry(partition.to_owned()).or_default();
        items.retain(|known| known.id != item.id);
        items.push(item);
    }

    pub(crate) fn remove(&self, partition: &str, id: &str) {
        self.edit().partitions.entry(partition.to_owned()).or_default().retain(|known| known.id != id);
    }

    /// Id and text of every record.
    pub(crate) fn truth(&self) -> BTreeMap<String, String> {
        let content = self.edit();
        let items = content.partitions.values().flatten();
        items.map(|item| (item.id.clone(), item.fields["text"].as_str().unwrap_or_default().to_owned())).collect()
    }

    /// A position: the time of the change and, to tell equal ones apart, the id. The lower bound is inclusive.
    fn position(item: &Item) -> String {
        format!("{} {}", item.at.to_rfc3339_opts(SecondsFormat::Micros, true), item.id)
    }

    fn answer(&self, request: &PullRequest) -> Result<PullPage> {
        let content = self.edit();
        // A token says which scan it goes on with: the stored position may have moved on since that began.
        let (start, cursor) = match &request.after {
            Some(token) => {
                let (start, cursor) = token.as_str().split_once('|').expect("a token of this source");
                (start.parse().expect("a number"), (!cursor.is_empty()).then(|| cursor.to_owned()))
            }
            None => (0, request.cursor.as_ref().map(|cursor| cursor.state.to_string())),
        };
        if let (Some(cursor), Some(oldest)) = (&cursor, &content.forgets_before)
            && cursor < oldest
        {
            return Err(Error::new(ErrorKind::CursorExpired, "pull", "that position is no longer known"));
        }
        let mut items: Vec<&Item> = content.partitions.get(request.partition.id.as_str()).into_iter().flatten().collect();
        let back = chrono::TimeDelta::from_std(request.look_back).expect("a short one");
        let again = |item: &Item, cursor: &str| {
            let newest = cursor.split_once(' ').and_then(|(at, _)| DateTime::parse_from_rfc3339(at).ok());
            !back.is_zero() && newest.is_some_and(|newest| item.at + back >= newest)
        };
        let wanted = |item: &Item, cursor: &String| Self::position(item) >= *cursor || again(item, cursor);
        items.retain(|item| item.at <= request.until && cursor.as_ref().is_none_or(|cursor| wanted(item, cursor)));
        items.sort_by_key(|item| Self::position(item));
        let end = (start + content.page_size.max(1)).min(items.len());
        let start = start.min(end);
        let mut answer = page(items[start..end].iter().map(|item| (item.id.as_str(), item.fields.clone())));
        answer.cursor = items[start..end].last().map(|item| Cursor::new(1, Self::position(item)));
        answer.next = match &cursor {
            _ if end < items.len() => Next::Page(format!("{end}|{}", cursor.unwrap_or_default()).into()),
            cursor => Next::End { complete: cursor.is_none() },
        };
        Ok(answer)
    }
}
