//! No credential gets out.

use std::{
    error::Error as _,
    fmt::{Debug, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use sync_core::Error;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    instrument::WithSubscriber as _,
    span,
};

use super::case::{Case, Trial, short};
use crate::{
    Fault,
    suite::{Finding, ensure, faults},
};

/// Everything that is logged, as text.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<String>>);

impl Log {
    pub(super) fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Visit for &Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // writing to a string cannot fail
        let _ = write!(text, " {field}={value:?}");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        span.record(&mut &*self);
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut &*self);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut &*self);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Everything an error says, its causes included.
pub(super) fn told(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}\n{error:#?}");
    let mut cause = error.source();
    while let Some(source) = cause {
        let _ = write!(text, "\n{source}\n{source:?}");
        cause = source.source();
    }
    text
}

/// What a service may say when it repeats the request: each way a token could come back.
pub(super) fn echoes(token: &str) -> Vec<Fault> {
    let body = format!(r#"{{"error":"bad token {token}","message":"{token}","ok":false}}"#);
    let mut all: Vec<Fault> = [400, 401, 403, 404, 500].into_iter().map(|status| Fault::status(status, body.clone())).collect();
    all.push(Fault::Body(body));
    all.push(Fault::Status {
        status: 418,
        headers: vec![("content-type", "text/html".to_owned()), ("x-request-id", token.to_owned())],
        body: format!("<h1>Bearer {token}</h1>"),
    });
    all
}

pub(super) async fn the_token_gets_out_nowhere(case: &Case<'_>) -> Result<(), Finding> {
    let token = case.canary.secret();
    let log = Log::default();
    let mut operations: Vec<&'static str> = case.subject.identity.iter().chain(&case.subject.reads).copied().collect();
    operations.dedup();
    let everything = async {
        let mut texts = Vec::new();
        for operation in operations {
            let small = faults::all().into_iter().filter(|mishap| !matches!(mishap.fault, Fault::Huge(_))).map(|mishap| mishap.fault);
            for fault in small.chain(echoes(token)) {
                let trial: Trial<'_> = case.trial_of(2);
                trial.world.controls.faults().push_times(operation, fault, 8);
                let provider = &trial.world.provider;
                texts.extend(provider.validate_credentials(&trial.cx).await.err().map(|error| told(&error)));
                match trial.read().await {
                    Ok(scan) => texts.push(format!("{scan:?}")),
                    Err(error) => texts.push(told(&error)),
                }
                texts.push(format!("{provider:?} {:?}", trial.cx));
            }
        }
        let trial = case.trial_of(2);
        match trial.read().await {
            Ok(scan) => texts.push(format!("{scan:?} {:?}", trial.world.provider)),
            Err(error) => texts.push(told(&error)),
        }
        texts
    };
    let texts = everything.with_subscriber(log.clone()).await;
    let leak = texts.iter().find(|text| case.canary.found_in(text));
    ensure(leak.is_none(), "errors, records and Debug without the token", || short(leak.map_or("", String::as_str)))?;
    let logged = log.text();
    ensure(!case.canary.found_in(&logged), "logs without the token", || short(&around(case, &logged)))
}

/// The line of the log the token stands in.
fn around(case: &Case<'_>, log: &str) -> String {
    log.split(" message=").find(|part| case.canary.found_in(part)).unwrap_or_default().to_owned()
}
