//! Looking for what may have been written.

use sync_core::{Error, ErrorKind, Found, Operation, PushItem, RecordId, Result, Retry, SyncContext};

use super::{
    OPERATION,
    plan::{self, Draft},
    table::{Table, Target},
};
use crate::{
    a1,
    api::{self, SheetsApi},
    map::Key,
};

/// What stands in the sheet of each item.
pub(super) async fn find(api: &SheetsApi, cx: &SyncContext, target: Target<'_>, table: &Table, items: &[PushItem]) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    // Rows to compare: the item's place, its row, what was sent.
    let mut rows: Vec<(usize, u64, Draft<'_>)> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        // What is refused before it is sent has never been written.
        let Ok(draft) = plan::draft(table, item) else {
            found.push(Found::Nothing);
            continue;
        };
        found.push(match (table.rows(&draft.key), item.operation) {
            ([], _) if table.unreadable.is_some() => Found::CannotTell,
            ([], _) => Found::Nothing,
            ([_], Operation::Delete) => Found::Sent { id: RecordId::from(draft.key), version: None },
            ([row], Operation::Upsert) => {
                let other = Found::Other { id: RecordId::from(draft.key.as_str()), version: None };
                rows.push((at, *row, draft));
                other
            }
            (several, _) => Found::Several(u32::try_from(several.len()).unwrap_or(u32::MAX)),
        });
    }
    rows.sort_by_key(|(_, row, _)| *row);
    let width = table.header.names().len();
    let runs: Vec<&[(usize, u64, Draft<'_>)]> = rows.chunk_by(|one, next| one.1 + 1 == next.1).collect();
    let ranges: Vec<String> = runs.iter().map(|run| a1::cells(target.tab, (0, width - 1), (run[0].1, run[run.len() - 1].1))).collect();
    let mut runs = runs.into_iter();
    for call in api::calls(&ranges) {
        let asked: Vec<&[(usize, u64, Draft<'_>)]> = runs.by_ref().take(call.len()).collect();
        let equal = api
            .values(cx, &target.settings.spreadsheet_id, call, |_, read| {
                let mut equal = Vec::new();
                for (run, read) in asked.iter().zip(read) {
                    for (n, (at, row, draft)) in run.iter().enumerate() {
                        let cells = read.get(n).map(Vec::as_slice).unwrap_or_default();
                        if table.keys(0, std::iter::once(cells)) != [Key::Text(draft.key.clone())] {
                            let text = format!("row {row} was moved while it was looked for");
                            return Err(Error::new(ErrorKind::Conflict, OPERATION, text).with_retry(Retry::After(None)));
                        }
                        let mut sent = draft.cells.iter().filter(|(column, _)| !table.key().contains(column));
                        equal.push((*at, sent.all(|(column, cell)| cell.stands_in(cells.get(*column).copied()))));
                    }
                }
                Ok(equal)
            })
            .await?;
        for (at, equal) in equal {
            if let (Found::Other { id, .. }, true) = (&found[at], equal) {
                found[at] = Found::Sent { id: id.clone(), version: None };
            }
        }
    }
    Ok(found)
}
