//! One error for the whole library: what happened, whether to try again, whether it may have taken effect, where, and why.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What happened, in terms a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The provider or storage does not offer this.
    Unsupported,
    /// A setting, name or request of the host is missing or wrong: unknown stream, tab, key column, provider.
    Config,
    /// The service refused the credentials (401); a refresh may help.
    Auth,
    /// The grant is gone: revoked, or the account is inactive. Someone has to connect again.
    AuthRevoked,
    /// The account may not do this: missing scope, not shared, not a member.
    Forbidden,
    /// What was asked for does not exist at the service or in the storage.
    NotFound,
    /// Too many calls; work is parked when the wait is longer than the deadline.
    RateLimited,
    /// The stored position is no longer accepted; a full scan starts anew.
    CursorExpired,
    /// The service or the storage refused the data.
    Invalid,
    /// An answer that could not be read: HTML, cut, too large, a missing records key.
    Decode,
    /// The network or the service failed: refused, reset, timed out, 5xx.
    Transport,
    /// Calls to this host are suspended by the circuit breaker.
    CircuitOpen,
    /// Somebody else has changed or is doing the same thing.
    Conflict,
    /// The run's lease belongs to another worker now; nothing it writes is accepted.
    LeaseLost,
    /// A key of the keyring is missing, or an envelope is damaged.
    Key,
    /// The database refused: locked, full, read-only, broken.
    Storage,
    /// The caller stopped it.
    Cancelled,
    /// A promise of this library was broken; please report it.
    Internal,
}

impl ErrorKind {
    /// The kind as it stands in tables, logs and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::Config => "config",
            Self::Auth => "auth",
            Self::AuthRevoked => "auth_revoked",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::CursorExpired => "cursor_expired",
            Self::Invalid => "invalid",
            Self::Decode => "decode",
            Self::Transport => "transport",
            Self::CircuitOpen => "circuit_open",
            Self::Conflict => "conflict",
            Self::LeaseLost => "lease_lost",
            Self::Key => "key",
            Self::Storage => "storage",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }

    /// Reads [`as_str`](Self::as_str) back; `None` for what a newer version may have written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        use serde::de::{IntoDeserializer, value::Error};
        Self::deserialize(IntoDeserializer::<Error>::into_deserializer(text)).ok()
    }

    /// What an operator can do about it, in one sentence.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Unsupported => "check the provider's capabilities",
            Self::Config => "correct the setting or name and run again",
            Self::Auth | Self::AuthRevoked => "connect the account again",
            Self::Forbidden => "grant the missing permission at the service and run again",
            Self::NotFound => "check its name; at a service, that it still exists and is shared with this account",
            Self::RateLimited => "wait; the run goes on from where it stopped",
            Self::CursorExpired => "run a full pull",
            Self::Invalid => "correct the data at its source",
            Self::Decode => "the service may be in trouble or have changed; run again, then report it",
            Self::Transport => "check the network and the service's status page, then run again",
            Self::CircuitOpen => "the service keeps failing; calls resume by themselves",
            Self::Conflict => "look at the present state and run again",
            Self::LeaseLost => "another worker took over; look at its run",
            Self::Key => "put the named key back into the keyring",
            Self::Storage => "see to the database (space, permissions, other writers) and run again",
            Self::Cancelled => "run again to go on from the last commit",
            Self::Internal => "please report this",
        }
    }

    /// Whether a failed run counts towards the three that put a connection into `error`
    /// (rate limits, an open breaker, cancelling and a lost lease never count).
    #[must_use]
    pub fn counts_against_connection(self) -> bool {
        !matches!(self, Self::RateLimited | Self::CircuitOpen | Self::Cancelled | Self::LeaseLost | Self::Conflict)
    }
}

/// Whether trying again can help; decided where the answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Permanent until someone changes something.
    Never,
    /// Temporary; wait at least this long if the service said so.
    After(Option<Duration>),
    /// Was temporary; this many attempts were used up.
    GaveUp(u32),
}

/// Whether the request may have taken effect at the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It never left: nothing happened there.
    NotSent,
    /// The service answered, so what happened is known.
    Answered,
    /// It may have arrived; only a look at the service can tell.
    Unknown,
}

/// What went wrong. Boxed, so that a [`Result`] stays small.
///
/// `Display` is one line without the cause; [`source`](StdError::source) has the cause; [`hint`](Self::hint) says what to do.
/// No text of an error ever holds a credential.
pub struct Error(Box<Problem>);

struct Problem {
    kind: ErrorKind,
    retry: Retry,
    delivery: Delivery,
    operation: &'static str,
    text: Cow<'static, str>,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error that is permanent and was answered; change it with the setters.
    ///
    /// `text` says what happened and names the thing it happened to.
    pub fn new(kind: ErrorKind, operation: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Problem {
            kind,
            retry: Retry::Never,
            delivery: Delivery::Answered,
            operation,
            text: text.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// [`ErrorKind::Unsupported`]: this provider or storage does not offer `operation`.
    #[must_use]
    pub fn unsupported(operation: &'static str) -> Self {
        Self::new(ErrorKind::Unsupported, operation, "not supported by this provider").with_delivery(Delivery::NotSent)
    }

    /// [`ErrorKind::Config`]: nothing was sent, the host has to correct something.
    pub fn config(operation: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, operation, text).with_delivery(Delivery::NotSent)
    }

    /// Sets whether a repeat can help.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Sets whether it may have taken effect.
    #[must_use]
    pub fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.0.delivery = delivery;
        self
    }

    /// Adds where it happened, outermost last: `("partition", "C024BE91L")`.
    #[must_use]
    pub fn at(mut self, what: &'static str, which: impl Into<String>) -> Self {
        self.0.context.push((what, which.into()));
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether a repeat can help.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Whether it may have taken effect.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.0.delivery
    }

    /// The operation that failed: `slack.conversations.history`, `commit`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// What happened, without operation and context.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Where it happened, innermost first.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }

    /// What an operator can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        self.0.kind.hint()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.text)?;
        for (what, which) in &self.0.context {
            write!(f, " ({what} {which})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("retry", &self.0.retry)
            .field("delivery", &self.0.delivery)
            .field("operation", &self.0.operation)
            .field("text", &self.0.text)
            .field("context", &self.0.context)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
