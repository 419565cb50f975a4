//! Looking for what was written.

use sync_core::Found;

use super::{
    case::Case,
    lost::{FOR_GOOD, of, through},
    sending::Sending,
};
use crate::{
    Fault,
    suite::{
        Expect, Finding, differs, ensure,
        faults::{self, Write},
        same,
    },
};

pub(super) async fn a_look_finds_what_arrived(case: &Case<'_>) -> Result<(), Finding> {
    for met in through(case, of(Write::Unknown)).await? {
        let before = met.sending.world.service.records();
        let found = met.sending.find(&[met.sending.good(0)]).await.expected("a look")?;
        let ids = met.sending.world.service.holding(&met.sending.push.good[0]);
        let right = match &found[..] {
            [Found::Sent { id, .. }] => ids.iter().any(|held| held == id.as_str()),
            [Found::Nothing] => ids.is_empty(),
            _ => false,
        };
        let expected = if ids.is_empty() { "Nothing".to_owned() } else { format!("Sent with one of {ids:?}") };
        ensure(right, format!("{}: {expected}", met.said()), || format!("{found:?}"))?;
        same("the records of the service after a look", &before, &met.sending.world.service.records())?;
    }
    Ok(())
}

pub(super) async fn a_look_that_cannot_tell_says_so(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    sending.accepted(&[sending.good(0)]).await?;
    let found = sending.find(&[sending.good(0), sending.good(1)]).await.expected("a look")?;
    same("what a look can say", &vec![Found::CannotTell; 2], &found)
}

pub(super) async fn looks_equal_items(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    sending.accepted(&[sending.good(1)]).await?;
    let found = sending.find(&[sending.good(0), sending.good(1), sending.good(2)]).await.expected("a look")?;
    let right = matches!(found[..], [Found::Nothing, Found::Sent { .. }, Found::Nothing]);
    ensure(right, "Nothing, Sent, Nothing for three records of which the second was written", || format!("{found:?}"))?;
    let none = sending.find(&[]).await.expected("a look for nothing")?;
    same("answers to a look for nothing", &0, &none.len())
}

pub(super) async fn a_look_tells_other_content_apart(case: &Case<'_>) -> Result<(), Finding> {
    let sending = Sending::new(case)?;
    let ids = sending.accepted(&[sending.good(0)]).await?;
    let fields = sending.push.changed.clone().ok_or_else(|| differs("a fixture with a changed record", "none"))?;
    let asked = Sending::known(sending.item(7, &fields), &ids[0]);
    let found = sending.find(&[asked]).await.expected("a look")?;
    let right =
        matches!(&found[..], [Found::Other { id, .. }] if *id == ids[0]) || found == [Found::Nothing] || found == [Found::CannotTell];
    ensure(right, "Other (or Nothing, or CannotTell): its key is there, its content is not", || format!("{found:?}"))
}

pub(super) async fn a_look_that_fails_is_never_nothing(case: &Case<'_>) -> Result<(), Finding> {
    let looks = case.subject.push.as_ref().map(|push| push.looks.clone()).unwrap_or_default();
    for operation in looks {
        for mishap in faults::unreadable().into_iter().chain(faults::temporary()) {
            if matches!(mishap.fault, Fault::Huge(_)) || case.subject.excused.iter().any(|(name, _)| *name == mishap.name) {
                continue;
            }
            let sending = Sending::new(case)?;
            sending.accepted(&[sending.good(0)]).await?;
            sending.world.controls.faults().push_times(operation, mishap.fault.clone(), FOR_GOOD);
            let used = sending.world.controls.faults().used();
            let found = sending.find(&[sending.good(0)]).await;
            let struck = sending.world.controls.faults().used() > used;
            ensure(struck, format!("a call of {operation} in a look, as the fixture says"), || "none".to_owned())?;
            if let Ok(found) = found {
                let cannot = found == [Found::CannotTell];
                ensure(cannot, format!("{operation}, {}: an error", mishap.name), || format!("{found:?}"))?;
            }
        }
    }
    Ok(())
}
