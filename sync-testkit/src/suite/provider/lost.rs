//! Writing when the answer is lost.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sync_core::{Delivery, Earlier, Found, PushItem, PushOutcome, RecordId, Retry};
use tracing::instrument::WithSubscriber as _;

use super::{
    case::{Case, short},
    push::writes,
    secrets::{Log, echoes, told},
    sending::{Sending, accepted},
};
use crate::{
    Fault,
    suite::{
        Expect, Finding, differs, ensure,
        faults::{self, Mishap, Write},
        same,
    },
};

/// No attempt of these checks left before.
const SINCE: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;

/// A push of one record that met a mishap on one of its writing operations.
pub(super) struct Met<'a> {
    pub(super) sending: Sending<'a>,
    operation: &'static str,
    mishap: Mishap,
    outcome: PushOutcome,
    /// Calls of the operation that came to the service.
    came: usize,
}

impl Met<'_> {
    pub(super) fn said(&self) -> String {
        format!("{}, {}", self.operation, self.mishap.name)
    }
}

/// Attempts a mishap lasts for: more than any policy makes.
pub(super) const FOR_GOOD: usize = 60;

/// The first good record, pushed while each writing operation meets each mishap.
pub(super) async fn through<'a>(case: &'a Case<'a>, mishaps: Vec<Mishap>) -> Result<Vec<Met<'a>>, Finding> {
    let mut all = Vec::new();
    for operation in writes(case) {
        for mishap in &mishaps {
            let sending = Sending::new(case)?;
            sending.world.controls.faults().push_times(operation, mishap.fault.clone(), FOR_GOOD);
            let mut outcomes = sending.send(&[sending.good(0)]).await;
            let outcome = outcomes.pop().ok_or_else(|| differs("an outcome", "none"))?;
            let struck = sending.world.controls.faults().used() > 0;
            sending.world.controls.faults().clear();
            let came = sending.world.controls.count(operation);
            if struck {
                all.push(Met { sending, operation, mishap: mishap.clone(), outcome, came });
            }
        }
    }
    ensure(!all.is_empty(), "faults that strike the writing operations the fixture names", || {
        format!("{:?} were not called", writes(case))
    })?;
    Ok(all)
}

pub(super) fn of(wanted: Write) -> Vec<Mishap> {
    let small = |mishap: &Mishap| !matches!(mishap.fault, Fault::Huge(_));
    faults::all().into_iter().filter(|mishap| mishap.write == Some(wanted) && small(mishap)).collect()
}

pub(super) async fn a_lost_answer_is_unknown(case: &Case<'_>) -> Result<(), Finding> {
    for met in through(case, of(Write::Unknown)).await? {
        let there = met.sending.count(&met.sending.push.good[0]);
        let honest = match &met.outcome {
            PushOutcome::Unknown => true,
            // Who went and looked may know better, and then it is there exactly once.
            PushOutcome::Accepted { .. } => there == 1,
            PushOutcome::Failed(error) => error.delivery() == Delivery::Unknown,
            _ => false,
        };
        ensure(honest, format!("{}: Unknown, or Accepted and there once", met.said()), || format!("{there} there and {:?}", met.outcome))?;
        ensure(there <= 1, format!("{}: the record at most once", met.said()), || format!("{there} times"))?;
    }
    Ok(())
}

pub(super) async fn nothing_is_sent_twice_by_itself(case: &Case<'_>) -> Result<(), Finding> {
    for met in through(case, of(Write::Unknown)).await? {
        ensure(met.came <= 1, format!("{}: one call, as its answer was lost", met.said()), || format!("{} calls", met.came))?;
    }
    Ok(())
}

pub(super) async fn a_repeatable_write_is_repeated_without_harm(case: &Case<'_>) -> Result<(), Finding> {
    for met in through(case, of(Write::Unknown)).await? {
        let mut item = met.sending.good(0);
        item.earlier = Earlier::Unknown { since: SINCE };
        let outcomes = met.sending.send(&[item]).await;
        let done = |outcome: &PushOutcome| accepted(outcome).is_some() || matches!(outcome, PushOutcome::Unchanged);
        ensure(outcomes.iter().all(done), format!("{}: accepted when it is sent again", met.said()), || format!("{outcomes:?}"))?;
        met.sending.there(&met.said(), 0, 1)?;
    }
    Ok(())
}

/// The first two good records, written; then what is asked for the first of them, whose answers were lost.
struct Second<'a> {
    sending: Sending<'a>,
    item: PushItem,
    outcome: PushOutcome,
    said: String,
}

async fn second<'a>(
    case: &'a Case<'a>,
    operations: &[&'static str],
    asked: impl Fn(&Sending<'a>, &RecordId) -> Result<PushItem, Finding>,
) -> Result<Vec<Second<'a>>, Finding> {
    let mut all = Vec::new();
    for operation in operations {
        for mishap in of(Write::Unknown) {
            let sending = Sending::new(case)?;
            let ids = sending.accepted(&[sending.good(0), sending.good(1)]).await?;
            let item = asked(&sending, &ids[0])?;
            let said = format!("{operation}, {}", mishap.name);
            let used = sending.world.controls.faults().used();
            sending.world.controls.faults().push_times(*operation, mishap.fault, FOR_GOOD);
            let mut outcomes = sending.send(std::slice::from_ref(&item)).await;
            sending.world.controls.faults().clear();
            ensure(sending.world.controls.faults().used() > used, format!("{said}: a call, as the fixture says"), || "none".to_owned())?;
            let outcome = outcomes.pop().ok_or_else(|| differs("an outcome", "none"))?;
            all.push(Second { sending, item, outcome, said });
        }
    }
    Ok(all)
}

pub(super) async fn a_lost_change_may_be_made_again(case: &Case<'_>) -> Result<(), Finding> {
    let operations = case.subject.push.as_ref().map(|push| push.changes.clone()).unwrap_or_default();
    let changed = |sending: &Sending<'_>, id: &RecordId| {
        let fields = sending.push.changed.clone().ok_or_else(|| differs("a fixture with a changed record", "none"))?;
        Ok(Sending::known(sending.item(7, &fields), id))
    };
    for Second { sending, mut item, outcome, said } in second(case, &operations, changed).await? {
        let Some(fields) = sending.push.changed.clone() else { continue };
        let (new, old) = (sending.count(&fields), sending.count(&sending.push.good[0]));
        let honest = match &outcome {
            PushOutcome::Unknown => true,
            PushOutcome::Accepted { .. } => new == 1,
            PushOutcome::Failed(error) => error.delivery() == Delivery::Unknown,
            _ => false,
        };
        ensure(honest && new + old == 1, format!("{said}: Unknown, or Accepted and there"), || {
            format!("{new} new, {old} old, {outcome:?}")
        })?;
        item.earlier = Earlier::Unknown { since: SINCE };
        let outcomes = sending.send(&[item]).await;
        let done = |outcome: &PushOutcome| accepted(outcome).is_some() || matches!(outcome, PushOutcome::Unchanged);
        ensure(outcomes.iter().all(done), format!("{said}: accepted when it is made again"), || format!("{outcomes:?}"))?;
        same(&format!("{said}: records with the new content"), &1, &sending.count(&fields))?;
        sending.there(&said, 0, 0)?;
        sending.there("another record", 1, 1)?;
    }
    Ok(())
}

pub(super) async fn a_lost_delete_may_be_made_again(case: &Case<'_>) -> Result<(), Finding> {
    let operations = case.subject.push.as_ref().map(|push| push.removes.clone()).unwrap_or_default();
    for Second { sending, mut item, outcome, said } in second(case, &operations, |sending, id| Ok(sending.delete(7, id))).await? {
        let there = sending.count(&sending.push.good[0]);
        let honest = match &outcome {
            PushOutcome::Unknown => true,
            PushOutcome::Accepted { .. } => there == 0,
            PushOutcome::Failed(error) => error.delivery() == Delivery::Unknown,
            _ => false,
        };
        ensure(honest, format!("{said}: Unknown, or Accepted and gone"), || format!("{there} there, {outcome:?}"))?;
        if sending.push.finds {
            let found = sending.find(std::slice::from_ref(&item)).await.expected("a look for a delete")?;
            let right = match &found[..] {
                [Found::Sent { .. } | Found::Other { .. }] => there == 1,
                [Found::Nothing] => there == 0,
                [Found::CannotTell] => true,
                _ => false,
            };
            ensure(right, format!("{said}: Nothing where it is gone, Sent where it is still there"), || {
                format!("{there} there, {found:?}")
            })?;
        }
        item.earlier = Earlier::Unknown { since: SINCE };
        let outcomes = sending.send(&[item]).await;
        let gone = matches!(outcomes[..], [PushOutcome::Accepted { .. } | PushOutcome::Unchanged | PushOutcome::Skipped(_)]);
        ensure(gone, format!("{said}: gone when it is made again"), || format!("{outcomes:?}"))?;
        sending.there(&said, 0, 0)?;
        sending.there("another record", 1, 1)?;
    }
    Ok(())
}

pub(super) async fn what_never_left_is_not_unknown(case: &Case<'_>) -> Result<(), Finding> {
    for met in through(case, of(Write::NotSent)).await? {
        let PushOutcome::Failed(error) = &met.outcome else {
            return Err(differs(format!("{}: Failed", met.said()), format!("{:?}", met.outcome)));
        };
        let temporary = error.delivery() != Delivery::Unknown && error.retry() != Retry::Never;
        ensure(temporary, format!("{}: surely not sent, and worth another try", met.said()), || format!("{error:?}"))?;
        met.sending.there(&met.said(), 0, 0)?;
    }
    Ok(())
}

pub(super) async fn a_refusal_is_failed_and_not_unknown(case: &Case<'_>) -> Result<(), Finding> {
    for met in through(case, of(Write::Refused)).await? {
        if met.sending.count(&met.sending.push.good[0]) == 1 && accepted(&met.outcome).is_some() {
            continue;
        }
        let PushOutcome::Failed(error) = &met.outcome else {
            return Err(differs(format!("{}: Failed", met.said()), format!("{:?}", met.outcome)));
        };
        ensure(error.delivery() != Delivery::Unknown, format!("{}: an error that was answered", met.said()), || format!("{error:?}"))?;
        met.sending.there(&met.said(), 0, 0)?;
    }
    Ok(())
}

pub(super) async fn the_token_gets_out_of_no_push(case: &Case<'_>) -> Result<(), Finding> {
    let token = case.canary.secret();
    let log = Log::default();
    let everything = async {
        let mut texts = String::new();
        for operation in writes(case) {
            let small = faults::all().into_iter().filter(|mishap| !matches!(mishap.fault, Fault::Huge(_))).map(|mishap| mishap.fault);
            for fault in small.chain(echoes(token)) {
                let sending = Sending::new(case)?;
                sending.world.controls.faults().push_times(operation, fault, 8);
                for outcome in sending.send(&[sending.good(0)]).await {
                    // writing to a string cannot fail
                    let _ = match outcome {
                        PushOutcome::Failed(error) => writeln!(texts, "{}", told(&error)),
                        other => writeln!(texts, "{other:?}"),
                    };
                }
                match sending.world.provider.push(&sending.cx, &sending.batch(sending.mode(), &[sending.good(1)])).await {
                    Ok(outcomes) => texts.push_str(&format!("{outcomes:?}\n")),
                    Err(error) => texts.push_str(&told(&error)),
                }
            }
        }
        Ok::<_, Finding>(texts)
    };
    let texts = everything.with_subscriber(log.clone()).await?;
    let leak = texts.lines().find(|line| case.canary.found_in(line));
    ensure(leak.is_none(), "outcomes and errors without the token", || short(leak.unwrap_or_default()))?;
    ensure(!case.canary.found_in(&log.text()), "logs without the token", || "it stands there".to_owned())?;
    ensure(texts.contains("Failed") || texts.contains("Error {"), "refusals to look at", || "none".to_owned())
}
