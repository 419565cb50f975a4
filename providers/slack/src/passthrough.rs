//! Calls of the host's own, for methods that no stream covers.

use sync_core::{Method, Passthrough, PassthroughAnswer, PassthroughRequest, Result, SyncContext, async_trait};

use crate::{Settings, Slack, api};

/// How names of methods end that only read. Slack takes the others by GET as well.
const READS: &[&str] = &["get", "getPermalink", "getPresence", "history", "info", "list", "members", "replies", "test"];

#[async_trait]
impl Passthrough for Slack {
    async fn request(&self, cx: &SyncContext, request: &PassthroughRequest) -> Result<PassthroughAnswer> {
        let bucket = api::bucket(&request.path, Settings::of(cx)?.commercial);
        let mut request = request.clone();
        // A GET that posts would post twice when it is repeated.
        request.repeatable &= request.method != Method::Get || reads(&request.path);
        self.api().passthrough(cx, "slack.passthrough", bucket, &request).await
    }
}

fn reads(path: &str) -> bool {
    READS.contains(&path.rsplit('.').next().unwrap_or_default())
}
