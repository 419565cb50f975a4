//! Whether a transaction of a run took effect, when the answer to its commit was lost.

use sync_core::{WorkspaceId, store::Fence};

use crate::{
    error::{Db, code},
    tx::Tx,
};

/// What a transaction of a run is known by when the answer to its commit was lost.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) fence: Fence,
    /// The server's own number of it.
    pub(crate) transaction: Box<str>,
    /// Its number in the run.
    pub(crate) number: i64,
}

/// Whether a transaction was committed. One that the server may still be committing is asked for again.
///
/// The run's count alone would not tell: of several transactions of one run another may have taken the number of one that was rolled
/// back. Nor would the transaction's number: a server that took over from one that failed may have given it to another.
pub(crate) async fn has_committed(tx: &mut Tx, workspace: &WorkspaceId, mark: &Mark) -> Db<bool> {
    // The question alone may fail, and the transaction it is asked in has to end well.
    tx.savepoint().await?;
    let status: Result<Option<String>, _> =
        sqlx::query_scalar("SELECT pg_xact_status($1::text::xid8)").bind(&*mark.transaction).fetch_one(&mut **tx).await;
    let status = match status {
        // The server has never heard of it.
        Err(error) if code(&error) == Some("22023") => {
            tx.back().await?;
            return Ok(false);
        }
        status => status?,
    };
    match status.as_deref() {
        Some("aborted") => return Ok(false),
        Some("in progress") => {
            let pending = std::io::Error::new(std::io::ErrorKind::WouldBlock, "the transaction is still being committed");
            return Err(sqlx::Error::Io(pending).into());
        }
        // Committed, or so long ago that only its traces tell.
        _ => {}
    }
    let commits: Option<i64> = sqlx::query_scalar("SELECT commits FROM sync_runs WHERE workspace_id = $1 AND id = $2 AND lease_token = $3")
        .bind(workspace.as_str())
        .bind(mark.fence.run.0)
        .bind(mark.fence.token)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(commits.is_some_and(|commits| commits >= mark.number))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use sync_core::RunId;
    use sync_testkit::postgres::TestDatabase;

    use super::*;
    use crate::{
        PostgresStorage,
        tx::{Door, Repeat},
    };

    #[tokio::test]
    async fn a_transaction_that_the_server_never_heard_of_did_not_take_effect() {
        let database = TestDatabase::create().await;
        let storage = PostgresStorage::builder(database.url()).max_connections(2).open().await.expect("opens");
        let inner = Arc::clone(&storage.0);
        // As when a server that took over has not had the last transactions of the one that failed.
        let mark = Mark { fence: Fence { run: RunId(1), token: 1 }, transaction: "9000000000".into(), number: 1 };
        let asked = inner.run("ask", Door::Workspace("acme".into()), Repeat::Always, move |tx| {
            let mark = mark.clone();
            async move { has_committed(tx, &"acme".into(), &mark).await }.boxed()
        });
        assert!(!asked.await.expect("the question is answered, and its transaction ends well"));
    }
}
