//! The objects of the platform and its rules.

use std::collections::BTreeMap;

use serde_json::Value;
use sync_core::{Draft, Error, ErrorKind, Level, Marker, PlatformId, Result, TargetStatus};

use super::roll::Roll;

pub(super) const ACTIVE: &str = "ACTIVE";
const PAUSED: &str = "PAUSED";
const DELETED: &str = "DELETED";

#[derive(Debug)]
pub(super) struct Object {
    pub(super) level: Level,
    pub(super) id: String,
    pub(super) parent: Option<String>,
    pub(super) status: &'static str,
    pub(super) fields: Value,
    marker: Marker,
}

#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// In the order they were made.
    objects: BTreeMap<usize, Object>,
    pub(super) same_names: bool,
}

pub(super) fn parts(level: Level) -> &'static [&'static str] {
    if level == Level::Ad { &["media", "post"] } else { &[] }
}

/// What objects of a level belong to.
fn above(level: Level) -> Option<Level> {
    match level {
        Level::Campaign | Level::Part(_) => None,
        Level::AdGroup => Some(Level::Campaign),
        Level::Ad | Level::Keyword => Some(Level::AdGroup),
    }
}

fn refuse(kind: ErrorKind, text: impl Into<String>) -> Error {
    Error::new(kind, "mock", text.into())
}

impl Shelf {
    pub(super) fn of(&self, level: Level) -> impl Iterator<Item = &Object> {
        self.objects.values().filter(move |object| object.level == level && object.status != DELETED)
    }

    pub(super) fn made(&self, level: Level) -> usize {
        self.objects.values().filter(|object| object.level == level).count()
    }

    fn any(&mut self, level: Level, id: &PlatformId) -> Result<&mut Object> {
        let found = self.objects.values_mut().find(|object| object.level == level && object.id == id.as_str());
        found.ok_or_else(|| refuse(ErrorKind::NotFound, format!("there is no {level:?} {id}")))
    }

    pub(super) fn create(&mut self, roll: &mut Roll, marker: &Marker, draft: &Draft<'_>) -> Result<&Object> {
        let fields = fields(draft)?;
        let level = draft.level;
        if let Some(above) = above(level) {
            let parent = draft.parent.ok_or_else(|| refuse(ErrorKind::Invalid, format!("a {level:?} needs a parent")))?;
            if !self.of(above).any(|object| object.id == parent.as_str()) {
                return Err(refuse(ErrorKind::NotFound, format!("there is no {above:?} {parent}")));
            }
        }
        let made = |(name, id): (&&'static str, &PlatformId)| self.of(Level::Part(name)).any(|part| part.id == id.as_str());
        let needed = parts(level);
        if needed.len() != draft.parts.len() && !matches!(level, Level::Part(_)) || !needed.iter().zip(draft.parts).all(made) {
            return Err(refuse(ErrorKind::Invalid, format!("a {level:?} needs the parts {needed:?}, made before it")));
        }
        let parent = draft.parent.map(ToString::to_string);
        let taken = |object: &Object| object.parent == parent && object.fields["name"] == fields["name"];
        if !self.same_names && self.of(level).any(taken) {
            return Err(refuse(ErrorKind::Conflict, format!("there is a {level:?} named {} already", fields["name"])));
        }
        let id = loop {
            let id = roll.id(level, parent.as_deref());
            if self.objects.values().all(|object| object.id != id) {
                break id;
            }
        };
        let object = Object { level, id, parent, status: PAUSED, fields, marker: marker.clone() };
        Ok(self.objects.entry(self.objects.len()).or_insert(object))
    }

    pub(super) fn update(&mut self, id: &PlatformId, draft: &Draft<'_>) -> Result<&Object> {
        let fields = fields(draft)?;
        let object = self.any(draft.level, id)?;
        if object.status == DELETED {
            return Err(refuse(ErrorKind::NotFound, format!("the {:?} {id} was deleted", draft.level)));
        }
        object.fields = fields;
        Ok(object)
    }

    pub(super) fn set_status(&mut self, level: Level, id: &PlatformId, status: TargetStatus) -> Result<&Object> {
        let object = self.any(level, id)?;
        object.status = match (object.status, status) {
            (_, TargetStatus::Deleted) => DELETED,
            (DELETED, _) => return Err(refuse(ErrorKind::NotFound, format!("the {level:?} {id} was deleted"))),
            (_, TargetStatus::Active) => ACTIVE,
            (_, TargetStatus::Paused) => PAUSED,
        };
        Ok(object)
    }

    /// By marker; by name where somebody else made it.
    pub(super) fn find(&self, marker: &Marker, draft: &Draft<'_>) -> impl Iterator<Item = &Object> {
        let (level, parent) = (draft.level, draft.parent.map(ToString::to_string));
        let name = fields(draft).map(|fields| fields["name"].clone()).unwrap_or_default();
        let by_name = !self.same_names;
        let taken = move |object: &Object| by_name && object.parent == parent && object.fields["name"] == name;
        self.of(level).filter(move |object| object.marker == *marker || taken(object))
    }

    pub(super) fn fetch(
        &self,
        level: Level,
        ids: Option<&[PlatformId]>,
        after: Option<&str>,
        page: usize,
    ) -> Result<(Vec<&Object>, Option<String>)> {
        if let Some(ids) = ids {
            return Ok((self.of(level).filter(|object| ids.iter().any(|id| id.as_str() == object.id)).collect(), None));
        }
        let from: usize = match after {
            Some(token) => token.parse().map_err(|_| refuse(ErrorKind::Invalid, format!("there is no page after {token:?}")))?,
            None => 0,
        };
        let mut objects = self.objects.range(from..).filter(|(_, object)| object.level == level && object.status != DELETED);
        let shown: Vec<_> = objects.by_ref().take(page).map(|(_, object)| object).collect();
        Ok((shown, objects.next().map(|(at, _)| at.to_string())))
    }

    pub(super) fn change(&mut self, id: &str, fields: &Value) -> bool {
        let object = self.objects.values_mut().find(|object| object.id == id && object.status != DELETED);
        object.map(|object| object.fields = fields.clone()).is_some()
    }
}

/// A draft's fields; each object has a name.
fn fields(draft: &Draft<'_>) -> Result<Value> {
    let fields: Value = serde_json::from_str(draft.fields.get()).map_err(|_| refuse(ErrorKind::Invalid, "the draft is no JSON"))?;
    let named = fields["name"].as_str().is_some_and(|name| !name.trim().is_empty());
    if named { Ok(fields) } else { Err(refuse(ErrorKind::Invalid, "`name` is missing")) }
}
