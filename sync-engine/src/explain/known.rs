//! Gathering what is stored about a row, for [`judge`](super::judge).

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join5;
use serde_json::{Map, Value, value::RawValue};
use sync_core::{
    ConnectionId, EntityType, Error, ErrorKind, Place, Result, RunId, json_value,
    mapping::{FieldOwner, Mapping, Transforms},
    sensitive::is_hidden,
    store::{self, Conflict, ConflictFilter, Entity, EntityQuery, LineageEntry, ReferenceValue, Run, RunFilter, RunRules},
};

use super::{Absence, Explanation, MappingVersion, absence::fills, judge};
use crate::Workspace;

/// Runs that are looked at for the mappings that write a table, the newest first.
const RUNS: u32 = 200;
/// Runs behind a row that are looked at, the newest first.
const RUNS_OF_ROW: usize = 200;
/// Conflicts of one row that are looked at.
const CONFLICTS: u32 = 1_000;

/// A run, and by what its changes were decided.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) run: Run,
    pub(super) rules: Option<RunRules>,
    pub(super) version: Option<MappingVersion>,
}

impl Ran {
    pub(super) fn mapping(&self) -> Option<&Mapping> {
        self.rules.as_ref()?.mapping.as_ref()
    }
}

/// What is stored about a row.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) entity: EntityType,
    pub(super) key: Box<str>,
    /// Whose row it is, in a stream's own table.
    pub(super) connection: Option<ConnectionId>,
    pub(super) row: Option<Entity>,
    /// Whether the table is the host's own.
    pub(super) of_host: bool,
    /// Why there is no row.
    pub(super) absence: Option<Absence>,
    /// The oldest first.
    pub(super) history: Vec<LineageEntry>,
    pub(super) runs: BTreeMap<RunId, Ran>,
    pub(super) connections: BTreeMap<ConnectionId, store::Connection>,
    pub(super) owners: Vec<(Box<str>, FieldOwner)>,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) references: Vec<ReferenceValue>,
    /// Mappings that write the table, as they last ran.
    pub(super) writers: Vec<Mapping>,
    pub(super) transforms: Transforms,
}

impl Known {
    /// Every field that the row has or had, and those that mappings or references name, in that order.
    pub(super) fn fields(&self) -> Vec<&str> {
        let of_row = self.row.iter().flat_map(|row| row.fields.keys().map(String::as_str));
        let had = self.history.iter().map(|entry| &*entry.field_name);
        let mapped = self.writers.iter().flat_map(targets);
        let beside = self.references.iter().map(|kept| &*kept.field);
        let mut seen = BTreeSet::new();
        of_row.chain(had).chain(mapped).chain(beside).filter(|name| seen.insert(*name)).collect()
    }
}

fn targets(mapping: &Mapping) -> impl Iterator<Item = &str> {
    mapping.columns.iter().map(|column| &*column.target).chain(mapping.computed.iter().map(|computed| &*computed.target))
}

/// The fields, in small letters, whose values nobody is to see: those that lineage has hashes of, and those that mappings call sensitive.
pub(super) fn hidden_fields(history: &[LineageEntry], writers: &[Mapping], transforms: &Transforms) -> BTreeSet<String> {
    let hashed =
        |entry: &&LineageEntry| [&entry.previous_value, &entry.new_value].into_iter().flatten().any(|value| is_hidden(&value.to_string()));
    let mut hidden: BTreeSet<String> = history.iter().filter(hashed).map(|entry| entry.field_name.to_ascii_lowercase()).collect();
    for mapping in writers {
        if let Ok(compiled) = mapping.compile(transforms) {
            hidden.extend(compiled.sensitive(&[]).into_iter().map(str::to_ascii_lowercase));
        }
    }
    hidden
}

/// The error for a table nobody knows.
pub(super) fn table_unknown(entity: &EntityType, types: &[EntityType]) -> Error {
    let there = match types {
        [] => "there are no tables with rows yet; pull something first".to_owned(),
        some => format!("there are: {}", some.iter().map(EntityType::as_str).collect::<Vec<_>>().join(", ")),
    };
    Error::new(ErrorKind::NotFound, "explain", format!("there is no table {:?}; {there}", entity.as_str()))
}

/// The error for a field that a row never had.
pub(super) fn field_unknown<'n>(entity: &EntityType, field: &str, known: impl IntoIterator<Item = &'n str>) -> Error {
    let known: BTreeSet<&str> = known.into_iter().collect();
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    Error::new(ErrorKind::NotFound, "explain", format!("rows of {entity} have no field {field:?}; this one has: {known}"))
}

/// What storages that keep none of it answer.
fn or_none<T: Default>(found: Result<T>) -> Result<T> {
    found.or_else(|error| if error.kind() == ErrorKind::Unsupported { Ok(T::default()) } else { Err(error) })
}

impl Workspace {
    /// Where the value of a field came from, and why it is this one: who set it, from what, by which rule, when and on whose behalf, what
    /// other sources say, and what people changed. Of a row that is not there: why, and what the field was.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for a table nobody knows, and for a field that neither the row nor a mapping has: it names those
    /// there are. [`Config`](ErrorKind::Config) when several connections have a row with this key: then
    /// [`explain_of`](Self::explain_of) says whose.
    pub async fn explain(&self, entity: impl Into<EntityType>, key: &str, field: &str) -> Result<Explanation> {
        self.explain_of(None, entity, key, field).await
    }

    /// What [`explain`](Self::explain) says, of the row of one connection.
    ///
    /// # Errors
    /// As of [`explain`](Self::explain).
    pub async fn explain_of(
        &self,
        connection: Option<ConnectionId>,
        entity: impl Into<EntityType>,
        key: &str,
        field: &str,
    ) -> Result<Explanation> {
        let known = self.known(entity.into(), key, connection).await?;
        let fields = known.fields();
        if !fields.contains(&field) && (known.row.is_some() || !fields.is_empty()) {
            return Err(field_unknown(&known.entity, field, fields));
        }
        Ok(judge::explain(&known, field))
    }

    /// What [`explain`](Self::explain) says of every field of a row, in the order of the row's fields.
    ///
    /// # Errors
    /// As of [`explain`](Self::explain).
    pub async fn explain_row(
        &self,
        connection: Option<ConnectionId>,
        entity: impl Into<EntityType>,
        key: &str,
    ) -> Result<Vec<Explanation>> {
        let known = self.known(entity.into(), key, connection).await?;
        Ok(known.fields().into_iter().map(|field| judge::explain(&known, field)).collect())
    }

    async fn known(&self, entity: EntityType, key: &str, connection: Option<ConnectionId>) -> Result<Known> {
        if key.is_empty() {
            let text = "the key is empty; say the key of a row, or the id of the record that would make it";
            return Err(Error::new(ErrorKind::NotFound, "explain", text));
        }
        let types = self.store.entity_types().await?;
        let there = types.contains(&entity);
        // A table that runs were to fill, and never did, is none that nobody knows.
        if !there && matches!(self.explain_absence(entity.clone(), key).await?, Absence::NotYetDue { last: None }) {
            return Err(table_unknown(&entity, &types));
        }
        let place = if there { self.store.place(&entity).await? } else { None };
        if connection.is_some() && place.as_ref().is_some_and(|place| !matches!(place, Place::Stream)) {
            let text = format!("rows of {entity} belong to no connection, since several may fill it; leave the connection out");
            return Err(Error::config("explain", text));
        }
        let query = EntityQuery { key: Some(key.into()), connection: connection.clone(), limit: 2, ..EntityQuery::default() };
        let rows = if there { self.store.entities(&entity, query).await? } else { Vec::new() };
        if rows.len() > 1 {
            let whose = rows.iter().filter_map(|row| row.connection.as_ref()).map(ConnectionId::as_str).collect::<Vec<_>>().join(", ");
            let text = format!("several connections have a row of {entity} with the key {key:?}; say whose is meant: {whose}");
            return Err(Error::config("explain", text));
        }
        let history = self.store.lineage(&entity, key, None).await?;
        if rows.is_empty() {
            self.refuse_wrong_key(&entity, key, connection.as_ref(), there, &history).await?;
        }
        let filter = ConflictFilter {
            entity_type: Some(entity.clone()),
            key: Some(key.into()),
            state: None,
            limit: CONFLICTS,
            ..ConflictFilter::default()
        };
        // None of these asks what another one found; one after the other they would be most of the wait.
        let (connections, owners, references, writers, conflicts) = try_join5(
            self.store.connections(),
            async { or_none(self.store.field_owners(&entity, key).await) },
            async { or_none(self.store.reference_values(&entity, key).await) },
            self.writers(&entity),
            async { or_none(self.store.conflicts(filter).await) },
        )
        .await?;
        let mut known = Known {
            row: rows.into_iter().next(),
            of_host: matches!(place, Some(Place::Host(_))),
            absence: None,
            history,
            runs: BTreeMap::new(),
            connections: connections.into_iter().map(|row| (row.id.clone(), row)).collect(),
            owners,
            conflicts,
            references,
            writers,
            transforms: self.engine.transforms.clone(),
            connection,
            key: key.into(),
            entity,
        };
        if known.row.is_none() {
            known.absence = Some(self.explain_absence(known.entity.clone(), key).await?);
        }
        self.runs_behind(&mut known).await?;
        self.veil_all(&mut known).await?;
        Ok(known)
    }

    /// A key that nobody can have meant, and a connection that has no row with it while another has.
    async fn refuse_wrong_key(
        &self,
        entity: &EntityType,
        key: &str,
        connection: Option<&ConnectionId>,
        there: bool,
        history: &[LineageEntry],
    ) -> Result<()> {
        let refuse = |text: String| Err(Error::new(ErrorKind::NotFound, "explain", text));
        if !there {
            return Ok(());
        }
        if let Some(connection) = connection {
            let query = EntityQuery { key: Some(key.into()), limit: 10, ..EntityQuery::default() };
            let rows = self.store.entities(entity, query).await?;
            let whose = rows.iter().filter_map(|row| row.connection.as_ref()).map(ConnectionId::as_str).collect::<Vec<_>>().join(", ");
            if !rows.is_empty() {
                return refuse(format!("{entity} has no row {key:?} of the connection {connection}; there is one of {whose}"));
            }
        }
        match self.near(entity, key, connection).await? {
            Some(near) if history.is_empty() => refuse(format!("{entity} has no row {key:?}; did you mean {near:?}?")),
            _ => Ok(()),
        }
    }

    /// The key of a row that differs from this one in nothing but capitals and blanks around it.
    pub(super) async fn near(&self, entity: &EntityType, key: &str, connection: Option<&ConnectionId>) -> Result<Option<String>> {
        let bare = key.trim();
        let mut letters = bare.chars();
        let capital = letters.next().map(|first| first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect::<String>());
        let written = [bare.to_owned(), bare.to_lowercase(), bare.to_uppercase(), capital.unwrap_or_default()];
        for written in written.into_iter().filter(|written| !written.is_empty() && written != key) {
            let query =
                EntityQuery { key: Some(written.as_str().into()), connection: connection.cloned(), limit: 1, ..EntityQuery::default() };
            if !self.store.entities(entity, query).await?.is_empty() {
                return Ok(Some(written));
            }
        }
        Ok(None)
    }

    /// Puts the hashes that lineage has of them in the place of the values of these fields.
    pub(super) async fn veil(&self, row: &mut Map<String, Value>, hidden: &BTreeSet<String>) -> Result<()> {
        let covered = row.iter_mut().filter(|(field, _)| hidden.contains(&field.to_ascii_lowercase()));
        let values: Vec<&mut Value> = covered.map(|(_, value)| value).collect();
        if values.is_empty() {
            return Ok(());
        }
        let veiled = self.store.hidden(values.iter().map(|value| value.to_string().into()).collect()).await?;
        for (value, veiled) in values.into_iter().zip(veiled) {
            *value = json_value(&veiled);
        }
        Ok(())
    }

    /// Nothing that is explained shows a sensitive value: rows, conflicts and references are told by the same hashes as the history is, and
    /// compared by them.
    async fn veil_all(&self, known: &mut Known) -> Result<()> {
        let hidden = hidden_fields(&known.history, &known.writers, &known.transforms);
        if hidden.is_empty() {
            return Ok(());
        }
        if let Some(row) = &mut known.row {
            self.veil(&mut row.fields, &hidden).await?;
        }
        let covers = |field: &str| hidden.contains(&field.to_ascii_lowercase());
        let of_conflicts = known.conflicts.iter_mut().filter(|conflict| covers(&conflict.field));
        let mut values: Vec<&mut Box<RawValue>> = of_conflicts.flat_map(|conflict| [&mut conflict.value, &mut conflict.winning]).collect();
        values.extend(known.references.iter_mut().filter(|kept| covers(&kept.field)).map(|kept| &mut kept.value));
        if values.is_empty() {
            return Ok(());
        }
        let veiled = self.store.hidden(values.iter().map(|value| value.get().into()).collect()).await?;
        for (value, veiled) in values.into_iter().zip(veiled) {
            let broken = |error| Error::new(ErrorKind::Internal, "explain", "a hash is not JSON").because(error);
            *value = RawValue::from_string(veiled.into()).map_err(broken)?;
        }
        Ok(())
    }

    /// Reads the runs behind a row, and of a stream's own table leaves out what other connections' rows went through.
    async fn runs_behind(&self, known: &mut Known) -> Result<()> {
        let behind = known.history.iter().map(|entry| entry.sync_run_id);
        let wanted: BTreeSet<RunId> = behind.chain(known.conflicts.iter().map(|conflict| conflict.run)).collect();
        let wanted = wanted.into_iter().rev().take(RUNS_OF_ROW);
        for id in wanted {
            let Some(run) = self.store.run(id).await? else { continue };
            let rules = self.store.run_rules(id).await?;
            let version = match rules.as_ref().and_then(|rules| rules.mapping.as_ref()) {
                Some(mapping) => self.version_of(mapping, run.started_at).await?,
                None => None,
            };
            known.runs.insert(id, Ran { run, rules, version });
        }
        if !matches!(self.store.place(&known.entity).await?, Some(Place::Stream)) {
            return Ok(());
        }
        let runs = &known.runs;
        let of = |entry: &LineageEntry| runs.get(&entry.sync_run_id).map(|ran| &ran.run.feed.connection);
        let row = known.row.as_ref().and_then(|row| row.connection.as_ref());
        // A row that is gone is the one that was there last.
        let Some(whose) = known.connection.as_ref().or(row).or_else(|| known.history.last().and_then(of)).cloned() else { return Ok(()) };
        known.history.retain(|entry| of(entry).is_none_or(|connection| *connection == whose));
        known.connection = Some(whose);
        Ok(())
    }

    /// The mappings that write a table, as they last ran.
    pub(super) async fn writers(&self, entity: &EntityType) -> Result<Vec<Mapping>> {
        let runs = self.store.runs(RunFilter { entity: Some(entity.clone()), limit: RUNS, ..RunFilter::default() }).await?;
        let mut met = BTreeSet::new();
        let mut writers = Vec::new();
        for run in runs {
            if !fills(&run) || !met.insert((run.feed.connection.clone(), run.feed.mapping.clone())) {
                continue;
            }
            if let Some(mapping) = self.store.run_rules(run.id).await?.and_then(|rules| rules.mapping) {
                writers.push(mapping);
            }
        }
        Ok(writers)
    }
}
