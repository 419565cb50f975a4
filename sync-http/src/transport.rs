//! The seam to an HTTP library: one request in, one answer out.

use std::{borrow::Cow, error::Error as StdError, fmt::Debug, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use sync_core::{Delivery, Error, ErrorKind, Retry};

/// What one attempt may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From connecting to the last byte of the body.
    pub timeout: Duration,
    /// Bytes of the body after decompression; reading stops there.
    pub max_body: usize,
}

/// One request in, one answer out.
///
/// What callers may assume: every status is an answer, not an error, and a body is whole. What authors must do: no retry, no redirect,
/// no cookie; keep to both [`Limits`] (the body's while reading, not afterwards); tell [`TransportError::not_sent`] from
/// [`TransportError::unknown`] and, in doubt, answer unknown; put neither a URL nor a header into an error.
///
/// # Cancellation
/// Dropping the future ends the attempt.
#[async_trait]
pub trait HttpTransport: Debug + Send + Sync + 'static {
    /// Sends `request` once.
    ///
    /// # Errors
    /// [`TransportError`] when no whole answer came.
    async fn send(&self, request: http::Request<Bytes>, limits: Limits) -> Result<http::Response<Bytes>, TransportError>;
}

const _: Option<&dyn HttpTransport> = None;

/// Why no whole answer came. Its texts hold neither a URL nor a header.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct TransportError {
    delivery: Delivery,
    too_large: bool,
    text: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl TransportError {
    /// The request never left: the name was not found, the connection was refused, TLS failed.
    pub fn not_sent(text: impl Into<Cow<'static, str>>) -> Self {
        Self { delivery: Delivery::NotSent, too_large: false, text: text.into(), source: None }
    }

    /// The request may have arrived: reset, timed out, cut.
    pub fn unknown(text: impl Into<Cow<'static, str>>) -> Self {
        Self { delivery: Delivery::Unknown, too_large: false, text: text.into(), source: None }
    }

    /// The service answered with more than `cap` bytes; the rest was not read.
    #[must_use]
    pub fn too_large(cap: usize) -> Self {
        let text = format!("the answer is larger than the {cap} bytes allowed");
        Self { delivery: Delivery::Answered, too_large: true, text: text.into(), source: None }
    }

    /// Keeps the cause, which must hold neither a URL nor a header.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether the request may have arrived.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// Whether the answer was larger than allowed.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.too_large
    }

    /// As the library's error: [`Decode`](ErrorKind::Decode) and permanent when too large, else [`Transport`](ErrorKind::Transport)
    /// and temporary.
    pub(crate) fn into_error(self, operation: &'static str) -> Error {
        let (kind, retry) = if self.too_large { (ErrorKind::Decode, Retry::Never) } else { (ErrorKind::Transport, Retry::After(None)) };
        let error = Error::new(kind, operation, self.text).with_retry(retry).with_delivery(self.delivery);
        match self.source {
            Some(source) => error.because(source),
            None => error,
        }
    }
}
