//! The mapping as data: what a host writes in TOML, JSON or Rust.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Authority, Contract, NullPolicy, OnError, Step};
use crate::{Duplicates, EntityType, HostTable, StreamName};

/// Which fields of a stream become which fields of an entity type or of a table of the host.
///
/// ```
/// # use sync_core::mapping::{Column, Mapping, Transforms};
/// let partners = Mapping::new("partners", "Partners")
///     .entity("partner")
///     .column(Column::new("Email").to("email").key().then("trim").then("lower"))
///     .column(Column::new("Joined").to("joined_on").then_with("date", serde_json::json!({ "format": "%d/%m/%Y" })));
/// partners.compile(&Transforms::default())?;
/// # Ok::<(), sync_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Mapping {
    /// Its name. Cursors, lineage and `column_mappings` are kept under it: renaming it starts anew.
    pub name: Box<str>,
    /// The stream it reads.
    pub stream: StreamName,
    /// The managed entity type it writes. Either this or `table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<EntityType>,
    /// The table of the host it writes. Its key columns are key columns of the mapping, named there or marked here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<HostTable>,
    /// Which of two records with one key counts; by default what the stream says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<Duplicates>,
    /// What a null of the source does to a stored value, for columns that do not say it themselves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub null_policy: NullPolicy,
    /// What is agreed about the source: new columns, and values that cannot be read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub contract: Contract,
    /// The fields, one by one. Key columns make the key in the order they stand here.
    #[serde(default)]
    pub columns: Vec<Column>,
    /// Fields that are computed from the others, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub computed: Vec<Computed>,
}

impl Mapping {
    /// A mapping of a stream, so far without columns.
    pub fn new(name: impl Into<Box<str>>, stream: impl Into<StreamName>) -> Self {
        Self {
            name: name.into(),
            stream: stream.into(),
            entity: None,
            table: None,
            duplicates: None,
            null_policy: NullPolicy::default(),
            contract: Contract::default(),
            columns: Vec::new(),
            computed: Vec::new(),
        }
    }

    /// Writes a managed entity type.
    #[must_use]
    pub fn entity(mut self, entity: impl Into<EntityType>) -> Self {
        self.entity = Some(entity.into());
        self
    }

    /// Writes a table of the host.
    #[must_use]
    pub fn table(mut self, table: HostTable) -> Self {
        self.table = Some(table);
        self
    }

    /// Sets which of two records with one key counts.
    #[must_use]
    pub fn duplicates(mut self, duplicates: Duplicates) -> Self {
        self.duplicates = Some(duplicates);
        self
    }

    /// Sets what a null of the source does to a stored value.
    #[must_use]
    pub fn null_policy(mut self, null_policy: NullPolicy) -> Self {
        self.null_policy = null_policy;
        self
    }

    /// Sets what is agreed about the source.
    #[must_use]
    pub fn contract(mut self, contract: Contract) -> Self {
        self.contract = contract;
        self
    }

    /// Adds a column.
    #[must_use]
    pub fn column(mut self, column: Column) -> Self {
        self.columns.push(column);
        self
    }

    /// Adds a computed field.
    #[must_use]
    pub fn computed(mut self, computed: Computed) -> Self {
        self.computed.push(computed);
        self
    }
}

/// One field of the target, where its value comes from, and by which rules it is written.
///
/// The value comes from exactly one of `source`, `sources`, `value` and `object`; a derived column needs none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Column {
    /// One field of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Box<str>>,
    /// The first of these fields that has a value; without one, the first that the record has at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Box<str>>,
    /// The same value in every row. Numbers with a fraction are written as text, with the transform `number`, to stay exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// A JSON object: its members by name, each from a field of the record; fields a record does not have are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<BTreeMap<Box<str>, Box<str>>>,
    /// The field of the target.
    pub target: Box<str>,
    /// Whether it is part of the row's key. A row without a value in each key column is skipped with a warning.
    #[serde(default, skip_serializing_if = "is_default")]
    pub key: bool,
    /// What this source is for the field.
    #[serde(default, skip_serializing_if = "is_default")]
    pub authority: Authority,
    /// Among several sources of truth for the field the higher one wins, whatever the order of arrival.
    #[serde(default, alias = "source_priority", skip_serializing_if = "is_default")]
    pub priority: i32,
    /// Whether a row without a value here fails.
    #[serde(default, skip_serializing_if = "is_default")]
    pub required: bool,
    /// Whether the source may lack the field altogether. Otherwise a missing column stops the run before the first row.
    #[serde(default, skip_serializing_if = "is_default")]
    pub optional: bool,
    /// What is done to the value, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<Step>,
    /// What becomes of a row whose value a transform cannot read; by default what the contract says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    /// What a null of the source does to a stored value; by default what the mapping says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_policy: Option<NullPolicy>,
    /// Whether its values are nobody's business: lineage keeps a keyed hash of them, and no failure or plan that is shown quotes them; by
    /// default what the stream says of the fields it reads. A key column cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitive: Option<bool>,
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Column {
    /// The field `source` of the record, written to a field of the same name until [`to`](Self::to) says otherwise.
    pub fn new(source: impl Into<Box<str>>) -> Self {
        let source = source.into();
        Self { target: source.clone(), source: Some(source), ..Self::default() }
    }

    /// The first of several fields that has a value.
    pub fn first_of<S: Into<Box<str>>>(sources: impl IntoIterator<Item = S>) -> Self {
        Self { sources: sources.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The same value in every row.
    pub fn constant(value: impl Into<Value>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// A JSON object made of fields: pairs of a member's name and the field it comes from.
    pub fn object<M: Into<Box<str>>, S: Into<Box<str>>>(members: impl IntoIterator<Item = (M, S)>) -> Self {
        let members = members.into_iter().map(|(member, source)| (member.into(), source.into())).collect();
        Self { object: Some(members), ..Self::default() }
    }

    /// Sets the field of the target.
    #[must_use]
    pub fn to(mut self, target: impl Into<Box<str>>) -> Self {
        self.target = target.into();
        self
    }

    /// Makes it part of the row's key.
    #[must_use]
    pub fn key(mut self) -> Self {
        self.key = true;
        self
    }

    /// Sets what this source is for the field.
    #[must_use]
    pub fn authority(mut self, authority: Authority) -> Self {
        self.authority = authority;
        self
    }

    /// Sets the priority among several sources.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Lets rows without a value fail.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Lets the source lack the field.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Adds a transform without options.
    #[must_use]
    pub fn then(self, transform: impl Into<Box<str>>) -> Self {
        self.then_with(transform, Value::Null)
    }

    /// Adds a transform with its options.
    #[must_use]
    pub fn then_with(mut self, transform: impl Into<Box<str>>, options: Value) -> Self {
        self.transforms.push(Step { name: transform.into(), options });
        self
    }

    /// Sets what becomes of a row whose value a transform cannot read.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = Some(on_error);
        self
    }

    /// Sets what a null of the source does to a stored value.
    #[must_use]
    pub fn null_policy(mut self, null_policy: NullPolicy) -> Self {
        self.null_policy = Some(null_policy);
        self
    }

    /// Says whether its values are nobody's business, whatever the stream says.
    #[must_use]
    pub fn sensitive(mut self, sensitive: bool) -> Self {
        self.sensitive = Some(sensitive);
        self
    }
}

/// A field of the target that is computed for each row, and then written as the source's own value would be.
///
/// ```
/// # use sync_core::mapping::{Column, Computed, Mapping, Transforms};
/// let orders = Mapping::new("orders", "Orders")
///     .entity("order")
///     .column(Column::new("Number").to("number").key())
///     .column(Column::new("Price").to("price_micros").then("currency"))
///     .column(Column::new("Pieces").to("pieces").then("number"))
///     .computed(Computed::new("total_micros", "price_micros * pieces"))
///     .computed(Computed::new("rush", r#"has(source("Due")) && source("Due") == "today""#));
/// orders.compile(&Transforms::default())?;
/// # Ok::<(), sync_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Computed {
    /// The field of the target.
    pub target: Box<str>,
    /// How it is computed: an expression in the syntax of CEL over the fields the mapping made before it. `field("…")` names one that is no
    /// plain word, `source("…")` a field of the record as the source has it.
    pub expression: Box<str>,
    /// Whether a row without a value here fails.
    #[serde(default, skip_serializing_if = "is_default")]
    pub required: bool,
    /// Among several sources of truth for the field the higher one wins, whatever the order of arrival.
    #[serde(default, alias = "source_priority", skip_serializing_if = "is_default")]
    pub priority: i32,
    /// What becomes of a row for which it cannot be computed; by default what the contract says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    /// Whether its values are nobody's business; by default they are when one of the fields it reads is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitive: Option<bool>,
}

impl Computed {
    /// A field that is computed by this expression.
    pub fn new(target: impl Into<Box<str>>, expression: impl Into<Box<str>>) -> Self {
        Self { target: target.into(), expression: expression.into(), ..Self::default() }
    }

    /// Lets rows without a value fail.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Sets the priority among several sources.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets what becomes of a row for which it cannot be computed.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = Some(on_error);
        self
    }

    /// Says whether its values are nobody's business, whatever it reads.
    #[must_use]
    pub fn sensitive(mut self, sensitive: bool) -> Self {
        self.sensitive = Some(sensitive);
        self
    }
}
