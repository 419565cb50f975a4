//! From writes that would be sent to the items of a plan. Pure.

use sync_core::{
    Counts, Error, Operation, PushMode, RecordFailure, Result,
    mapping::{Rule, alike},
    store::{Intent, ItemKind, ItemState, PlanItem, PlannedChange, PlannedWrite, PushLink},
};

use super::sight::{Sight, fields_of};
use crate::{
    plan::raw,
    push::{item::Item, rows::Aside},
};

/// A write that a push would send.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) intent: Intent,
    pub(super) rule: Rule,
    pub(super) link: Option<PushLink>,
    pub(super) left_over: bool,
}

impl Draft {
    /// `None` for the link of what is left over: it has to be looked up.
    pub(super) fn of(item: Item) -> Self {
        let left_over = item.basis.is_none();
        let (rule, link) = item.basis.map_or((Rule::Retried, None), |basis| (basis.rule, basis.link));
        Self { intent: item.intent, rule, link, left_over }
    }

    /// Whether the service confirmed the record that is written.
    fn linked(&self) -> bool {
        self.intent.id.is_some() && self.link.as_ref().is_some_and(|link| link.id == self.intent.id)
    }

    /// Whether it is not known if there is a record already that would be written.
    pub(super) fn stray(&self) -> bool {
        self.intent.operation == Operation::Upsert && self.intent.id.is_some() && !self.linked()
    }
}

/// The items of a plan, and what is counted and told beside them.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) list: Vec<PlanItem>,
    pub(super) aside: Aside,
}

impl Items {
    /// Adds a write, or says why it would not be done. Records that were `handed` over are kept in the plan.
    pub(super) fn add(&mut self, draft: Draft, sight: &Sight, handed: bool, by_columns: bool) -> Result<()> {
        let key = draft.intent.key.clone();
        let there = matches!(sight, Sight::There | Sight::Read(_));
        let kind = match (draft.intent.operation, draft.intent.mode) {
            (_, _) if matches!(sight, Sight::Several(_)) => {
                let text = "several records at the service look like it; name the one that is meant by its id, or leave one";
                self.aside.fail(RecordFailure::error(text).of_record(key));
                return Ok(());
            }
            (Operation::Delete, _) => ItemKind::Delete,
            (Operation::Upsert, PushMode::Insert) if there => {
                self.aside.skip(&key, "it is there already, and this push inserts alone");
                return Ok(());
            }
            (Operation::Upsert, PushMode::Update) if draft.intent.id.is_none() || *sight == Sight::Absent => {
                self.aside.skip(&key, "there is no such record at the service, and this push updates alone");
                return Ok(());
            }
            (Operation::Upsert, _) if draft.intent.id.is_none() || *sight == Sight::Absent => ItemKind::Create,
            (Operation::Upsert, _) if draft.linked() => ItemKind::Update,
            (Operation::Upsert, _) if there => ItemKind::Adopt,
            // A key that is made of columns says nothing of whether the record is there; one that the host knows does.
            (Operation::Upsert, PushMode::Update) => ItemKind::Adopt,
            (Operation::Upsert, _) if by_columns => ItemKind::Create,
            (Operation::Upsert, _) => ItemKind::Adopt,
        };
        self.aside.counts.add(&Counts {
            read: 1,
            created: u64::from(kind == ItemKind::Create),
            updated: u64::from(matches!(kind, ItemKind::Update | ItemKind::Adopt)),
            deleted: u64::from(kind == ItemKind::Delete),
            ..Counts::default()
        });
        let no = u32::try_from(self.list.len() + 1).map_err(|_| Error::config("plan", "a plan holds at most four billion rows"))?;
        let Draft { intent, rule, link, left_over } = draft;
        let sent = fields_of(&intent.fields);
        let upsert = intent.operation == Operation::Upsert;
        let seen = sight.kept(upsert.then(|| sent.keys().map(String::as_str)));
        // What was seen is compared again by what is sent.
        let needed = upsert && (handed || seen.is_some());
        let fields = if needed { Some(raw(&intent.fields)?) } else { None };
        let write = PlannedWrite { rule, hash: intent.hash, link, seen, fields, left_over };
        self.list.push(PlanItem {
            no,
            entity: intent.key.clone(),
            kind,
            records: intent.id.iter().map(|id| ("".into(), id.clone())).collect(),
            position: None,
            key: std::collections::BTreeMap::new(),
            changes: changes(&intent, sight, rule)?,
            write: Some(Box::new(write)),
            state: ItemState::Open,
        });
        Ok(())
    }
}

/// What is sent, without what is there as it shall be.
fn changes(intent: &Intent, sight: &Sight, rule: Rule) -> Result<Vec<PlannedChange>> {
    let change = |field: &str, old: Option<&str>, new: Option<&str>| -> Result<PlannedChange> {
        Ok(PlannedChange { field: field.into(), old: old.map(raw).transpose()?, new: new.map(raw).transpose()?, rule, sensitive: false })
    };
    let known = match sight {
        Sight::Read(fields) => Some(fields),
        _ => None,
    };
    if intent.operation == Operation::Delete {
        let fields = known.into_iter().flatten().filter(|(_, json)| &***json != "null");
        return fields.map(|(field, json)| change(field, Some(json), None)).collect();
    }
    let sent = fields_of(&intent.fields);
    let before = |field: &str| known.map(|fields| fields.get(field).map_or("null", |json| &**json));
    let differs = |(field, json): &(&str, &str)| before(field).is_none_or(|old| !alike(old, json));
    let sent = sent.iter().map(|(field, json)| (field.as_str(), &**json)).filter(differs);
    sent.map(|(field, json)| change(field, before(field), Some(json))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::push::model::intent;

    fn planned(operation: Operation, mode: PushMode, id: Option<&str>, linked: bool, sight: &Sight, by_columns: bool) -> Result<Items> {
        let mut intent = intent("k");
        (intent.operation, intent.mode, intent.id) = (operation, mode, id.map(Into::into));
        intent.fields = if operation == Operation::Upsert { r#"{"a":1,"b":"x"}"#.into() } else { "{}".into() };
        let link = linked.then(|| PushLink { id: intent.id.clone(), hash: Some(1), version: None });
        let mut items = Items::default();
        items.add(Draft { intent, rule: Rule::Changed, link, left_over: false }, sight, true, by_columns)?;
        Ok(items)
    }

    #[test]
    fn what_becomes_of_a_record_follows_from_what_is_known_and_seen_of_it() {
        use ItemKind::*;
        use Operation::{Delete as Remove, Upsert};
        use PushMode::{Insert, Update as Known, Upsert as Both};
        let read = Sight::Read(fields_of(r#"{"a":1.0,"b":"y"}"#));
        let cases = [
            (Upsert, Both, None, false, Sight::Unknown, true, Some(Create)),
            (Upsert, Both, Some("r"), true, Sight::Unknown, false, Some(Update)),
            (Upsert, Both, Some("r"), true, Sight::Absent, false, Some(Create)),
            (Upsert, Both, Some("r"), false, Sight::There, true, Some(Adopt)),
            (Upsert, Both, Some("r"), false, Sight::Absent, true, Some(Create)),
            (Upsert, Both, Some("r"), false, Sight::Unknown, true, Some(Create)),
            (Upsert, Both, Some("r"), false, Sight::Unknown, false, Some(Adopt)),
            (Upsert, Both, Some("r"), false, Sight::Several(2), true, None),
            (Upsert, Insert, Some("r"), false, read.clone(), true, None),
            (Upsert, Insert, Some("r"), false, Sight::Absent, true, Some(Create)),
            (Upsert, Known, Some("r"), false, Sight::Absent, true, None),
            (Upsert, Known, None, false, Sight::Unknown, false, None),
            (Upsert, Known, Some("r"), true, read.clone(), true, Some(Update)),
            (Remove, Both, Some("r"), true, read, true, Some(Delete)),
        ];
        for (operation, mode, id, linked, sight, by_columns, kind) in cases {
            let case = format!("{operation:?} {mode:?} {id:?} {linked} {sight:?}");
            let items = planned(operation, mode, id, linked, &sight, by_columns).expect("it can be planned");
            assert_eq!(items.list.first().map(|item| item.kind), kind, "{case}");
            assert!(items.aside.counts.balanced() && items.aside.counts.read == 1, "{case}");
            assert_eq!(items.aside.failures.len(), usize::from(kind.is_none()), "{case}: what is left out is told");
        }
    }

    #[test]
    fn changes_are_told_from_what_was_read_to_what_is_sent() {
        let told = |operation, sight: &Sight| {
            let items = planned(operation, PushMode::Upsert, Some("r"), true, sight, false).expect("it can be planned");
            let text = |json: &Option<Box<RawValue>>| json.as_ref().map_or("-".to_owned(), |json| json.get().to_owned());
            items.list[0].changes.iter().map(|c| format!("{} {}>{}", c.field, text(&c.old), text(&c.new))).collect::<Vec<_>>()
        };
        assert_eq!(told(Operation::Upsert, &Sight::Unknown), ["a ->1", "b ->\"x\""]);
        let read = Sight::Read(fields_of(r#"{"a":"1","c":7,"n":null}"#));
        assert_eq!(told(Operation::Upsert, &read), ["b null>\"x\""], "one that says the same is no change");
        assert_eq!(told(Operation::Delete, &read), ["a \"1\">-", "c 7>-"]);
    }
}
