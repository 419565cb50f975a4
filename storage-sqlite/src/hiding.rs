//! Fields whose values lineage keeps as hashes alone.

use std::collections::{BTreeSet, HashSet};

use rusqlite::{OptionalExtension as _, Transaction};
use sync_core::{
    EntityType, Target, WorkspaceId,
    sensitive::{HIDDEN, HidingKey},
};

use crate::error::{Db, damaged};

/// What lines about an entity type's rows hide.
#[derive(Debug, Default)]
pub(crate) struct Hiding {
    /// In small letters.
    fields: HashSet<String>,
    key: Option<HidingKey>,
}

impl Hiding {
    /// What is marked by now.
    pub(crate) fn of(tx: &Transaction<'_>, workspace: &WorkspaceId, entity: &EntityType) -> Db<Self> {
        let mut found = tx.prepare_cached("SELECT field FROM syncline_sensitive_fields WHERE workspace_id = ?1 AND entity_type = ?2")?;
        let fields = found.query_map((workspace.as_str(), entity.as_str()), |row| row.get(0))?.collect::<rusqlite::Result<HashSet<_>>>()?;
        if fields.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self { fields, key: key(tx, workspace)? })
    }

    /// Marks the fields that a target says are sensitive, and answers what is marked then.
    pub(crate) fn mark(tx: &Transaction<'_>, workspace: &WorkspaceId, target: &Target) -> Db<Self> {
        let known = Self::of(tx, workspace, &target.entity)?;
        let mut new = target.fields.iter().filter(|field| field.sensitive && !known.covers(&field.name)).peekable();
        if new.peek().is_none() {
            return Ok(known);
        }
        if known.key.is_none() {
            let mut random = [0; 32];
            // Random bits of the system's, but for six fixed ones in each half.
            random[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
            random[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
            let made = HidingKey::new(&random);
            let (inner, outer) = made.pads();
            tx.prepare_cached(
                "INSERT INTO syncline_lineage_keys (workspace_id, inner_pad, outer_pad) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute((workspace.as_str(), inner, outer))?;
        }
        let mut mark = tx.prepare_cached(
            "INSERT INTO syncline_sensitive_fields (workspace_id, entity_type, field) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?;
        for field in new {
            mark.execute((workspace.as_str(), target.entity.as_str(), field.name.to_ascii_lowercase()))?;
        }
        Self::of(tx, workspace, &target.entity)
    }

    pub(crate) fn covers(&self, field: &str) -> bool {
        !self.fields.is_empty() && self.fields.contains(&field.to_ascii_lowercase())
    }

    /// The fields, in small letters.
    pub(crate) fn fields(&self) -> BTreeSet<Box<str>> {
        self.fields.iter().map(|field| field.as_str().into()).collect()
    }

    /// What lineage keeps of a value, JSON text, of a field that is [covered](Self::covers).
    pub(crate) fn hide(&self, json: &str) -> String {
        hide(self.key.as_ref(), json)
    }
}

/// What lineage keeps of a value; without a key no more than that there was one.
pub(crate) fn hide(key: Option<&HidingKey>, json: &str) -> String {
    match key {
        _ if json == "null" => json.to_owned(),
        Some(key) => key.hide(json),
        None => HIDDEN.to_owned(),
    }
}

/// What a workspace's values are hashed with, if any ever were.
pub(crate) fn key(tx: &Transaction<'_>, workspace: &WorkspaceId) -> Db<Option<HidingKey>> {
    let mut found = tx.prepare_cached("SELECT inner_pad, outer_pad FROM syncline_lineage_keys WHERE workspace_id = ?1")?;
    let pads: Option<(Vec<u8>, Vec<u8>)> = found.query_row([workspace.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    pads.map(|(inner, outer)| HidingKey::of_pads(&inner, &outer).ok_or_else(|| damaged("lineage", "key of hidden values"))).transpose()
}
