//! The roles a provider can play.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{
    Account, CampaignPlatformAdapter, Descriptor, Error, Found, OAuthProvider, Partitions, Passthrough, PullPage, PullRequest, PushBatch,
    PushOutcome, Result, Stream, StreamName, SyncContext,
};

/// A service that records come from and go to. One value serves every connection; it holds no credential and no state a
/// connection depends on.
///
/// What callers may assume: every method may be called at any time from any number of tasks. What authors must do: make each
/// call through [`SyncContext::services`](crate::Services) for token, quota and clock (the crate `sync-http` does all of it), and
/// answer [`Error::unsupported`] for what the descriptor does not declare.
#[async_trait]
pub trait IntegrationSync: Debug + Send + Sync + 'static {
    /// Identity, abilities, limits. No I/O; the same answer every time.
    fn descriptor(&self) -> &Descriptor;

    /// One cheap call that proves the credentials and says whose they are. Changes nothing.
    ///
    /// # Errors
    /// [`Auth`](crate::ErrorKind::Auth) when they are refused, [`Config`](crate::ErrorKind::Config) when a setting is missing or
    /// wrong, naming it.
    async fn validate_credentials(&self, cx: &SyncContext) -> Result<Account>;

    /// The streams this account offers, fields included where the service tells them.
    async fn streams(&self, cx: &SyncContext) -> Result<Vec<Stream>>;

    /// The parts of a stream as they are now; [`Partitions::whole`] when it has none.
    async fn partitions(&self, cx: &SyncContext, stream: &StreamName) -> Result<Partitions>;

    /// Fetches the page after `request.after`. Changes nothing, so it may be repeated.
    ///
    /// # Errors
    /// An answer that cannot be read in full is [`Decode`](crate::ErrorKind::Decode), never an empty page: a missing records key, a
    /// cut body, HTML. Unreadable single records go into [`PullPage::failures`].
    ///
    /// # Cancellation
    /// May be dropped at any await.
    async fn pull(&self, cx: &SyncContext, request: &PullRequest) -> Result<PullPage>;

    /// Writes one batch and answers one outcome per item, in their order. What the service takes one by one is written one by one; an
    /// item that fails does not stop the others.
    ///
    /// # Errors
    /// Only when nothing was written, or when its [`delivery`](Error::delivery) is unknown: then each item counts as
    /// [`Unknown`](PushOutcome::Unknown). A batch that is refused as [`Invalid`](crate::ErrorKind::Invalid) as a whole is split by the
    /// caller down to the bad record. [`Unsupported`](crate::ErrorKind::Unsupported) unless the descriptor says push.
    ///
    /// # Cancellation
    /// Runs on a task of its own and is never dropped.
    async fn push(&self, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<PushOutcome>> {
        let _ = (cx, batch);
        Err(Error::unsupported("push"))
    }

    /// Looks for items whose answer was lost, one answer per item, in their order. Changes nothing, so it may be repeated.
    ///
    /// # Errors
    /// When it could not look; an error is never [`Nothing`](Found::Nothing).
    async fn find(&self, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<Found>> {
        let _ = cx;
        Ok(vec![Found::CannotTell; batch.items.len()])
    }

    /// What became of items that were [`Pending`](PushOutcome::Pending), by their handles, in their order. Changes nothing.
    async fn outcomes(&self, cx: &SyncContext, stream: &StreamName, handles: &[Box<str>]) -> Result<Vec<PushOutcome>> {
        let _ = (cx, stream, handles);
        Err(Error::unsupported("outcomes"))
    }

    /// The campaign side of this provider, if it has one.
    fn as_campaign_platform(&self) -> Option<&dyn CampaignPlatformAdapter> {
        None
    }

    /// The OAuth side of this provider, if it has one.
    fn as_oauth(&self) -> Option<&dyn OAuthProvider> {
        None
    }

    /// Calls of the host's own, for what no stream covers, if the provider lets them through.
    fn as_passthrough(&self) -> Option<&dyn Passthrough> {
        None
    }
}

const _: Option<&dyn IntegrationSync> = None;
