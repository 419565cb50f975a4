//! From what commits would change to what becomes of each row. Pure.

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;
use sync_core::{
    Duplicates, Error, ErrorKind, Operation, PartitionId, Place, RecordId, Result, Target,
    store::{Change, ItemKind, ItemState, PageCommit, PlanItem, PlannedChange, Preview},
};

/// One row, from before the first commit to after the last.
struct Draft {
    entity: Box<str>,
    /// Whether there was a row before, and whether there is one afterwards.
    there: (bool, bool),
    fields: Vec<Change>,
}

impl Draft {
    fn add(&mut self, change: Change) {
        self.there.1 = change.new.is_some();
        match self.fields.iter_mut().find(|known| known.field == change.field) {
            Some(known) => (known.new, known.rule) = (change.new, change.rule),
            None => self.fields.push(Change { old: change.old.filter(|_| self.there.0), ..change }),
        }
    }

    /// What becomes of the row in the end; `None` when nothing does.
    fn kind(&self) -> Option<ItemKind> {
        match self.there {
            (false, true) => Some(ItemKind::Create),
            (true, true) => Some(ItemKind::Update),
            (true, false) => Some(ItemKind::Delete),
            (false, false) => None,
        }
    }

    /// The changes that are left when what was done and undone is taken out.
    fn changes(&mut self, kind: ItemKind) -> Vec<Change> {
        let null = || Some(Box::<str>::from("null"));
        let fields = std::mem::take(&mut self.fields).into_iter().map(|change| match kind {
            ItemKind::Create => Change { old: None, new: change.new.or_else(null), ..change },
            // A field of a row that went and came back without it.
            ItemKind::Update | ItemKind::Adopt => Change { old: change.old.or_else(null), new: change.new.or_else(null), ..change },
            ItemKind::Delete => Change { new: None, ..change },
        });
        match kind {
            ItemKind::Create => fields.filter(|change| change.new.as_deref() != Some("null")).collect(),
            ItemKind::Update | ItemKind::Adopt => fields.filter(|change| change.old != change.new).collect(),
            ItemKind::Delete => fields.filter(|change| change.old.as_deref().is_some_and(|old| old != "null")).collect(),
        }
    }
}

/// Where a record that says what becomes of a row is.
struct Found {
    partition: PartitionId,
    record: RecordId,
    position: Option<u64>,
    key: BTreeMap<Box<str>, Box<RawValue>>,
}

/// What becomes of each row, in the order in which they are first met.
pub(super) fn items(target: &Target, commits: &[PageCommit], preview: Preview) -> Result<Vec<PlanItem>> {
    let mut places: HashMap<Box<str>, usize> = HashMap::new();
    let mut drafts: Vec<Draft> = Vec::new();
    for change in preview.changes {
        let at = *places.entry(change.entity.clone()).or_insert_with(|| {
            let was = change.old.is_some();
            drafts.push(Draft { entity: change.entity.clone(), there: (was, was), fields: Vec::new() });
            drafts.len() - 1
        });
        drafts[at].add(change);
    }
    let mut found = records(target, commits, &places)?;
    let mut gone: HashMap<Box<str>, Vec<(PartitionId, RecordId)>> = HashMap::new();
    for link in preview.gone {
        gone.entry(link.entity).or_default().push((link.partition, link.record));
    }
    let sensitive = |field: &str| target.is_sensitive(field) || preview.sensitive.contains(field.to_ascii_lowercase().as_str());
    let mut items = Vec::new();
    for mut draft in drafts {
        let Some(kind) = draft.kind() else { continue };
        let changes = draft.changes(kind);
        if changes.is_empty() && kind != ItemKind::Delete {
            continue;
        }
        let (records, position, key) = match (kind, &target.place) {
            (ItemKind::Delete, Place::Stream) => (vec![(PartitionId::from(""), RecordId::from(&*draft.entity))], None, BTreeMap::new()),
            (ItemKind::Delete, _) => (gone.remove(&draft.entity).unwrap_or_default(), None, BTreeMap::new()),
            _ => {
                let record = found.remove(&draft.entity).ok_or_else(|| {
                    Error::new(ErrorKind::Internal, "plan", "a row would change, but no record says so").at("entity", &*draft.entity)
                })?;
                (vec![(record.partition, record.record)], record.position, record.key)
            }
        };
        let no = u32::try_from(items.len() + 1).map_err(|_| Error::config("plan", "a plan holds at most four billion rows"))?;
        let changes = changes.into_iter().map(|change| planned(sensitive(&change.field), change)).collect::<Result<_>>()?;
        items.push(PlanItem { no, entity: draft.entity, kind, records, position, key, changes, write: None, state: ItemState::Open });
    }
    Ok(items)
}

fn planned(sensitive: bool, change: Change) -> Result<PlannedChange> {
    let raw = |json: Option<Box<str>>| json.map(|json| RawValue::from_string(json.into())).transpose();
    let broken = |e| Error::new(ErrorKind::Internal, "plan", "a planned value is not JSON").because(e);
    Ok(PlannedChange {
        sensitive,
        field: change.field,
        old: raw(change.old).map_err(broken)?,
        new: raw(change.new).map_err(broken)?,
        rule: change.rule,
    })
}

/// The records behind the rows in question: of several with one key the one that counts.
fn records(target: &Target, commits: &[PageCommit], wanted: &HashMap<Box<str>, usize>) -> Result<HashMap<Box<str>, Found>> {
    let mut found: HashMap<Box<str>, Found> = HashMap::new();
    for part in commits.iter().flat_map(|commit| &commit.batches) {
        let batch = &part.batch;
        for (record, key) in batch.records().iter().zip(target.keys(batch)) {
            let Ok(entity) = key else { continue };
            if record.operation != Operation::Upsert || !wanted.contains_key(entity.as_str()) {
                continue;
            }
            if target.duplicates == Duplicates::FirstWins && found.contains_key(entity.as_str()) {
                continue;
            }
            let mut key = BTreeMap::new();
            for field in target.place.key() {
                let cell = batch.cells(record).find(|(name, _)| batch.names()[*name].eq_ignore_ascii_case(field));
                if let Some((_, json)) = cell {
                    let raw = RawValue::from_string(json.to_owned());
                    key.insert(field.clone(), raw.map_err(|e| Error::new(ErrorKind::Internal, "plan", "a key is not JSON").because(e))?);
                }
            }
            let at = Found { partition: part.partition.clone(), record: record.id.clone(), position: record.position, key };
            found.insert(entity.into(), at);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use sync_core::mapping::Rule;

    use super::*;

    fn change(entity: &str, field: &str, old: Option<&str>, new: Option<&str>) -> Change {
        Change { entity: entity.into(), field: field.into(), old: old.map(Into::into), new: new.map(Into::into), rule: Rule::SourceOfTruth }
    }

    fn drafted(changes: &[Change]) -> Option<(ItemKind, Vec<String>)> {
        let was = changes[0].old.is_some();
        let mut draft = Draft { entity: "e".into(), there: (was, was), fields: Vec::new() };
        changes.iter().cloned().for_each(|change| draft.add(change));
        let kind = draft.kind()?;
        let text = |value: &Option<Box<str>>| value.clone().unwrap_or_else(|| "-".into());
        let told =
            draft.changes(kind).iter().map(|change| format!("{} {}>{}", change.field, text(&change.old), text(&change.new))).collect();
        Some((kind, told))
    }

    #[test]
    fn what_several_commits_do_to_a_row_is_told_as_one_change_from_first_to_last() {
        let (none, one, two, three, null) = (None, Some("1"), Some("2"), Some("3"), Some("null"));
        let cases = [
            // made, then changed
            (vec![change("e", "a", none, one), change("e", "a", one, two)], Some((ItemKind::Create, vec!["a ->2"]))),
            // a null of a new row is no change
            (vec![change("e", "a", none, one), change("e", "b", none, null)], Some((ItemKind::Create, vec!["a ->1"]))),
            // changed twice, changed back
            (vec![change("e", "a", one, two), change("e", "a", two, three)], Some((ItemKind::Update, vec!["a 1>3"]))),
            (vec![change("e", "a", one, two), change("e", "a", two, one)], Some((ItemKind::Update, vec![]))),
            // made and gone again
            (vec![change("e", "a", none, one), change("e", "a", one, none)], None),
            // gone, and back with another value and without one field
            (
                vec![change("e", "a", one, none), change("e", "b", two, none), change("e", "a", none, three)],
                Some((ItemKind::Update, vec!["a 1>3", "b 2>null"])),
            ),
            // changed and gone: what was there before goes
            (vec![change("e", "a", one, two), change("e", "a", two, none)], Some((ItemKind::Delete, vec!["a 1>-"]))),
        ];
        for (changes, expected) in cases {
            let told = drafted(&changes);
            let told = told.as_ref().map(|(kind, told)| (*kind, told.iter().map(String::as_str).collect::<Vec<_>>()));
            assert_eq!(told, expected, "{changes:?}");
        }
    }
}
