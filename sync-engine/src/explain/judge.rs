//! From what is stored about a row to what explains one field of it. Pure.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sync_core::{
    RunId, json_value,
    mapping::{Authority, Column, ConflictState, FieldSource, Mapping, Rule, alike},
    store::{Conflict, LineageEntry, as_of},
};

use super::{
    Beside, Change, Explanation, Input, MadeFrom, Making, Origin, Other, Say, Standing, Why,
    known::{Known, Ran},
};
use crate::plan::undone_by;

/// What explains a field.
pub(super) fn explain(known: &Known, field: &str) -> Explanation {
    let view = View { known, field, entries: life(known, field) };
    let value = known.row.as_ref().and_then(|row| row.fields.get(field)).filter(|value| !value.is_null()).cloned();
    let last = view.entries.last().copied();
    let standing = view.standing(value.as_ref(), last);
    let set_by = last.map(|entry| view.change(entry));
    let others = view.others(value.as_ref());
    let owner = known.owners.iter().find(|(name, _)| **name == *field).map(|(_, owner)| owner);
    let references = known.references.iter().filter(|kept| *kept.field == *field);
    let people = view.entries.iter().rev().skip(1).filter(|entry| entry.rule.is_some_and(Rule::by_people));
    Explanation {
        entity: known.entity.clone(),
        key: known.key.clone(),
        connection: known.connection.clone(),
        field: field.into(),
        value,
        standing,
        say: owner.map(|owner| Say { origin: view.origin_of(&owner.source), priority: owner.priority }),
        others,
        beside: references
            .map(|kept| Beside { origin: view.origin_of(&kept.source), value: json_value(kept.value.get()), run: kept.run, at: kept.at })
            .collect(),
        by_people: people.map(|entry| view.change(entry)).collect(),
        set_by,
    }
}

/// The changes of a field in the row's present life, or in its last one; the oldest first.
fn life<'k>(known: &'k Known, field: &str) -> Vec<&'k LineageEntry> {
    // The deletion that ended the life before; of a row that is gone not its own.
    let ends = |entry: &&LineageEntry| entry.new_value.is_none();
    let mut deletions: Vec<i64> = known.history.iter().filter(ends).map(|entry| entry.seq).collect();
    deletions.dedup();
    if known.row.is_none() {
        deletions.pop();
    }
    let ended = deletions.last().copied();
    let of_field = known.history.iter().filter(|entry| *entry.field_name == *field);
    // A creation shares the number of the deletion before it.
    of_field.filter(|entry| ended.is_none_or(|ended| entry.seq > ended || (entry.seq == ended && entry.new_value.is_some()))).collect()
}

struct View<'k> {
    known: &'k Known,
    field: &'k str,
    /// See [`life`].
    entries: Vec<&'k LineageEntry>,
}

fn same(one: &Value, other: &Value) -> bool {
    alike(&one.to_string(), &other.to_string())
}

impl View<'_> {
    fn standing(&self, value: Option<&Value>, last: Option<&LineageEntry>) -> Standing {
        if let (None, Some(absence)) = (&self.known.row, &self.known.absence) {
            return Standing::NoRow { absence: absence.clone() };
        }
        let now = value.unwrap_or(&Value::Null);
        match last {
            Some(last) if same(last.new_value.as_ref().unwrap_or(&Value::Null), now) => Standing::Told,
            Some(_) => Standing::ChangedSince,
            None => {
                let derived = self.known.writers.iter().find(|mapping| column(mapping, self.field).is_some_and(is_derived));
                match (derived, value) {
                    (Some(mapping), _) => Standing::Derived { mapping: mapping.name.clone() },
                    (None, Some(_)) if self.known.of_host && self.untouched() => Standing::OfHost,
                    (None, Some(_)) => Standing::Untold,
                    (None, None) => Standing::Empty { written_by: self.written_by() },
                }
            }
        }
    }

    /// Whether no run is known to have had to do with the value: none with the row, or none of those that fill the table with the field.
    fn untouched(&self) -> bool {
        let row = self.known.history.is_empty() && self.known.owners.is_empty();
        row || self.written_by().is_empty()
    }

    /// The mappings that would write the field.
    fn written_by(&self) -> Vec<Box<str>> {
        let writes = |mapping: &&Mapping| {
            column(mapping, self.field).is_some_and(|column| column.authority == Authority::SourceOfTruth)
                || mapping.computed.iter().any(|computed| *computed.target == *self.field)
        };
        self.known.writers.iter().filter(writes).map(|mapping| mapping.name.clone()).collect()
    }

    fn ran(&self, run: RunId) -> Option<&Ran> {
        self.known.runs.get(&run)
    }

    /// Whose word an entry is: a mapping of a connection. Of changes by people nobody's.
    fn source(&self, entry: &LineageEntry) -> Option<FieldSource> {
        if entry.rule.is_some_and(Rule::by_people) || &*entry.source_type == "app" {
            return None;
        }
        let feed = &self.ran(entry.sync_run_id)?.run.feed;
        Some(FieldSource { connection: feed.connection.clone(), mapping: feed.mapping.clone() })
    }

    /// A source as people know it, with the place of the field as it was last told of it.
    fn origin_of(&self, source: &FieldSource) -> Origin {
        let last = self
            .known
            .history
            .iter()
            .rev()
            .find(|entry| *entry.field_name == *self.field && self.source(entry).is_some_and(|of| of == *source));
        let connection = self.known.connections.get(&source.connection);
        // What kind of source an account is, any of its streams tells.
        let of_account = |entry: &&LineageEntry| self.source(entry).is_some_and(|of| of.connection == source.connection);
        let kind = self.known.history.iter().rev().find(of_account).map(|entry| entry.source_type.clone());
        let mapping = self.known.writers.iter().find(|mapping| mapping.name == source.mapping);
        let stream = mapping.map(|mapping| Box::from(mapping.stream.as_str()));
        let columns = mapping.and_then(|mapping| column(mapping, self.field)).map(|column| inputs(column).join(", "));
        let place = stream.as_ref().zip(columns).map(|(stream, columns)| format!("{stream} → {columns}").into());
        Origin {
            kind: kind.unwrap_or_default(),
            id: last.map(|entry| entry.source_id.clone()).unwrap_or_default(),
            place: last.and_then(|entry| entry.source_ref.clone()).or(place),
            connection: Some(source.connection.clone()),
            provider: connection.map(|row| row.provider.clone()),
            account: connection.map(|row| row.account_name.clone().unwrap_or_else(|| row.account_id.clone())),
            stream,
            mapping: Some(source.mapping.clone()).filter(|name| !name.is_empty()),
        }
    }

    fn origin(&self, entry: &LineageEntry) -> Origin {
        let feed = self.ran(entry.sync_run_id).map(|ran| &ran.run.feed).filter(|feed| !feed.connection.as_str().is_empty());
        let connection = feed.and_then(|feed| self.known.connections.get(&feed.connection));
        Origin {
            kind: entry.source_type.clone(),
            id: entry.source_id.clone(),
            place: entry.source_ref.clone(),
            connection: feed.map(|feed| feed.connection.clone()),
            provider: connection.map(|row| row.provider.clone()),
            account: connection.map(|row| row.account_name.clone().unwrap_or_else(|| row.account_id.clone())),
            stream: feed.map(|feed| feed.stream.as_str().into()),
            mapping: feed.map(|feed| feed.mapping.clone()).filter(|name| !name.is_empty()),
        }
    }

    fn change(&self, entry: &LineageEntry) -> Change {
        let ran = self.ran(entry.sync_run_id);
        let undid = undone_by(&entry.source_id).filter(|_| entry.rule == Some(Rule::Undo));
        Change {
            previous: entry.previous_value.clone(),
            value: entry.new_value.clone(),
            rule: entry.rule,
            origin: self.origin(entry),
            making: ran.filter(|_| entry.new_value.is_some()).and_then(|ran| self.making(ran, entry)),
            run: entry.sync_run_id,
            job: ran.map(|ran| ran.run.job_type.clone()),
            by: entry.changed_by.clone(),
            at: entry.changed_at,
            undid,
            restores: undid.and_then(|run| self.restored(run, entry)).map(Box::new),
        }
    }

    /// The change whose value came back when a run was taken back.
    fn restored(&self, undone: RunId, by: &LineageEntry) -> Option<Change> {
        let of_field = self.known.history.iter().filter(|entry| *entry.field_name == *self.field && entry.seq < by.seq);
        let before: Vec<&LineageEntry> = of_field.take_while(|entry| entry.sync_run_id != undone).collect();
        // Of a row that the run had deleted the last change before is that of its life before.
        let set = before.into_iter().rev().find(|entry| entry.new_value.is_some())?;
        let (then, now) = (set.new_value.as_ref()?, by.new_value.as_ref()?);
        same(then, now).then(|| self.change(set))
    }

    fn making(&self, ran: &Ran, entry: &LineageEntry) -> Option<Making> {
        let mapping = ran.mapping()?;
        let version = ran.version.clone();
        if let Some(computed) = mapping.computed.iter().find(|computed| *computed.target == *self.field) {
            let inputs = self.inputs(mapping, entry);
            return Some(Making {
                version,
                from: MadeFrom::Computed { expression: computed.expression.clone(), inputs },
                steps: Vec::new(),
                authority: Authority::SourceOfTruth,
                priority: computed.priority,
                source_value: None,
            });
        }
        let column = column(mapping, self.field)?;
        let plain = column.transforms.is_empty() && (column.source.is_some() || !column.sources.is_empty());
        Some(Making {
            version,
            from: from(column),
            steps: column.transforms.clone(),
            authority: column.authority,
            priority: column.priority,
            source_value: entry.new_value.clone().filter(|_| plain),
        })
    }

    /// What an expression read, as it was when it was computed.
    fn inputs(&self, mapping: &Mapping, entry: &LineageEntry) -> Vec<Input> {
        let Ok(compiled) = mapping.compile(&self.known.transforms) else { return Vec::new() };
        let Some((fields, sources)) = compiled.inputs(self.field) else { return Vec::new() };
        let then = as_of(&self.known.history, entry.changed_at).unwrap_or_default();
        let place = |name: &str| {
            let told = self.known.history.iter().rev().filter(|told| *told.field_name == *name && told.changed_at <= entry.changed_at);
            told.filter_map(|told| told.source_ref.clone()).next()
        };
        let of_row = fields.into_iter().map(|name| Input {
            name: name.into(),
            of_source: false,
            value: then.get(name).cloned(),
            place: place(name),
        });
        let of_source = sources.into_iter().map(|name| Input { name: name.into(), of_source: true, value: None, place: None });
        of_row.chain(of_source).collect()
    }

    /// What other sources of truth say, or said.
    fn others(&self, value: Option<&Value>) -> Vec<Other> {
        let last = self.entries.last().copied();
        let setter = last.and_then(|last| self.source(last));
        let taken = last.is_some_and(|last| last.rule == Some(Rule::Taken));
        let now = value.unwrap_or(&Value::Null);
        // A source that has the say over what a source set has set or confirmed it, whatever it said before.
        let owner = self.known.owners.iter().find(|(name, _)| **name == *self.field).map(|(_, owner)| owner.source.clone());
        let mut met: BTreeSet<FieldSource> = owner.filter(|_| setter.is_some()).into_iter().collect();
        let mut others = Vec::new();
        let of_field = self.known.conflicts.iter().filter(|conflict| *conflict.field == *self.field);
        let stand: Vec<&Conflict> = of_field.filter(|conflict| !conflict.loser.stream.as_str().is_empty()).collect();
        for conflict in &stand {
            let loser = FieldSource { connection: conflict.loser.connection.clone(), mapping: conflict.loser.mapping.clone() };
            let said = self.own_word(conflict, &loser);
            // What a source set itself is newer than what it had lost with before.
            let outdated = self.set_since(&loser, conflict.run);
            let own = taken && conflict.state == ConflictState::Taken;
            if outdated || !met.insert(loser.clone()) || own || (setter.as_ref() == Some(&loser) && same(now, &said)) {
                continue;
            }
            let settled = conflict.state == ConflictState::Settled;
            let why = match (same(now, &said), settled, last) {
                (true, ..) => Why::Agrees,
                // The two agreed, or their conflict is over; something else has overwritten them.
                (false, true, Some(last)) => self.why(last, Some(conflict.priority)),
                (false, ..) => Why::LowerPriority {
                    winner_priority: conflict.winner_priority,
                    conflict: Some(conflict.id),
                    state: Some(conflict.state),
                    decided_by: conflict.resolved_by.clone(),
                    decided_at: conflict.resolved_at,
                },
            };
            let (origin, priority) = (self.origin_of(&loser), Some(conflict.priority));
            let (run, at, own_run) = self.heard(conflict, &loser, &said);
            others.push(Other { origin, value: said, priority, why, run, at, own_run });
        }
        // Who had the say in these conflicts may have lost to a person since, or to force.
        for conflict in &stand {
            let Some(winner) = conflict.winner.clone().filter(|winner| !met.contains(winner) && setter.as_ref() != Some(winner)) else {
                continue;
            };
            if self.set_since(&winner, conflict.run) || !self.quotes_winner(conflict, &winner) {
                continue;
            }
            met.insert(winner.clone());
            let said = json_value(conflict.winning.get());
            if let (Some(last), false) = (last, same(now, &said)) {
                let why = match self.why(last, Some(conflict.winner_priority)) {
                    Why::Decided { rule: Rule::Taken, .. } => Why::Decided { rule: Rule::Taken, conflict: Some(conflict.id) },
                    why => why,
                };
                let (origin, priority) = (self.origin_of(&winner), Some(conflict.winner_priority));
                let (run, at, own_run) = self.heard(conflict, &winner, &said);
                others.push(Other { origin, value: said, priority, why, run, at, own_run });
            }
        }
        met.extend(setter);
        for entry in self.entries.iter().rev().skip(1) {
            let Some(source) = self.source(entry).filter(|source| !met.contains(source)) else { continue };
            met.insert(source);
            let (Some(said), Some(last)) = (entry.new_value.clone(), last) else { continue };
            let priority = self.priority(entry);
            let why = if same(now, &said) { Why::Agrees } else { self.why(last, priority) };
            others.push(Other {
                origin: self.origin(entry),
                value: said,
                priority,
                why,
                run: entry.sync_run_id,
                at: entry.changed_at,
                own_run: true,
            });
        }
        others
    }

    /// The run in which a source of a conflict said so, and when; where that is not known the run that changed the conflict, which then is
    /// not the source's own.
    fn heard(&self, conflict: &Conflict, source: &FieldSource, said: &Value) -> (RunId, DateTime<Utc>, bool) {
        if self.ran(conflict.run).is_some_and(|ran| speaks_for(ran, source)) {
            return (conflict.run, conflict.at, true);
        }
        let says = |entry: &&&LineageEntry| {
            entry.sync_run_id <= conflict.run
                && entry.new_value.as_ref().is_some_and(|value| same(value, said))
                && self.source(entry).is_some_and(|of| of == *source)
        };
        match self.entries.iter().rev().find(says) {
            Some(entry) => (entry.sync_run_id, entry.changed_at, true),
            None => (conflict.run, conflict.at, false),
        }
    }

    /// What the loser of a conflict said. One who had the say before is held to have said what stood in the row, which may have been somebody's
    /// own: then what it had set itself last.
    fn own_word(&self, conflict: &Conflict, loser: &FieldSource) -> Value {
        let said = json_value(conflict.value.get());
        if self.ran(conflict.run).is_some_and(|ran| speaks_for(ran, loser)) {
            let over = conflict.state == ConflictState::Settled && !alike(conflict.value.get(), conflict.winning.get());
            let stood = self.entries.iter().rev().find(|entry| entry.sync_run_id <= conflict.run);
            // It came to have the say itself, by saying what stood there.
            return stood.filter(|_| over).and_then(|entry| entry.new_value.clone()).unwrap_or(said);
        }
        let own = self.entries.iter().rposition(|entry| self.source(entry).is_some_and(|of| of == *loser));
        let peoples = |entry: &&&LineageEntry| entry.rule.is_some_and(Rule::by_people);
        let Some((set, since)) = own.and_then(|at| Some((self.entries[at].new_value.as_ref()?, &self.entries[at..]))) else { return said };
        let somebodys = since.iter().filter(peoples).any(|entry| entry.new_value.as_ref().is_some_and(|value| same(value, &said)));
        if somebodys { set.clone() } else { said }
    }

    /// Whether what a conflict calls the winning value is what the winner said. When the loser spoke last it is what stood in the row then,
    /// which may have been somebody's own.
    fn quotes_winner(&self, conflict: &Conflict, winner: &FieldSource) -> bool {
        let winner_spoke = self.ran(conflict.run).is_some_and(|ran| speaks_for(ran, winner));
        let stood = self.entries.iter().rev().find(|entry| entry.sync_run_id <= conflict.run);
        let taken = conflict.state == ConflictState::Taken;
        winner_spoke || taken || stood.is_some_and(|entry| self.source(entry).is_some())
    }

    /// Whether a source has set the field in a run or after it.
    fn set_since(&self, source: &FieldSource, run: RunId) -> bool {
        self.entries.iter().any(|entry| entry.sync_run_id >= run && self.source(entry).is_some_and(|of| of == *source))
    }

    /// The priority a source had for the field when it set it.
    fn priority(&self, entry: &LineageEntry) -> Option<i32> {
        let mapping = self.ran(entry.sync_run_id)?.mapping()?;
        let computed = mapping.computed.iter().find(|computed| *computed.target == *self.field).map(|computed| computed.priority);
        computed.or_else(|| column(mapping, self.field).map(|column| column.priority))
    }

    /// Why what was set with this priority does not stand any more: `last` has overwritten it.
    fn why(&self, last: &LineageEntry, priority: Option<i32>) -> Why {
        match last.rule {
            Some(Rule::Forced) => Why::Forced,
            Some(rule) if rule.by_people() => Why::Decided { rule, conflict: None },
            _ => {
                let winner_priority = self.priority(last).unwrap_or_default();
                match priority.unwrap_or_default().cmp(&winner_priority) {
                    std::cmp::Ordering::Less => {
                        let (conflict, state, decided_by, decided_at) = (None, None, None, None);
                        Why::LowerPriority { winner_priority, conflict, state, decided_by, decided_at }
                    }
                    std::cmp::Ordering::Equal => Why::Earlier,
                    std::cmp::Ordering::Greater => Why::Silent,
                }
            }
        }
    }
}

/// Whether what a run wrote is a source's word.
fn speaks_for(ran: &Ran, source: &FieldSource) -> bool {
    let decided = ran.rules.as_ref().is_some_and(|rules| rules.rule.by_people());
    !decided && ran.run.feed.connection == source.connection && ran.run.feed.mapping == source.mapping
}

fn column<'m>(mapping: &'m Mapping, field: &str) -> Option<&'m Column> {
    mapping.columns.iter().find(|column| *column.target == *field)
}

fn is_derived(column: &Column) -> bool {
    column.authority == Authority::Derived
}

/// The fields of the source that a column reads.
fn inputs(column: &Column) -> Vec<&str> {
    let members = column.object.iter().flat_map(|members| members.values());
    column.source.iter().chain(&column.sources).chain(members).map(|name| &**name).collect()
}

fn from(column: &Column) -> MadeFrom {
    match (&column.value, &column.object) {
        (Some(value), _) => MadeFrom::Constant(value.clone()),
        (None, Some(members)) => MadeFrom::Object(members.clone()),
        (None, None) => {
            let columns: Vec<Box<str>> = column.source.iter().chain(&column.sources).cloned().collect();
            if columns.is_empty() { MadeFrom::Nothing } else { MadeFrom::Columns(columns) }
        }
    }
}
