//! Deleting everything there is of a workspace, in batches: other tenants' writers get their turn, and no deadline is met.

use std::sync::Arc;

use futures_util::FutureExt as _;
use sqlx::AssertSqlSafe;
use sync_core::{Error, ErrorKind, Result, WorkspaceId};

use crate::{
    error::{Db, Fault, code},
    name::quoted,
    storage::Inner,
    tx::{Door, Repeat, Tx},
};

/// Rows that go in one transaction.
const AT_ONCE: i64 = 10_000;

/// How often the tables are gone through before it is given up: others were writing each time.
const PASSES: u32 = 16;

/// Deletes it from every table of ours; answers how many rows went. One that was stopped may be repeated.
///
/// Whoever writes just now (an authorization that is finished, an activity that is logged) may write behind us, so the tables are gone through
/// until nothing is left in any of them.
pub(crate) async fn erase(inner: &Arc<Inner>, workspace: &WorkspaceId) -> Result<u64> {
    let mut gone = 0;
    for _ in 0..PASSES {
        match pass(inner, workspace).await? {
            0 => return Ok(gone),
            some => gone += some,
        }
    }
    let text = format!("others keep writing rows of workspace {workspace}, so that it is never empty; stop them, then erase again");
    Err(Error::new(ErrorKind::Conflict, "erase", text))
}

/// Goes through all tables once.
async fn pass(inner: &Arc<Inner>, workspace: &WorkspaceId) -> Result<u64> {
    let door = Door::Workspace(workspace.clone());
    let whose = workspace.clone();
    let begun = inner.run("erase", door.clone(), Repeat::Always, move |tx| {
        let whose = whose.clone();
        async move { begin(tx, &whose).await }.boxed()
    });
    let mut left = begun.await?;
    let mut gone = 0;
    while !left.is_empty() {
        let before = left.len();
        let mut held = Vec::new();
        for table in left {
            match whole(inner, workspace, &table).await? {
                Some(rows) => gone += rows,
                // Rows of another table refer to it; those go first.
                None => held.push(table),
            }
        }
        if held.len() == before {
            let text = format!("rows of {} are referred to by tables that are not ours; delete those first", held.join(", "));
            return Err(Error::new(ErrorKind::Conflict, "erase", text));
        }
        left = held;
    }
    Ok(gone)
}

/// Refuses while a run is under way, and lets none begin: without credentials no provider is called. Answers the tables.
async fn begin(tx: &mut Tx, workspace: &WorkspaceId) -> Db<Vec<String>> {
    let running = "SELECT true FROM sync_runs WHERE workspace_id = $1 AND status = 'running' AND lease_until > clock() LIMIT 1";
    let running: Option<bool> = sqlx::query_scalar(running).bind(workspace.as_str()).fetch_optional(&mut **tx).await?;
    if running.is_some() {
        let text = format!("a run of workspace {workspace} is under way; stop it, then erase again. Nothing was deleted");
        return Err(Error::new(ErrorKind::Conflict, "erase", text).into());
    }
    let stop = "UPDATE integration_connections SET status = 'disconnected', credentials_encrypted = NULL, refresh_token_encrypted = NULL, \
                token_version = token_version + 1 WHERE workspace_id = $1";
    sqlx::query(stop).bind(workspace.as_str()).execute(&mut **tx).await?;
    let tables = "SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
                  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
                  AND a.attname = 'workspace_id' AND NOT a.attisdropped ORDER BY c.relname";
    Ok(sqlx::query_scalar(tables).fetch_all(&mut **tx).await?)
}

/// Deletes the workspace's rows of one table; `None` when others refer to them.
async fn whole(inner: &Arc<Inner>, workspace: &WorkspaceId, table: &str) -> Result<Option<u64>> {
    let mut gone = 0;
    loop {
        let sql = format!(
            "DELETE FROM {0} WHERE ctid = ANY (ARRAY (SELECT ctid FROM {0} WHERE workspace_id = $1 LIMIT {AT_ONCE}))",
            quoted(table)
        );
        let (whose, door) = (workspace.clone(), Door::Workspace(workspace.clone()));
        let some = inner.run("erase", door, Repeat::Always, move |tx| {
            let (whose, sql) = (whose.clone(), sql.clone());
            async move {
                let done = sqlx::query(AssertSqlSafe(sql)).bind(whose.as_str()).persistent(false).execute(&mut **tx).await;
                match done {
                    Ok(done) => Ok(done.rows_affected()),
                    Err(error) if code(&error) == Some("23503") => Err(Fault::Ours(referred())),
                    Err(error) => Err(error.into()),
                }
            }
            .boxed()
        });
        match some.await {
            Ok(0) => return Ok(Some(gone)),
            Ok(some) => gone += some,
            Err(error) if error.operation() == REFERRED => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// Says inside this module that rows are referred to.
const REFERRED: &str = "erase: referred to";

fn referred() -> Error {
    Error::new(ErrorKind::Conflict, REFERRED, "rows of other tables refer to these")
}
