//! Whether a transaction pooler lends the connections: then one connection of ours is not always the same session of the server.

use sqlx::{Error as Sql, PgConnection, query_scalar};

use super::Report;
use crate::{source::Opened, storage::Settings, tx::raw};

pub(super) async fn look(report: &mut Report, settings: &Settings, first: &mut Opened, second: &mut Opened) {
    match lent(first, second).await {
        Ok(true) if settings.pooler => report.ok("pooler", "a transaction pooler lends the connections, and the settings are for one"),
        Ok(true) => report.error(
            "pooler",
            "a transaction pooler lends the connections: statements that were named in one session are not known in the next",
            "say so (behind_transaction_pooler, or --pooler), or connect to the server itself",
        ),
        Ok(false) if settings.pooler => {
            report.ok("pooler", "no transaction pooler seen: its settings do no harm, and cost a few per cent");
        }
        Ok(false) => report.ok("pooler", "no transaction pooler"),
        Err(_) => report.unseen("pooler", "whether a pooler lends the connections could not be found out"),
    }
}

/// Takes turns in two transactions, and ends them in both orders: a server session that stays the same through it is ours alone, one that
/// a pooler lends comes back in the other's place.
async fn lent(first: &mut PgConnection, second: &mut PgConnection) -> Result<bool, Sql> {
    let mut seen = Vec::new();
    for second_ends_last in [true, false] {
        raw(first, "BEGIN READ ONLY").await?;
        raw(second, "BEGIN READ ONLY").await?;
        seen.push((session(first).await?, session(second).await?));
        let (sooner, later) = if second_ends_last { (&mut *first, &mut *second) } else { (&mut *second, &mut *first) };
        raw(sooner, "ROLLBACK").await?;
        raw(later, "ROLLBACK").await?;
    }
    raw(first, "BEGIN READ ONLY").await?;
    seen.push((session(first).await?, seen[0].1));
    raw(first, "ROLLBACK").await?;
    Ok(seen.iter().any(|pair| *pair != seen[0]))
}

async fn session(connection: &mut PgConnection) -> Result<i32, Sql> {
    query_scalar("SELECT pg_backend_pid()").persistent(false).fetch_one(connection).await
}
