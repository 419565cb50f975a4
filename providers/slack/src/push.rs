//! Writing messages, one call each.

use bytes::Bytes;
use serde_json::Value;
use sync_core::{
    Delivery, Error, ErrorKind, Operation, PushBatch, PushItem, PushLimits, PushMode, PushOutcome, RecordId, Result, SyncContext,
};

use crate::{
    api::{self, Method, SlackApi},
    draft::{Draft, Place},
    error::{is_about_the_message, is_code},
};

/// One message a call, one call at a time, so that messages stand in the order of their records; a post is never made twice
/// without a look.
pub(crate) const LIMITS: PushLimits = PushLimits {
    items: 1,
    bytes: 1 << 20,
    lanes: 1,
    one_writer: false,
    repeatable: false,
    in_flight: api::LONGEST_WRITE,
    modes: &[PushMode::Upsert, PushMode::Insert, PushMode::Update],
};

/// Writes a batch of messages, one outcome each.
pub(crate) async fn push(api: &SlackApi, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<PushOutcome>> {
    let mut outcomes: Vec<PushOutcome> = Vec::with_capacity(batch.items.len());
    for item in batch.items.iter() {
        let outcome = match write(api, cx, batch.mode, item).await {
            Ok(outcome) => outcome,
            Err(error) if error.delivery() == Delivery::Unknown || is_about_the_message(&error) => PushOutcome::of(error),
            // What stops every call stops the batch, unless something was written that has to be told.
            Err(error) if outcomes.iter().any(may_be_there) => PushOutcome::Failed(error),
            Err(error) => return Err(error),
        };
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn may_be_there(outcome: &PushOutcome) -> bool {
    matches!(outcome, PushOutcome::Accepted { .. } | PushOutcome::Unknown)
}

async fn write(api: &SlackApi, cx: &SyncContext, mode: PushMode, item: &PushItem) -> Result<PushOutcome> {
    match (item.operation, &item.id, mode) {
        (Operation::Delete, None, _) => Ok(PushOutcome::Skipped("there is no message of this record")),
        (Operation::Delete, Some(id), _) => delete(api, cx, id).await,
        (_, Some(_), PushMode::Insert) => Ok(PushOutcome::Skipped("the message is there already, and only new ones are posted")),
        (_, None, PushMode::Update) => Ok(PushOutcome::Skipped("there is no message of this record, and no new ones are posted")),
        (_, Some(id), _) => update(api, cx, id, item).await,
        (_, None, _) => post(api, cx, item).await,
    }
}

/// Cannot be repeated: Slack knows no key by which it would tell a second post from a first one.
async fn post(api: &SlackApi, cx: &SyncContext, item: &PushItem) -> Result<PushOutcome> {
    let body = Draft::of(&item.fields).and_then(|draft| draft.post(&item.marker)).map_err(refused(api::POST))?;
    let written = api.write(cx, api::POST, body, false).await?;
    let place = Place { channel: written.channel.into(), ts: written.ts };
    Ok(PushOutcome::created(place.id()))
}

/// Can be repeated: it says the same again.
async fn update(api: &SlackApi, cx: &SyncContext, id: &RecordId, item: &PushItem) -> Result<PushOutcome> {
    let place = Place::of(id).map_err(refused(api::UPDATE))?;
    let body = Draft::of(&item.fields).and_then(|draft| draft.update(&place)).map_err(refused(api::UPDATE))?;
    api.write(cx, api::UPDATE, body, true).await?;
    Ok(PushOutcome::updated(id.clone()))
}

/// Can be repeated: what is gone stays gone.
async fn delete(api: &SlackApi, cx: &SyncContext, id: &RecordId) -> Result<PushOutcome> {
    let place = Place::of(id).map_err(refused(api::DELETE))?;
    let body: Bytes = Value::Object(place.call()).to_string().into();
    match api.write(cx, api::DELETE, body, true).await {
        Ok(_) => Ok(PushOutcome::deleted(id.clone())),
        Err(error) if is_code(&error, "message_not_found") => Ok(PushOutcome::deleted(id.clone())),
        Err(error) => Err(error),
    }
}

/// The error of a record that is not sent.
fn refused(method: Method) -> impl Fn(String) -> Error {
    move |problem| Error::new(ErrorKind::Invalid, method.0, problem).with_delivery(Delivery::NotSent)
}
