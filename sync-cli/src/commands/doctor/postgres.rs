//! A server: what the storage's own doctor says of it.

use serde_json::json;
use syncline::storage::postgres::{self, Report};

use super::{Finding, Level, Told, bytes};
use crate::{
    config::Config,
    database::ServerUrl,
    exit::Done,
    output::number,
    storage::postgres::{advised, builder},
};

pub(super) async fn look(config: &Config, url: &ServerUrl) -> Done<Told> {
    let report = builder(config, url).doctor().await.map_err(|error| advised(&error))?;
    Ok(told(report))
}

fn told(report: Report) -> Told {
    let facts = json!({
        "storage": "postgres",
        "schema": report.schema,
        "row_security": report.row_security,
        "server": report.server,
        "version": report.version,
        "newest": report.newest,
        "clock_ahead": report.clock_ahead,
        "tables": report.tables,
    });
    let tables = report.tables.iter().map(|table| {
        let rows = table.rows.map_or_else(|| "–".to_owned(), number);
        vec![table.table.clone(), rows, bytes(table.bytes), bytes(table.index_bytes)]
    });
    let tables = tables.collect();
    let findings = report.findings.into_iter().map(|finding| Finding {
        check: finding.check,
        level: match finding.level {
            postgres::Level::Ok => Level::Ok,
            postgres::Level::Unseen => Level::Unseen,
            postgres::Level::Warning => Level::Warning,
            postgres::Level::Error => Level::Error,
        },
        found: finding.found,
        to_do: finding.to_do,
    });
    Told { findings: findings.collect(), tables, facts }
}
