//! What a call leaves behind for operators: one event, four metrics. Never a URL's query, a header or a body.

use std::time::Duration;

use http::StatusCode;
use metrics::{counter, histogram};
use sync_core::Error;

/// One attempt, for logs and metrics.
pub(super) struct Attempt {
    pub(super) provider: &'static str,
    pub(super) operation: &'static str,
    /// Which attempt of the call this was, from 1.
    pub(super) number: u32,
    pub(super) status: Option<StatusCode>,
    pub(super) took: Duration,
    pub(super) bytes: usize,
}

impl Attempt {
    pub(super) fn observe(&self, error: Option<&Error>) {
        let (provider, operation) = (self.provider, self.operation);
        let outcome = error.map_or("ok", |error| error.kind().as_str());
        tracing::debug!(
            provider,
            operation,
            status = self.status.map(|status| status.as_u16()),
            took_ms = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            bytes = self.bytes,
            attempt = self.number,
            outcome,
            "call"
        );
        counter!("syncline_calls_total", "provider" => provider, "operation" => operation, "outcome" => outcome).increment(1);
        histogram!("syncline_call_seconds", "provider" => provider, "operation" => operation).record(self.took.as_secs_f64());
        counter!("syncline_call_bytes_total", "provider" => provider, "operation" => operation).increment(self.bytes as u64);
    }
}

/// A repeat that is about to be waited for.
pub(super) fn retrying(provider: &'static str, operation: &'static str, wait: Duration, error: &Error) {
    let reason = error.kind().as_str();
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(provider, operation, wait_ms, reason, "call is repeated");
    counter!("syncline_retries_total", "provider" => provider, "operation" => operation, "reason" => reason).increment(1);
}
