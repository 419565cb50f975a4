//! Live progress.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sync_core::{
    ConnectionId, Counts, Direction, EntityType, Outcome, PartitionId, RunId, StreamName, WorkspaceId,
    store::{Onboarding, OnboardingStep, RunStatus},
};
use tokio::sync::broadcast;

/// Something that happened, most of it in a run. Serialises with a `type`, as it is stored and streamed.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SyncEvent {
    /// A run began.
    SyncStarted {
        /// The tenant.
        workspace: WorkspaceId,
        /// The run.
        run: RunId,
        /// The account.
        connection: ConnectionId,
        /// Which way.
        direction: Direction,
        /// What is read, or written to.
        stream: StreamName,
        /// Where it goes, or comes from.
        entity: EntityType,
        /// When.
        at: DateTime<Utc>,
    },
    /// The parts of the stream are known.
    SyncPlanned {
        /// The run.
        run: RunId,
        /// How many partitions it reads.
        partitions: u64,
    },
    /// Records were committed, or outcomes of a push written down.
    SyncProgress {
        /// The run.
        run: RunId,
        /// All counts of the run so far.
        counts: Counts,
        /// Partitions read to their end so far.
        partitions_done: u64,
        /// Partitions in all; a push has one.
        partitions: u64,
    },
    /// A push waits for answers that were lost, or that the service is still working on.
    SyncWaiting {
        /// The run.
        run: RunId,
        /// How many writes it waits for.
        items: u64,
        /// Until when, for the first of them.
        until: DateTime<Utc>,
    },
    /// One partition could not be read; the others go on.
    PartitionFailed {
        /// The run.
        run: RunId,
        /// Which.
        partition: PartitionId,
        /// Why.
        error: Box<str>,
    },
    /// The columns of a stream are no longer as the last run saw them, or its records are gone. Said before the run ends.
    SourceChanged {
        /// The run.
        run: RunId,
        /// What has changed, a sentence each; they stand among the run's warnings too.
        warnings: Vec<Box<str>>,
    },
    /// A run ended.
    SyncComplete {
        /// The run.
        run: RunId,
        /// Where it stands.
        status: RunStatus,
        /// How it went.
        outcome: Outcome,
        /// What became of the records.
        counts: Counts,
        /// When.
        at: DateTime<Utc>,
    },
    /// A user came further on the way to their first data. Stored in the transaction that made it so, and told here after it.
    OnboardingAdvanced {
        /// The tenant.
        workspace: WorkspaceId,
        /// The user.
        user: Box<str>,
        /// Where they stand.
        step: OnboardingStep,
        /// Connections they have made.
        services_connected: u32,
        /// When.
        at: DateTime<Utc>,
    },
}

impl SyncEvent {
    /// The run it belongs to; `None` when to none.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::SyncStarted { run, .. }
            | Self::SyncPlanned { run, .. }
            | Self::SyncProgress { run, .. }
            | Self::SyncWaiting { run, .. }
            | Self::PartitionFailed { run, .. }
            | Self::SourceChanged { run, .. }
            | Self::SyncComplete { run, .. } => Some(*run),
            Self::OnboardingAdvanced { .. } => None,
        }
    }
}

/// The event of an onboarding that advanced.
pub(crate) fn advance(workspace: &WorkspaceId, onboarding: Onboarding) -> SyncEvent {
    SyncEvent::OnboardingAdvanced {
        workspace: workspace.clone(),
        user: onboarding.user_id,
        step: onboarding.current_step,
        services_connected: onboarding.services_connected,
        at: onboarding.updated_at.unwrap_or_default(),
    }
}

/// Events of this process as they happen. Nobody waits for a slow reader: what it misses is gone from here, though stored progress
/// stays in the database.
#[derive(Debug)]
pub struct Events(pub(crate) broadcast::Receiver<SyncEvent>);

impl Events {
    /// The next event; `None` when the engine is gone.
    pub async fn next(&mut self) -> Option<SyncEvent> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => tracing::warn!(missed, "a reader of events was too slow"),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sync_core::store::{Onboarding, OnboardingMove};

    use super::*;

    #[test]
    fn an_advance_is_streamed_as_it_is_stored() {
        let at = DateTime::from_timestamp(1_772_000_000, 123_456_000).expect("a time");
        let mut onboarding = Onboarding::welcome("ada");
        onboarding.moves(OnboardingMove::Joined, at);
        let live = serde_json::to_value(advance(&"acme".into(), onboarding.clone())).expect("JSON");
        let stored: serde_json::Value = serde_json::from_str(&onboarding.event(&"acme".into())).expect("JSON");
        assert_eq!(live, stored);
        assert_eq!(advance(&"acme".into(), onboarding).run(), None);
    }
}
