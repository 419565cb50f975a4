//! What is seen of records at the service: when a plan is made, and again before it is applied.

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use sync_core::{Earlier, Error, ErrorKind, Found, Marker, Operation, PushItem, PushMode, RecordId, Result, store::SeenRecord};

use crate::push::{courier::Courier, there::There};

/// A record at the service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Sight {
    /// Nobody looked, or nobody could tell.
    #[default]
    Unknown,
    Absent,
    /// It is there; what it holds was not read.
    There,
    /// It is there, with these fields.
    Read(BTreeMap<String, Box<str>>),
    /// So many look like it.
    Several(u32),
}

impl Sight {
    /// From the whole stream.
    pub(super) fn of(there: &There, id: Option<&RecordId>) -> Self {
        match id.map(|id| there.records.get(id)) {
            Some(Some(Some(fields))) => Self::Read(fields_of(fields)),
            Some(Some(None)) => Self::There,
            Some(None) if there.complete => Self::Absent,
            Some(None) | None => Self::Unknown,
        }
    }

    /// As a plan keeps it of a write of these fields; of a delete, all fields count.
    pub(super) fn kept<'f>(&self, sent: Option<impl Iterator<Item = &'f str>>) -> Option<SeenRecord> {
        match self {
            Self::Unknown | Self::Several(_) => None,
            Self::Absent => Some(SeenRecord::Absent),
            Self::There => Some(SeenRecord::There),
            Self::Read(fields) => Some(SeenRecord::Read(match sent {
                Some(sent) => {
                    let mut names: Vec<&str> = sent.collect();
                    names.sort_unstable();
                    digest(names.into_iter().map(|name| (name, fields.get(name).map_or("null", |json| &**json))))
                }
                None => digest(fields.iter().map(|(name, json)| (name.as_str(), &**json))),
            })),
        }
    }
}

/// The fields of a JSON object, each with its text.
pub(super) fn fields_of(object: &str) -> BTreeMap<String, Box<str>> {
    let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(object).unwrap_or_default();
    fields.into_iter().map(|(name, json)| (name, json.get().into())).collect()
}

fn digest<'f>(cells: impl Iterator<Item = (&'f str, &'f str)>) -> u64 {
    let mut hash = Sha256::new();
    for (name, json) in cells {
        for text in [name, json] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
    }
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// A record that is looked for by its key at the service.
#[derive(Debug)]
pub(super) struct Sought {
    pub(super) id: RecordId,
    pub(super) mode: PushMode,
    /// What would be sent, a JSON object.
    pub(super) fields: Box<str>,
}

/// Looks for records that no row is linked to. Writes nothing.
pub(super) async fn find(courier: &Courier, sought: Vec<Sought>) -> Result<HashMap<RecordId, Sight>> {
    let mut sights = HashMap::new();
    let mut by_mode: BTreeMap<&str, Vec<Sought>> = BTreeMap::new();
    for one in sought {
        by_mode.entry(one.mode.as_str()).or_default().push(one);
    }
    for all in by_mode.into_values() {
        for some in all.chunks(courier.limits.items.max(1)) {
            let mode = some.first().map_or(courier.mode, |one| one.mode);
            let items = some.iter().map(|one| PushItem {
                // Nothing was ever sent under it.
                marker: Marker::from(format!("{:016x}{:016x}", courier.cx.services.random(), courier.cx.services.random())),
                id: Some(one.id.clone()),
                operation: Operation::Upsert,
                fields: bytes::Bytes::copy_from_slice(one.fields.as_bytes()),
                version: None,
                earlier: Earlier::Never,
            });
            let batch = courier.batch(mode, items.collect());
            let found = match courier.provider.find(&courier.fresh(), &batch).await {
                Ok(found) => found,
                // Then it is not known what is there.
                Err(error) if error.kind() == ErrorKind::Unsupported => continue,
                Err(error) => return Err(error),
            };
            if found.len() != some.len() {
                let text = format!("the provider answered {} for {} items", found.len(), some.len());
                return Err(Error::new(ErrorKind::Decode, "find", text));
            }
            for (one, found) in some.iter().zip(found) {
                let sight = match found {
                    Found::Nothing => Sight::Absent,
                    Found::Sent { .. } | Found::Other { .. } => Sight::There,
                    Found::Several(many) => Sight::Several(many),
                    Found::CannotTell => Sight::Unknown,
                };
                sights.insert(one.id.clone(), sight);
            }
        }
    }
    Ok(sights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_moved_when_a_field_has_that_would_be_replaced_and_only_then() {
        let read = |json: &str| Sight::Read(fields_of(json));
        let kept = |json: &str, sent: &[&str]| read(json).kept(Some(sent.iter().copied()));
        let before = kept(r#"{"a":1,"b":"x"}"#, &["a", "c"]);
        assert!(matches!(before, Some(SeenRecord::Read(_))));
        for (now, same) in [
            (r#"{"b":"y","a":1}"#, true),
            (r#"{"a":1,"c":null}"#, true),
            (r#"{"a":2,"b":"x"}"#, false),
            (r#"{"a":1,"c":0}"#, false),
            (r#"{"b":"x"}"#, false),
        ] {
            assert_eq!(kept(now, &["c", "a"]) == before, same, "{now}");
        }
        let all = |json: &str| read(json).kept(None::<std::iter::Empty<&str>>);
        assert_ne!(all(r#"{"a":1,"b":"x"}"#), all(r#"{"a":1,"b":"y"}"#), "a delete takes all of it along");
        assert_ne!(all(r#"{"a":"bc"}"#), all(r#"{"ab":"c"}"#));
    }
}
