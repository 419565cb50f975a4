//! Pushes, and the activity log.

use std::sync::Arc;

use syncline::core::{RecordId, Result, async_trait, store::*};

use super::{Store, note};
use crate::harm::Harm;

#[async_trait]
impl PushStore for Store {
    async fn changed_rows(&self, mut query: ChangedQuery) -> Result<ChangedRows> {
        harm!(self, ChangedQuery, &mut query);
        if let Harm::PushesMore = self.harm {
            let mut target = (*query.target).clone();
            target.pushes = target.pushes.iter().cloned().chain(["note".into()]).collect();
            let more = ChangedQuery { target: Arc::new(target), ..query.clone() };
            if let Ok(found) = self.own.changed_rows(more).await {
                return Ok(found);
            }
        }
        let mut found = self.error(self.to("changed_rows").changed_rows(query).await)?;
        harm!(self, Changed, &mut found);
        Ok(found)
    }

    async fn push_links(&self, feed: &Feed, keys: &[Box<str>]) -> Result<Vec<Option<PushLink>>> {
        let mut found = self.to("push_links").push_links(feed, keys).await?;
        if let Harm::LinksOfAnyFeed = self.harm {
            let other = Feed { connection: "c1".into(), stream: "s".into(), mapping: "m".into() };
            let others = self.own.push_links(&other, keys).await?;
            found = found.into_iter().zip(others).map(|(own, other)| own.or(other)).collect();
        }
        if let Harm::KeepsDeadLinks = self.harm {
            let mut notes = note(&self.notes);
            for (key, link) in keys.iter().zip(&mut found) {
                let name = format!("{key} of {feed:?} of {}", self.workspace);
                match link {
                    Some(link) => drop(notes.links.insert(name, link.clone())),
                    None => *link = notes.links.get(&name).cloned(),
                }
            }
        }
        harm!(self, Links, &mut found);
        Ok(found)
    }

    async fn linked_keys(&self, feed: &Feed, ids: &[RecordId]) -> Result<Vec<Option<Box<str>>>> {
        let mut found = self.to("linked_keys").linked_keys(feed, ids).await?;
        harm!(self, Keys, &mut found);
        Ok(found)
    }

    async fn push_memory(&self, feed: &Feed) -> Result<PushMemory> {
        let mut found = self.to("push_memory").push_memory(feed).await?;
        harm!(self, Memory, &mut found);
        Ok(found)
    }

    async fn intents(&self, mut filter: IntentFilter) -> Result<Vec<(Feed, Intent)>> {
        harm!(self, IntentFilter, &mut filter);
        self.to("intents").intents(filter).await
    }

    async fn journal(&self, mut commit: PushCommit) -> Result<()> {
        harm!(self, Journal, &mut commit);
        commit.fence = self.fence("journal", commit.fence);
        if let Harm::KeepsFirstIntents = self.harm {
            let known = self.own.intents(IntentFilter { feed: Some(commit.feed.clone()), ..IntentFilter::default() }).await?;
            commit.begun.retain(|intent| known.iter().all(|(_, known)| known.key != intent.key));
        }
        if let Harm::HalfJournals = self.harm {
            let halves = PushCommit { begun: Vec::new(), settled: Vec::new(), ..commit.clone() };
            let fence = note(&self.notes).latest.unwrap_or(commit.fence);
            let _ = self.own.journal(PushCommit { fence, ..halves }).await;
            commit = PushCommit { counts: Default::default(), failures: Vec::new(), events: Vec::new(), memory: None, ..commit };
        }
        self.to("journal").journal(commit).await
    }
}

#[async_trait]
impl ActivityStore for Store {
    async fn log_activity(&self, activity: NewActivity) -> Result<()> {
        self.to("log_activity").log_activity(activity).await
    }

    async fn activities(&self, limit: u32) -> Result<Vec<Activity>> {
        let mut found = self.to("activities").activities(limit).await?;
        harm!(self, Activities, &mut found);
        Ok(found)
    }
}
