//! The one retry: permit, token, attempt, classify, report; then refresh, wait, park or give up.

use std::{sync::PoisonError, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::AUTHORIZATION;
use sync_core::{AccessToken, CallOutcome, CallSite, Delivery, Error, ErrorKind, Health, Result, Retry};

use super::{
    Api, Caller, later,
    observe::{Attempt, retrying},
};
use crate::{Answer, Limits, Request, TransportError, hint, redact::Forms};

/// A successful answer larger than this is data, not an error with words in it: the classifier sees it as it came.
const LONGEST_SCRUBBED: usize = 16 << 10;

/// What one call has been through so far.
#[derive(Default)]
struct Progress {
    attempts: u32,
    retries: u32,
    /// An earlier attempt may have arrived.
    maybe_delivered: bool,
    /// The answer was unreadable once and was asked for again.
    reread: bool,
    /// The token version a 401 came for, to be renewed before the next attempt.
    rejected: Option<u64>,
    /// The refusal a renewal followed; a second one is final.
    refused: Option<Error>,
    /// When the first attempt began.
    began: Option<DateTime<Utc>>,
}

/// What to do after a failed attempt.
enum Step {
    Fail(Error),
    Refresh,
    Wait(Duration),
}

/// A failed attempt.
struct Failure {
    error: Error,
    /// What the answer asked to wait.
    hint: Option<Duration>,
    /// Reading was stopped at the cap: asking again brings the same.
    too_large: bool,
    /// The token it was made with.
    version: Option<u64>,
}

impl Api {
    pub(super) async fn call<T, F>(&self, caller: &Caller<'_>, request: &Request, mut read: F) -> Result<T>
    where
        T: Send,
        F: FnMut(Answer, &Forms) -> Result<T> + Send,
    {
        let (inner, operation) = (&*self.0, request.operation);
        let prepared = request.build(&inner.base_url, &inner.user_agent)?;
        let site = CallSite {
            workspace: caller.workspace,
            connection: caller.connection,
            host: &inner.host,
            bucket: request.bucket,
            cost: request.cost,
        };
        let mut secrets = Forms::of(&request.secrets);
        let mut progress = Progress::default();
        loop {
            let permit = match caller.services.permit(&site, caller.deadline).await {
                Ok(permit) => permit,
                Err(error) => return Err(progress.finish(secrets.scrub_error(error))),
            };
            let mut attempt = prepared.clone();
            let token = self.token(caller, &mut progress).await.map_err(|error| progress.finish(secrets.scrub_error(error)))?;
            if let Some(token) = &token {
                secrets.add(&token.secret);
                if let Some((value, form)) = inner.auth.header(operation, &token.secret)? {
                    attempt.headers_mut().insert(AUTHORIZATION, value);
                    form.iter().for_each(|form| secrets.add(form));
                }
            }
            let begun = caller.services.now();
            let left = (caller.deadline - begun).to_std().unwrap_or_default();
            if left.is_zero() {
                return Err(progress.finish(out_of_time(operation)));
            }
            if progress.began.is_none() {
                progress.began = Some(begun);
                self.budget().first_attempt(begun);
            }
            progress.attempts += 1;
            // what cannot be repeated is not cut short: an answer that comes late is worth more than none
            let timeout = if request.repeatable { request.limits.timeout.min(left) } else { request.limits.timeout };
            let limits = Limits { timeout, max_body: request.limits.max_body };
            let result = inner.transport.send(attempt, limits).await;
            let took = (caller.services.now() - begun).to_std().unwrap_or_default();

            let version = token.as_ref().map(|token| token.version);
            let mut seen = Attempt { provider: inner.provider, operation, number: progress.attempts, status: None, took, bytes: 0 };
            let mut outcome = CallOutcome { health: Health::Good, took, left: None, resets_in: None };
            let judged = self.judge(request, result, &secrets, &mut seen, &mut outcome, &mut read);
            let failure = match judged {
                Ok(value) => {
                    permit.report(outcome);
                    seen.observe(None);
                    return Ok(value);
                }
                Err(failure) => Failure { error: secrets.scrub_error(failure.error), version, ..failure },
            };
            outcome.health = health(&failure.error);
            if failure.error.kind() == ErrorKind::RateLimited {
                outcome.resets_in = failure.hint.or(outcome.resets_in);
            }
            permit.report(outcome);
            seen.observe(Some(&failure.error));
            match self.next(caller, request, failure, &mut progress) {
                Step::Fail(error) => return Err(progress.finish(error)),
                Step::Refresh => {}
                Step::Wait(wait) => caller.services.sleep(wait).await,
            }
        }
    }

    /// The token to send, renewed when the last one was refused.
    async fn token(&self, caller: &Caller<'_>, progress: &mut Progress) -> Result<Option<AccessToken>> {
        let Some(connection) = caller.connection.filter(|_| self.0.auth != crate::Auth::None) else { return Ok(None) };
        match caller.services.token(connection, progress.rejected.take()).await {
            Ok(token) => Ok(Some(token)),
            // nothing to renew with: what the service said about the token is the better answer
            Err(error) if error.kind() == ErrorKind::Auth => match progress.refused.take() {
                Some(refused) => Err(refused.because(error)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// What came of an attempt.
    fn judge<T>(
        &self,
        request: &Request,
        result: Result<http::Response<Bytes>, TransportError>,
        secrets: &Forms,
        seen: &mut Attempt,
        outcome: &mut CallOutcome,
        read: &mut (impl FnMut(Answer, &Forms) -> Result<T> + Send),
    ) -> Result<T, Failure> {
        let operation = request.operation;
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                let too_large = error.is_too_large();
                return Err(Failure { error: error.into_error(operation), hint: None, too_large, version: None });
            }
        };
        let (head, body) = response.into_parts();
        let answer = Answer { status: head.status, headers: head.headers, body };
        (seen.status, seen.bytes) = (Some(answer.status), answer.body.len());
        (outcome.left, outcome.resets_in) = hint::quota_left(&answer.headers);
        let asked = hint::retry_after(&answer.headers);
        self.classify(operation, &answer, secrets).and_then(|()| read(answer, secrets)).map_err(|error| {
            let hint = match error.retry() {
                Retry::After(Some(wait)) => Some(wait),
                _ => asked,
            };
            Failure { error, hint, too_large: false, version: None }
        })
    }

    fn classify(&self, operation: &'static str, answer: &Answer, secrets: &Forms) -> Result<()> {
        let may_quote = !answer.status.is_success() || answer.body.len() <= LONGEST_SCRUBBED;
        let text = if may_quote { String::from_utf8_lossy(&answer.body) } else { "".into() };
        if secrets.found_in(&text) {
            // cleaned before it is cut to length, so that not even half of a secret is left
            let body = Bytes::from(secrets.scrub(&text).into_owned());
            let clean = Answer { status: answer.status, headers: answer.headers.clone(), body };
            (self.0.classifier)(operation, &clean)?;
        } else {
            (self.0.classifier)(operation, answer)?;
        }
        if answer.status.is_redirection() {
            // a classifier that lets a redirect pass has not thought of it; not-modified it may have asked for
            return crate::classify_status(operation, answer, None);
        }
        Ok(())
    }

    /// Whether and when to try again.
    fn next(&self, caller: &Caller<'_>, request: &Request, failure: Failure, progress: &mut Progress) -> Step {
        let Failure { mut error, hint, too_large, version } = failure;
        let kind = error.kind();
        if kind == ErrorKind::Auth && version.is_some() && progress.refused.is_none() {
            progress.rejected = version;
            progress.refused = Some(error);
            return Step::Refresh;
        }
        if kind == ErrorKind::Decode && !(request.repeatable && request.method.is_safe()) {
            // it was answered, but nobody can read with what
            error = error.with_delivery(Delivery::Unknown);
        }
        progress.maybe_delivered |= error.delivery() == Delivery::Unknown;
        let reread = kind == ErrorKind::Decode && !too_large;
        let temporary = matches!(error.retry(), Retry::After(_)) || reread;
        if !temporary {
            return Step::Fail(error);
        }
        let harmless = error.delivery() == Delivery::NotSent || kind == ErrorKind::RateLimited || request.repeatable;
        if !harmless {
            let unknown = error.delivery() == Delivery::Unknown;
            return Step::Fail(if unknown { error.with_retry(Retry::Never) } else { error });
        }
        let gave_up = Retry::GaveUp(progress.attempts);
        if reread && progress.reread {
            return Step::Fail(error.with_retry(gave_up));
        }
        let Some(wait) = self.0.retry.delay(progress.retries, hint, caller.services.random()) else {
            return Step::Fail(error.with_retry(gave_up));
        };
        let now = caller.services.now();
        let left = |deadline: DateTime<Utc>| (deadline - now).to_std().unwrap_or_default();
        let own_deadline = later(progress.began.unwrap_or(now), self.0.retry.deadline);
        if wait >= left(caller.deadline.min(own_deadline)) {
            return Step::Fail(error.with_retry(Retry::After(Some(wait))));
        }
        let mut budget = self.budget();
        if !budget.try_retry(now) {
            return Step::Fail(error.with_retry(Retry::After(Some(wait.max(budget.refills_in(now))))));
        }
        drop(budget);
        progress.retries += 1;
        progress.reread |= reread;
        retrying(self.0.provider, request.operation, wait, &error);
        Step::Wait(wait)
    }

    fn budget(&self) -> std::sync::MutexGuard<'_, crate::RetryBudget> {
        // counters stay usable whatever happened to another task
        self.0.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// The last error, with what earlier attempts did: one that never left does not undo one that may have arrived.
    fn finish(&self, error: Error) -> Error {
        let error = if self.attempts > 1 { error.at("attempt", self.attempts.to_string()) } else { error };
        if self.maybe_delivered && error.delivery() == Delivery::NotSent { error.with_delivery(Delivery::Unknown) } else { error }
    }
}

/// What a failure says about the service's health (the breaker counts by it).
fn health(error: &Error) -> Health {
    match error.kind() {
        ErrorKind::Transport | ErrorKind::Decode => Health::Failed,
        _ => Health::Ignored,
    }
}

/// The deadline passed while waiting for quota or token: nothing is wrong, the work is only late.
fn out_of_time(operation: &'static str) -> Error {
    Error::new(ErrorKind::RateLimited, operation, "the deadline passed before the call could be sent")
        .with_retry(Retry::After(None))
        .with_delivery(Delivery::NotSent)
}
