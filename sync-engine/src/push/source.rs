//! Rows of the host's own, for pushes of whole tables.

use std::{fmt::Debug, future::Future};

use async_trait::async_trait;
use sync_core::{Error, ErrorKind, Result, WorkspaceId};

use super::PushRecord;

/// One page of a host's rows.
#[derive(Clone, Debug, Default)]
pub struct SourcePage {
    /// The rows.
    pub records: Vec<PushRecord>,
    /// Where to go on; `None` at the end.
    pub after: Option<Box<str>>,
}

/// Answers rows of the host page by page, so that a push never holds a whole table. One value serves every workspace.
#[async_trait]
pub trait RecordSource: Debug + Send + Sync + 'static {
    /// Contacts that belong to a workspace as a whole.
    ///
    /// # Errors
    /// Whatever the host says; the run stops with it.
    async fn workspace_contacts(&self, workspace: &WorkspaceId, after: Option<&str>) -> Result<SourcePage>;

    /// Rows of one of the host's tables. A push may read them twice.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a table there is not.
    async fn app_contacts(&self, workspace: &WorkspaceId, table: &str, after: Option<&str>) -> Result<SourcePage>;
}

const _: Option<&dyn RecordSource> = None;

/// All pages, one after the other.
pub(crate) async fn all_pages<F: Future<Output = Result<SourcePage>>>(page: impl Fn(Option<Box<str>>) -> F) -> Result<Vec<PushRecord>> {
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let next = page(after.clone()).await?;
        records.extend(next.records);
        match next.after {
            None => return Ok(records),
            same if same == after => return Err(circle()),
            further => after = further,
        }
    }
}

/// A page leads back to itself.
pub(crate) fn circle() -> Error {
    Error::new(ErrorKind::Config, "source", "the host's source answers the same page again and again")
}
