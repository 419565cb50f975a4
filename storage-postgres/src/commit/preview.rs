//! What a preview shows, from the texts of lines.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use sync_core::{mapping::Rule, store::Change};

use crate::error::{Db, damaged};

type Line<'a> = BTreeMap<String, (&'a RawValue, &'a RawValue)>;

/// The changes of a deletion.
pub(crate) fn deleted(entity: &str, line: &str, changes: &mut Vec<Change>) -> Db<()> {
    let line: Line<'_> = serde_json::from_str(line).map_err(|_| damaged("preview", "line of lineage"))?;
    for (field, (old, _)) in line {
        changes.push(Change { entity: entity.into(), field: field.into(), old: Some(old.get().into()), new: None, rule: Rule::Deleted });
    }
    Ok(())
}
