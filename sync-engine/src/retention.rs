//! How long logs are kept.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sync_core::{
    Result,
    store::{FleetStore, Log},
};

use crate::Syncline;

/// Entries that go in one transaction.
const AT_ONCE: u32 = 5_000;
/// Runs and plans that do: up to ten thousand record failures go with each, or the items of the plan.
const RUNS_AT_ONCE: u32 = 500;

/// How long entries of each log are kept. Of a log without a time everything is.
///
/// ```
/// use std::time::Duration;
///
/// use sync_engine::Retention;
///
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// let retention = Retention::default().events(7 * DAY).activity(90 * DAY).runs(90 * DAY);
/// # let _ = retention;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    events: Option<Duration>,
    activity: Option<Duration>,
    runs: Option<Duration>,
    lineage: Option<Duration>,
    plans: Option<Duration>,
}

impl Retention {
    /// Progress of runs is kept so long.
    #[must_use]
    pub fn events(mut self, kept: Duration) -> Self {
        self.events = Some(kept);
        self
    }

    /// The activity log is kept so long.
    #[must_use]
    pub fn activity(mut self, kept: Duration) -> Self {
        self.activity = Some(kept);
        self
    }

    /// Runs and their record failures are kept so long after they began and ended. One that changed rows stays as long as lineage from
    /// before its end may name it.
    #[must_use]
    pub fn runs(mut self, kept: Duration) -> Self {
        self.runs = Some(kept);
        self
    }

    /// Lineage is kept so long. Nothing is told then of how older rows came to be; rows themselves stay.
    #[must_use]
    pub fn lineage(mut self, kept: Duration) -> Self {
        self.lineage = Some(kept);
        self
    }

    /// Plans are kept so long after they were made, or last approved, applied or discarded. They hold values of rows, sensitive ones too.
    #[must_use]
    pub fn plans(mut self, kept: Duration) -> Self {
        self.plans = Some(kept);
        self
    }

    /// What is to go now, in order: lineage before the runs that it names, and plans before those that made them.
    fn due(&self, now: DateTime<Utc>) -> impl Iterator<Item = (Log, DateTime<Utc>)> {
        let kept = [
            (Log::Lineage, self.lineage),
            (Log::Plans, self.plans),
            (Log::Runs, self.runs),
            (Log::Events, self.events),
            (Log::Activity, self.activity),
        ];
        kept.into_iter().filter_map(move |(log, kept)| {
            // What is kept for longer than times reach back is kept for ever.
            let before = now.checked_sub_signed(TimeDelta::from_std(kept?).ok()?)?;
            Some((log, before))
        })
    }
}

/// How many entries of each log went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Progress of runs.
    pub events: u64,
    /// The activity log.
    pub activity: u64,
    /// Runs.
    pub runs: u64,
    /// Lines of lineage.
    pub lineage: u64,
    /// Plans.
    pub plans: u64,
}

impl Pruned {
    fn of(&mut self, log: Log) -> &mut u64 {
        match log {
            Log::Events => &mut self.events,
            Log::Activity => &mut self.activity,
            Log::Runs => &mut self.runs,
            Log::Lineage => &mut self.lineage,
            Log::Plans => &mut self.plans,
        }
    }
}

async fn prune(fleet: &dyn FleetStore, retention: Retention, now: DateTime<Utc>) -> Result<Pruned> {
    let mut pruned = Pruned::default();
    for (log, before) in retention.due(now) {
        let at_once = if matches!(log, Log::Runs | Log::Plans) { RUNS_AT_ONCE } else { AT_ONCE };
        loop {
            let gone = fleet.prune(log, before, at_once).await?;
            *pruned.of(log) += gone;
            if gone < u64::from(at_once) {
                break;
            }
        }
    }
    Ok(pruned)
}

impl Syncline {
    /// Deletes what is older than it is kept, over all workspaces, in transactions of bounded size: pulls and pushes go on beside it. To
    /// be called once a day or so, by one process; nothing does it by itself. Stopped in the middle, it goes on where it was.
    ///
    /// # Errors
    /// [`Unsupported`](sync_core::ErrorKind::Unsupported) from storages that keep everything, [`Storage`](sync_core::ErrorKind::Storage)
    /// when the database refuses; what went before stays gone.
    pub async fn prune(&self, retention: Retention) -> Result<Pruned> {
        let now = self.0.shared.clock.now();
        let pruned = prune(&*self.0.storage.fleet(), retention, now).await?;
        tracing::info!(?pruned, "deleted what is older than it is kept");
        Ok(pruned)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use sync_core::{Error, async_trait};

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
    }

    #[test]
    fn a_log_without_a_time_or_one_beyond_all_times_is_kept() {
        assert_eq!(Retention::default().due(now()).count(), 0);
        assert_eq!(Retention::default().events(Duration::MAX).due(now()).count(), 0);
    }

    #[test]
    fn lineage_and_plans_go_before_the_runs_they_name_and_each_log_by_its_own_time() {
        let retention = Retention::default().events(DAY).activity(2 * DAY).runs(3 * DAY).lineage(4 * DAY).plans(5 * DAY);
        let days = |days| now() - TimeDelta::days(days);
        let due = [(Log::Lineage, days(4)), (Log::Plans, days(5)), (Log::Runs, days(3)), (Log::Events, days(1)), (Log::Activity, days(2))];
        assert_eq!(retention.due(now()).collect::<Vec<_>>(), due);
    }

    /// So many entries of each log, and what was asked for.
    #[derive(Debug)]
    struct Logs(Mutex<(u64, Vec<(Log, u32)>)>);

    #[async_trait]
    impl FleetStore for Logs {
        async fn reap(&self) -> Result<u64> {
            Err(Error::unsupported("reap"))
        }

        async fn prune(&self, log: Log, _: DateTime<Utc>, limit: u32) -> Result<u64> {
            let mut logs = self.0.lock().expect("nobody panicked");
            let gone = logs.0.min(limit.into());
            logs.0 -= gone;
            logs.1.push((log, limit));
            Ok(gone)
        }
    }

    #[tokio::test]
    async fn batches_are_asked_for_until_one_is_not_full() {
        for (entries, batches) in [(0, 1), (4_999, 1), (5_000, 2), (12_001, 3)] {
            let logs = Logs(Mutex::new((entries, Vec::new())));
            let pruned = prune(&logs, Retention::default().events(DAY), now()).await.expect("it prunes");
            assert_eq!(pruned, Pruned { events: entries, ..Pruned::default() });
            let asked = logs.0.into_inner().expect("nobody panicked").1;
            assert_eq!(asked, vec![(Log::Events, AT_ONCE); batches], "{entries} entries");
        }
    }
}
