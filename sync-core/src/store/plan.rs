//! Plans: what a run would do, record by record, kept until somebody applies it.

use std::{collections::BTreeMap, fmt::Debug};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Expected, Feed, PushLink, without_stranger};
use crate::{
    Counts, Direction, EntityType, Error, PartitionId, RecordFailure, RecordId, Result, RunError, RunId, mapping::Rule, sensitive::HIDDEN,
};

/// Where a plan stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanState {
    /// Nobody has said anything about it.
    #[default]
    Open,
    /// Somebody said that it may be applied.
    Approved,
    /// Everything of it was applied.
    Applied,
    /// Some of it was; what was left out may still be.
    Partial,
    /// Somebody said that it shall not be applied. It never is.
    Discarded,
}

impl PlanState {
    /// As it stands in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Applied => "applied",
            Self::Partial => "partial",
            Self::Discarded => "discarded",
        }
    }

    /// Reads [`as_str`](Self::as_str) back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Approved, Self::Applied, Self::Partial, Self::Discarded].into_iter().find(|state| state.as_str() == text)
    }
}

/// A plan to be stored: the report of a run that only looked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewPlan {
    /// The run that made it; the plan is known by it.
    pub run: RunId,
    /// What it reads into what.
    #[serde(flatten)]
    pub feed: Feed,
    /// Which way.
    pub direction: Direction,
    /// Where its rows go.
    pub entity: EntityType,
    /// The fields that make a row's key, in their order; empty where the record's own id does.
    pub key: Vec<Box<str>>,
    /// What applying needs to know of the request, as the engine wrote it.
    pub request: serde_json::Value,
    /// What would become of the records.
    pub counts: Counts,
    /// Records that could not be taken, and warnings; the first of them.
    pub failures: Vec<RecordFailure>,
    /// Parts that could not be read, and deletes that have to be confirmed.
    pub errors: Vec<RunError>,
    /// Who asked for it.
    pub made_by: Box<str>,
    /// When.
    pub made_at: DateTime<Utc>,
}

/// A plan as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What it says.
    #[serde(flatten)]
    pub plan: NewPlan,
    /// Where it stands.
    pub state: PlanState,
    /// How many rows it would change.
    pub items: u64,
    /// Who last changed where it stands.
    pub changed_by: Option<Box<str>>,
    /// When.
    pub changed_at: Option<DateTime<Utc>>,
    /// The last run that applied some of it.
    pub applied_run: Option<RunId>,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// It is made.
    Create,
    /// Some of its fields change.
    Update,
    /// It goes.
    Delete,
    /// Of a push: the service has the record already, though nothing linked it to the row so far; it is written and linked.
    Adopt,
}

impl ItemKind {
    /// As it stands in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Adopt => "adopt",
        }
    }
}

/// What was done with an item so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// Nothing, or, of a push, nothing the service has confirmed: it is there to be applied again.
    #[default]
    Open,
    /// It was applied.
    Applied,
    /// Its row, or the record at the service, was no longer as the plan had found it: it was left alone.
    Moved,
}

impl ItemState {
    /// As it stands in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Applied => "applied",
            Self::Moved => "moved",
        }
    }

    /// Reads [`as_str`](Self::as_str) back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Applied, Self::Moved].into_iter().find(|state| state.as_str() == text)
    }
}

/// One field.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedChange {
    /// The field.
    pub field: Box<str>,
    /// Before; absent when there is no row, and of a push when nobody looked what the service has.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub old: Option<Box<RawValue>>,
    /// After; absent when the row goes.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub new: Option<Box<RawValue>>,
    /// The rule that decided.
    pub rule: Rule,
    /// Whether its values are nobody's business. They stand here, since applying the plan writes them; [`shown`](Self::shown) hides them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
}

impl PlannedChange {
    /// The values before and after as they may be shown, JSON text: `{"hidden":null}` in the place of those that are nobody's business.
    #[must_use]
    pub fn shown(&self) -> (Option<&str>, Option<&str>) {
        let side = |json: &'_ Option<Box<RawValue>>| -> bool { self.sensitive && json.as_ref().is_some_and(|json| json.get() != "null") };
        let (old, new) = (self.old.as_deref().map(RawValue::get), self.new.as_deref().map(RawValue::get));
        (if side(&self.old) { Some(HIDDEN) } else { old }, if side(&self.new) { Some(HIDDEN) } else { new })
    }
}

/// A value that is there, null too.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

/// The record of a planned write as it was found at the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeenRecord {
    /// It was not there.
    Absent,
    /// It was there; what it held was not read.
    There,
    /// It was there, and what a write would replace had this digest.
    Read(u64),
}

/// What a planned write to a service rests on. Applying leaves it alone once any of that has moved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedWrite {
    /// The rule that decided.
    pub rule: Rule,
    /// The hash of the row's content, as links keep it.
    pub hash: u64,
    /// What was known of the row at the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<PushLink>,
    /// The record at the service; absent when nobody looked, or nobody could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<SeenRecord>,
    /// The fields as they are sent, where there is no row to read again, or they tell what to compare with what was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Box<RawValue>>,
    /// Whether it is a write that failed before and belongs to none of the rows that were looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_over: bool,
}

/// What becomes of one row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanItem {
    /// Its number in the plan, from 1.
    pub no: u32,
    /// The entity's key.
    pub entity: Box<str>,
    /// What becomes of it.
    pub kind: ItemKind,
    /// The record that says so, and its partition; of a row that goes all records that no longer stand behind it. Of a push the service's
    /// own key of the record, where it is known.
    pub records: Vec<(PartitionId, RecordId)>,
    /// Where a person finds the record in the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// The record's values of the key fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub key: BTreeMap<Box<str>, Box<RawValue>>,
    /// Field by field. Of a push the fields that are sent, without those that a look found as they shall be.
    pub changes: Vec<PlannedChange>,
    /// Of a plan of a push: what the write rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<Box<PlannedWrite>>,
    /// What was done with it so far.
    #[serde(skip, default)]
    pub state: ItemState,
}

impl PlanItem {
    /// Adds its changes to what a commit [expects](super::PageCommit::expects).
    pub fn expect(&self, expected: &mut Expected) {
        for change in &self.changes {
            expected.add(&self.entity, &change.field, change.old.as_deref().map(RawValue::get), change.new.as_deref().map(RawValue::get));
        }
    }

    /// The documented `Change preview` body: `{entity, keyField, keyValue, type, fields, existing}`. Of a push also `rule`, and in
    /// `existing` what is known of the record at the service. Values that are nobody's business are hidden.
    #[must_use]
    pub fn to_json(&self, entity: &EntityType, key: &[Box<str>]) -> serde_json::Value {
        let side = |of: fn(&PlannedChange) -> Option<&str>| -> serde_json::Map<String, serde_json::Value> {
            let values = self.changes.iter().filter_map(|change| Some((change.field.to_string(), crate::json_value(of(change)?))));
            values.collect()
        };
        let mut body = serde_json::json!({
            "entity": entity,
            "keyField": if key.is_empty() { "id".to_owned() } else { key.join("/") },
            "keyValue": without_stranger(&self.entity),
            "type": self.kind,
            "fields": side(|change| change.shown().1),
        });
        if self.kind != ItemKind::Create {
            body["existing"] = side(|change| change.shown().0).into();
        }
        if let Some(write) = &self.write {
            body["rule"] = write.rule.as_str().into();
        }
        body
    }
}

/// What became of a plan, or is to become of it.
#[derive(Clone, Debug)]
pub struct Settle {
    /// Where it stands from now on.
    pub state: PlanState,
    /// The run that applied some of it.
    pub run: Option<RunId>,
    /// Items that were dealt with, by their numbers.
    pub items: Vec<(u32, ItemState)>,
    /// Who says so.
    pub by: Box<str>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Keeps plans.
#[async_trait]
pub trait PlanStore: Debug + Send + Sync {
    /// Stores a plan with its items, in one transaction.
    async fn put_plan(&self, plan: NewPlan, items: Vec<PlanItem>) -> Result<Plan> {
        let _ = (plan, items);
        Err(Error::unsupported("put_plan"))
    }

    /// The plan a run made.
    async fn plan(&self, run: RunId) -> Result<Option<Plan>> {
        let _ = run;
        Err(Error::unsupported("plan"))
    }

    /// The newest plans first, at most `limit`, older than `before`.
    async fn plans(&self, before: Option<RunId>, limit: u32) -> Result<Vec<Plan>> {
        let _ = (before, limit);
        Err(Error::unsupported("plans"))
    }

    /// Items of a plan in order, after the item of this number, at most `limit`.
    async fn plan_items(&self, run: RunId, after: u32, limit: u32) -> Result<Vec<PlanItem>> {
        let _ = (run, after, limit);
        Err(Error::unsupported("plan_items"))
    }

    /// Writes down what became of a plan and of its items, if it still stands as `expected`; `false` when it does not.
    async fn settle_plan(&self, run: RunId, expected: PlanState, settle: Settle) -> Result<bool> {
        let _ = (run, expected, settle);
        Err(Error::unsupported("settle_plan"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planned_null_is_told_from_no_row() {
        let text = r#"{"field":"a","old":null,"new":12345678901234567890.10,"rule":"source_of_truth"}"#;
        let change: PlannedChange = serde_json::from_str(text).expect("a change");
        assert_eq!(change.old.as_ref().map(|old| old.get()), Some("null"));
        assert_eq!(serde_json::to_string(&change).expect("JSON"), text, "numbers keep their digits");
        let made: PlannedChange = serde_json::from_str(r#"{"field":"a","new":1,"rule":"undo"}"#).expect("a change");
        assert!(made.old.is_none());
    }

    #[test]
    fn a_sensitive_value_is_applied_but_not_shown() {
        let text = r#"{"no":1,"entity":"k","kind":"update","records":[],"changes":[
            {"field":"mail","old":"a@x","new":"b@x","rule":"r","sensitive":true},{"field":"born","old":null,"new":7,"rule":"r","sensitive":true},
            {"field":"name","old":"A","new":"B","rule":"r"}]}"#;
        let item: PlanItem = serde_json::from_str(text).expect("an item");
        let told = item.to_json(&"people".into(), &[]);
        let hidden = serde_json::json!({ "hidden": null });
        assert_eq!(told["fields"], serde_json::json!({ "mail": hidden, "born": hidden, "name": "B" }));
        assert_eq!(told["existing"], serde_json::json!({ "mail": hidden, "born": null, "name": "A" }));
        let mut expected = Expected::default();
        item.expect(&mut expected);
        let mut made = expected.nothing_yet();
        for (field, old, new) in [("mail", "\"a@x\"", "\"b@x\""), ("born", "null", "7"), ("name", "\"A\"", "\"B\"")] {
            made.add("k", field, Some(old), Some(new));
        }
        assert!(expected.moved(&made).is_empty(), "what a commit has to find");
        let kept: PlanItem = serde_json::from_str(&serde_json::to_string(&item).expect("JSON")).expect("an item");
        assert_eq!(kept.to_json(&"people".into(), &[]), told, "it is hidden when it is read again");
    }
}
