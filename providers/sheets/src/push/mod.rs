//! Writing rows by their keys.

mod calls;
mod find;
mod lock;
mod plan;
mod table;
mod value;
mod write;

use sync_core::{Delivery, Found, Operation, PushBatch, PushOutcome, Result, SyncContext};

pub(crate) use self::lock::Writers;
use self::{
    table::{Table, Target},
    write::Writing,
};
use crate::{Settings, api::SheetsApi};

const OPERATION: &str = "sheets.push";

/// Writes a batch: changed cells of known rows, deletes, new rows.
pub(crate) async fn push(api: &SheetsApi, writers: &Writers, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<PushOutcome>> {
    let settings = Settings::of(cx)?;
    let tab = batch.stream.as_str();
    let key = settings.key(tab, &batch.key);
    let target = Target { settings: &settings, tab, key: &key };
    let deletes = batch.items.iter().any(|item| item.operation == Operation::Delete);
    let mut turn = writers.turn(&settings.spreadsheet_id).await;
    let table = Table::read(api, cx, target, turn.get(tab).copied(), deletes).await;
    // Whatever became of a read: nothing was written.
    let table = table.map_err(|error| error.with_delivery(Delivery::NotSent).at("tab", tab))?;
    turn.insert(tab.into(), table.span());
    let steps = plan::steps(&table, batch.mode, &batch.items);
    Writing::new(api, cx, target, &table).run(steps).await
}

/// Looks for what a batch may have written.
pub(crate) async fn find(api: &SheetsApi, writers: &Writers, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<Found>> {
    let settings = Settings::of(cx)?;
    let tab = batch.stream.as_str();
    let key = settings.key(tab, &batch.key);
    let target = Target { settings: &settings, tab, key: &key };
    let table =
        Table::read(api, cx, target, writers.guess(&settings.spreadsheet_id, tab), false).await.map_err(|error| error.at("tab", tab))?;
    find::find(api, cx, target, &table, &batch.items).await.map_err(|error| error.at("tab", tab))
}
