//! Carrying the steps out: changed rows, then deletes, then new rows, each in one call.

use sync_core::{Delivery, Error, ErrorKind, PushOutcome, Result, Retry, SyncContext};

use super::{
    OPERATION,
    calls::Block,
    plan::Step,
    table::{Table, Target},
    value::Cell,
};
use crate::{a1, api::SheetsApi, map::Key};

/// A push under way.
pub(super) struct Writing<'a> {
    pub(super) api: &'a SheetsApi,
    pub(super) cx: &'a SyncContext,
    pub(super) target: Target<'a>,
    pub(super) table: &'a Table,
    /// Something was written, or may have been: from here on every item has an outcome of its own.
    begun: bool,
    /// Why nothing more is sent.
    stopped: bool,
    /// The rows do not stand where they were read.
    moved: bool,
    outcomes: Vec<Option<PushOutcome>>,
}

/// An item's place in the batch, its row, its key and its cells.
type Change<'a> = (usize, u64, String, Vec<(usize, Cell<'a>)>);

/// An item's place in the batch, its key and its cells.
type New<'a> = (usize, String, Vec<(usize, Cell<'a>)>);

impl<'a> Writing<'a> {
    pub(super) fn new(api: &'a SheetsApi, cx: &'a SyncContext, target: Target<'a>, table: &'a Table) -> Self {
        Self { api, cx, target, table, begun: false, stopped: false, moved: false, outcomes: Vec::new() }
    }

    /// Writes everything; one outcome per step, in their order.
    ///
    /// # Errors
    /// Only when nothing was written.
    pub(super) async fn run(mut self, steps: Vec<Step<'_>>) -> Result<Vec<PushOutcome>> {
        let (mut changes, mut gone, mut new) = (Vec::new(), Vec::new(), Vec::new());
        for (at, step) in steps.into_iter().enumerate() {
            self.outcomes.push(None);
            match step {
                Step::Done(outcome) => self.outcomes[at] = Some(outcome),
                Step::Update { row, key, cells } => changes.push((at, row, key, cells)),
                Step::Delete { row, key } => gone.push((at, row, key)),
                Step::Append { key, cells } => new.push((at, key, cells)),
            }
        }
        // Deletes go by row number, and new rows move the numbers below them: so deletes come first.
        self.change(changes).await?;
        self.delete(gone).await?;
        self.add(new).await?;
        let lost = || PushOutcome::Failed(Error::new(ErrorKind::Internal, OPERATION, "an item was forgotten"));
        Ok(self.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(lost)).collect())
    }

    async fn change(&mut self, mut changes: Vec<Change<'_>>) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        changes.sort_by_key(|(_, row, ..)| *row);
        // Each range reaches over the key columns, which are not written but come back with the answer.
        let (first, last) = self.table.span();
        let columns = |cells: &[(usize, Cell<'_>)]| {
            let (low, high) = (cells.first().map_or(first, |(column, _)| *column), cells.last().map_or(last, |(column, _)| *column));
            (low.min(first), high.max(last))
        };
        let runs: Vec<&[Change<'_>]> = changes.chunk_by(|one, next| one.1 + 1 == next.1 && columns(&one.3) == columns(&next.3)).collect();
        let blocks: Vec<Block<'_>> = runs
            .iter()
            .map(|run| {
                let span = columns(&run[0].3);
                let rows = (run[0].1, run[run.len() - 1].1);
                let values = run.iter().map(|(.., cells)| spread(cells, span)).collect();
                Block { range: a1::cells(self.target.tab, span, rows), values }
            })
            .collect();
        let table = self.table;
        let keys = self.api.update(self.cx, &self.target.settings.spreadsheet_id, &blocks, |read| {
            let of_run = |(run, rows): (&&[Change<'_>], Vec<Vec<_>>)| {
                let from = columns(&run[0].3).0;
                let rows = (0..run.len()).map(|n| rows.get(n).cloned().unwrap_or_default()).collect::<Vec<_>>();
                table.keys(from, rows.iter().map(Vec::as_slice))
            };
            runs.iter().zip(read).flat_map(of_run).collect::<Vec<Key>>()
        });
        let keys = match keys.await {
            Ok(keys) => keys,
            Err(error) => return self.failed(changes.iter().map(|(at, ..)| *at).collect(), error),
        };
        self.begun = true;
        for ((at, row, key, cells), now) in changes.iter().zip(keys) {
            let outcome = if now == Key::Text(key.clone()) {
                PushOutcome::updated(key.as_str())
            } else {
                self.moved = true;
                PushOutcome::Failed(self.overwritten(*row, key, &now, cells))
            };
            self.outcomes[*at] = Some(outcome);
        }
        Ok(())
    }

    /// Somebody moved rows between our look and our write.
    fn overwritten(&self, row: u64, key: &str, now: &Key, cells: &[(usize, Cell<'_>)]) -> Error {
        let columns: Vec<String> = cells.iter().map(|(column, _)| a1::letters(*column)).collect();
        let holds = match now {
            Key::Text(other) => format!("now holds {other:?}"),
            Key::Blank(_) | Key::Failed(_) => "has no key now".to_owned(),
        };
        let text = format!(
            "rows were moved while this was written: row {row} held {key:?} and {holds}, and its cells in column {} were overwritten; put them \
             right there. The record is sent again",
            columns.join(", ")
        );
        Error::new(ErrorKind::Conflict, OPERATION, text).with_retry(Retry::After(None)).at("tab", self.target.tab)
    }

    async fn delete(&mut self, mut gone: Vec<(usize, u64, String)>) -> Result<()> {
        let ats: Vec<usize> = gone.iter().map(|(at, ..)| *at).collect();
        if gone.is_empty() || self.held_back(&ats) {
            return Ok(());
        }
        if self.moved {
            let text = "rows were moved while the batch was written, so that nothing was deleted; it is done again";
            let error = Error::new(ErrorKind::Conflict, OPERATION, text).with_retry(Retry::After(None)).with_delivery(Delivery::NotSent);
            self.all_failed(&ats, &error, false);
            return Ok(());
        }
        let Some((sheet, rows)) = self.table.sheet else {
            return Err(Error::new(ErrorKind::Internal, OPERATION, "the tab's number was not read"));
        };
        // From the bottom up, so that each delete leaves the numbers above it as they are.
        gone.sort_by_key(|(_, row, _)| std::cmp::Reverse(*row));
        let mut requests = Vec::new();
        if gone.len() as u64 >= rows.saturating_sub(self.target.header_row()) {
            // A tab keeps at least one row that is not frozen.
            requests.push(serde_json::json!({"appendDimension": {"sheetId": sheet, "dimension": "ROWS", "length": 1}}));
        }
        for run in gone.chunk_by(|one, next| one.1 == next.1 + 1) {
            let (start, end) = (run[run.len() - 1].1 - 1, run[0].1);
            let range = serde_json::json!({"sheetId": sheet, "dimension": "ROWS", "startIndex": start, "endIndex": end});
            requests.push(serde_json::json!({"deleteDimension": {"range": range}}));
        }
        let (span, table) = (self.table.span(), self.table);
        let range = a1::down(self.target.tab, span, self.target.header_row());
        let id = &self.target.settings.spreadsheet_id;
        let left = self.api.restructure(self.cx, id, requests, &range, |rows| table.keys(span.0, rows.iter().map(Vec::as_slice).skip(1)));
        let left = match left.await {
            Ok(left) => left.into_iter().filter_map(|key| if let Key::Text(key) = key { Some(key) } else { None }),
            Err(error) => return self.failed(ats, error),
        };
        let left: std::collections::HashSet<String> = left.collect();
        self.begun = true;
        for (at, row, key) in gone {
            self.outcomes[at] = Some(if left.contains(&key) {
                let text = format!(
                    "rows were moved while row {row} was deleted, which had held {key:?}: another row is gone in its place; bring it back from \
                     the spreadsheet's version history. The delete is sent again"
                );
                PushOutcome::Failed(
                    Error::new(ErrorKind::Conflict, OPERATION, text).with_retry(Retry::After(None)).at("tab", self.target.tab),
                )
            } else {
                PushOutcome::deleted(key)
            });
        }
        Ok(())
    }

    async fn add(&mut self, new: Vec<New<'_>>) -> Result<()> {
        let ats: Vec<usize> = new.iter().map(|(at, ..)| *at).collect();
        if new.is_empty() || self.held_back(&ats) {
            return Ok(());
        }
        let width = self.table.header.names().len();
        let rows: Vec<Vec<Cell<'_>>> = new.iter().map(|(.., cells)| spread(cells, (0, width - 1))).collect();
        let corner = a1::corner(self.target.tab, self.target.header_row());
        let range = match self.api.append(self.cx, &self.target.settings.spreadsheet_id, &corner, &rows).await {
            Ok(range) => range,
            Err(error) => return self.failed(ats, error),
        };
        self.begun = true;
        if a1::begins_in_column_a(&range) {
            for (at, key, _) in new {
                self.outcomes[at] = Some(PushOutcome::created(key));
            }
        } else {
            // They are written, where no look by key finds them: sent again they would stand there twice. Taking them away again would go
            // by row number, and may meet rows that others have moved there since.
            let text = format!(
                "Sheets took another part of the tab for the table and added the rows at {range}; move them below the table and say that it \
                 is done, or delete them there and have it sent again"
            );
            let error = Error::new(ErrorKind::Conflict, OPERATION, text).with_delivery(Delivery::Unknown);
            self.all_failed(&ats, &error.at("tab", self.target.tab), false);
        }
        Ok(())
    }

    /// Whether an earlier call of this push failed; then these items are not sent.
    fn held_back(&mut self, ats: &[usize]) -> bool {
        if self.stopped {
            let text = "it was not sent, because the call before it failed";
            let error = Error::new(ErrorKind::Transport, OPERATION, text).with_retry(Retry::After(None)).with_delivery(Delivery::NotSent);
            self.all_failed(ats, &error, false);
        }
        self.stopped
    }

    /// A call failed: the batch did, unless something was written or may have been.
    fn failed(&mut self, ats: Vec<usize>, error: Error) -> Result<()> {
        let error = error.at("tab", self.target.tab);
        // An answer that nobody can read says nothing about what was done.
        if error.delivery() == Delivery::Unknown || error.kind() == ErrorKind::Decode {
            ats.iter().for_each(|at| self.outcomes[*at] = Some(PushOutcome::Unknown));
        } else if self.begun {
            // Refused together, they may pass one by one: next time they come without those that are written.
            self.all_failed(&ats, &error, error.kind() == ErrorKind::Invalid && ats.len() > 1);
        } else {
            return Err(error);
        }
        (self.begun, self.stopped) = (true, true);
        Ok(())
    }

    fn all_failed(&mut self, ats: &[usize], error: &Error, again: bool) {
        for at in ats {
            let retry = if again { Retry::After(None) } else { error.retry() };
            let copy =
                Error::new(error.kind(), error.operation(), error.text().to_owned()).with_retry(retry).with_delivery(error.delivery());
            self.outcomes[*at] =
                Some(PushOutcome::Failed(error.context().iter().fold(copy, |copy, (what, which)| copy.at(what, which.as_str()))));
        }
    }
}

/// Cells over a whole span of columns; what is not sent stays as it is.
fn spread<'c>(cells: &[(usize, Cell<'c>)], span: (usize, usize)) -> Vec<Cell<'c>> {
    let mut row = vec![Cell::Keep; span.1 - span.0 + 1];
    for (column, cell) in cells {
        row[column - span.0] = *cell;
    }
    row
}
