//! What a push writes to, and whether that is still what it was.

use std::{collections::BTreeSet, sync::Arc};

use sync_core::{
    Error, Field, Result, Stream, SyncContext, Target, Writes,
    mapping::CompiledMapping,
    store::{Feed, PushMemory, Shape},
};

use super::Push;
use crate::{Connection, pull};

/// Everything that is known before the first row.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The key columns, for streams whose records have no key of their own; empty for others.
    pub(crate) key: Arc<[Box<str>]>,
    pub(crate) writes: Writes,
    /// What is remembered from now on.
    pub(crate) memory: PushMemory,
    /// Whether that is something new.
    pub(crate) news: bool,
    pub(crate) fields: Arc<[Field]>,
}

impl Plan {
    pub(crate) async fn make(
        connection: &Connection,
        cx: &SyncContext,
        push: &Push,
        feed: &Feed,
        mapping: Option<&CompiledMapping>,
    ) -> Result<Self> {
        let limits = connection.provider.descriptor().push;
        if !limits.modes.contains(&push.mode) {
            let there = limits.modes.iter().map(|mode| mode.as_str()).collect::<Vec<_>>().join(", ");
            let text = format!("{} does not push with mode {}; it offers: {there}", connection.integration_name(), push.mode.as_str());
            return Err(Error::config("push", text));
        }
        let stream = pull::find_stream("push", connection.provider.streams(cx).await?, &push.stream)?;
        if stream.writes == Writes::Nothing {
            let text = format!("stream {:?} of {} can only be read", stream.name.as_str(), connection.integration_name());
            return Err(Error::config("push", text));
        }
        let then = connection.workspace.store.push_memory(feed).await?;
        let key = key_columns(push, &stream, mapping, then.shape.as_ref())?;
        if let Some(mapping) = mapping {
            sending(mapping, &key, &stream.writes, &[]).check_back(&stream.writes)?;
        }
        let shape = match (shape_of(&stream, &key), &then.shape) {
            (Some(now), Some(then)) if now == *then => None,
            (Some(now), Some(then)) if now.key != then.key && !push.accept_shape => {
                let text = format!(
                    "records of stream {:?} were told apart by {} so far, not by {}; all of them would count as new ones (accept_shape)",
                    stream.name.as_str(),
                    list(then.key.iter().map(|name| &**name)),
                    list(now.key.iter().map(|name| &**name)),
                );
                return Err(Error::config("push", text));
            }
            (Some(now), Some(then)) if now.fingerprint != then.fingerprint && !push.accept_shape => {
                let text = format!(
                    "stream {:?} is no longer as it was pushed to last: {}; look at it, then push with accept_shape",
                    stream.name.as_str(),
                    difference(then, &now)
                );
                return Err(Error::config("push", text));
            }
            (now, _) => now,
        };
        let news = shape.is_some();
        let memory = PushMemory { shape: shape.or(then.shape), version: then.version };
        Ok(Self { key, writes: stream.writes, memory, news, fields: stream.fields.unwrap_or_default() })
    }
}

/// The mapping as it sends. Where the service gives records keys of its own, ours need not be among the fields.
pub(crate) fn sending(mapping: &CompiledMapping, key: &[Box<str>], writes: &Writes, fields: &[Field]) -> CompiledMapping {
    let mapping = mapping.with_sensitive(fields);
    if key.is_empty() { mapping.without_unwritten_keys(writes) } else { mapping }
}

fn shape_of(stream: &Stream, key: &[Box<str>]) -> Option<Shape> {
    let fields = stream.fields.iter().flat_map(|fields| fields.iter()).map(|field| field.name.clone()).collect();
    stream.fingerprint.clone().map(|fingerprint| Shape { fingerprint, fields, key: key.to_vec() })
}

/// The columns that make the service's key: as the push names them, else the settings, else the mapping, else as before.
fn key_columns(push: &Push, stream: &Stream, mapping: Option<&CompiledMapping>, before: Option<&Shape>) -> Result<Arc<[Box<str>]>> {
    if !push.key.is_empty() && (stream.needs_key || !stream.key.is_empty()) {
        return Ok(push.key.as_slice().into());
    }
    let before = before.map_or(&[][..], |shape| &shape.key);
    match (stream.needs_key, stream.key.is_empty(), mapping) {
        (_, false, _) => Ok(Arc::clone(&stream.key)),
        (true, true, Some(mapping)) if !mapping.source_key().is_empty() => Ok(mapping.source_key()),
        (true, true, _) if !before.is_empty() => Ok(before.into()),
        (true, true, _) => {
            let text = format!("records of stream {:?} have no key of their own; name the key columns (key)", stream.name.as_str());
            Err(Error::config("push", text))
        }
        (false, true, _) => Ok(Arc::default()),
    }
}

/// In words what is no longer as it was.
fn difference(then: &Shape, now: &Shape) -> String {
    let (before, after): (BTreeSet<&str>, BTreeSet<&str>) =
        (then.fields.iter().map(|f| &**f).collect(), now.fields.iter().map(|f| &**f).collect());
    // What came or went shifts the others; those count as moved whose order among themselves is another one.
    let was = then.fields.iter().filter(|field| after.contains(&***field));
    let is = now.fields.iter().filter(|field| before.contains(&***field));
    let moved: Vec<&str> = was.zip(is).filter(|(was, is)| was != is).map(|(_, is)| &**is).collect();
    let mut words = Vec::new();
    for (what, names) in [
        ("missing", before.difference(&after).copied().collect::<Vec<_>>()),
        ("new", after.difference(&before).copied().collect()),
        ("moved", moved),
    ] {
        if !names.is_empty() {
            words.push(format!("{what} {}", list(names.into_iter())));
        }
    }
    if words.is_empty() { "its fields are the same, but not what the service says of them".to_owned() } else { words.join("; ") }
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// What the storage has to know to compare rows of a table with what was accepted.
pub(crate) fn target(connection: &Connection, mapping: &CompiledMapping, fields: &[Field]) -> Arc<Target> {
    Arc::new(Target {
        mode: Default::default(),
        entity: mapping.entity().clone(),
        place: mapping.place().clone(),
        fields: mapping.fields(fields),
        rules: Arc::new(mapping.rules()),
        duplicates: mapping.duplicates().unwrap_or_default(),
        lineage: false,
        source: Arc::new(sync_core::Source {
            kind: connection.provider.descriptor().source_type.into(),
            id: mapping.stream().as_str().into(),
            ..sync_core::Source::default()
        }),
        pushes: mapping.pushes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_shape_is_told_field_by_field() {
        let shape = |print: &str, fields: &[&str]| Shape {
            fingerprint: print.into(),
            fields: fields.iter().map(|f| (*f).into()).collect(),
            key: Vec::new(),
        };
        let then = shape("1", &["Title", "Year", "Gross"]);
        for (fields, words) in [
            (&["Title", "Year"][..], "missing \"Gross\""),
            (&["Title", "Year", "Gross", "Notes"], "new \"Notes\""),
            (&["Year", "Title", "Gross"], "moved \"Year\", \"Title\""),
            (&["Id", "Title", "Gross"], "missing \"Year\"; new \"Id\""),
            (&["Title", "Year", "Gross"], "its fields are the same, but not what the service says of them"),
        ] {
            assert_eq!(difference(&then, &shape("2", fields)), words);
        }
    }
}
