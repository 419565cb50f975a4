//! Which columns a run sees, and what of them it warns of.
//!
//! A stream that tells its fields has those as its columns, in their order. Of one that does not, the names its records have are the
//! columns; a run that reads only some of the records says nothing of names that none of those has.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use sync_core::{
    Field, PullPage, RecordFailure,
    mapping::{CompiledMapping, Drift, HeaderFingerprint},
    store::Look,
};

/// Warnings of changed columns that one run keeps.
const WARNINGS: usize = 50;
/// Names that are gathered from records: a few more than a fingerprint holds, so that it notices.
const NAMES: usize = 2_100;

/// The columns that lanes see as they read.
#[derive(Debug)]
pub(crate) struct Columns(Mutex<Seen>);

#[derive(Clone, Debug)]
enum Seen {
    /// Fields the stream told at discovery.
    Declared(Vec<Field>),
    /// Fields its pages told, which is later.
    Told(Vec<Field>),
    /// Names its records had so far.
    Named(Vec<Field>, HashSet<Box<str>>),
}

/// How much a run read, for what it may say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Records.
    pub(crate) records: u64,
    /// Whether that was every record there is.
    pub(crate) everything: bool,
}

/// What a run says of the columns, and remembers of them.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) warnings: Vec<RecordFailure>,
    pub(crate) look: Look,
}

impl Columns {
    /// Of a stream with these fields, or one that tells none.
    pub(crate) fn new(declared: Option<&[Field]>) -> Self {
        let seen = declared.map_or_else(|| Seen::Named(Vec::new(), HashSet::new()), |fields| Seen::Declared(fields.to_vec()));
        Self(Mutex::new(seen))
    }

    /// Takes down what a page has.
    pub(crate) fn page(&self, page: &PullPage) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *seen, &page.fields) {
            (Seen::Told(fields), Some(told)) => {
                let further: Vec<Field> =
                    told.iter().filter(|field| !fields.iter().any(|known| known.name == field.name)).cloned().collect();
                fields.extend(further);
            }
            (_, Some(told)) => *seen = Seen::Told(told.to_vec()),
            (Seen::Named(fields, names), None) if names.len() < NAMES => {
                for name in page.batch.names() {
                    if !names.contains(&**name) {
                        names.insert((**name).into());
                        fields.push(Field::new(&**name));
                    }
                }
            }
            _ => {}
        }
    }

    /// Holds what was seen against the last look.
    pub(crate) fn judge(&self, mapping: Option<&CompiledMapping>, last: Option<&Look>, extent: Extent) -> Judged {
        let nothing = Look::default();
        let last = last.unwrap_or(&nothing);
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (now, drifts, ordered) = match seen {
            Seen::Declared(fields) | Seen::Told(fields) => {
                let now = HeaderFingerprint::of(&fields);
                let drifts = last.header.compare(&now);
                (now, drifts, true)
            }
            // Where there were no records there is nothing to see.
            Seen::Named(fields, _) if fields.is_empty() => (last.header.clone(), Vec::new(), false),
            Seen::Named(fields, _) => {
                let seen = HeaderFingerprint::of(&fields);
                let mut drifts = last.header.compare_names(&seen);
                drifts.retain(|drift| extent.everything || !matches!(drift, Drift::Missing { .. }));
                (if extent.everything { seen } else { last.header.and(&seen) }, drifts, false)
            }
        };
        let concerns = |drift: &Drift| match (mapping, drift) {
            (Some(mapping), drift) => mapping.concerns(drift),
            // A stream's own table gets new columns by itself; those that are gone keep what they have.
            (None, Drift::New { .. } | Drift::Reordered { .. }) => false,
            (None, _) => ordered || extent.everything,
        };
        let told: Vec<Drift> = drifts.into_iter().filter(concerns).collect();
        let mut warnings: Vec<RecordFailure> = Vec::new();
        if let Some(before) = last.records.filter(|before| extent.everything && extent.records == 0 && *before > 0) {
            let text = format!("the source is empty: no record came, and the last read of everything brought {before}");
            warnings.push(RecordFailure::warning(text));
        }
        warnings.extend(told.iter().take(WARNINGS).map(|drift| warning(drift, &now, mapping)));
        if told.len() > WARNINGS {
            warnings.push(RecordFailure::warning(format!("{} more columns are not as they were", told.len() - WARNINGS)));
        }
        let records = if extent.everything { Some(extent.records) } else { last.records };
        Judged { warnings, look: Look { header: now, records } }
    }
}

/// What a run says of a change.
fn warning(drift: &Drift, now: &HeaderFingerprint, mapping: Option<&CompiledMapping>) -> RecordFailure {
    let (name, text): (Option<&str>, String) = match drift {
        Drift::New { name } => (Some(name), format!("{drift}; the mapping neither reads nor ignores it")),
        Drift::Missing { name: from } | Drift::Renamed { from, .. } if mapping.is_none_or(|mapping| mapping.reads(from)) => {
            (renamed(drift), format!("{drift}; what is stored of it stays"))
        }
        Drift::Missing { .. } | Drift::Renamed { .. } => (renamed(drift), drift.to_string()),
        Drift::Duplicate { name, .. } | Drift::KindChanged { name, .. } => (Some(name), drift.to_string()),
        _ => (None, drift.to_string()),
    };
    let warning = RecordFailure::warning(text);
    match name {
        Some(name) => warning.in_column(now.label(name).unwrap_or(name)),
        None => warning,
    }
}

/// The column a change of a name is found in now.
fn renamed(drift: &Drift) -> Option<&str> {
    match drift {
        Drift::Renamed { to, .. } => Some(to),
        _ => None,
    }
}

#[cfg(test)]
#[path = "columns_tests.rs"]
mod tests;
