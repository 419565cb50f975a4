//! What the host may add to a commit: its own writes, in our transaction.

use std::{error::Error as StdError, fmt, sync::Arc};

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use sync_core::{Counts, EntityType, Error, ErrorKind, WorkspaceId, store::Feed};

use crate::error::Fault;

/// What a hook answers. An error, of whatever type, rolls the commit back.
pub type HookResult = Result<(), Box<dyn StdError + Send + Sync>>;

pub(crate) type Hook = Arc<dyn for<'a> Fn(&'a mut PgConnection, &'a Committed<'a>) -> BoxFuture<'a, HookResult> + Send + Sync>;

/// What is about to be committed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Committed<'a> {
    /// The tenant.
    pub workspace: &'a WorkspaceId,
    /// What is read into what.
    pub feed: &'a Feed,
    /// The entity type.
    pub entity: &'a EntityType,
    /// The table its rows are in, with its schema, as it stands in SQL.
    pub table: &'a str,
    /// What becomes of the records of this transaction; of a sweep only `swept` is set.
    pub counts: &'a Counts,
    /// Keys of the rows that were created or updated.
    pub written: &'a [Box<str>],
    /// Keys of the rows that were deleted.
    pub deleted: &'a [Box<str>],
}

/// The host's hooks, in the order they were added.
#[derive(Clone, Default)]
pub(crate) struct Hooks(pub(crate) Vec<Hook>);

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooks({})", self.0.len())
    }
}

impl Hooks {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Runs the hooks. The transaction has to be in the host's own role and search path then; see
    /// [`Tx::as_host`](crate::tx::Tx::as_host).
    pub(crate) async fn run(&self, connection: &mut PgConnection, committed: &Committed<'_>) -> Result<(), Fault> {
        for hook in &self.0 {
            hook(connection, committed).await.map_err(|error| match error.downcast::<sqlx::Error>() {
                Ok(sql) => Fault::Sql(*sql),
                Err(error) => match error.downcast::<Error>() {
                    Ok(ours) => Fault::Ours(*ours),
                    Err(other) => Fault::Ours(
                        Error::new(ErrorKind::Invalid, "on_commit", "the host's commit hook failed; nothing of the commit was written")
                            .because(other),
                    ),
                },
            })?;
        }
        Ok(())
    }
}
