//! Reading everything.

use sync_core::{ErrorKind, Next, Severity};

use super::{
    Need,
    case::{Case, RECORDS, short, shown},
};
use crate::suite::{Expect, Finding, differs, ensure, same};

pub(super) async fn every_record_comes_once(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    let scan = trial.read().await.expected("a whole read")?;
    same("records in the fixture's world", &RECORDS, &trial.truth().len())?;
    same("the ids of all records", &trial.truth(), &scan.sorted())?;
    let most = scan.pages.iter().map(|(_, page)| page.read()).max().unwrap_or_default();
    ensure(most < RECORDS as u64, "several pages (make them smaller in the fixture's settings)", || format!("{most} records in one"))
}

pub(super) async fn an_empty_stream_is_read_as_empty(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial_of(0);
    let scan = trial.read().await.expected("a read of nothing")?;
    same("ids", &Vec::<String>::new(), &scan.ids())
}

pub(super) async fn a_page_may_be_asked_for_again(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    let scan = trial.read().await.expected("a whole read")?;
    for (n, (request, page)) in scan.pages.iter().enumerate() {
        let again = trial.world.provider.pull(&trial.cx, request).await.expected("a page that came before")?;
        let (first, again) = (shown(page), shown(&again));
        ensure(first == again, format!("page {} as it was: {}", n + 1, short(&first)), || short(&again))?;
    }
    Ok(())
}

pub(super) async fn a_full_read_ends_complete(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    let scan = trial.read().await.expected("a whole read")?;
    ensure(scan.complete, "End { complete: true } after everything was read without an error", || "complete: false".to_owned())
}

pub(super) async fn a_limited_read_is_not_complete(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    let provider = &trial.world.provider;
    let partitions = provider.partitions(&trial.cx, &case.subject.stream).await.expected("partitions")?;
    let parts = partitions.list.len();
    for partition in partitions.list {
        let mut request = trial.request(partition);
        request.limit = Some(1);
        let page = provider.pull(&trial.cx, &request).await.expected("a page of one")?;
        ensure(page.batch.len() <= 1, "at most one record", || page.batch.len().to_string())?;
        // With several parts, one of them may have had no more than this.
        let lies = parts == 1 && page.next == Next::End { complete: true };
        ensure(!lies, "an end that is not complete when records were left out", || format!("{:?}", page.next))?;
    }
    Ok(())
}

pub(super) async fn an_unreadable_record_does_not_stop_the_others(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    if !trial.world.service.add_unreadable() {
        return Err(differs("a fixture that can add an unreadable record", Need::Unreadable.why()));
    }
    let truth = trial.truth();
    let scan = trial.read().await.expected("a read of a stream with one unreadable record")?;
    let mut ids = scan.sorted();
    ids.dedup();
    let readable: Vec<_> = truth.iter().filter(|id| ids.contains(id)).collect();
    same("readable records", &RECORDS, &readable.len())?;
    let failures: Vec<_> = scan.pages.iter().flat_map(|(_, page)| &page.failures).collect();
    let said = failures.iter().any(|failure| failure.severity == Severity::Error && !failure.error.trim().is_empty());
    let skipped = scan.pages.iter().any(|(_, page)| page.skipped > 0) && failures.iter().any(|failure| !failure.error.trim().is_empty());
    ensure(said || skipped, "a failure that says what is wrong with it", || format!("{failures:?}"))
}

pub(super) async fn a_read_that_fails_never_ends(case: &Case<'_>) -> Result<(), Finding> {
    // Whatever call of a read fails for good, the read fails with it.
    for operation in &case.subject.reads {
        let calls = {
            let trial = case.trial();
            trial.read().await.expected("a whole read")?;
            trial.world.controls.count(operation)
        };
        ensure(calls > 0, format!("calls of {operation} in a read, as the fixture says"), || "none".to_owned())?;
        for failing in 0..calls {
            let trial = case.trial();
            let faults = trial.world.controls.faults();
            // A fault that changes nothing stands for each call that is let through.
            faults.push_times(*operation, crate::Fault::Slow(std::time::Duration::ZERO), failing);
            faults.push_times(*operation, crate::Fault::status(503, ""), 20);
            match trial.read().await {
                Ok(scan) => {
                    let seen = format!("{} of {RECORDS} records and complete: {}", scan.ids().len(), scan.complete);
                    return Err(differs(format!("an error when call {} of {operation} fails", failing + 1), seen));
                }
                Err(error) => {
                    let kind = error.kind();
                    ensure(kind == ErrorKind::Transport, "Transport", || format!("{error:?}"))?;
                }
            }
        }
    }
    Ok(())
}
