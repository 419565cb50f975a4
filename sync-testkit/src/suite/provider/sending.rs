//! Writing as the engine does: batches within the limits, a refused batch split down to the bad record.

use std::{collections::VecDeque, ops::Deref, sync::Arc};

use serde_json::{Value, json};
use sync_core::{
    Delivery, Earlier, Effect, Error, ErrorKind, Found, Marker, Operation, PushBatch, PushItem, PushMode, PushOutcome, RecordId, Result,
    join_key,
};

use super::{
    PushSubject,
    case::{Case, Trial},
};
use crate::suite::{Finding, differs, ensure};

/// A fresh world to write to.
#[derive(Debug)]
pub(super) struct Sending<'a> {
    trial: Trial<'a>,
    pub(super) push: &'a PushSubject,
    pub(super) case: &'a Case<'a>,
}

impl<'a> Deref for Sending<'a> {
    type Target = Trial<'a>;

    fn deref(&self) -> &Trial<'a> {
        &self.trial
    }
}

impl<'a> Sending<'a> {
    pub(super) fn new(case: &'a Case<'a>) -> Result<Self, Finding> {
        Self::over(case, case.trial())
    }

    pub(super) fn over(case: &'a Case<'a>, trial: Trial<'a>) -> Result<Self, Finding> {
        let push = case.subject.push.as_ref().ok_or_else(|| differs("a fixture with records to write", "none"))?;
        Ok(Self { trial, push, case })
    }

    /// The mode in which new records are written.
    pub(super) fn mode(&self) -> PushMode {
        let modes = self.case.facts.descriptor.push.modes;
        if modes.contains(&PushMode::Upsert) { PushMode::Upsert } else { PushMode::Insert }
    }

    /// The `n`-th good record, to be written.
    pub(super) fn good(&self, n: usize) -> PushItem {
        self.item(n, &self.push.good[n])
    }

    /// A record to be written, under the marker number `n`.
    pub(super) fn item(&self, n: usize, fields: &Value) -> PushItem {
        PushItem {
            marker: Marker::from(format!("{n:032x}")),
            id: self.id_of(fields),
            operation: Operation::Upsert,
            fields: fields.to_string().into(),
            version: None,
            earlier: Earlier::Never,
        }
    }

    /// The id of a record whose key columns make it.
    pub(super) fn id_of(&self, fields: &Value) -> Option<RecordId> {
        let texts: Vec<String> = self
            .push
            .key
            .iter()
            .map(|column| match &fields[&**column] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
            .collect();
        (!texts.is_empty()).then(|| RecordId::from(join_key(texts.iter().map(String::as_str))))
    }

    /// The same record, known by `id`.
    pub(super) fn known(mut item: PushItem, id: &RecordId) -> PushItem {
        item.id = Some(id.clone());
        item
    }

    /// The delete of the record with `id`.
    pub(super) fn delete(&self, n: usize, id: &RecordId) -> PushItem {
        PushItem { id: Some(id.clone()), operation: Operation::Delete, fields: "{}".into(), ..self.item(n, &json!({})) }
    }

    pub(super) fn batch(&self, mode: PushMode, items: &[PushItem]) -> PushBatch {
        PushBatch { stream: self.push.stream.clone(), key: Arc::from(self.push.key.clone()), mode, items: items.into() }
    }

    /// Writes as the engine does; answers one outcome per item.
    pub(super) async fn send_as(&self, mode: PushMode, items: &[PushItem]) -> Vec<PushOutcome> {
        let limit = self.case.facts.descriptor.push.items.max(1);
        let mut waiting: VecDeque<&[PushItem]> = items.chunks(limit).collect();
        let mut outcomes = Vec::new();
        while let Some(part) = waiting.pop_front() {
            match self.world.provider.push(&self.cx, &self.batch(mode, part)).await {
                Ok(answered) if answered.len() == part.len() => outcomes.extend(answered),
                Ok(_) => outcomes.extend(part.iter().map(|_| PushOutcome::Unknown)),
                Err(error) if error.kind() == ErrorKind::Invalid && part.len() > 1 && error.delivery() != Delivery::Unknown => {
                    let (first, second) = part.split_at(part.len() / 2);
                    waiting.push_front(second);
                    waiting.push_front(first);
                }
                Err(error) => outcomes.extend(part.iter().map(|_| PushOutcome::of(like(&error)))),
            }
        }
        outcomes
    }

    pub(super) async fn send(&self, items: &[PushItem]) -> Vec<PushOutcome> {
        self.send_as(self.mode(), items).await
    }

    /// Writes what has to be accepted; answers the ids.
    pub(super) async fn accepted(&self, items: &[PushItem]) -> Result<Vec<RecordId>, Finding> {
        let outcomes = self.send(items).await;
        let ids: Vec<_> = outcomes.iter().filter_map(accepted).map(|(id, _)| id.clone()).collect();
        ensure(ids.len() == items.len(), format!("{} accepted records", items.len()), || format!("{outcomes:?}"))?;
        Ok(ids)
    }

    pub(super) async fn find(&self, items: &[PushItem]) -> Result<Vec<Found>> {
        self.world.provider.find(&self.cx, &self.batch(self.mode(), items)).await
    }

    /// How many records hold exactly these fields.
    pub(super) fn count(&self, fields: &Value) -> usize {
        self.world.service.holding(fields).len()
    }

    /// That the `n`-th good record is at the service exactly so often.
    pub(super) fn there(&self, what: &str, n: usize, times: usize) -> Result<(), Finding> {
        let count = self.count(&self.push.good[n]);
        ensure(count == times, format!("{what}: the record {times} times at the service"), || format!("{count} times"))
    }
}

/// Id and effect of what was accepted.
pub(super) fn accepted(outcome: &PushOutcome) -> Option<(&RecordId, Effect)> {
    match outcome {
        PushOutcome::Accepted { id, effect, .. } => Some((id, *effect)),
        _ => None,
    }
}

/// Another error of the same consequences, one for each item of a batch.
fn like(error: &Error) -> Error {
    Error::new(error.kind(), error.operation(), error.text().to_owned()).with_retry(error.retry()).with_delivery(error.delivery())
}
