//! Which fields of a mapping hold what is nobody's business.

use std::collections::BTreeSet;

use super::{CompiledMapping, apply::quoted, compiled::CompiledColumn, expression::Read};
use crate::Field;

/// What a failure says in the place of a sensitive value.
pub(super) const SENSITIVE: &str = "a sensitive value";

impl CompiledMapping {
    /// The fields of the target whose values are nobody's business: those the mapping marks, those that read a field the stream marks, and
    /// computed ones that read any of these, unless the mapping says that they are not. Keys never are.
    #[must_use]
    pub fn sensitive(&self, source: &[Field]) -> BTreeSet<&str> {
        let columns = self.columns.iter().filter(|column| self.hides(column, source));
        let mut sensitive: BTreeSet<&str> = columns.map(|column| &*column.target).collect();
        let secret = |name: &str| {
            let reads = |column: &CompiledColumn| column.sensitive == Some(true) && column.input.fields().any(|read| *read == *name);
            marked(source, name) || self.columns.iter().any(reads)
        };
        for computed in &self.computed {
            let reads = |read: &Read| match read {
                Read::Field(name) => sensitive.contains(&**name),
                Read::Source(name) => secret(name),
            };
            if computed.sensitive.unwrap_or_else(|| computed.expression.reads.iter().any(reads)) {
                sensitive.insert(&computed.target);
            }
        }
        sensitive
    }

    /// The same mapping with what the stream says of its fields written into it, for the way back, which is told nothing of the stream.
    #[must_use]
    pub fn with_sensitive(&self, source: &[Field]) -> Self {
        let mut this = self.clone();
        for column in &mut this.columns {
            column.sensitive = Some(self.hides(column, source));
        }
        this
    }

    /// Whether the values of a column are nobody's business.
    pub(super) fn hides(&self, column: &CompiledColumn, source: &[Field]) -> bool {
        let named = || column.input.fields().any(|name| marked(source, name));
        !column.key && column.sensitive.unwrap_or_else(named)
    }
}

impl CompiledColumn {
    /// A value as a failure of the way back quotes it.
    pub(super) fn quoted(&self, json: Option<&str>) -> String {
        if self.sensitive == Some(true) { SENSITIVE.into() } else { quoted(json) }
    }
}

fn marked(source: &[Field], name: &str) -> bool {
    source.iter().any(|field| field.sensitive && *field.name == *name)
}
