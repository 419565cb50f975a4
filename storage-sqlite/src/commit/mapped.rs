//! Tables fed through mappings, ours and the host's: each field is decided by core's `decide` against the row as it is now.

use std::fmt::Write as _;

use rusqlite::types::ValueRef;
use sync_core::{
    Duplicates, FieldRule, Operation, Record, RecordBatch, RecordFailure, RecordId, WriteMode,
    mapping::{Authority, Decision, FieldSource, Rival, Said, Standing, Stored, contend},
    store::{Duplicated, PartitionBatch, twice},
};

use super::{
    Work,
    beside::{self, Owners, Rivals, Taken},
    created_run, delete, link,
    remember::{Done, Remembering},
    scan_of, show,
    target::Rows,
};
use crate::{
    error::{Db, internal, row_fault},
    name::quoted,
    storage::Cache,
    table::MOST_COLUMNS,
    value::{Bind, Form, decode, encode, text},
};

/// A field of the batch in its table.
struct Slot<'a> {
    field: &'a str,
    /// The column's name as it stands in SQL, quoted.
    sql: Box<str>,
    form: Form,
    rule: FieldRule,
    key: bool,
    /// Whether pushes send it.
    sent: bool,
}

impl Slot<'_> {
    /// Whether what the source says of it is kept beside it.
    fn refers(&self) -> bool {
        self.rule.authority == Authority::Reference && !self.key
    }
}

/// One batch and the statement that compares its records with their rows.
struct Page<'a> {
    rows: &'a Rows,
    part: &'a PartitionBatch,
    scan: Option<usize>,
    slots: Vec<Slot<'a>>,
    /// Per field its value and whether the record's is the same; the fields' parameters first, then the key's.
    find: String,
    /// Whether priorities of sources are kept for this entity type.
    owned: bool,
    /// A field without a known owner: of ours somebody of priority 0 set it, of the host's the host itself.
    unowned: Option<i32>,
    /// Who speaks.
    source: FieldSource,
    /// Whether this source is only a reference for some of its fields.
    refers: bool,
    /// Whether this source may make rows.
    makes: bool,
    scratch: String,
}

pub(super) fn write<'a>(work: &mut Work<'a>, cache: &mut Cache, rows: &'a Rows) -> Db<()> {
    let commit = work.commit;
    let (key, by_hand) = (commit.target.place.key(), commit.target.by_hand());
    if key.is_empty() && !by_hand {
        return Err(internal("commit", "a stream's own table was written through a mapping"));
    }
    let owned = !by_hand
        && (commit.target.rules.values().any(|rule| rule.priority != 0)
            || work
                .tx
                .prepare_cached("SELECT 1 FROM syncline_field_owners WHERE workspace_id = ?1 AND type_id = ?2 LIMIT 1")?
                .exists((work.workspace.as_str(), rows.type_id()))?);
    // The key of every record that has one; the name of the field that is missing otherwise.
    let keys: Vec<Vec<Result<String, &str>>> = commit.batches.iter().map(|part| commit.target.keys(&part.batch)).collect();
    let batches: Vec<&RecordBatch> = commit.batches.iter().map(|part| &part.batch).collect();
    let duplicated = Duplicated::find(&batches, commit.target.duplicates, |batch, n, record| match record.operation {
        Operation::Upsert => keys[batch][n].as_deref().ok(),
        Operation::Delete => None,
    });
    let mut remembering = Remembering::open(work, rows)?;
    for (number, part) in commit.batches.iter().enumerate() {
        let scan = scan_of(work, cache, &part.partition)?;
        let mut page = Page::open(work, rows, part, key, owned, scan)?;
        for slot in &mut page.slots {
            slot.sent = remembering.as_ref().is_some_and(|remembering| remembering.sends(slot.field));
        }
        for (at, record) in part.batch.records().iter().enumerate() {
            if record.operation == Operation::Delete {
                page.delete(work, record)?;
                continue;
            }
            match &keys[number][at] {
                Err(field) => {
                    let warning = RecordFailure::warning("the key field has no value; the record was left out");
                    work.tally.skipped(warning.at_row(record.position).of_record(record.id.as_str()).in_column(*field));
                    page.present(work, cache, &record.id)?;
                }
                Ok(_) if duplicated.contains(number, at) => match commit.target.duplicates {
                    Duplicates::FirstWins => work.tally.skipped(twice(&commit.target, record)),
                    Duplicates::LastWins => {
                        work.tally.skipped(twice(&commit.target, record));
                        page.present(work, cache, &record.id)?;
                    }
                },
                Ok(key) => page.record(work, cache, remembering.as_mut(), record, key)?,
            }
        }
        for id in &part.present {
            page.present(work, cache, id)?;
        }
    }
    Ok(())
}

/// What the stored row says about a record.
struct Verdict<'a> {
    /// Whether the row is there.
    there: bool,
    /// The cells to write, with the fields they belong to.
    writes: Vec<(usize, &'a str)>,
    /// The cells of the key.
    keys: Vec<(usize, &'a str)>,
    /// Fields this source owns from now on.
    owns: Vec<usize>,
    /// What sources of lower priority say of fields, where that changes.
    rivals: Vec<(usize, Rival)>,
    /// What this source says of fields it is only a reference for.
    references: Vec<(usize, &'a str)>,
    /// Whether a field that pushes send stays as it is, though the record has it otherwise.
    kept: bool,
}

impl<'a> Page<'a> {
    fn open(work: &Work<'a>, rows: &'a Rows, part: &'a PartitionBatch, key: &[Box<str>], owned: bool, scan: Option<usize>) -> Db<Self> {
        let target = &work.commit.target;
        let mut slots = Vec::with_capacity(part.batch.names().len());
        for field in part.batch.names() {
            let (sql, form) = match rows {
                Rows::Stream(table) | Rows::Managed(table) => {
                    table.position(field).map(|at| (table.columns[at].sql.clone(), table.columns[at].form()))
                }
                Rows::Host(host) => host.column(field).map(|column| (column.sql.clone(), column.form)),
            }
            .ok_or_else(|| {
                let text = format!("{} has more than {MOST_COLUMNS} fields; map fewer", target.entity);
                sync_core::Error::config("commit", text)
            })?;
            let rule = target.rule(field);
            let key = key.iter().any(|name| name.eq_ignore_ascii_case(field));
            slots.push(Slot { field, sql, form, rule, key, sent: false });
        }
        let mut find = String::from("SELECT 1");
        for (at, slot) in slots.iter().enumerate() {
            // The comparison converts the new value as storing it would.
            let _ = write!(find, ", {0}, {0} IS ?{1} COLLATE BINARY", slot.sql, at + 1);
        }
        let (table, condition) = Self::place(rows, slots.len() + 1, key, &slots)?;
        let _ = write!(find, " FROM {table} WHERE {condition}");
        let unowned = matches!(rows, Rows::Managed(_)).then_some(0);
        let feed = &work.commit.feed;
        let source = FieldSource { connection: feed.connection.clone(), mapping: feed.mapping.clone() };
        let refers = slots.iter().any(|slot| slot.refers());
        let makes = target.makes_rows(work.commit.batches.iter().flat_map(|part| part.batch.names()).map(|name| &**name));
        Ok(Self { rows, part, scan, slots, find, owned, unowned, source, refers, makes, scratch: String::new() })
    }

    /// The table and the condition that finds a row; its parameters begin at `from`: the workspace, if the table knows it, then the key.
    fn place(rows: &Rows, from: usize, key: &[Box<str>], slots: &[Slot<'_>]) -> Db<(String, String)> {
        Ok(match rows {
            Rows::Stream(table) | Rows::Managed(table) => {
                (table.sql.to_string(), format!("workspace_id = ?{from} AND connection_no = 0 AND entity_id = ?{}", from + 1))
            }
            Rows::Host(host) => {
                let mut terms = Vec::new();
                let mut at = from;
                if let Some(column) = &host.spec.workspace_column {
                    terms.push(format!("{} = ?{at}", quoted(column)));
                    at += 1;
                }
                for field in key {
                    let slot = slots.iter().position(|slot| slot.field.eq_ignore_ascii_case(field));
                    // The key's value is a parameter already: that of its field. A batch without it has no record with a key.
                    let parameter = slot.map_or(at, |slot| slot + 1);
                    let column = host.column(field).ok_or_else(|| internal("commit", "a key column went missing"))?;
                    terms.push(format!("{} = ?{parameter}", column.sql));
                }
                (host.sql.to_string(), terms.join(" AND "))
            }
        })
    }

    fn record(
        &mut self,
        work: &mut Work<'a>,
        cache: &mut Cache,
        mut remembering: Option<&mut Remembering>,
        record: &Record,
        key: &str,
    ) -> Db<()> {
        let (partition, type_id) = (&self.part.partition, self.rows.type_id());
        let by_hand = work.commit.target.by_hand();
        let known = if by_hand { None } else { link::find(work, type_id, partition, record, key)? };
        if work.commit.target.duplicates == Duplicates::FirstWins && link::shown_before(work, cache, type_id, key)? {
            work.tally.skipped(twice(&work.commit.target, record));
            return Ok(());
        }
        work.journal.open(key);
        let verdict = match self.decide(work, record, key)? {
            Ok(verdict) => verdict,
            Err((name, reason)) => {
                work.journal.abandon();
                if let Some(link) = known {
                    show(work, cache, self.scan, link)?;
                }
                let failure = RecordFailure::error(reason).in_column(self.slots[name].field);
                work.tally.failed(failure.at_row(record.position).of_record(record.id.as_str()));
                return Ok(());
            }
        };
        let before = match &mut remembering {
            Some(remembering) if verdict.there => remembering.before(work, self.rows, &self.part.batch, record, key)?,
            _ => None,
        };
        let written = if !verdict.writes.is_empty() {
            self.store(work, key, &verdict)?
        } else if verdict.there {
            Ok(())
        } else {
            work.journal.abandon();
            let warning = RecordFailure::warning("there is no row with this key, and this source is not one that may make it");
            work.tally.skipped(warning.at_row(record.position).of_record(record.id.as_str()));
            if !verdict.references.is_empty() {
                // Kept for the row that another source may make; the record stands behind them.
                let link = match known {
                    Some(link) => link,
                    None => link::make(work, type_id, partition, record, key)?,
                };
                show(work, cache, self.scan, link)?;
                self.keep_beside(work, key, &verdict)?;
            }
            return Ok(());
        };
        match written {
            Err((reason, column)) => {
                work.journal.abandon();
                let mut failure = RecordFailure::error(reason).at_row(record.position).of_record(record.id.as_str());
                if let Some(column) = column {
                    failure = failure.in_column(column);
                }
                work.tally.failed(failure);
                if let Some(link) = known {
                    show(work, cache, self.scan, link)?;
                }
                return Ok(());
            }
            Ok(()) if verdict.writes.is_empty() => {
                work.journal.abandon();
                work.tally.counts.unchanged += 1;
            }
            Ok(()) if verdict.there => {
                work.journal.close("u", None);
                work.tally.counts.updated += 1;
                work.tally.wrote(key);
            }
            Ok(()) => {
                match self.rows {
                    // The host may change its row at any time, so the line keeps what it was made with.
                    Rows::Host(_) => work.journal.close("c", None),
                    Rows::Stream(_) | Rows::Managed(_) => work.journal.close_unwritten(),
                }
                work.tally.counts.created += 1;
                work.tally.wrote(key);
            }
        }
        if by_hand {
            return Ok(());
        }
        self.own(work, key, &verdict.owns)?;
        self.keep_beside(work, key, &verdict)?;
        let link = match known {
            Some(link) => link,
            None => link::make(work, type_id, partition, record, key)?,
        };
        show(work, cache, self.scan, link)?;
        if let Some(remembering) = remembering {
            let done = Done { there: verdict.there, written: !verdict.writes.is_empty(), kept: verdict.kept, before };
            remembering.keep(work, self.rows, &self.part.batch, record, key, &done)?;
        }
        Ok(())
    }

    /// Decides every field against the stored row, and writes the changes down in the journal's open line.
    fn decide(&mut self, work: &mut Work<'a>, record: &Record, key: &str) -> Db<Result<Verdict<'a>, (usize, &'static str)>> {
        let (owners, rivals) = match self.owned {
            true => (beside::owners(work, self.rows.type_id(), key)?, beside::rivals(work, self.rows.type_id(), key)?),
            false => (Owners::new(), Rivals::new()),
        };
        let mut find = work.tx.prepare_cached(&self.find)?;
        let batch = &self.part.batch;
        if batch.cells(record).len() < self.slots.len() {
            for at in 0..self.slots.len() {
                find.raw_bind_parameter(at + 1, rusqlite::types::Null)?;
            }
        }
        for (name, json) in batch.cells(record) {
            match encode(json, self.slots[name].form, &mut self.scratch) {
                Ok(value) => find.raw_bind_parameter(name + 1, Bind(value))?,
                Err(reason) => return Ok(Err((name, reason))),
            }
        }
        let from = self.slots.len() + 1;
        match self.rows {
            Rows::Stream(_) | Rows::Managed(_) => {
                find.raw_bind_parameter(from, text(work.workspace.as_str()))?;
                find.raw_bind_parameter(from + 1, text(key))?;
            }
            Rows::Host(host) if host.spec.workspace_column.is_some() => find.raw_bind_parameter(from, text(work.workspace.as_str()))?,
            Rows::Host(_) => {}
        }
        let mut found = find.raw_query();
        let stored = found.next()?;
        let mut verdict = Verdict {
            there: stored.is_some(),
            writes: Vec::new(),
            keys: Vec::new(),
            owns: Vec::new(),
            rivals: Vec::new(),
            references: Vec::new(),
            kept: false,
        };
        let (mut old_json, target) = (String::new(), &work.commit.target);
        // What is forced asks for nobody's priority.
        let forced = target.mode == WriteMode::Forced;
        for (name, json) in batch.cells(record) {
            let slot = &self.slots[name];
            let owner = owners.get(slot.field).filter(|_| !forced);
            let (before, differs) = match stored {
                Some(row) => {
                    let old = row.get_ref(1 + 2 * name)?;
                    let same: bool = row.get(2 + 2 * name)?;
                    (Some((old, slot.form)), !same)
                }
                None => (None, json != "null"),
            };
            old_json.clear();
            let standing = before.map(|(old, form)| {
                let value = if differs {
                    decode(old, form, &mut old_json);
                    &*old_json
                } else {
                    json
                };
                let unowned = if old == ValueRef::Null || forced { None } else { self.unowned };
                Stored { value, priority: owner.map(|owner| owner.priority).or(unowned) }
            });
            let decision = if self.owned && !slot.key {
                let rivals = rivals.get(slot.field).map(Vec::as_slice).unwrap_or_default();
                let said = Said { source: &self.source, rule: slot.rule, value: json };
                let contested = contend(Standing { stored: standing, owner, rivals }, said);
                verdict.rivals.extend(contested.rivals.into_iter().map(|rival| (name, rival)));
                if contested.owns {
                    verdict.owns.push(name);
                }
                contested.decision
            } else {
                target.decide(slot.rule, standing, Some(json))
            };
            verdict.kept |= slot.sent && differs && matches!(decision, Decision::Keep(_));
            if decision == Decision::Write {
                work.journal.change(slot.field, before, Some(json), target.told(decision));
                verdict.writes.push((name, json));
            }
            if slot.refers() {
                verdict.references.push((name, json));
            }
        }
        if !verdict.there && !self.makes {
            verdict.writes.clear();
        }
        verdict.keys.extend(batch.cells(record).filter(|(name, _)| self.slots[*name].key));
        // A new row needs its key, whoever is the truth about it.
        if !verdict.there && !verdict.writes.is_empty() {
            let lacking = verdict.keys.iter().filter(|(name, _)| !verdict.writes.iter().any(|(written, _)| written == name));
            let lacking: Vec<_> = lacking.copied().collect();
            verdict.writes.extend(lacking);
        }
        Ok(Ok(verdict))
    }

    /// Writes a row. A refusal of the table's constraints is the row's, not the run's.
    fn store(&mut self, work: &Work<'a>, key: &str, verdict: &Verdict<'_>) -> Db<Result<(), (String, Option<String>)>> {
        let mut sql = String::new();
        let ours = matches!(self.rows, Rows::Managed(_) | Rows::Stream(_));
        let columns = || verdict.writes.iter().map(|(name, _)| &*self.slots[*name].sql);
        let whose = match self.rows {
            Rows::Host(host) => host.spec.workspace_column.as_deref().map(quoted),
            Rows::Stream(_) | Rows::Managed(_) => None,
        };
        // Parameters: workspace, key, run, time, then the cells in their order, then for a host's row the key's cells.
        const CELLS_FROM: usize = 5;
        let last = CELLS_FROM + verdict.writes.len();
        let table = match self.rows {
            Rows::Stream(table) | Rows::Managed(table) => &table.sql,
            Rows::Host(host) => &host.sql,
        };
        let keys: &[_] = if ours || !verdict.there { &[] } else { &verdict.keys };
        if verdict.there {
            let _ = write!(sql, "UPDATE {table} SET ");
            for (at, column) in columns().enumerate() {
                let _ = write!(sql, "{}{column} = ?{}", if at > 0 { ", " } else { "" }, CELLS_FROM + at);
            }
            if ours {
                sql.push_str(", last_synced_at = ?4 WHERE workspace_id = ?1 AND connection_no = 0 AND entity_id = ?2");
            } else {
                let terms = keys.iter().enumerate().map(|(at, (name, _))| format!("{} = ?{}", self.slots[*name].sql, last + at));
                let terms: Vec<String> = whose.iter().map(|column| format!("{column} = ?1")).chain(terms).collect();
                let _ = write!(sql, " WHERE {}", terms.join(" AND "));
            }
        } else {
            let mut names: Vec<&str> = columns().collect();
            let mut values: Vec<String> = (0..names.len()).map(|at| format!("?{}", CELLS_FROM + at)).collect();
            if ours {
                names.splice(
                    0..0,
                    ["workspace_id", "connection_no", "entity_id", "partition_id", "created_run", "created_at", "last_synced_at"],
                );
                values.splice(0..0, ["?1", "0", "?2", "''", "?3", "?4", "?4"].map(String::from));
            } else if let Some(column) = &whose {
                names.insert(0, column);
                values.insert(0, "?1".into());
            }
            let _ = write!(sql, "INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
        }
        let mut statement = work.tx.prepare_cached(&sql)?;
        let parameters = statement.parameter_count();
        let own: [&dyn rusqlite::ToSql; 4] = [&work.workspace.as_str(), &key, &created_run(work), &work.at];
        for (at, value) in own.into_iter().enumerate() {
            if at < parameters && (ours || at == 0) {
                statement.raw_bind_parameter(at + 1, value)?;
            }
        }
        for (at, (name, json)) in verdict.writes.iter().chain(keys).enumerate() {
            let value = match encode(json, self.slots[*name].form, &mut self.scratch) {
                Ok(value) => value,
                Err(reason) => return Ok(Err((reason.into(), Some(self.slots[*name].field.into())))),
            };
            if let Err(error) = statement.raw_bind_parameter(CELLS_FROM + at, Bind(value)) {
                return row_fault(&error).map(Err).ok_or_else(|| error.into());
            }
        }
        match statement.raw_execute() {
            Ok(_) => Ok(Ok(())),
            // A trigger of the host may have rolled back everything; then there is no going on.
            Err(error) if work.tx.is_autocommit() => Err(error.into()),
            Err(error) => row_fault(&error).map(Err).ok_or_else(|| error.into()),
        }
    }

    /// Makes this source the owner of fields.
    fn own(&self, work: &Work<'a>, key: &str, fields: &[usize]) -> Db<()> {
        for at in fields {
            let slot = &self.slots[*at];
            work.tx
                .prepare_cached(
                    "INSERT INTO syncline_field_owners (workspace_id, type_id, entity_id, field, priority, connection_id, mapping) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET priority = excluded.priority, \
                     connection_id = excluded.connection_id, mapping = excluded.mapping",
                )?
                .execute((
                    work.workspace.as_str(),
                    self.rows.type_id(),
                    key,
                    slot.field,
                    slot.rule.priority,
                    work.commit.feed.connection.as_str(),
                    &*work.commit.feed.mapping,
                ))?;
        }
        Ok(())
    }

    /// Keeps what sources say beside the fields.
    fn keep_beside(&self, work: &Work<'a>, key: &str, verdict: &Verdict<'_>) -> Db<()> {
        for (name, rival) in &verdict.rivals {
            beside::keep_rival(work, self.rows.type_id(), key, self.slots[*name].field, rival)?;
        }
        if self.refers {
            let values: Vec<(&str, &str)> = verdict.references.iter().map(|(name, json)| (self.slots[*name].field, *json)).collect();
            beside::keep_references(work, self.rows.type_id(), key, &values)?;
        }
        Ok(())
    }

    /// A record that is there but could not be taken: whatever it stands behind is not gone.
    fn present(&self, work: &Work<'a>, cache: &mut Cache, id: &RecordId) -> Db<()> {
        for (link, _) in link::of(work, self.rows.type_id(), id)? {
            show(work, cache, self.scan, link)?;
        }
        Ok(())
    }

    fn delete(&self, work: &mut Work<'a>, record: &Record) -> Db<()> {
        if work.commit.target.by_hand() {
            let key = record.id.as_str();
            return match delete::by_hand(work.tx, work.workspace, self.rows, key, &mut work.journal)? {
                true => {
                    work.tally.deleted(key);
                    work.tally.counts.deleted += 1;
                    Ok(())
                }
                false => {
                    work.tally.counts.unchanged += 1;
                    Ok(())
                }
            };
        }
        let links = link::of(work, self.rows.type_id(), &record.id)?;
        if links.is_empty() {
            // What we never had is as the record says: gone.
            work.tally.counts.unchanged += 1;
            return Ok(());
        }
        for (link, key) in links {
            work.tx.prepare_cached("DELETE FROM syncline_record_links WHERE id = ?1")?.execute([link])?;
            work.journal.unlinked(&key, record.id.as_str(), self.part.partition.as_str());
            let taken = Taken { run: work.commit.fence.run, at: work.at };
            beside::release(work.tx, work.workspace, &work.commit.feed, self.rows.type_id(), &key, taken)?;
            match delete::orphan(work.tx, work.workspace, &work.commit.feed, self.rows, &key, &mut work.journal) {
                Ok(true) => work.tally.deleted(&key),
                Ok(false) => {}
                Err(fault) => {
                    // A row of the host that others refer to stays.
                    let crate::error::Fault::Sql(error) = &fault else { return Err(fault) };
                    let Some((reason, _)) = row_fault(error).filter(|_| !work.tx.is_autocommit()) else { return Err(fault) };
                    let warning = RecordFailure::warning(format!("gone at the source, but its row stays: {reason}"));
                    work.tally.failures.push(warning.of_record(record.id.as_str()));
                }
            }
        }
        work.tally.counts.deleted += 1;
        Ok(())
    }
}
