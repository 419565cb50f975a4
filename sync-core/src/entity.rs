//! Where rows land: managed tables, and tables of the host.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    Duplicates, EntityType, Field, Record, RecordBatch, key_text,
    mapping::{Authority, Decision, Mapping, Rule, Stored, decide},
};

/// A table of the host that rows are written into.
///
/// ```
/// # use sync_core::HostTable;
/// let partners = HostTable::new("partners").key("email").workspace_column("tenant");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HostTable {
    /// Its name in the database.
    pub name: Box<str>,
    /// The columns that make a row's key, without the workspace column.
    #[serde(default)]
    pub key: Vec<Box<str>>,
    /// The column that holds the workspace; `None` when the table belongs to one workspace alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_column: Option<Box<str>>,
    /// The column the host raises on each change of its own, for finding what to push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_column: Option<Box<str>>,
    /// Whether a record that is gone at the source deletes its row; by default the row stays.
    #[serde(default)]
    pub delete_rows: bool,
}

impl HostTable {
    /// A table by its name.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self { name: name.into(), key: Vec::new(), workspace_column: None, version_column: None, delete_rows: false }
    }

    /// Adds a key column.
    #[must_use]
    pub fn key(mut self, column: impl Into<Box<str>>) -> Self {
        self.key.push(column.into());
        self
    }

    /// Sets the workspace column.
    #[must_use]
    pub fn workspace_column(mut self, column: impl Into<Box<str>>) -> Self {
        self.workspace_column = Some(column.into());
        self
    }

    /// Sets the version column.
    #[must_use]
    pub fn version_column(mut self, column: impl Into<Box<str>>) -> Self {
        self.version_column = Some(column.into());
        self
    }

    /// Lets records that are gone at the source delete their rows.
    #[must_use]
    pub fn delete_rows(mut self) -> Self {
        self.delete_rows = true;
        self
    }

    /// The entity type rows of this table have in lineage: its name.
    #[must_use]
    pub fn entity_type(&self) -> EntityType {
        EntityType::from(&*self.name)
    }
}

/// What kind of table a feed writes into, and what makes a row's key there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A managed table fed by one stream alone: the key is connection and record id, everything is source of truth.
    Stream,
    /// A managed table fed through mappings: the key is made of these fields.
    Managed {
        /// The key fields, in their order.
        key: Arc<[Box<str>]>,
    },
    /// A table of the host.
    Host(Arc<HostTable>),
}

/// How one field behaves when a source writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldRule {
    /// Whether the source may write it.
    pub authority: Authority,
    /// Among several sources the higher one wins, whatever the order of arrival.
    pub priority: i32,
}

impl Default for FieldRule {
    fn default() -> Self {
        Self { authority: Authority::SourceOfTruth, priority: 0 }
    }
}

/// The origin of a feed's values, in words, for lineage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// `google_sheet`, `api` or `app`.
    pub kind: Box<str>,
    /// The source's own id: spreadsheet and tab, account and stream.
    pub id: Box<str>,
    /// Per field, where a person finds it: `Movies → Column B`.
    pub refs: BTreeMap<Box<str>, Box<str>>,
    /// What decides, where people do and not the source itself.
    #[serde(default)]
    pub rule: Rule,
    /// The mapping that the values come through, as it is; `None` where they come without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Arc<Mapping>>,
}

/// Everything a storage has to know to write a feed's rows. Built once per run, shared by its commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The entity type.
    pub entity: EntityType,
    /// The table and what makes a key.
    pub place: Place,
    /// The fields known before reading; more may appear in the batches.
    pub fields: Arc<[Field]>,
    /// Per field; one that is missing here is source of truth with priority 0.
    pub rules: Arc<BTreeMap<Box<str>, FieldRule>>,
    /// Which of two records with one key counts.
    pub duplicates: Duplicates,
    /// Whether changes are written down field by field.
    pub lineage: bool,
    /// Where the values come from.
    pub source: Arc<Source>,
    /// The fields a push of this feed would send, in the mapping's order. Where there are some, a commit remembers the content of the
    /// rows it writes, so that a push does not send back what a pull brought. Empty for feeds that cannot be pushed.
    pub pushes: Arc<[Box<str>]>,
    /// Whose word counts.
    #[serde(default)]
    pub mode: WriteMode,
}

/// Whose word counts when rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// The source's, field by field as far as its authority and priority go.
    #[default]
    ByAuthority,
    /// The source's, whatever it is for a field and whoever set it; only derived fields stay as they are.
    Forced,
    /// The application's: a record's id is its row's key, no record is linked to a row, priorities of sources are neither asked nor kept,
    /// and a delete takes its row whatever stands behind it.
    ByHand,
}

impl Target {
    /// How a field behaves.
    #[must_use]
    pub fn rule(&self, field: &str) -> FieldRule {
        let rule = self.rules.get(field).copied().unwrap_or_default();
        match (self.mode, rule.authority) {
            // What is computed is nobody's to write, whoever asks.
            (_, Authority::Derived) => rule,
            (WriteMode::ByHand, _) => FieldRule { authority: Authority::SourceOfTruth, priority: i32::MAX },
            (WriteMode::Forced, Authority::Reference) => FieldRule { authority: Authority::SourceOfTruth, ..rule },
            (WriteMode::Forced | WriteMode::ByAuthority, _) => rule,
        }
    }

    /// Decides one field, as [`decide`] does; what is forced asks for nobody's priority.
    #[must_use]
    pub fn decide(&self, rule: FieldRule, stored: Option<Stored<'_>>, theirs: Option<&str>) -> Decision {
        let stored = match self.mode {
            WriteMode::Forced => stored.map(|stored| Stored { priority: None, ..stored }),
            WriteMode::ByAuthority | WriteMode::ByHand => stored,
        };
        decide(rule, stored, theirs)
    }

    /// What a change is said to be decided by.
    #[must_use]
    pub fn told(&self, decision: Decision) -> Rule {
        match decision {
            Decision::Write => self.decided_by(),
            Decision::Unchanged | Decision::Keep(_) => decision.rule(),
        }
    }

    /// What decides about the changes that are written through it; lineage keeps it with the run.
    #[must_use]
    pub fn decided_by(&self) -> Rule {
        match (self.mode, self.source.rule) {
            (WriteMode::Forced, _) => Rule::Forced,
            (WriteMode::ByHand, Rule::SourceOfTruth) => Rule::ByHand,
            (WriteMode::ByHand | WriteMode::ByAuthority, rule) => rule,
        }
    }

    /// Whether a field's values are nobody's business, as far as the target says.
    #[must_use]
    pub fn is_sensitive(&self, field: &str) -> bool {
        self.fields.iter().any(|known| known.sensitive && known.name.eq_ignore_ascii_case(field))
    }

    /// Whether rows are changed for the application, not for a feed.
    #[must_use]
    pub fn by_hand(&self) -> bool {
        self.mode == WriteMode::ByHand
    }

    /// Whether a record that has fields of these names may make a row. A source that is a reference, and the truth about nothing but keys,
    /// makes none.
    #[must_use]
    pub fn makes_rows<'n>(&'n self, names: impl IntoIterator<Item = &'n str>) -> bool {
        let known = self.fields.iter().map(|field| &*field.name);
        let key = |name: &str| self.place.key().iter().any(|key| key.eq_ignore_ascii_case(name));
        let mut authorities = names.into_iter().chain(known).filter(|name| !key(name)).map(|name| self.rule(name).authority);
        let mut refers = false;
        let truth = authorities.any(|authority| {
            refers |= authority == Authority::Reference;
            authority == Authority::SourceOfTruth
        });
        truth || !refers
    }

    /// The keys of a batch's rows, one for each record: made of its key fields, or the name of the first that has no value.
    #[must_use]
    pub fn keys<'k>(&'k self, batch: &RecordBatch) -> Vec<std::result::Result<String, &'k str>> {
        match self.by_hand() {
            true => batch.records().iter().map(|record| Ok(record.id.as_str().to_owned())).collect(),
            false => self.place.keys(batch),
        }
    }
}

impl Place {
    /// The fields that make a row's key, in their order; none where the record's own id does.
    #[must_use]
    pub fn key(&self) -> &[Box<str>] {
        match self {
            Self::Stream => &[],
            Self::Managed { key } => key,
            Self::Host(table) => &table.key,
        }
    }

    fn keys<'k>(&'k self, batch: &RecordBatch) -> Vec<std::result::Result<String, &'k str>> {
        let names = batch.names();
        let place = |field: &str| {
            let exact = names.iter().position(|name| **name == *field);
            exact.or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(field)))
        };
        let places: Vec<(&str, Option<usize>)> = self.key().iter().map(|field| (&**field, place(field))).collect();
        let key_of = |record: &Record| {
            if places.is_empty() {
                return Ok(record.id.as_str().to_owned());
            }
            let mut parts = Vec::with_capacity(places.len());
            for (field, place) in &places {
                let cell = batch.cells(record).find(|(name, _)| Some(*name) == *place).map(|(_, json)| json);
                parts.push(cell.and_then(key_text).ok_or(*field)?);
            }
            Ok(join_key(parts.iter().map(AsRef::as_ref)))
        };
        batch.records().iter().map(key_of).collect()
    }
}

/// A key made of several texts: joined by `/`, with `/` and `\` inside a part escaped, so that no two keys collide.
#[must_use]
pub fn join_key<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut key = String::new();
    for (n, part) in parts.into_iter().enumerate() {
        if n > 0 {
            key.push('/');
        }
        for c in part.chars() {
            if c == '/' || c == '\\' {
                key.push('\\');
            }
            key.push(c);
        }
    }
    key
}

/// The parts of a key that [`join_key`] joined.
#[must_use]
pub fn split_key(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = key.chars();
    while let Some(c) = letters.next() {
        match c {
            '/' => parts.push(String::new()),
            '\\' => parts.last_mut().expect("there is always one").extend(letters.next()),
            c => parts.last_mut().expect("there is always one").push(c),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_told_by_whose_word_counted() {
        use Rule::{ByHand, Deleted, Forced, LowerPriority, SourceOfTruth, Undo};
        for (mode, of_source, expected) in [
            (WriteMode::ByAuthority, SourceOfTruth, SourceOfTruth),
            (WriteMode::Forced, SourceOfTruth, Forced),
            (WriteMode::ByHand, SourceOfTruth, ByHand),
            (WriteMode::ByHand, Undo, Undo),
        ] {
            let source = Source { rule: of_source, ..Source::default() };
            let target = Target {
                entity: "e".into(),
                place: Place::Stream,
                fields: Arc::from([]),
                rules: Arc::default(),
                duplicates: Duplicates::LastWins,
                lineage: true,
                source: Arc::new(source),
                pushes: Arc::default(),
                mode,
            };
            assert_eq!((target.decided_by(), target.told(Decision::Write)), (expected, expected), "{mode:?}");
            assert_eq!(target.told(Decision::Keep(LowerPriority)), LowerPriority, "{mode:?}");
            assert_eq!(target.decided_by().of_change(true) == Deleted, mode != WriteMode::ByHand, "{mode:?}");
        }
    }

    #[test]
    fn joined_keys_come_apart_again() {
        for parts in [&["a"][..], &["a/b", "c"], &["", ""], &["\\", "/", "x\\/y"]] {
            assert_eq!(split_key(&join_key(parts.iter().copied())), parts);
        }
    }
}
