//! The writing half of the reference provider.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sync_core::{
    Delivery, Earlier, Error, ErrorKind, ExposeSecret, Found, Operation, PushBatch, PushItem, PushMode, PushOutcome, RecordId, Result,
    Retry, SyncContext,
};
use sync_http::{Request, segment};

use crate::{
    planted::Planted,
    reference::{Reference, Style},
};

#[derive(Deserialize)]
struct Written {
    id: String,
    made: bool,
}

#[derive(Deserialize)]
struct Held {
    items: Vec<Map<String, Value>>,
}

pub(crate) async fn push(depot: &Reference, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<PushOutcome>> {
    if batch.stream.as_str() != "items" && !depot.is(Planted::WritesAnyStream) {
        return Err(Error::config("depot.push", format!("there is no stream {:?} to write", batch.stream)));
    }
    if batch.items.is_empty() && depot.is(Planted::RefusesNoItems) {
        return Err(Error::new(ErrorKind::Invalid, "depot.push", "there is nothing to write"));
    }
    let mut outcomes = Vec::new();
    for item in batch.items.iter() {
        let stop = depot.is(Planted::BadItemStopsOthers) && outcomes.iter().any(|outcome| matches!(outcome, PushOutcome::Failed(_)));
        let outcome = if stop {
            PushOutcome::Failed(Error::new(ErrorKind::Invalid, "depot.push", "an item before this one was refused"))
        } else {
            one(depot, cx, batch, item).await
        };
        let outcome = match outcome {
            PushOutcome::Failed(error) if depot.is(Planted::TokenInOutcomes) => {
                let token = cx.services.token(&cx.connection, None).await?;
                PushOutcome::Failed(error.at("token", token.secret.expose_secret()))
            }
            other => other,
        };
        outcomes.push(outcome);
    }
    if depot.is(Planted::ReversesOutcomes) {
        outcomes.reverse();
    }
    Ok(outcomes)
}

async fn one(depot: &Reference, cx: &SyncContext, batch: &PushBatch, item: &PushItem) -> PushOutcome {
    match written(depot, cx, batch, item).await {
        Ok(outcome) => outcome,
        Err(error) if error.delivery() == Delivery::Unknown && depot.is(Planted::LostIsFailed) => {
            PushOutcome::Failed(error.with_delivery(Delivery::Answered))
        }
        Err(_) if depot.is(Planted::AllFailuresAreUnknown) => PushOutcome::Unknown,
        Err(error) if error.delivery() == Delivery::NotSent && depot.is(Planted::NotSentIsUnknown) => PushOutcome::Unknown,
        Err(error) if error.delivery() == Delivery::NotSent && depot.is(Planted::NotSentIsFinal) => {
            PushOutcome::Failed(error.with_retry(Retry::Never))
        }
        Err(error) if error.kind() == ErrorKind::RateLimited && depot.is(Planted::LimitedIsUnknown) => PushOutcome::Unknown,
        Err(error) if error.kind() == ErrorKind::Invalid && depot.is(Planted::BadIsTemporary) => {
            PushOutcome::Failed(error.with_retry(Retry::After(None)))
        }
        Err(error) if error.kind() == ErrorKind::Auth && depot.is(Planted::AuthIsUnknown) => PushOutcome::Unknown,
        Err(error) => PushOutcome::of(error),
    }
}

async fn written(depot: &Reference, cx: &SyncContext, batch: &PushBatch, item: &PushItem) -> Result<PushOutcome> {
    if item.operation == Operation::Delete {
        return delete(depot, cx, item).await;
    }
    let mut fields: Map<String, Value> =
        serde_json::from_slice(&item.fields).map_err(|_| Error::new(ErrorKind::Invalid, "depot.push", "the record is no object"))?;
    if let Some(foreign) = fields.keys().find(|name| !["name", "amount"].contains(&name.as_str())).cloned() {
        if !depot.is(Planted::DropsForeignFields) {
            let text = format!("there is no field {foreign:?}; there are \"name\" and \"amount\"");
            return Err(Error::new(ErrorKind::Invalid, "depot.push", text));
        }
        fields.remove(&foreign);
    }
    match &item.id {
        Some(id) if depot.style == Style::Keyed && !depot.is(Planted::AppendsWhatIsKeyed) => put(depot, cx, batch, item, id, &fields).await,
        Some(id) if depot.style == Style::Ids && !depot.is(Planted::IgnoresIds) => put(depot, cx, batch, item, id, &fields).await,
        None if batch.mode == PushMode::Update && !depot.is(Planted::UpdateCreates) => Ok(PushOutcome::Skipped("it is not there")),
        _ => create(depot, cx, item, fields).await,
    }
}

async fn create(depot: &Reference, cx: &SyncContext, item: &PushItem, mut fields: Map<String, Value>) -> Result<PushOutcome> {
    fields.insert("marker".into(), item.marker.as_str().into());
    if depot.is(Planted::WritesTwice) {
        depot.raw(cx, "POST", "items", serde_json::to_vec(&fields).expect("fields are JSON").into()).await?;
    }
    if depot.is(Planted::WritesWithoutPermit) {
        depot.raw(cx, "GET", "account", Bytes::new()).await?;
    }
    let call = Request::post("depot.items.create", "items").json(&fields).repeatable(depot.is(Planted::RepeatsCreates));
    let written: Written = depot.api.fetch(cx, call, |answer| answer.json("depot.items.create")).await?;
    Ok(PushOutcome::created(written.id))
}

async fn put(
    depot: &Reference,
    cx: &SyncContext,
    batch: &PushBatch,
    item: &PushItem,
    id: &RecordId,
    fields: &Map<String, Value>,
) -> Result<PushOutcome> {
    let only = match batch.mode {
        PushMode::Insert if item.earlier == Earlier::Never && !depot.is(Planted::InsertOverwrites) => "new",
        PushMode::Update if !depot.is(Planted::UpdateCreates) => "known",
        _ => "any",
    };
    let mut fields = fields.clone();
    if depot.is(Planted::UpdatesTheWrongFields) {
        fields.insert("amount".into(), json!(0));
    }
    let path = format!("items/{}", segment(id.as_str()));
    let call = Request::put("depot.items.put", path).query("only", only).json(&fields);
    match depot.api.fetch(cx, call, |answer| answer.json::<Written>("depot.items.put")).await.map_err(unread) {
        Ok(written) if written.made => Ok(PushOutcome::created(written.id)),
        Ok(written) => Ok(PushOutcome::updated(written.id)),
        Err(error) if error.kind() == ErrorKind::Conflict && only == "new" => Ok(PushOutcome::Skipped("it is there")),
        Err(error) if error.kind() == ErrorKind::NotFound && only == "known" => Ok(PushOutcome::Skipped("it is not there")),
        Err(error) if depot.is(Planted::LostChangeIsFailed) => Err(error.with_delivery(Delivery::Answered)),
        Err(error) => Err(error),
    }
}

/// A write was answered, but nobody can read with what.
fn unread(error: Error) -> Error {
    if error.kind() == ErrorKind::Decode { error.with_delivery(Delivery::Unknown) } else { error }
}

async fn delete(depot: &Reference, cx: &SyncContext, item: &PushItem) -> Result<PushOutcome> {
    let Some(id) = &item.id else { return Err(Error::new(ErrorKind::Invalid, "depot.push", "a delete needs an id")) };
    if depot.is(Planted::OnlySaysDeleted) {
        return Ok(PushOutcome::deleted(id.clone()));
    }
    let call = Request::delete("depot.items.delete", format!("items/{}", segment(id.as_str())));
    match depot.api.fetch(cx, call, |answer| answer.json::<Written>("depot.items.delete")).await.map_err(unread) {
        Ok(_) => Ok(PushOutcome::deleted(id.clone())),
        Err(_) if depot.is(Planted::LostDeleteIsDone) => Ok(PushOutcome::deleted(id.clone())),
        Err(error) if error.kind() == ErrorKind::NotFound && !depot.is(Planted::GoneIsFailed) => Ok(PushOutcome::deleted(id.clone())),
        Err(error) => Err(error),
    }
}

pub(crate) async fn find(depot: &Reference, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<Found>> {
    let mut all = Vec::new();
    for item in batch.items.iter() {
        all.push(match look(depot, cx, item).await {
            Err(_) if depot.is(Planted::FailedLookIsNothing) => Found::Nothing,
            other => other?,
        });
    }
    if depot.is(Planted::LooksOnce) {
        all.truncate(1);
    }
    Ok(all)
}

async fn look(depot: &Reference, cx: &SyncContext, item: &PushItem) -> Result<Found> {
    if depot.style == Style::Blind || depot.style == Style::ReadOnly {
        return Ok(if depot.is(Planted::BlindSaysNothing) { Found::Nothing } else { Found::CannotTell });
    }
    if depot.is(Planted::FindsNothing) {
        return Ok(Found::Nothing);
    }
    if item.operation == Operation::Delete {
        return Ok(match &item.id {
            Some(id) if depot.is(Planted::FindsDeletesByMarker) => Found::Sent { id: id.clone(), version: None },
            Some(id) => still_there(depot, cx, id).await?,
            None => Found::Nothing,
        });
    }
    let sent: Map<String, Value> = serde_json::from_slice(&item.fields).unwrap_or_default();
    let call = Request::get("depot.items.find", "items");
    let call = match (depot.style, &item.id) {
        (Style::Keyed, Some(id)) => call.query("name", id),
        _ => call.query("marker", &item.marker),
    };
    let held: Held = depot.api.fetch(cx, call, |answer| answer.json("depot.items.find")).await?;
    let [found] = &held.items[..] else {
        return Ok(match held.items.len() {
            0 => Found::Nothing,
            many => Found::Several(u32::try_from(many).unwrap_or(u32::MAX)),
        });
    };
    let id = RecordId::from(found["id"].as_str().unwrap_or_default());
    let same = sent.iter().all(|(name, value)| found.get(name) == Some(value)) || depot.is(Planted::TakesOtherForSent);
    Ok(if same { Found::Sent { id, version: None } } else { Found::Other { id, version: None } })
}

/// For a delete, what it is to remove is what may have been sent.
async fn still_there(depot: &Reference, cx: &SyncContext, id: &RecordId) -> Result<Found> {
    let call = Request::get("depot.items.find", "items").query("id", id);
    let held: Held = depot.api.fetch(cx, call, |answer| answer.json("depot.items.find")).await?;
    Ok(if held.items.is_empty() { Found::Nothing } else { Found::Sent { id: id.clone(), version: None } })
}
