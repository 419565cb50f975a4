//! Reading when something goes wrong, and what every call owes to `Services`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::{FutureExt, future::BoxFuture};
use sync_core::{AccessToken, AuthScheme, CallSite, ConnectionId, ErrorKind, Permit, Result, Retry, Services};

use super::case::{Case, Trial, short};
use crate::{
    Fault, TestServices,
    suite::{
        Expect, Finding, differs, ensure,
        faults::{self, Attempts, Mishap},
        refused, same,
    },
};

/// Every operation meets each mishap for good.
async fn meets(case: &Case<'_>, mishaps: Vec<Mishap>) -> Result<(), Finding> {
    let most = case.subject.retry.max_retries as usize + 1;
    for operation in &case.subject.reads {
        for mishap in mishaps.iter().filter(|mishap| case.subject.excused.iter().all(|(name, _)| *name != mishap.name)) {
            let trial = case.trial();
            let faults = trial.world.controls.faults();
            faults.push_times(*operation, mishap.fault.clone(), 60);
            let rule = format!("{operation}, {}: an error of {:?}", mishap.name, mishap.read);
            let error = match trial.read().await {
                Ok(scan) => return Err(differs(rule, format!("{} records, complete: {}", scan.ids().len(), scan.complete))),
                Err(error) => error,
            };
            ensure(mishap.read.contains(&error.kind()), rule, || short(&format!("{error:?}")))?;
            let most = match mishap.attempts {
                Attempts::Once => 1,
                Attempts::Twice => 2.min(most),
                Attempts::Policy => most,
            };
            let made = faults.used();
            ensure((1..=most).contains(&made), format!("{operation}, {}: at most {most} attempts", mishap.name), || made.to_string())?;
        }
    }
    Ok(())
}

pub(super) async fn unreadable_answers_are_errors(case: &Case<'_>) -> Result<(), Finding> {
    meets(case, faults::unreadable()).await
}

pub(super) async fn temporary_failures_are_tried_as_often_as_the_policy_says(case: &Case<'_>) -> Result<(), Finding> {
    meets(case, faults::temporary()).await
}

pub(super) async fn refusals_are_not_tried_again(case: &Case<'_>) -> Result<(), Finding> {
    meets(case, faults::refusals()).await
}

pub(super) async fn one_failure_is_got_over(case: &Case<'_>) -> Result<(), Finding> {
    for operation in &case.subject.reads {
        for mishap in faults::temporary() {
            let trial = case.trial();
            trial.world.controls.faults().push(*operation, mishap.fault);
            let scan = trial.read().await.expected(&format!("{operation}, {} once: a whole read", mishap.name))?;
            same("faults that struck", &1, &trial.world.controls.faults().used())?;
            same(&format!("{operation}, {} once: all records", mishap.name), &trial.truth(), &scan.sorted())?;
        }
    }
    Ok(())
}

pub(super) async fn too_many_calls_are_waited_for(case: &Case<'_>) -> Result<(), Finding> {
    const ASKED: Duration = Duration::from_secs(37);
    for operation in &case.subject.reads {
        let trial = case.trial();
        trial.world.controls.faults().push(*operation, Fault::rate_limited(ASKED.as_secs()));
        let scan = trial.read().await.expected(&format!("{operation}, 429 once: a whole read"))?;
        same(&format!("{operation}, 429 once: all records"), &trial.truth(), &scan.sorted())?;
        let slept = trial.services.clock().slept();
        ensure(slept.iter().any(|wait| *wait >= ASKED), format!("{operation}: a wait of {ASKED:?} or more through Services"), || {
            format!("{slept:?}")
        })?;
    }
    Ok(())
}

pub(super) async fn a_long_wait_is_left_to_the_caller(case: &Case<'_>) -> Result<(), Finding> {
    for operation in &case.subject.reads {
        let mut trial = case.trial();
        let left = Duration::from_secs(60);
        trial.cx.deadline = trial.services.now() + left;
        trial.world.controls.faults().push_times(*operation, Fault::rate_limited(7_200), 20);
        let error = refused(trial.read().await.map(|scan| scan.ids()), "RateLimited")?;
        same("the kind of the error", &ErrorKind::RateLimited, &error.kind())?;
        let parked = matches!(error.retry(), Retry::After(Some(wait)) if wait >= Duration::from_secs(7_200));
        ensure(parked, format!("{operation}: Retry::After with the wait asked for"), || format!("{error:?}"))?;
        same(&format!("{operation}: calls after it was told to wait"), &1, &trial.world.controls.faults().used())?;
        let now = trial.services.now();
        ensure(now <= trial.cx.deadline, "no sleep past the deadline", || format!("{:?} slept", trial.services.clock().slept()))?;
    }
    Ok(())
}

pub(super) async fn the_deadline_is_kept(case: &Case<'_>) -> Result<(), Finding> {
    for operation in &case.subject.reads {
        let mut trial = case.trial();
        let left = Duration::from_secs(20);
        trial.cx.deadline = trial.services.now() + left;
        trial.world.controls.faults().push_times(*operation, Fault::Slow(Duration::from_secs(86_400)), 20);
        refused(trial.read().await.map(|scan| scan.ids()), "an error when a peer stalls past the deadline")?;
        let late = trial.services.now() - trial.cx.deadline;
        ensure(late <= chrono::TimeDelta::zero(), format!("{operation}: an end at the deadline"), || format!("{late} after it"))?;
    }
    Ok(())
}

pub(super) async fn a_refused_token_is_renewed_once(case: &Case<'_>) -> Result<(), Finding> {
    let good = case.canary.secret();
    let trial = case.trial_with(3, |services| services.with_token("old").with_refresh(&[good]));
    let scan = trial.read().await.expected("a whole read after one renewal of the token")?;
    same("all records", &trial.truth(), &scan.sorted())?;
    same("versions that were refused", &vec![1], &trial.services.calls().rejected)?;
    let trial = case.trial_with(3, |services| services.with_token("old").with_refresh(&["also old", good]));
    let error = refused(trial.read().await.map(|scan| scan.ids()), "Auth after one renewal that did not help")?;
    same("the kind of the error", &ErrorKind::Auth, &error.kind())?;
    same("renewals", &1, &trial.services.calls().rejected.len())
}

pub(super) async fn every_call_is_drawn_from_services(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    trial.world.provider.validate_credentials(&trial.cx).await.expected("an account")?;
    trial.read().await.expected("a whole read")?;
    let (drawn, made) = (trial.services.calls(), trial.world.controls.calls().len());
    ensure(made > 0, "calls in a read", || "none came".to_owned())?;
    same("permits drawn for the calls that came", &made, &drawn.permits.len())?;
    if case.facts.descriptor.auth != AuthScheme::None {
        ensure(drawn.tokens >= made, format!("a token asked for each of {made} calls"), || drawn.tokens.to_string())?;
    }
    Ok(())
}

pub(super) async fn every_permit_is_reported(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    if let Some(operation) = case.subject.reads.first() {
        trial.world.controls.faults().push(*operation, Fault::status(503, ""));
    }
    trial.read().await.expected("a whole read")?;
    let drawn = trial.services.calls();
    same("permits dropped without a report", &0, &drawn.unreported)?;
    same("reports for the permits drawn", &drawn.permits.len(), &drawn.outcomes.len())
}

pub(super) async fn buckets_are_declared(case: &Case<'_>) -> Result<(), Finding> {
    let quotas = case.facts.descriptor.quotas;
    let trial = case.trial();
    trial.read().await.expected("a whole read")?;
    for (bucket, cost) in trial.services.calls().permits {
        let quota = quotas.iter().find(|quota| quota.bucket == bucket);
        let fits = quota.is_some_and(|quota| (1..=quota.units).contains(&cost));
        ensure(fits, format!("a bucket of the descriptor, {:?}", quotas), || format!("{cost} of {bucket:?}"))?;
    }
    Ok(())
}

pub(super) async fn a_refused_permit_stops_the_call(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    let open = sync_core::Error::new(ErrorKind::CircuitOpen, "permit", "calls are suspended").with_retry(Retry::After(None));
    trial.services.refuse_permit(open);
    let error = refused(trial.read().await.map(|scan| scan.ids()), "the error of the permit")?;
    same("the kind of the error", &ErrorKind::CircuitOpen, &error.kind())?;
    same("calls made without a permit", &0, &trial.world.controls.calls().len())
}

/// Services that give way once before each answer, so that a read can be dropped there too.
#[derive(Debug)]
struct GivingWay(TestServices);

#[async_trait]
impl Services for GivingWay {
    async fn token(&self, connection: &ConnectionId, rejected: Option<u64>) -> Result<AccessToken> {
        once().await;
        self.0.token(connection, rejected).await
    }

    async fn permit(&self, call: &CallSite<'_>, deadline: DateTime<Utc>) -> Result<Permit> {
        once().await;
        self.0.permit(call, deadline).await
    }

    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep(wait)
    }

    fn random(&self) -> u64 {
        self.0.random()
    }
}

/// Ready the second time it is asked.
async fn once() {
    let mut asked = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut asked, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

pub(super) async fn a_dropped_read_breaks_nothing(case: &Case<'_>) -> Result<(), Finding> {
    /// Awaits of one read; far more than any fixture's.
    const MOST: usize = 400;
    const LATENCY: Duration = Duration::from_millis(10);
    let mut trial: Trial<'_> = case.trial_of(3);
    trial.cx.services = Arc::new(GivingWay(trial.services.clone()));
    let (clock, truth) = (trial.services.clock().clone(), trial.truth());
    for awaits in 1..MOST {
        // Answers take their time on a clock that stands, so that each of them is an await to be dropped at.
        trial.world.controls.latency(LATENCY);
        clock.hold(true);
        let ended = {
            let mut read = Box::pin(trial.read());
            let mut ended = false;
            for _ in 0..awaits {
                ended = (&mut read).now_or_never().is_some();
                if ended {
                    break;
                }
                clock.advance(LATENCY);
            }
            ended
        };
        clock.hold(false);
        trial.world.controls.latency(Duration::ZERO);
        trial.later();
        let scan = trial.read().await.expected(&format!("a whole read after one that was dropped at await {awaits}"))?;
        same(&format!("all records after a read that was dropped at await {awaits}"), &truth, &scan.sorted())?;
        if ended {
            return ensure(awaits > 2, "a read with awaits to be dropped at", || awaits.to_string());
        }
    }
    Err(differs(format!("an end of a read of three records within {MOST} awaits"), "none"))
}
