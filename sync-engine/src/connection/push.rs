//! Writing to the service.

use sync_core::{
    Direction, Error, ErrorKind, PassthroughAnswer, PassthroughRequest, Result, Services as _, StreamName, SyncResult,
    store::{IntentFilter, NewActivity},
};

use super::Connection;
use crate::{
    Push, PushRecord, RecordSource, Resolution, Unconfirmed,
    push::{self, all_pages},
};

impl Connection {
    /// Writes rows to a stream: those that differ from what the service has accepted.
    ///
    /// Each write is kept as an intent before it leaves, until the service has confirmed it. One whose answer was lost is looked for
    /// and sent again only when it surely did not arrive; what cannot be told stays visible ([`unconfirmed`](Self::unconfirmed)).
    /// Each outcome is durable before the next batch leaves. A push that is repeated sends nothing.
    ///
    /// A run that began always answers a [`SyncResult`]; one that stopped has `success() == false`, and the next push goes on with
    /// what was not sent.
    ///
    /// # Errors
    /// When no run could begin: the connection is switched off or no source was given ([`Config`](ErrorKind::Config)), another run of
    /// the same stream is under way ([`Conflict`](ErrorKind::Conflict)), the database refuses.
    ///
    /// # Cancellation
    /// Dropping the future ends the run as `cancelled`. A call that is under way goes on to its end and its outcomes are stored;
    /// nothing more is sent.
    pub async fn sync_to_external(&self, push: Push) -> Result<SyncResult> {
        let started = self.services.now();
        if !self.provider.descriptor().capabilities.push {
            let error = Error::unsupported("push").at("provider", self.integration_name());
            return Ok(SyncResult::failed(Direction::ToExternal, &error, started, started));
        }
        push::push(self, push).await
    }

    /// Sends the writes to a stream that failed once more, at once and as they were sent, the refused ones too. For those of a mapping
    /// push [`Push::failed_of`].
    ///
    /// # Errors
    /// As [`sync_to_external`](Self::sync_to_external).
    pub async fn retry_push(&self, stream: impl Into<StreamName> + Send) -> Result<SyncResult> {
        self.sync_to_external(Push::failed(stream)).await
    }

    /// Writes of this connection that are not confirmed, by feed and key: lost, pending, refused, or waiting for somebody.
    pub async fn unconfirmed(&self, filter: IntentFilter) -> Result<Vec<Unconfirmed>> {
        let filter = IntentFilter { connection: Some(self.id.clone()), ..filter };
        let found = self.workspace.store.intents(filter).await?;
        Ok(found.into_iter().map(|(feed, intent)| Unconfirmed::new(feed, intent)).collect())
    }

    /// Says what became of a write that could not be settled by itself.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a write of another connection; when no run could begin. A write that was settled in the
    /// meantime makes a failed result.
    pub async fn resolve(&self, write: &Unconfirmed, resolution: Resolution) -> Result<SyncResult> {
        push::resolve(self, write, resolution).await
    }

    /// Makes a call of the host's own with this connection: its token, quotas and retries. One row of the activity log tells of it.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) when the provider lets none through; whatever the service refuses.
    pub async fn request(&self, request: PassthroughRequest) -> Result<PassthroughAnswer> {
        let Some(passthrough) = self.provider.as_passthrough() else {
            return Err(Error::unsupported("request").at("provider", self.integration_name()));
        };
        let row = self.usable().await?;
        let cx = self.context_with(&row.settings)?;
        let answer = passthrough.request(&cx, &request).await;
        let path = request.path.split(['?', '#']).next().unwrap_or_default();
        let activity = NewActivity {
            integration: self.integration_name().into(),
            connection: Some(self.id.clone()),
            action: "request".into(),
            success: answer.is_ok(),
            records_affected: 0,
            error: answer.as_ref().err().map(|error| error.to_string().into()),
            metadata: serde_json::json!({
                "method": request.method.as_str(),
                "path": path,
                "status": answer.as_ref().ok().map(|answer| answer.status),
            }),
            at: self.services.now(),
        };
        if let Err(error) = self.log_activity(activity).await {
            tracing::error!(connection = %self.id, %error, "the call was made, its line in the activity log is not written");
        }
        answer
    }

    /// Contacts of the host that belong to the workspace as a whole, from its [`RecordSource`].
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the engine was given no source; whatever the source says.
    pub async fn workspace_contacts(&self) -> Result<Vec<PushRecord>> {
        let (source, workspace) = (self.source()?, &self.workspace.id);
        all_pages(|after| async move { source.workspace_contacts(workspace, after.as_deref()).await }).await
    }

    /// Rows of one of the host's tables, from its [`RecordSource`].
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the engine was given no source; whatever the source says.
    pub async fn app_contacts(&self, table: &str) -> Result<Vec<PushRecord>> {
        let (source, workspace) = (self.source()?, &self.workspace.id);
        all_pages(|after| async move { source.app_contacts(workspace, table, after.as_deref()).await }).await
    }

    fn source(&self) -> Result<&dyn RecordSource> {
        let source = self.workspace.engine.source.as_deref();
        source.ok_or_else(|| {
            Error::new(ErrorKind::Config, "source", "no source of rows was given to the engine: call source(…) on its builder")
        })
    }
}
