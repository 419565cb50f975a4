//! Runs.

use syncline::core::{Error, ErrorKind, RecordFailure, Result, RunId, async_trait, store::*};

use super::{Store, note};
use crate::harm::Harm;

#[async_trait]
impl RunStore for Store {
    async fn begin_run(&self, mut new: NewRun) -> Result<Begin> {
        harm!(self, Begin, &mut new);
        let begun = self.to("begin_run").begin_run(new).await?;
        Ok(match (begun, self.harm) {
            (Begin::Busy(busy), Harm::NeverBusy) => Begin::Started(Fence { run: busy.id, token: 1 }),
            (Begin::Busy(mut busy), Harm::Run(harm)) => {
                harm(&mut busy);
                Begin::Busy(busy)
            }
            (Begin::Started(fence), harm) => {
                let mut notes = note(&self.notes);
                notes.latest = Some(fence);
                notes.fences.insert(fence.run, fence);
                Begin::Started(if let Harm::OneToken = harm { Fence { token: 7, ..fence } } else { fence })
            }
            (busy, _) => busy,
        })
    }

    async fn end_run(&self, fence: Fence, mut end: RunEnd) -> Result<Run> {
        harm!(self, RunEnd, &mut end);
        let fence = self.fence("end_run", fence);
        let known = note(&self.notes).fences.get(&fence.run) == Some(&fence);
        let mut ended = match (self.to("end_run").end_run(fence, end).await, self.harm) {
            (Err(_), Harm::EndsTwice) if known => match self.own.run(fence.run).await? {
                Some(run) => run,
                None => return Err(Error::new(ErrorKind::LeaseLost, "end_run", "unknown")),
            },
            (ended, _) => ended?,
        };
        harm!(self, Run, &mut ended);
        Ok(ended)
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>> {
        let mut found = self.to("run").run(id).await?;
        if let Some(found) = &mut found {
            harm!(self, Run, found);
        }
        Ok(found)
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>> {
        let mut found = self.to("runs").runs(filter).await?;
        harm!(self, Runs, &mut found);
        Ok(found)
    }

    async fn failures(&self, run: RunId, limit: u32) -> Result<Vec<RecordFailure>> {
        let mut found = self.to("failures").failures(run, limit).await?;
        harm!(self, Failures, &mut found);
        Ok(found)
    }

    async fn partition_states(&self, feed: &Feed) -> Result<Vec<PartitionState>> {
        let mut found = self.to("partition_states").partition_states(feed).await?;
        harm!(self, States, &mut found);
        Ok(found)
    }

    async fn last_look(&self, feed: &Feed) -> Result<Option<Look>> {
        let store = self.to("last_look");
        let mut found = store.last_look(feed).await?;
        if let (None, Harm::LooksOfAnyFeed) = (&found, self.harm) {
            found = store.last_look(&Feed { mapping: "".into(), stream: "s".into(), ..feed.clone() }).await?;
        }
        if let Some(look) = &mut found {
            harm!(self, Look, look);
        }
        Ok(found)
    }

    async fn reset_cursors(&self, feed: &Feed) -> Result<()> {
        if let Harm::ResetsNothing = self.harm { Ok(()) } else { self.to("reset_cursors").reset_cursors(feed).await }
    }

    async fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>> {
        let mut found = self.to("events").events(after, limit).await?;
        harm!(self, Events, &mut found);
        Ok(found)
    }
}
