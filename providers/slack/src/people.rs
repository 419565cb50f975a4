//! Names of people by their ids: looked up once, kept for a while, per connection.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use chrono::{DateTime, TimeDelta, Utc};
use sync_core::{ConnectionId, ErrorKind, Result, SyncContext, WorkspaceId};

use crate::{
    Settings,
    api::{Listing, Rows, SlackApi, User},
};

/// How long names are taken as known.
const FRESH: TimeDelta = TimeDelta::minutes(10);

/// Pages of the listing that are read at once. People beyond are asked for one by one as they turn up, so that the first page of
/// messages does not wait for the listing of a very large workspace.
const PAGES: usize = 10;

/// The people of every connection.
#[derive(Debug, Default)]
pub(crate) struct People(Mutex<HashMap<(WorkspaceId, ConnectionId), Arc<Circle>>>);

impl People {
    /// Those of one connection. What is too old, of this one or any other, is forgotten.
    pub(crate) fn of(&self, cx: &SyncContext) -> Arc<Circle> {
        let now = cx.services.now();
        let mut circles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        circles.retain(|_, circle| now < circle.good_until);
        let key = (cx.workspace.clone(), cx.connection.clone());
        Arc::clone(circles.entry(key).or_insert_with(|| Arc::new(Circle::new(now + FRESH))))
    }
}

/// The people of one connection.
#[derive(Debug)]
pub(crate) struct Circle {
    good_until: DateTime<Utc>,
    /// By id; `None` for an id that Slack knows no name for.
    names: RwLock<HashMap<Box<str>, Option<Box<str>>>>,
    /// Whether the listing was read. Held while people are looked up: lanes wait for one look-up instead of making their own.
    listed: tokio::sync::Mutex<bool>,
}

impl Circle {
    fn new(good_until: DateTime<Utc>) -> Self {
        Self { good_until, names: RwLock::default(), listed: tokio::sync::Mutex::new(false) }
    }

    /// A person's name: `None` when nobody has asked for it yet, `Some(None)` when there is none.
    pub(crate) fn name(&self, id: &str) -> Option<Option<Box<str>>> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn learn(&self, people: impl IntoIterator<Item = (Box<str>, Option<Box<str>>)>) {
        self.names.write().unwrap_or_else(PoisonError::into_inner).extend(people);
    }

    /// Reads the listing, unless that was done.
    pub(crate) async fn list(&self, api: &SlackApi, cx: &SyncContext, settings: &Settings) -> Result<()> {
        let mut listed = self.listed.lock().await;
        if *listed {
            return Ok(());
        }
        let mut cursor = None;
        for _ in 0..PAGES {
            let read = |_: &_, page: Rows<'_>| {
                // A row without an id is reported where people are a stream.
                let people = page.rows.iter().filter_map(|row| serde_json::from_str::<User>(row.get()).ok());
                Ok((people.map(|user| (user.id.clone(), user.shown())).collect::<Vec<_>>(), page.next))
            };
            let (people, next) = api.list(cx, Listing::Users, settings, cursor.as_deref(), read).await?;
            self.learn(people);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        *listed = true;
        Ok(())
    }

    /// Looks up people one by one, those that are still unknown.
    pub(crate) async fn ask(&self, api: &SlackApi, cx: &SyncContext, ids: &BTreeSet<String>) -> Result<()> {
        let _one_at_a_time = self.listed.lock().await;
        for id in ids {
            if self.name(id).is_some() {
                continue;
            }
            let name = match api.user(cx, id).await {
                Ok(user) => user.shown(),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            self.learn([(id.as_str().into(), name)]);
        }
        Ok(())
    }
}
