//! Writing.

use serde_json::{Value, json};
use sync_core::{Effect, ErrorKind, PushMode, PushOutcome, Retry, Services, StreamName, Writes};

use super::{
    case::Case,
    sending::{Sending, accepted},
};
use crate::{
    Fault,
    suite::{Expect, Finding, differs, ensure, same},
};

pub(super) async fn outcomes_equal_items(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    let items: Vec<_> = (0..sending.push.good.len()).map(|n| sending.good(n)).collect();
    let most = case.facts.descriptor.push.items.max(1);
    for (n, part) in items.chunks(most).enumerate() {
        let outcomes = sending.world.provider.push(&sending.cx, &sending.batch(sending.mode(), part)).await.expected("outcomes")?;
        same("outcomes of a batch", &part.len(), &outcomes.len())?;
        // In their order: the id each of them names is that of its own record.
        for (place, outcome) in outcomes.iter().enumerate() {
            let fields = &sending.push.good[n * most + place];
            let Some((id, effect)) = accepted(outcome) else { return Err(differs("an accepted record", format!("{outcome:?}"))) };
            same("what was done", &Effect::Created, &effect)?;
            if let Some(asked) = &part[place].id {
                same("the id of a record whose key columns make it", asked, id)?;
            }
            let holding = sending.world.service.holding(fields);
            ensure(holding.iter().any(|held| held == id.as_str()), format!("the id of {fields}, one of {holding:?}"), || format!("{id}"))?;
        }
    }
    Ok(())
}

pub(super) async fn accepted_is_there_once(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    let before = sending.world.service.records();
    let items: Vec<_> = (0..sending.push.good.len()).map(|n| sending.good(n)).collect();
    sending.accepted(&items).await?;
    for n in 0..items.len() {
        sending.there("accepted", n, 1)?;
    }
    let after = sending.world.service.records();
    let touched: Vec<_> = before.iter().filter(|(id, content)| after.get(*id) != Some(content)).map(|(id, _)| id).collect();
    ensure(touched.is_empty(), "other records left as they were", || format!("{touched:?} changed"))
}

pub(super) async fn no_records_are_no_calls(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    let before = sending.world.service.records();
    let outcomes = sending.world.provider.push(&sending.cx, &sending.batch(sending.mode(), &[])).await.expected("no outcomes")?;
    same("outcomes", &0, &outcomes.len())?;
    same("the records of the service", &before, &sending.world.service.records())
}

pub(super) async fn what_is_there_is_not_written_twice(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    let items = [sending.good(0), sending.good(1)];
    let ids = sending.accepted(&items).await?;
    let again =
        [Sending::known(sending.item(7, &sending.push.good[0]), &ids[0]), Sending::known(sending.item(8, &sending.push.good[1]), &ids[1])];
    let outcomes = sending.send(&again).await;
    let good = |outcome: &PushOutcome| matches!(outcome, PushOutcome::Unchanged | PushOutcome::Accepted { effect: Effect::Updated, .. });
    ensure(outcomes.iter().all(good), "Unchanged, or Accepted as Updated", || format!("{outcomes:?}"))?;
    sending.there("written twice by its id", 0, 1)?;
    sending.there("written twice by its id", 1, 1)
}

/// The first good record and the changed one, written under its id.
async fn changed<'a>(case: &'a Case<'a>) -> Result<(Sending<'a>, Value, PushOutcome), Finding> {
    let sending = Sending::new(case)?;
    let fields = sending.push.changed.clone().ok_or_else(|| differs("a fixture with a changed record", "none"))?;
    let ids = sending.accepted(&[sending.good(0), sending.good(1)]).await?;
    let mut outcomes = sending.send(&[Sending::known(sending.item(7, &fields), &ids[0])]).await;
    let outcome = outcomes.pop().ok_or_else(|| differs("an outcome", "none"))?;
    if let Some((id, _)) = accepted(&outcome) {
        same("the id of the changed record", &ids[0], id)?;
    }
    Ok((sending, fields, outcome))
}

pub(super) async fn an_update_by_id_changes_that_record(case: &Case<'_>) -> Result<(), Finding> {
    let (sending, fields, outcome) = changed(case).await?;
    let updated = matches!(outcome, PushOutcome::Accepted { effect: Effect::Updated, .. });
    ensure(updated, "Accepted as Updated", || format!("{outcome:?}"))?;
    same("records with the new content", &1, &sending.count(&fields))?;
    sending.there("changed by its id", 0, 0)?;
    sending.there("another record", 1, 1)
}

pub(super) async fn insert_leaves_what_is_there(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    let fields = sending.push.changed.clone().ok_or_else(|| differs("a fixture with a changed record", "none"))?;
    let ids = sending.accepted(&[sending.good(0)]).await?;
    let outcomes = sending.send_as(PushMode::Insert, &[Sending::known(sending.item(7, &fields), &ids[0])]).await;
    ensure(matches!(outcomes[..], [PushOutcome::Skipped(_)]), "Skipped: it is there", || format!("{outcomes:?}"))?;
    sending.there("left as it was", 0, 1)?;
    same("records with the new content", &0, &sending.count(&fields))
}

pub(super) async fn update_makes_nothing_new(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    let before = sending.world.service.records();
    let outcomes = sending.send_as(PushMode::Update, &[sending.good(0)]).await;
    ensure(matches!(outcomes[..], [PushOutcome::Skipped(_)]), "Skipped: it is not there", || format!("{outcomes:?}"))?;
    same("the records of the service", &before, &sending.world.service.records())
}

pub(super) async fn a_delete_removes_that_record(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    let ids = sending.accepted(&[sending.good(0), sending.good(1)]).await?;
    let outcomes = sending.send(&[sending.delete(7, &ids[0])]).await;
    let deleted = matches!(outcomes[..], [PushOutcome::Accepted { effect: Effect::Deleted, .. }]);
    ensure(deleted, "Accepted as Deleted", || format!("{outcomes:?}"))?;
    sending.there("deleted", 0, 0)?;
    sending.there("another record", 1, 1)
}

pub(super) async fn a_delete_may_be_repeated(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    let ids = sending.accepted(&[sending.good(0), sending.good(1)]).await?;
    sending.send(&[sending.delete(7, &ids[0])]).await;
    let before = sending.world.service.records();
    let outcomes = sending.send(&[sending.delete(7, &ids[0])]).await;
    let gone =
        matches!(outcomes[..], [PushOutcome::Accepted { effect: Effect::Deleted, .. } | PushOutcome::Unchanged | PushOutcome::Skipped(_)]);
    ensure(gone, "Accepted as Deleted, Unchanged or Skipped: it is gone", || format!("{outcomes:?}"))?;
    same("the records of the service", &before, &sending.world.service.records())
}

pub(super) async fn a_bad_item_fails_alone(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    let bad = sending.push.bad.clone().ok_or_else(|| differs("a fixture with a bad record", "none"))?;
    let outcomes = sending.send(&[sending.good(0), sending.item(9, &bad), sending.good(1)]).await;
    let [first, middle, last] = &outcomes[..] else { return Err(differs("three outcomes", format!("{outcomes:?}"))) };
    ensure(accepted(first).is_some() && accepted(last).is_some(), "the good records around it accepted", || format!("{outcomes:?}"))?;
    let PushOutcome::Failed(error) = middle else { return Err(differs("Failed for the bad record", format!("{middle:?}"))) };
    let lasting = error.retry() == Retry::Never && !error.text().trim().is_empty();
    ensure(lasting, "a reason, and no retry before the record changes", || format!("{error:?}"))?;
    sending.there("before the bad record", 0, 1)?;
    sending.there("after the bad record", 1, 1)?;
    same("bad records at the service", &0, &sending.count(&bad))
}

pub(super) async fn a_foreign_field_is_refused(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    let mut fields = sending.push.good[0].clone();
    fields["no_such_field"] = json!("x");
    let before = sending.world.service.records();
    let outcomes = sending.send(&[sending.item(0, &fields)]).await;
    let [PushOutcome::Failed(error)] = &outcomes[..] else {
        return Err(differs("Failed for a field that is not among those the stream writes", format!("{outcomes:?}")));
    };
    ensure(error.text().contains("no_such_field"), "an error that names the field", || format!("{error:?}"))?;
    same("the records of the service", &before, &sending.world.service.records())
}

pub(super) async fn a_stream_to_read_alone_is_not_written(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    let before = sending.world.service.records();
    let closed = case.facts.streams.iter().filter(|stream| stream.writes == Writes::Nothing).map(|stream| stream.name.clone());
    for stream in closed.chain([StreamName::from("no such stream")]) {
        let mut batch = sending.batch(sending.mode(), &[sending.good(0)]);
        batch.stream = stream.clone();
        let rule = format!("Unsupported, Config, Invalid or NotFound for a push to {stream:?}");
        let error = match sending.world.provider.push(&sending.cx, &batch).await {
            Err(error) => error,
            Ok(mut outcomes) => match outcomes.pop() {
                Some(PushOutcome::Failed(error)) => error,
                other => return Err(differs(rule, format!("{other:?}"))),
            },
        };
        let kinds = [ErrorKind::Unsupported, ErrorKind::Config, ErrorKind::Invalid, ErrorKind::NotFound];
        ensure(kinds.contains(&error.kind()), rule, || format!("{error:?}"))?;
        same("the records of the service", &before, &sending.world.service.records())?;
    }
    Ok(())
}

pub(super) async fn every_write_is_drawn_from_services(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    sending.accepted(&[sending.good(0), sending.good(1)]).await?;
    let (drawn, made) = (sending.services.calls(), sending.world.controls.calls().len());
    ensure(made > 0, "calls of a push", || "none came".to_owned())?;
    same("permits drawn for the calls that came", &made, &drawn.permits.len())?;
    let declared = |bucket: &str| case.facts.descriptor.quotas.iter().any(|quota| quota.bucket == bucket);
    let foreign: Vec<_> = drawn.permits.iter().filter(|(bucket, _)| !declared(bucket)).collect();
    ensure(foreign.is_empty(), "buckets of the descriptor", || format!("{foreign:?}"))?;
    same("reports for the permits drawn", &drawn.permits.len(), &drawn.outcomes.len())
}

pub(super) async fn too_many_writes_are_waited_for(case: &Case<'_>) -> Result<(), Finding> {
    for operation in writes(case) {
        let sending = Sending::new(case)?;
        sending.world.controls.faults().push(operation, Fault::rate_limited(41));
        let outcomes = sending.send(&[sending.good(0)]).await;
        if sending.world.controls.faults().used() == 0 {
            continue;
        }
        ensure(outcomes.iter().all(|outcome| accepted(outcome).is_some()), format!("{operation}, 429 once: accepted"), || {
            format!("{outcomes:?}")
        })?;
        let slept = sending.services.clock().slept();
        ensure(slept.iter().any(|wait| wait.as_secs() >= 41), format!("{operation}: a wait of 41 s or more"), || format!("{slept:?}"))?;
        sending.there("turned away once by 429", 0, 1)?;
        // Far off, it is left to the caller, and nothing was written.
        let mut trial = case.trial();
        trial.cx.deadline = trial.services.now() + std::time::Duration::from_secs(60);
        let sending = Sending::over(case, trial)?;
        sending.world.controls.faults().push_times(operation, Fault::rate_limited(7_200), 9);
        let outcomes = sending.send(&[sending.good(0)]).await;
        let parked = matches!(&outcomes[..], [PushOutcome::Failed(error)] if matches!(error.retry(), Retry::After(Some(_))));
        ensure(parked, format!("{operation}: Failed, to be tried again after the wait"), || format!("{outcomes:?}"))?;
        sending.there("turned away by 429", 0, 0)?;
    }
    Ok(())
}

pub(super) async fn a_refused_token_renewed_writes_once(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::over(case, case.trial_with(3, |services| services.with_token("old").with_refresh(&[case.canary.secret()])))?;
    sending.accepted(&[sending.good(0)]).await?;
    sending.there("written with a renewed token", 0, 1)?;
    let sending = Sending::over(case, case.trial_with(3, |services| services.with_token("old").with_refresh(&["also old"])))?;
    let outcomes = sending.send(&[sending.good(0)]).await;
    let auth = matches!(&outcomes[..], [PushOutcome::Failed(error)] if error.kind() == ErrorKind::Auth);
    ensure(auth, "Failed with Auth when the renewal did not help", || format!("{outcomes:?}"))?;
    sending.there("refused", 0, 0)
}

pub(super) fn writes(case: &Case<'_>) -> Vec<&'static str> {
    case.subject.push.as_ref().map(|push| push.writes.clone()).unwrap_or_default()
}
