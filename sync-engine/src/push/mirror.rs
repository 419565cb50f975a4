//! What a mirror deletes: records at the service that are not among the rows. Decided before anything is sent.

use std::collections::HashSet;

use sync_core::{
    Error, ErrorKind, Operation, RecordId, Result,
    store::{IntentFilter, IntentState, PushLink, STRANGER},
};

use super::{
    courier::Courier,
    feeder::with_ids,
    pages::{PAGE, Pages},
    rows::{Form, Page, Row},
    there::{Keep, There, read},
};

/// The share of the records there that a mirror may delete without being confirmed (reliability: DS7).
const SHARE: f64 = 0.2;

/// Reads the records that a mirror compares the rows with.
///
/// # Errors
/// Conflict when the service could not be read to its end, or when it is not clear which records are ours. Nothing was sent then.
pub(crate) async fn survey(courier: &Courier, keep: Keep<'_>) -> Result<There> {
    if !courier.provider.descriptor().capabilities.pull {
        return Err(refused("the provider cannot read the stream, so that nothing tells what would have to go".to_owned()));
    }
    nothing_open(courier).await?;
    let there = read(courier, keep).await?;
    if there.complete {
        Ok(there)
    } else {
        Err(refused("the stream could not be read in full, so that nothing tells what would have to go".to_owned()))
    }
}

/// Which records may go, and how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deletes<'d> {
    /// Somebody confirmed them, however many they are.
    pub(crate) confirmed: bool,
    /// Only these.
    pub(crate) only: Option<&'d HashSet<RecordId>>,
}

/// The deletes that make the service's records those of `pages`.
///
/// # Errors
/// Conflict when it is not clear which records are ours, or when so many would go that somebody has to confirm it. Nothing was sent then.
pub(crate) async fn surplus(courier: &Courier, there: &There, mut pages: Pages, form: &Form, deletes: Deletes<'_>) -> Result<Page> {
    let mut surplus: HashSet<RecordId> = there.records.keys().cloned().collect();
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
    if let Some(only) = deletes.only {
        surplus.retain(|id| only.contains(id));
    }
    let (known, missing) = (there.records.len(), surplus.len());
    if !deletes.confirmed && missing as f64 > known as f64 * SHARE {
        let text = format!(
            "{missing} of the {known} records of the stream are not among the rows; deleting them needs to be confirmed (confirm_deletes)"
        );
        return Err(refused(text));
    }
    page_of(courier, surplus).await
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

/// Deletes, by our key of each record where we have one.
async fn page_of(courier: &Courier, surplus: HashSet<RecordId>) -> Result<Page> {
    let mut ids: Vec<RecordId> = surplus.into_iter().collect();
    ids.sort_unstable();
    let mut page = Page { links: Some(Vec::with_capacity(ids.len())), surplus: true, ..Page::default() };
    for ids in ids.chunks(PAGE) {
        let keys = courier.store.linked_keys(&courier.feed, ids).await?;
        for (id, key) in ids.iter().zip(keys) {
            // A record of nobody of ours gets a key that no row has, so that its delete takes no row's link along.
            let key = key.unwrap_or_else(|| format!("{STRANGER}{id}").into());
            page.rows.push(Row { key, id: Some(id.clone()), operation: Operation::Delete, fields: "{}".into(), hash: 0 });
            page.links.get_or_insert_default().push(Some(PushLink { id: Some(id.clone()), ..PushLink::default() }));
        }
    }
    Ok(page)
}

fn refused(text: String) -> Error {
    Error::new(ErrorKind::Conflict, "push", text)
}
