//! What a mirror deletes: records at the service that are not among the rows. Decided before anything is sent.

use std::collections::HashSet;

use sync_core::{
    Error, ErrorKind, Next, Operation, PullRequest, RecordId, Result, Severity,
    policy::LoopGuard,
    store::{IntentFilter, IntentState, PushLink},
};

use super::{
    courier::Courier,
    feeder::with_ids,
    pages::{PAGE, Pages},
    rows::{Form, Page, Row},
};

/// The share of the records there that a mirror may delete without being confirmed (reliability: DS7).
const SHARE: f64 = 0.2;

/// The deletes that make the service's records those of `pages`.
///
/// # Errors
/// Conflict when the service could not be read to its end, when it is not clear which records are ours, or when so many would go that
/// somebody has to confirm it. Nothing was sent then.
pub(crate) async fn surplus(courier: &Courier, mut pages: Pages, form: &Form, confirmed: bool) -> Result<Page> {
    if !courier.provider.descriptor().capabilities.pull {
        return Err(refused("the provider cannot read the stream, so that nothing tells what would have to go".to_owned()));
    }
    nothing_open(courier).await?;
    let there = read(courier).await?;
    let mut surplus = there.clone();
    while let Some(page) = pages.next(form).await? {
        if page.unreadable.iter().any(Option::is_none) {
            let text =
                "some rows cannot be sent, and nothing tells which records of the service they are; correct them, or push without mirror";
            return Err(refused(text.to_owned()));
        }
        for id in page.unreadable.iter().flatten() {
            surplus.remove(id);
        }
        for (row, _) in with_ids(courier, page.rows, page.links).await? {
            if let (Operation::Upsert, Some(id)) = (row.operation, &row.id) {
                surplus.remove(id);
            }
        }
    }
    let (known, missing) = (there.len(), surplus.len());
    if !confirmed && missing as f64 > known as f64 * SHARE {
        let text = format!(
            "{missing} of the {known} records of the stream are not among the rows; deleting them needs to be confirmed (confirm_deletes)"
        );
        return Err(refused(text));
    }
    deletes(courier, surplus).await
}

/// A record that was made by a write whose answer was lost is not linked yet, and would be taken for a stranger.
async fn nothing_open(courier: &Courier) -> Result<()> {
    let states = vec![IntentState::Sending, IntentState::Unknown, IntentState::Pending, IntentState::Conflict];
    let filter = IntentFilter { feed: Some(courier.feed.clone()), states, limit: PAGE as u32, ..IntentFilter::default() };
    let open = courier.store.intents(filter).await?;
    match open.iter().filter(|(_, intent)| intent.operation == Operation::Upsert).count() {
        0 => Ok(()),
        many => Err(refused(format!("{many} earlier writes are not settled yet, and what they made would be deleted; settle them first"))),
    }
}

/// The ids of all records of the stream.
async fn read(courier: &Courier) -> Result<HashSet<RecordId>> {
    let mut ids = HashSet::new();
    let partitions = courier.provider.partitions(&courier.fresh(), &courier.stream).await?;
    let mut complete = partitions.complete;
    for partition in partitions.list {
        let mut request = PullRequest::new(courier.stream.clone(), partition, courier.cx.services.now());
        request.key = std::sync::Arc::clone(&courier.key);
        let mut guard = LoopGuard::default();
        loop {
            let page = courier.provider.pull(&courier.fresh(), &request).await?;
            guard.check(&page.next, usize::try_from(page.read()).unwrap_or(usize::MAX))?;
            complete &= !page.unseen && page.failures.iter().all(|failure| failure.severity != Severity::Error);
            for record in page.batch.records() {
                match record.operation {
                    Operation::Upsert => ids.insert(record.id.clone()),
                    Operation::Delete => ids.remove(&record.id),
                };
            }
            match page.next {
                Next::End { complete: all } => {
                    complete &= all;
                    break;
                }
                Next::Page(token) => request.after = Some(token),
                Next::NotReady { after, token } => {
                    request.after = Some(token);
                    courier.cx.services.sleep(after).await;
                }
            }
        }
    }
    if complete {
        Ok(ids)
    } else {
        Err(refused("the stream could not be read in full, so that nothing tells what would have to go".to_owned()))
    }
}

/// Deletes, by our key of each record where we have one.
async fn deletes(courier: &Courier, surplus: HashSet<RecordId>) -> Result<Page> {
    let mut ids: Vec<RecordId> = surplus.into_iter().collect();
    ids.sort_unstable();
    let mut page = Page { links: Some(Vec::with_capacity(ids.len())), ..Page::default() };
    for ids in ids.chunks(PAGE) {
        let keys = courier.store.linked_keys(&courier.feed, ids).await?;
        for (id, key) in ids.iter().zip(keys) {
            // A record of nobody of ours gets a key that no row has, so that its delete takes no row's link along.
            let key = key.unwrap_or_else(|| format!("\u{1}{id}").into());
            page.rows.push(Row { key, id: Some(id.clone()), operation: Operation::Delete, fields: "{}".into(), hash: 0 });
            page.links.get_or_insert_default().push(Some(PushLink { id: Some(id.clone()), ..PushLink::default() }));
        }
    }
    Ok(page)
}

fn refused(text: String) -> Error {
    Error::new(ErrorKind::Conflict, "push", text)
}
