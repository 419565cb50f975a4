//! Calls of the host's own, and what is not offered.

use sync_core::{
    Delivery, Earlier, ErrorKind, Found, Marker, Method, Operation, PassthroughAnswer, PassthroughRequest, PushBatch, PushItem, PushMode,
    Result,
};

use super::case::{Case, no_key};
use crate::{
    Fault,
    suite::{Expect, Finding, differs, ensure, refused, same},
};

pub(super) async fn a_push_without_the_capability_is_unsupported(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    let before = trial.world.service.records();
    let item = PushItem {
        marker: Marker::from("suite"),
        id: None,
        operation: Operation::Upsert,
        fields: r#"{"a":1}"#.into(),
        version: None,
        earlier: Earlier::Never,
    };
    let batch = PushBatch { stream: case.subject.stream.clone(), key: no_key(), mode: PushMode::Upsert, items: [item].into() };
    let error = refused(trial.world.provider.push(&trial.cx, &batch).await, "Unsupported")?;
    same("the kind of the error", &ErrorKind::Unsupported, &error.kind())?;
    same("whether it was sent", &Delivery::NotSent, &error.delivery())?;
    match trial.world.provider.find(&trial.cx, &batch).await {
        Ok(found) => same("what a look can say", &vec![Found::CannotTell], &found)?,
        Err(error) => same("the kind of the error", &ErrorKind::Unsupported, &error.kind())?,
    }
    same("calls made", &0, &trial.world.controls.calls().len())?;
    same("the records of the service", &before, &trial.world.service.records())
}

pub(super) async fn passthrough_stays_with_the_service(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    let Some(door) = trial.world.provider.as_passthrough() else {
        return Err(differs("a provider that lets calls through", "none"));
    };
    trial.read().await.expected("a whole read")?;
    let usual = trial.world.controls.calls();
    let home = usual.first().map(|call| call.host.clone()).unwrap_or_default();
    for path in ["https://evil.example/v1/x", "http://evil.example/", "//evil.example/x", "@evil.example/x", ":8080/x"] {
        // Taken for a path below the base URL it does no harm.
        let ended = door.request(&trial.cx, &PassthroughRequest::get(path)).await;
        let hosts: Vec<_> = trial.world.controls.calls().into_iter().map(|call| call.host).filter(|host| *host != home).collect();
        ensure(hosts.is_empty(), format!("no call elsewhere for the path {path:?}"), || format!("a call to {hosts:?}, {ended:?}"))?;
    }
    let before = trial.world.controls.calls().len();
    for path in ["../../x", "x/../../../y", "x/%2e%2e/%2E%2e/y", "x\\..\\y", "/\\evil.example/x"] {
        let rule = format!("Config for the path {path:?}");
        let error = refused(door.request(&trial.cx, &PassthroughRequest::get(path)).await, &rule)?;
        ensure(error.kind() == ErrorKind::Config, rule, || format!("{error:?}"))?;
    }
    same("calls made", &before, &trial.world.controls.calls().len())
}

pub(super) async fn passthrough_reads_with_the_connection(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    let (Some(door), Some(request)) = (trial.world.provider.as_passthrough(), &case.subject.passthrough) else {
        return Err(differs("a provider that lets calls through and a call to make", "none"));
    };
    let answer = door.request(&trial.cx, request).await.expected("an answer")?;
    ensure((200..300).contains(&answer.status) && !answer.body.is_empty(), "a body with a status 2xx", || format!("{answer:?}"))?;
    same("permits drawn", &1, &trial.services.calls().permits.len())?;
    let bad = case.trial_with(1, |services| services.with_token("wrong"));
    if let Some(door) = bad.world.provider.as_passthrough() {
        let error = refused(door.request(&bad.cx, request).await, "Auth for a token that is refused")?;
        same("the kind of the error", &ErrorKind::Auth, &error.kind())?;
    }
    // A call that changes something is not made twice by itself.
    let mut post = request.clone();
    (post.method, post.repeatable) = (Method::Post, false);
    let Some(operation) = posted(case, &post, None).await.1.last().copied() else { return Ok(()) };
    let (ended, came) = posted(case, &post, Some(operation)).await;
    ensure(came.len() == 1, "one call, as its answer was lost", || format!("{came:?}, {ended:?}"))
}

/// Makes a call in a fresh world, every answer of `lost` lost; answers how it ended and the operations that came.
async fn posted(
    case: &Case<'_>,
    request: &PassthroughRequest,
    lost: Option<&'static str>,
) -> (Option<Result<PassthroughAnswer>>, Vec<&'static str>) {
    let trial = case.trial();
    if let Some(operation) = lost {
        trial.world.controls.faults().push_times(operation, Fault::LostAnswer, 9);
    }
    let ended = match trial.world.provider.as_passthrough() {
        Some(door) => Some(door.request(&trial.cx, request).await),
        None => None,
    };
    (ended, trial.world.controls.calls().iter().map(|call| call.operation).collect())
}
