//! What a provider is and what it offers.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{PartitionId, PushLimits, StreamName, Writes};

/// What a provider can do; checked before a call and by the conformance kit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Records can be read.
    pub pull: bool,
    /// Records can be written.
    pub push: bool,
    /// Campaign sets can be pushed.
    pub campaigns: bool,
}

/// How a connection proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthScheme {
    /// `Authorization: Bearer <token>`, an OAuth access token or a personal one.
    Bearer,
    /// HTTP Basic with the key as password.
    Basic,
    /// None.
    None,
}

/// So many units of a bucket in so much time; a setting, with the service's published value as default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The name calls draw it by ([`CallSite::bucket`](crate::CallSite)).
    pub bucket: &'static str,
    /// Units.
    pub units: u32,
    /// In this time.
    pub per: Duration,
}

/// Identity and abilities of a provider: data, the same every time, no I/O.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// The name it is registered by: `slack`.
    pub name: &'static str,
    /// As people write it: `Slack`.
    pub title: &'static str,
    /// What lineage calls values from it: `google_sheet`, `api` or `app`.
    pub source_type: &'static str,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How it proves who it is.
    pub auth: AuthScheme,
    /// Streams that every account has; others are found by [`streams`](crate::IntegrationSync::streams).
    pub fixed_streams: &'static [&'static str],
    /// Settings a connection takes, for messages and forms: name and meaning.
    pub settings: &'static [(&'static str, &'static str)],
    /// Whether page tokens may be stored, and for how long.
    pub page_tokens: TokenLife,
    /// How far back an incremental pull reads again, for late edits and restated data.
    pub look_back: Duration,
    /// Default quotas per account.
    pub quotas: &'static [Quota],
    /// Partitions fetched side by side.
    pub lanes: usize,
    /// What its pushes are like.
    pub push: PushLimits,
    /// What becomes of keywords on this platform.
    pub keywords: Keywords,
}

impl Descriptor {
    /// A provider that so far can do nothing: bearer tokens, volatile page tokens, one lane, no quotas.
    ///
    /// ```
    /// # use sync_core::{Capabilities, Descriptor};
    /// let warehouse = Descriptor {
    ///     capabilities: Capabilities { pull: true, ..Capabilities::default() },
    ///     fixed_streams: &["stock"],
    ///     ..Descriptor::new("warehouse", "Warehouse")
    /// };
    /// ```
    #[must_use]
    pub fn new(name: &'static str, title: &'static str) -> Self {
        Self {
            name,
            title,
            source_type: "api",
            capabilities: Capabilities::default(),
            auth: AuthScheme::Bearer,
            fixed_streams: &[],
            settings: &[],
            page_tokens: TokenLife::Volatile,
            look_back: Duration::ZERO,
            quotas: &[],
            lanes: 1,
            push: PushLimits::default(),
            keywords: Keywords::Unsupported,
        }
    }
}

/// Whether a page token outlives the scan that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenLife {
    /// Only inside its scan, never stored.
    Volatile,
    /// Committed with its page and good for this long: a killed scan goes on mid-way.
    Durable(Duration),
}

/// What a platform does with keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keywords {
    /// They are objects with ids of their own.
    Objects,
    /// They are part of the ad group's targeting.
    FoldedIntoAdGroup,
    /// The platform has none.
    Unsupported,
}

/// The type of a column, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Text.
    Text,
    /// Whole numbers in 64 bits.
    Integer,
    /// Numbers, kept as exact as their text.
    Number,
    /// True or false.
    Boolean,
    /// `YYYY-MM-DD`.
    Date,
    /// RFC 3339 with microseconds.
    Timestamp,
    /// Objects and lists.
    Json,
}

impl FieldKind {
    /// As it stands in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Json => "json",
        }
    }

    /// Reads [`as_str`](Self::as_str) back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Text, Self::Integer, Self::Number, Self::Boolean, Self::Date, Self::Timestamp, Self::Json]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }

    /// The kind a value of JSON text gives its column; `None` for null.
    #[must_use]
    pub fn of(json: &str) -> Option<Self> {
        Some(match json.as_bytes().first()? {
            b'n' => return None,
            b'"' => Self::Text,
            b't' | b'f' => Self::Boolean,
            b'{' | b'[' => Self::Json,
            _ if json.contains(['.', 'e', 'E']) => Self::Number,
            _ => Self::Integer,
        })
    }
}

/// A field of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name in the records.
    pub name: Box<str>,
    /// Where a person finds it: `Column B`. For lineage and row errors.
    pub label: Option<Box<str>>,
    /// Its type, when the service declares one.
    pub kind: Option<FieldKind>,
    /// Whether its values are nobody's business: lineage keeps a keyed hash of them, and no failure or plan that is shown quotes them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
}

impl Field {
    /// A field of unknown type.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self { name: name.into(), label: None, kind: None, sensitive: false }
    }

    /// A field of a declared type.
    pub fn typed(name: impl Into<Box<str>>, kind: FieldKind) -> Self {
        Self { name: name.into(), label: None, kind: Some(kind), sensitive: false }
    }

    /// Sets where a person finds it.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<Box<str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Says that its values are nobody's business.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }
}

/// How a stream can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamMode {
    /// Each pull reads everything; what is gone from a complete scan is deleted.
    Full,
    /// A pull reads what came or changed since the cursor; a full one may still be asked for.
    Incremental,
}

/// Which of two records with one key counts inside a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// The later one: overlapping pages bring the newer version.
    #[default]
    LastWins,
    /// The earlier one; the later is skipped with a warning that names its row. For sources where a double key is a mistake.
    FirstWins,
}

/// One kind of record an account offers.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its name in requests.
    pub name: StreamName,
    /// Its fields, when they are known before reading.
    pub fields: Option<Arc<[Field]>>,
    /// Changes when the source's shape does (a sheet's header).
    pub fingerprint: Option<Box<str>>,
    /// How it can be read.
    pub mode: StreamMode,
    /// Which of two records with one key counts.
    pub duplicates: Duplicates,
    /// Whether a pull must be told the key columns.
    pub needs_key: bool,
    /// The key columns, where records have no id of their own and the connection's settings name them.
    pub key: Arc<[Box<str>]>,
    /// What a push may write.
    pub writes: Writes,
}

impl Stream {
    /// A stream that is read in full each time, with keys of its own.
    pub fn full(name: impl Into<StreamName>) -> Self {
        Self {
            name: name.into(),
            fields: None,
            fingerprint: None,
            mode: StreamMode::Full,
            duplicates: Duplicates::LastWins,
            needs_key: false,
            key: Arc::default(),
            writes: Writes::Nothing,
        }
    }

    /// A stream that is read from a cursor on.
    pub fn incremental(name: impl Into<StreamName>) -> Self {
        Self { mode: StreamMode::Incremental, ..Self::full(name) }
    }

    /// Lets pushes write it.
    #[must_use]
    pub fn writable(mut self, writes: Writes) -> Self {
        self.writes = writes;
        self
    }

    /// Sets the fields.
    #[must_use]
    pub fn with_fields(mut self, fields: impl Into<Arc<[Field]>>) -> Self {
        self.fields = Some(fields.into());
        self
    }
}

/// Who an account is at the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The service's id of it; connections are unique by it.
    pub id: Box<str>,
    /// As people know it.
    pub name: Option<Box<str>>,
}

/// An independent part of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its key inside the stream; also what people see.
    pub id: PartitionId,
    /// As people know it (`#general`), when that differs.
    pub title: Option<Box<str>>,
    /// Whatever the provider wants back with each request.
    pub settings: Option<Box<str>>,
}

impl Partition {
    /// The one partition of a stream that has no parts.
    #[must_use]
    pub fn whole() -> Self {
        Self::new("")
    }

    /// A partition by its key.
    pub fn new(id: impl Into<PartitionId>) -> Self {
        Self { id: id.into(), title: None, settings: None }
    }
}

/// The parts of a stream as they are now.
#[derive(Clone, Debug)]
pub struct Partitions {
    /// Those that were seen.
    pub list: Vec<Partition>,
    /// Whether all were seen: one that is missing here is gone, not unseen.
    pub complete: bool,
}

impl Partitions {
    /// A stream without parts.
    #[must_use]
    pub fn whole() -> Self {
        Self { list: vec![Partition::whole()], complete: true }
    }
}
