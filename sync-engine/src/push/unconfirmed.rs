//! Writes that are not confirmed, as people see them and decide about them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sync_core::{
    Direction, Effect, Error, ErrorKind, Operation, RecordId, Result, RunError, Services as _, SyncResult,
    store::{Feed, Intent, IntentFilter, IntentState, NewRun, PushCommit, PushLink, Settled},
};

use super::{
    journal::{Verdict, accepted, open},
    rows::named,
};
use crate::{
    Connection,
    pull::entity_of,
    run::{self, Report, Start},
};

/// A write that is not confirmed: under way, lost, refused, or waiting for somebody.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Unconfirmed {
    /// Account, stream and mapping it belongs to.
    #[serde(flatten)]
    pub feed: Feed,
    /// The row's key.
    pub key: Box<str>,
    /// The service's key of the record, when it is known.
    pub id: Option<RecordId>,
    /// Whether it removes the record.
    pub delete: bool,
    /// Where it stands.
    pub state: IntentState,
    /// Why it is not confirmed.
    pub reason: Option<Box<str>>,
    /// What to do about it.
    pub hint: Box<str>,
    /// How often it was sent.
    pub attempts: u32,
    /// When it is seen to again by the next push; `None` waits for a change of the row, or for somebody.
    pub next_try: Option<DateTime<Utc>>,
    /// When it was sent last.
    pub since: DateTime<Utc>,
}

impl Unconfirmed {
    pub(crate) fn new(feed: Feed, intent: Intent) -> Self {
        let hint = match (intent.state, intent.next_at, &intent.error) {
            (IntentState::Sending | IntentState::Pending, ..) => "the next push asks what became of it",
            (IntentState::Unknown, Some(_), _) => "the next push looks for it; do not send it by other means",
            (IntentState::Unknown | IntentState::Conflict, ..) => "look at the service, then say what became of it (resolve)",
            (IntentState::Failed, Some(_), _) => "the next push that is due sends it again; retry_push sends it at once",
            (IntentState::Failed, None, Some(error)) => &error.hint,
            (IntentState::Failed, None, None) => "correct the row; retry_push sends it again as it was",
        };
        Self {
            hint: hint.into(),
            feed,
            key: intent.key,
            id: intent.id,
            delete: intent.operation == Operation::Delete,
            state: intent.state,
            reason: intent.error.map(|error| error.message),
            attempts: intent.attempts,
            next_try: intent.next_at,
            since: intent.sent_at,
        }
    }
}

/// What somebody found out about a write that could not be settled by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It did what it was for: the record is there under this key, or, after a delete, is gone.
    Done(RecordId),
    /// It never arrived; the next push sends it again.
    SendAgain,
    /// It is given up. The row counts as changed and is pushed as it is then; where the service said that its record is gone, as a
    /// new one.
    ///
    /// Nobody looks at the service for this: a write that made a record which is not linked, and whose answer was lost, is made a second
    /// time by the next push if the first did arrive. Look yourself before, and use [`Done`](Self::Done) when it is there.
    Forget,
}

/// Writes down what somebody found out, as a run of its own.
pub(crate) async fn resolve(connection: &Connection, write: &Unconfirmed, resolution: Resolution) -> Result<SyncResult> {
    if write.feed.connection != connection.id {
        return Err(Error::config("resolve", format!("the write of {:?} belongs to another connection", write.key)));
    }
    let new = NewRun {
        feed: write.feed.clone(),
        direction: Direction::ToExternal,
        entity: entity_of(connection.integration_name(), &write.feed.stream),
        job_type: "resolve",
        exclusive: false,
        triggered_by: connection.workspace.asked_by(None),
        at: connection.services.now(),
    };
    let (job, key, feed) = (connection.clone(), write.key.clone(), write.feed.clone());
    run::lead(connection, Start { operation: "resolve", new }, |fence, _| async move {
        let store = &job.workspace.store;
        let filter = IntentFilter { feed: Some(feed.clone()), keys: vec![key.clone()], limit: 1, ..IntentFilter::default() };
        let Some((_, intent)) = store.intents(filter).await?.into_iter().next() else {
            return Err(Error::new(ErrorKind::NotFound, "resolve", format!("no write of {key:?} is open; it was settled in the meantime")));
        };
        let at = job.services.now();
        let verdict = settled(intent, resolution, at);
        store
            .journal(PushCommit {
                fence,
                feed,
                begun: Vec::new(),
                settled: vec![verdict.settled],
                counts: verdict.counts,
                failures: named(verdict.failure.into_iter().collect()),
                events: Vec::new(),
                memory: None,
                at,
            })
            .await?;
        Ok(Report::default())
    })
    .await
}

fn settled(intent: Intent, resolution: Resolution, now: DateTime<Utc>) -> Verdict {
    match resolution {
        Resolution::Done(id) => {
            let effect = match (intent.operation, &intent.id) {
                (Operation::Delete, _) => Effect::Deleted,
                (Operation::Upsert, Some(_)) => Effect::Updated,
                (Operation::Upsert, None) => Effect::Created,
            };
            accepted(intent, Some(id), None, effect)
        }
        Resolution::SendAgain => {
            let error = Error::new(ErrorKind::Conflict, "resolve", "somebody found that it never arrived; it is sent again");
            open(Intent { state: IntentState::Failed, next_at: Some(now), handle: None, error: Some(RunError::new(&error)), ..intent })
        }
        Resolution::Forget => {
            let gone = intent.error.as_ref().is_some_and(|error| error.kind == ErrorKind::NotFound);
            let mut verdict = open(intent);
            if let Settled::Open(intent) = verdict.settled {
                let key = intent.key;
                // Of a record that is gone the service's key leads nowhere.
                verdict.settled = if gone { Settled::Accepted { key, link: PushLink::default() } } else { Settled::Dropped { key } };
            }
            verdict
        }
    }
}
