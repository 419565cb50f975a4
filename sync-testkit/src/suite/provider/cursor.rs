//! Reading what changed.

use std::time::Duration;

use sync_core::{Cursor, ErrorKind, Next};

use super::case::{Case, RECORDS, Scan, Trial};
use crate::suite::{Expect, Finding, differs, ensure, refused, same};

/// Records read again although they did not change: the lower bound is inclusive, so that the last one may come once more.
const BOUNDARY: usize = 1;

/// Reads everything; the cursors have to be there.
async fn everything(trial: &mut Trial<'_>) -> Result<Scan, Finding> {
    let scan = trial.read().await.expected("a whole read")?;
    ensure(!scan.cursors.is_empty(), "a cursor after a whole read of an incremental stream", || "none".to_owned())?;
    trial.later();
    Ok(scan)
}

pub(super) async fn a_cursor_brings_what_changed_alone(case: &Case<'_>) -> Result<(), Finding> {
    let mut trial = case.trial();
    let scan = everything(&mut trial).await?;
    let new: Vec<String> = trial.world.service.add().into_iter().chain(trial.world.service.change()).collect();
    trial.later();
    // Through its stored form and back.
    let stored =
        serde_json::to_string(&scan.cursors.values().collect::<Vec<_>>()).map_err(|e| differs("a cursor as JSON", e.to_string()))?;
    let read: Vec<Cursor> = serde_json::from_str(&stored).map_err(|e| differs("the stored cursor", e.to_string()))?;
    let cursors = scan.cursors.keys().cloned().zip(read).collect();
    let changed = trial.read_from(&cursors).await.expected("a read from the cursors")?;
    let ids = changed.ids();
    for id in &new {
        ensure(ids.contains(id), format!("the new or changed record {id}"), || format!("{ids:?}"))?;
    }
    let old = ids.iter().filter(|id| !new.contains(id)).count();
    let most = BOUNDARY * scan.cursors.len();
    ensure(old <= most, format!("at most {most} records that did not change"), || format!("{old} of {RECORDS}: {ids:?}"))
}

pub(super) async fn nothing_new_is_nothing_lost(case: &Case<'_>) -> Result<(), Finding> {
    let mut trial = case.trial();
    let scan = everything(&mut trial).await?;
    let quiet = trial.read_from(&scan.cursors).await.expected("a read from the cursors when nothing changed")?;
    let ids = quiet.ids();
    ensure(ids.len() <= BOUNDARY * scan.cursors.len(), "nothing, or the boundary again", || format!("{ids:?}"))?;
    same("records said to be gone", &Vec::<String>::new(), &quiet.gone())?;
    let new = trial.world.service.add().ok_or_else(|| differs("a fixture that can add a record", "none was added"))?;
    trial.later();
    let after = trial.read_from(&quiet.cursors).await.expected("a read from the cursors after that")?;
    ensure(after.ids().contains(&new), format!("the record {new}, which came after a read that brought nothing"), || {
        format!("{:?}", after.ids())
    })
}

pub(super) async fn a_read_from_a_cursor_is_not_complete(case: &Case<'_>) -> Result<(), Finding> {
    let mut trial = case.trial();
    let scan = everything(&mut trial).await?;
    let changed = trial.read_from(&scan.cursors).await.expected("a read from the cursors")?;
    let complete = changed.pages.iter().any(|(_, page)| page.next == (Next::End { complete: true }));
    ensure(!complete, "End { complete: false }: what did not come is not gone", || "End { complete: true }".to_owned())
}

pub(super) async fn a_removed_record_is_said_to_be_gone(case: &Case<'_>) -> Result<(), Finding> {
    let mut trial = case.trial();
    let scan = everything(&mut trial).await?;
    let gone = trial.world.service.remove().ok_or_else(|| differs("a fixture that can remove a record", "none was removed"))?;
    trial.later();
    let changed = trial.read_from(&scan.cursors).await.expected("a read from the cursors")?;
    same("records said to be gone", &vec![gone], &changed.gone())
}

pub(super) async fn cursors_are_exact(case: &Case<'_>) -> Result<(), Finding> {
    let mut trial = case.trial();
    for _ in 0..3 {
        let Some(exact) = trial.world.service.add_at_last_digit() else {
            return Err(differs("a fixture that can add a record at the last digit", "none was added"));
        };
        trial.later();
        let scan = trial.read().await.expected("a whole read")?;
        let texts: Vec<_> = scan.cursors.values().map(|cursor| &*cursor.state).collect();
        ensure(
            texts.iter().any(|text| text.contains(&exact.position)),
            format!("a cursor that holds {} to the last digit", exact.position),
            || format!("{texts:?}"),
        )?;
        let next = trial.world.service.add_at_last_digit().ok_or_else(|| differs("one more at the last digit", "none was added"))?;
        trial.later();
        let changed = trial.read_from(&scan.cursors).await.expected("a read from the cursors")?;
        ensure(changed.ids().contains(&next.id), format!("{}, one digit later", next.id), || format!("{:?}", changed.ids()))?;
    }
    Ok(())
}

pub(super) async fn a_cursor_of_another_form_is_expired(case: &Case<'_>) -> Result<(), Finding> {
    let mut trial = case.trial();
    let scan = everything(&mut trial).await?;
    let rule = "CursorExpired for a cursor of a version nobody knows";
    let foreign = scan.cursors.iter().map(|(id, cursor)| (id.clone(), Cursor::new(u16::MAX, cursor.state.clone()))).collect();
    let error = refused(trial.read_from(&foreign).await.map(|scan| scan.ids()), rule)?;
    same(rule, &ErrorKind::CursorExpired, &error.kind())
}

pub(super) async fn an_expired_cursor_is_said_to_be(case: &Case<'_>) -> Result<(), Finding> {
    let mut trial = case.trial();
    let scan = everything(&mut trial).await?;
    let (Some(fault), Some(operation)) = (&case.subject.expired, case.subject.reads.last()) else {
        return Err(differs("a fixture that says how cursors expire", "it does not"));
    };
    trial.world.controls.faults().push_times(*operation, fault.clone(), 20);
    let error = refused(trial.read_from(&scan.cursors).await.map(|scan| scan.ids()), "CursorExpired")?;
    same("what the service says to an old cursor", &ErrorKind::CursorExpired, &error.kind())?;
    trial.world.controls.faults().clear();
    trial.services.clock().advance(Duration::from_secs(60));
    let again = trial.read().await.expected("a whole read after that")?;
    same("all records by a whole read", &trial.truth(), &again.sorted())
}
