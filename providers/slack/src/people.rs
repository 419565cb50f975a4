//! Names of users, so that messages say who wrote them: listed once per connection and kept for ten minutes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use sync_core::{ConnectionId, ErrorKind, Result, SyncContext, WorkspaceId};
use tokio::sync::Mutex;

use crate::api::{Listing, SlackApi, User};

const KEPT: Duration = Duration::from_secs(600);

type Owner = (WorkspaceId, ConnectionId);

/// Users by id, per connection.
#[derive(Debug, Default)]
pub(crate) struct People(StdMutex<HashMap<Owner, Arc<Mutex<Known>>>>);

#[derive(Debug, Default)]
struct Known {
    listed_at: Option<DateTime<Utc>>,
    /// `None`: asked for, and Slack does not know them or may not say.
    names: HashMap<String, Option<Arc<str>>>,
}

impl People {
    /// The names of these users. One that cannot be named stays out; a missing scope leaves all of them out.
    pub(crate) async fn names(&self, api: &SlackApi, cx: &SyncContext, ids: &[String]) -> Result<HashMap<String, Arc<str>>> {
        let owner = (cx.workspace.clone(), cx.connection.clone());
        let known = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(owner).or_default());
        // Held while asking, so that lanes side by side ask once.
        let mut known = known.lock().await;
        let now = cx.services.now();
        if known.listed_at.is_none_or(|at| (now - at).to_std().map_or(true, |age| age >= KEPT)) {
            known.names = match list(api, cx).await {
                Ok(names) => names,
                Err(error) if error.kind() == ErrorKind::Forbidden => {
                    tracing::warn!(%error, "messages are read without names");
                    HashMap::new()
                }
                Err(error) => return Err(error),
            };
            known.listed_at = Some(now);
        }
        for id in ids {
            if !known.names.contains_key(id) {
                let name = match api.user(cx, id).await {
                    Ok(user) => Some(user.shown().into()),
                    Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => None,
                    Err(error) => return Err(error),
                };
                known.names.insert(id.clone(), name);
            }
        }
        Ok(ids.iter().filter_map(|id| Some((id.clone(), Arc::clone(known.names.get(id)?.as_ref()?)))).collect())
    }
}

async fn list(api: &SlackApi, cx: &SyncContext) -> Result<HashMap<String, Option<Arc<str>>>> {
    let mut names = HashMap::new();
    let mut cursor: Option<String> = None;
    loop {
        let answer = api.users(cx, cursor.as_deref()).await?;
        let page: Listing<'_> = answer.json("slack.users.list")?;
        for raw in &page.records {
            // A user that cannot be read only stays nameless.
            if let Ok(user) = serde_json::from_str::<User>(raw.get()) {
                names.insert(user.id.clone(), Some(user.shown().into()));
            }
        }
        let next = page.next().map(str::to_owned);
        if next.is_none() || next == cursor {
            return Ok(names);
        }
        cursor = next;
    }
}
