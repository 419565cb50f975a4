//! From a mapping as written to one that can be applied: every problem is found, and all are reported at once.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Authority, Column, Computed, Mapping, NullPolicy, OnError, Problem, Transforms,
    compiled::{CompiledColumn, CompiledComputed, CompiledMapping, Input},
    expression::Expression,
    likely::likely_of,
    problem::Problems,
};
use crate::{EntityType, Error, Field, FieldRule, Place, Result};

impl Mapping {
    /// Checks the mapping and makes it ready.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) that names every problem there is, not just the first.
    pub fn compile(&self, transforms: &Transforms) -> Result<CompiledMapping> {
        let (compiled, problems) = self.checked(transforms);
        if problems.is_empty() {
            return Ok(compiled);
        }
        Err(Error::config("mapping", format!("mapping {:?} cannot be used: {}", self.name, problems.line())))
    }

    /// Everything that is wrong with the mapping, in its order; with the source's `fields` also what does not fit them. Empty when
    /// [`compile`](Self::compile) and [`check_against`](CompiledMapping::check_against) would let it pass.
    #[must_use]
    pub fn problems(&self, transforms: &Transforms, fields: Option<&[Field]>) -> Vec<Problem> {
        let (compiled, problems) = self.checked(transforms);
        let mut list = problems.list();
        list.extend(fields.map(|fields| compiled.problems_against(fields)).unwrap_or_default());
        list
    }

    /// What can be made of the mapping, and what is wrong with it. Only without problems may the first be applied.
    fn checked(&self, transforms: &Transforms) -> (CompiledMapping, Problems) {
        let mut problems = Problems::default();
        if self.name.trim().is_empty() {
            problems.add("name", "it has no name");
        }
        if self.stream.as_str().is_empty() {
            problems.add("stream", "it names no stream");
        }
        let columns: Vec<_> =
            self.columns.iter().enumerate().map(|(at, column)| self.column_of(at, column, transforms, &mut problems)).collect();
        let computed = self.computed_of(&columns, &mut problems);
        let targets: Vec<&Box<str>> = columns.iter().map(|c| &c.target).chain(self.computed.iter().map(|c| &c.target)).collect();
        for (at, target) in targets.iter().enumerate() {
            if targets[..at].contains(target) {
                let place = match at.checked_sub(columns.len()) {
                    None => format!("columns[{at}].target"),
                    Some(at) => format!("computed[{at}].target"),
                };
                problems.add(place, format!("two columns are written to {target:?}"));
            }
        }
        let key: Arc<[Box<str>]> = self.key_of(&columns, &mut problems).into();
        let (entity, place) = self.place_of(&columns, &key, &mut problems);
        let columns = columns.into_iter().map(|column| {
            if !key.contains(&column.target) {
                return CompiledColumn { key: false, ..column };
            }
            // What the mapping says for all columns cannot take a key's value away.
            let on_error = if column.on_error == OnError::DropValue { OnError::FailRow } else { column.on_error };
            CompiledColumn { key: true, nulls: NullPolicy::Write, on_error, ..column }
        });
        let compiled = CompiledMapping {
            name: self.name.clone(),
            stream: self.stream.clone(),
            entity,
            place,
            duplicates: self.duplicates,
            contract: self.contract.clone(),
            columns: columns.collect(),
            key,
            computed,
        };
        (compiled, problems)
    }

    /// Where rows go.
    fn place_of(&self, columns: &[CompiledColumn], key: &Arc<[Box<str>]>, problems: &mut Problems) -> (EntityType, Place) {
        match (&self.entity, &self.table) {
            (Some(entity), None) if entity.as_str().trim().is_empty() => {
                problems.add("entity", "`entity` is empty");
                (entity.clone(), Place::Stream)
            }
            (Some(entity), None) => (entity.clone(), Place::Managed { key: Arc::clone(key) }),
            (None, Some(table)) => {
                let mut table = table.clone();
                if table.name.trim().is_empty() {
                    problems.add("table.name", "`table` has no name");
                }
                for own in [&table.workspace_column, &table.version_column].into_iter().flatten() {
                    let taken = columns.iter().map(|c| (&c.target, format!("columns[{}].target", c.at)));
                    let computed = self.computed.iter().enumerate().map(|(at, c)| (&c.target, format!("computed[{at}].target")));
                    if let Some((_, place)) = taken.chain(computed).find(|(target, _)| *target == own) {
                        problems.add(place, format!("the table's own column {own:?} cannot be the target of a column"));
                    }
                }
                table.key = key.to_vec();
                (table.entity_type(), Place::Host(Arc::new(table)))
            }
            (Some(_), Some(_)) => {
                problems.add("entity", "it names both `entity` and `table`; one of them says where rows go");
                (EntityType::from(""), Place::Stream)
            }
            (None, None) => {
                problems.add("entity", "it names neither `entity` nor `table`");
                (EntityType::from(""), Place::Stream)
            }
        }
    }

    /// The key: what the table names, otherwise the marked columns in their order.
    fn key_of(&self, columns: &[CompiledColumn], problems: &mut Problems) -> Vec<Box<str>> {
        let marked: Vec<Box<str>> = columns.iter().filter(|column| column.key).map(|column| column.target.clone()).collect();
        let named = self.table.as_ref().map_or(&[][..], |table| &table.key);
        let key = if named.is_empty() { marked } else { named.to_vec() };
        if key.is_empty() {
            problems.add("columns", "no column is marked as key");
        }
        if !named.is_empty() {
            for extra in columns.iter().filter(|column| column.key && !named.contains(&column.target)) {
                let text = format!("column {:?} is marked as key, but the table's key is {}", extra.target, named.join(", "));
                problems.add(format!("columns[{}].key", extra.at), text);
            }
        }
        for (at, target) in key.iter().enumerate() {
            if key[..at].contains(target) && !named.is_empty() {
                problems.add(format!("table.key[{at}]"), format!("the table's key names {target:?} twice"));
            }
            let Some(column) = columns.iter().find(|column| column.target == *target) else {
                problems.add(format!("table.key[{at}]"), format!("the table's key column {target:?} is no column's target"));
                continue;
            };
            let place = |part: &str| format!("columns[{}].{part}", column.at);
            if column.rule.authority != Authority::SourceOfTruth {
                problems.add(place("authority"), format!("key column {target:?} has to be a source of truth"));
            }
            if self.columns[column.at].on_error == Some(OnError::DropValue) {
                problems.add(place("on_error"), format!("key column {target:?} cannot drop its value on errors"));
            }
            if self.columns[column.at].null_policy == Some(NullPolicy::Keep) {
                problems.add(place("null_policy"), format!("key column {target:?} cannot keep what is stored: it says which row that is"));
            }
            if column.sensitive == Some(true) {
                let text = format!("key column {target:?} cannot be sensitive: keys name their rows in lineage, plans and failures");
                problems.hinted(
                    place("sensitive"),
                    text,
                    "take another key, or make a pseudonym of it with the transform `hash`".to_owned(),
                );
            }
            if matches!(column.input, Input::Object(_)) {
                problems.add(place("object"), format!("key column {target:?} cannot be an object"));
            }
        }
        let constant = |target: &str| columns.iter().any(|c| *c.target == *target && matches!(c.input, Input::Constant(_)));
        if !key.is_empty() && key.iter().all(|target| constant(target)) {
            problems.add("columns", "every key column is a constant, so that all rows would be one");
        }
        key
    }

    fn column_of(&self, at: usize, column: &Column, transforms: &Transforms, problems: &mut Problems) -> CompiledColumn {
        let target = &column.target;
        let place = |part: &str| format!("columns[{at}]{part}");
        if target.trim().is_empty() {
            problems.add(place(".target"), "a column has no target");
        }
        let mut inputs: Vec<Input> = Vec::new();
        if let Some(source) = &column.source {
            inputs.push(Input::Fields(vec![source.clone()]));
        }
        if !column.sources.is_empty() {
            inputs.push(Input::Fields(column.sources.clone()));
        }
        if let Some(value) = &column.value {
            if holds_fraction(value) {
                let text = format!("the value of {target:?} has a binary fraction; write it as text and add the transform \"number\"");
                problems.add(place(".value"), text);
            }
            inputs.push(Input::Constant(value.to_string().into()));
        }
        if let Some(members) = &column.object {
            if members.is_empty() {
                problems.add(place(".object"), format!("the object of {target:?} has no members"));
            }
            inputs.push(Input::Object(members.iter().map(|(m, field)| (Value::from(&**m).to_string().into(), field.clone())).collect()));
        }
        if inputs.len() > 1 {
            problems.add(place(""), format!("column {target:?} has more than one of source, sources, value and object"));
        }
        let input = inputs.pop().unwrap_or(Input::Nothing);
        if matches!(input, Input::Nothing) && column.authority != Authority::Derived {
            problems.add(place(""), format!("column {target:?} has none of source, sources, value and object"));
        }
        if input.fields().any(str::is_empty) {
            problems.add(place(""), format!("column {target:?} names a source without a name"));
        }
        if column.authority == Authority::Derived && column.required {
            problems.add(place(".required"), format!("column {target:?} is derived, which no sync writes, and cannot be required"));
        }
        let mut steps = Vec::with_capacity(column.transforms.len());
        for (nth, step) in column.transforms.iter().enumerate() {
            let place = place(&format!(".transforms[{nth}]"));
            if !transforms.names().any(|known| *known == *step.name) {
                let hint = match likely_of(&step.name, transforms.names()) {
                    Some(likely) => format!("did you mean {likely:?}?"),
                    None => format!("there are: {}", transforms.names().collect::<Vec<_>>().join(", ")),
                };
                problems.hinted(place, format!("column {target:?}: no transform is named {:?}", step.name), hint);
                continue;
            }
            match transforms.build(step) {
                Ok(transform) => steps.push((step.name.clone(), transform)),
                Err(error) => problems.add(place, format!("column {target:?}: {}", error.text())),
            }
        }
        CompiledColumn {
            at,
            input,
            target: target.clone(),
            key: column.key,
            rule: FieldRule { authority: column.authority, priority: column.priority },
            required: column.required,
            optional: column.optional,
            on_error: column.on_error.unwrap_or(self.contract.values),
            nulls: column.null_policy.unwrap_or(self.null_policy),
            steps,
            sensitive: column.sensitive,
        }
    }

    /// The computed fields; each may read the columns' and those before it.
    fn computed_of(&self, columns: &[CompiledColumn], problems: &mut Problems) -> Vec<CompiledComputed> {
        let written = columns.iter().filter(|column| column.rule.authority != Authority::Derived);
        let mut known: Vec<&str> = written.map(|column| &*column.target).collect();
        let mut compiled = Vec::with_capacity(self.computed.len());
        for (at, computed) in self.computed.iter().enumerate() {
            let Computed { target, expression: text, required, priority, on_error, sensitive } = computed;
            if target.trim().is_empty() {
                problems.add(format!("computed[{at}].target"), "a computed field has no target");
            }
            match Expression::compile(text, &known) {
                Ok(expression) => compiled.push(CompiledComputed {
                    at,
                    target: target.clone(),
                    rule: FieldRule { authority: Authority::SourceOfTruth, priority: *priority },
                    required: *required,
                    on_error: on_error.unwrap_or(self.contract.values),
                    nulls: self.null_policy,
                    text: text.clone(),
                    expression,
                    sensitive: *sensitive,
                }),
                Err(wrong) => {
                    for wrong in wrong {
                        let place = format!("computed[{at}].expression");
                        let text = format!("the expression of {target:?} {}", wrong.problem);
                        match wrong.hint {
                            Some(hint) => problems.hinted(place, text, hint),
                            None => problems.add(place, text),
                        }
                    }
                }
            }
            known.push(target);
        }
        compiled
    }
}

/// Whether a constant holds a number that went through a binary fraction and may have lost digits.
fn holds_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().is_none() && number.as_u64().is_none(),
        Value::Array(values) => values.iter().any(holds_fraction),
        Value::Object(members) => members.values().any(holds_fraction),
        _ => false,
    }
}
