//! What an author tells the suite about a provider.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use serde_json::Value;
use sync_core::{IntegrationSync, PassthroughRequest, StreamName, policy::RetryPolicy};

use crate::{Controls, Fault, VirtualClock};

/// A provider under test: what stays the same, and a fresh service for each check.
pub trait ProviderFixture: Debug + Send + Sync {
    /// What stays the same.
    fn subject(&self) -> Subject;

    /// A service of its own with exactly `setup.records` records in the subject's stream, all older than `setup.clock`, that accepts
    /// `setup.token` and no other one, and the provider that speaks to it.
    fn world(&self, setup: &Setup) -> World;
}

/// What a fresh service has to be like.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setup {
    /// Records in the subject's stream.
    pub records: usize,
    /// The one token that is good.
    pub token: String,
    /// The clock it lives on.
    pub clock: VirtualClock,
}

/// A fresh service and the provider that speaks to it.
#[derive(Debug)]
pub struct World {
    pub(super) provider: Arc<dyn IntegrationSync>,
    pub(super) controls: Controls,
    pub(super) service: Box<dyn ServiceSide>,
}

impl World {
    /// A world of `provider`, the [`controls`](crate::Simulation::controls) of the simulation it speaks to, and what can be seen and
    /// done at the service without it.
    pub fn new(provider: impl IntegrationSync, controls: Controls, service: impl ServiceSide) -> Self {
        Self { provider: Arc::new(provider), controls, service: Box::new(service) }
    }
}

/// The service as its own users see it, past the provider. What it cannot do stays as it is here, and the checks that need it are
/// skipped.
pub trait ServiceSide: Debug + Send + Sync + 'static {
    /// Every record of the subject's stream: the id the provider has to give it, and its content as text, the same text for the same
    /// content.
    fn records(&self) -> BTreeMap<String, String>;

    /// Adds a record now, as somebody else would; answers its id.
    fn add(&self) -> Option<String> {
        None
    }

    /// Changes a record that was there before the last pull, so that a pull from a cursor has to bring it again; answers its id.
    fn change(&self) -> Option<String> {
        None
    }

    /// Removes a record in a way that a pull from a cursor reports as a delete; answers its id.
    fn remove(&self) -> Option<String> {
        None
    }

    /// Adds a record that cannot be read (no id, no object); answers whether it did.
    fn add_unreadable(&self) -> bool {
        false
    }

    /// Adds a record whose position differs from that of the one before in the last digit the service has (a microsecond, one in a
    /// 64-bit number).
    fn add_at_last_digit(&self) -> Option<Exact> {
        None
    }

    /// The ids of the records of the push's stream that hold exactly these fields, as a push sends them.
    fn holding(&self, fields: &Value) -> Vec<String> {
        let _ = fields;
        Vec::new()
    }
}

/// A record whose position needs every digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exact {
    /// Its id.
    pub id: String,
    /// Its position as the service writes it.
    pub position: String,
}

/// What stays the same about a provider under test.
///
/// ```
/// # use serde_json::json;
/// # use sync_testkit::suite::provider::Subject;
/// let books = Subject {
///     identity: vec!["library.card"],
///     reads: vec!["library.books"],
///     wrong_settings: vec![("page", json!({ "page": "many" }))],
///     ..Subject::new("books", json!({ "page": 3 }))
/// };
/// ```
#[derive(Clone, Debug)]
pub struct Subject {
    /// The stream that is read.
    pub stream: StreamName,
    /// Its key columns, where its records have no id of their own.
    pub key: Vec<Box<str>>,
    /// Settings of a connection that works, with pages so small that seven records need three of them.
    pub settings: Value,
    /// Settings a connection cannot do without.
    pub required_settings: Vec<&'static str>,
    /// The name of a setting, and settings in which it is wrong.
    pub wrong_settings: Vec<(&'static str, Value)>,
    /// The operations `validate_credentials` calls.
    pub identity: Vec<&'static str>,
    /// The operations without which the records of the stream cannot be read, those of `partitions` included.
    pub reads: Vec<&'static str>,
    /// Mishaps ([`faults`](crate::suite::faults)) by name that are a good answer of this service, and what it means by them.
    pub excused: Vec<(&'static str, &'static str)>,
    /// What the service says to a cursor that is too old.
    pub expired: Option<Fault>,
    /// Whether a full read of everything ends complete; `false` for services that never show all there is.
    pub complete: bool,
    /// When calls are made again.
    pub retry: RetryPolicy,
    /// A call of the host's own that reads.
    pub passthrough: Option<PassthroughRequest>,
    /// What to write.
    pub push: Option<PushSubject>,
}

impl Subject {
    /// A stream of records with ids of their own that is read with these settings. What is not set otherwise is not looked at.
    #[must_use]
    pub fn new(stream: impl Into<StreamName>, settings: Value) -> Self {
        Self {
            stream: stream.into(),
            key: Vec::new(),
            settings,
            required_settings: Vec::new(),
            wrong_settings: Vec::new(),
            identity: Vec::new(),
            reads: Vec::new(),
            excused: Vec::new(),
            expired: None,
            complete: true,
            retry: RetryPolicy::default(),
            passthrough: None,
            push: None,
        }
    }
}

/// What to write.
#[derive(Clone, Debug)]
pub struct PushSubject {
    /// Into this stream.
    pub stream: StreamName,
    /// Its key columns, where its records have no id of their own.
    pub key: Vec<Box<str>>,
    /// Three records or more the service takes, no two the same, none of them there yet.
    pub good: Vec<Value>,
    /// The first of them with other content, where records can be changed.
    pub changed: Option<Value>,
    /// A record the service (not the provider) or the provider refuses for what is in it.
    pub bad: Option<Value>,
    /// Whether records can be deleted.
    pub deletes: bool,
    /// Whether `find` can tell what became of a lost write; otherwise it has to say that it cannot.
    pub finds: bool,
    /// The operations a new record is written with.
    pub writes: Vec<&'static str>,
    /// The operations a record that is there is changed with.
    pub changes: Vec<&'static str>,
    /// The operations a record is deleted with.
    pub removes: Vec<&'static str>,
    /// The operations a look for a lost write makes.
    pub looks: Vec<&'static str>,
}

impl PushSubject {
    /// Records to write into a stream.
    #[must_use]
    pub fn new(stream: impl Into<StreamName>, good: Vec<Value>) -> Self {
        Self {
            stream: stream.into(),
            key: Vec::new(),
            good,
            changed: None,
            bad: None,
            deletes: false,
            finds: false,
            writes: Vec::new(),
            changes: Vec::new(),
            removes: Vec::new(),
            looks: Vec::new(),
        }
    }
}
