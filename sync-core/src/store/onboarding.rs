//! How far a user has come on the way from the first page to the first data.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::{Connection, ConnectionStatus, ConnectionStore, Fence, NewConnection, Run, RunEnd, RunStore};
use crate::{Error, Result, WorkspaceId};

/// Where a user stands; in the order they are gone through. There is no way back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnboardingStep {
    /// Has not begun.
    #[default]
    Welcome,
    /// Has seen the first page, and connects.
    ConnectServices,
    /// Has connected a service, whose first sync is to come.
    FirstSync,
    /// A sync went through.
    Completed,
}

impl OnboardingStep {
    /// As it stands in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::ConnectServices => "connect_services",
            Self::FirstSync => "first_sync",
            Self::Completed => "completed",
        }
    }

    /// Reads [`as_str`](Self::as_str) back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Welcome, Self::ConnectServices, Self::FirstSync, Self::Completed].into_iter().find(|step| step.as_str() == text)
    }
}

/// How far one user has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onboarding {
    /// The user, as the host says in [`connected_by`](NewConnection::connected_by).
    pub user_id: Box<str>,
    /// Connections this user has made that are not disconnected.
    pub services_connected: u32,
    /// Where they stand.
    pub current_step: OnboardingStep,
    /// Whether a run of a connection of theirs went through.
    pub first_sync_completed: bool,
    /// When the first one did.
    pub completed_at: Option<DateTime<Utc>>,
    /// When any of this last changed; `None` of a user who has not begun.
    pub updated_at: Option<DateTime<Utc>>,
}

/// What happens to a user's onboarding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnboardingMove {
    /// The first page was seen.
    Begun,
    /// One more connection.
    Joined,
    /// One connection less.
    Left,
    /// A run went through.
    Synced,
}

impl Onboarding {
    /// A user who has not begun.
    pub fn welcome(user: impl Into<Box<str>>) -> Self {
        Self {
            user_id: user.into(),
            services_connected: 0,
            current_step: OnboardingStep::Welcome,
            first_sync_completed: false,
            completed_at: None,
            updated_at: None,
        }
    }

    /// Moves it; answers what a storage has to do about it.
    pub fn moves(&mut self, by: OnboardingMove, at: DateTime<Utc>) -> Moved {
        let before = self.clone();
        match by {
            OnboardingMove::Begun => self.current_step = self.current_step.max(OnboardingStep::ConnectServices),
            OnboardingMove::Joined => {
                self.services_connected = self.services_connected.saturating_add(1);
                self.current_step = self.current_step.max(OnboardingStep::FirstSync);
            }
            OnboardingMove::Left => self.services_connected = self.services_connected.saturating_sub(1),
            OnboardingMove::Synced if self.first_sync_completed => {}
            OnboardingMove::Synced => {
                (self.first_sync_completed, self.completed_at) = (true, Some(at));
                self.current_step = OnboardingStep::Completed;
            }
        }
        if *self == before {
            return Moved::Nothing;
        }
        self.updated_at = Some(at);
        let forward = self.current_step > before.current_step || self.services_connected > before.services_connected;
        // Who has arrived goes no further: their later connections are counted and not announced.
        if forward && before.current_step != OnboardingStep::Completed { Moved::Advanced } else { Moved::Stored }
    }

    /// The event of an advance as it is stored and streamed, JSON.
    #[must_use]
    pub fn event(&self, workspace: &WorkspaceId) -> Box<str> {
        let at = self.updated_at.unwrap_or_default().to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let body = serde_json::json!({
            "type": "onboarding-advanced",
            "workspace": workspace,
            "user": self.user_id,
            "step": self.current_step,
            "services_connected": self.services_connected,
            "at": at,
        });
        body.to_string().into()
    }
}

/// What came of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Nothing changed: there is nothing to store.
    Nothing,
    /// It is to be stored.
    Stored,
    /// It is to be stored with its [event](Onboarding::event): the user came further.
    Advanced,
}

/// Whose onboarding a change of a connection moves, and how. A connection counts for whoever connected it, as long as it is not
/// disconnected; healing it counts nothing anew.
#[must_use]
pub fn onboarding_moves<'c>(before: Option<&'c Connection>, after: &'c Connection) -> Vec<(&'c str, OnboardingMove)> {
    let counts =
        |connection: &'c Connection| connection.connected_by.as_deref().filter(|_| connection.status != ConnectionStatus::Disconnected);
    let (before, after) = (before.and_then(counts), counts(after));
    if before == after {
        return Vec::new();
    }
    let left = before.map(|user| (user, OnboardingMove::Left));
    let joined = after.map(|user| (user, OnboardingMove::Joined));
    let mut moves: Vec<_> = left.into_iter().chain(joined).collect();
    // In one order, so that nobody waits for somebody who waits for them.
    moves.sort_unstable_by_key(|(user, _)| *user);
    moves
}

/// Keeps how far users have come. It is moved by what happens to connections and runs, inside the transactions that make it so:
/// [`connect`](ConnectionStore::connect), [`disconnect`](ConnectionStore::disconnect) and
/// [`update_connection`](ConnectionStore::update_connection) as [`onboarding_moves`] says, and [`end_run`](RunStore::end_run) of a run that
/// completed, for whoever connected its connection. Each [advance](Moved::Advanced) leaves its event, of no run, in the same transaction.
#[async_trait]
pub trait OnboardingStore: ConnectionStore + RunStore + Debug + Send + Sync {
    /// How far a user has come; `None` when nothing is stored of them.
    async fn onboarding(&self, user: &str) -> Result<Option<Onboarding>> {
        let _ = user;
        Err(Error::unsupported("onboarding"))
    }

    /// A user has seen the first page: `welcome` becomes `connect_services`, everything else stays. Answers how far they have come, and
    /// whether this call moved it.
    async fn begin_onboarding(&self, user: &str, at: DateTime<Utc>) -> Result<(Onboarding, bool)> {
        let _ = (user, at);
        Err(Error::unsupported("begin_onboarding"))
    }

    /// [`connect`](ConnectionStore::connect), telling the onboarding that advanced with it.
    async fn connect_onboarding(&self, new: NewConnection) -> Result<(Connection, Option<Onboarding>)> {
        Ok((self.connect(new).await?, None))
    }

    /// [`end_run`](RunStore::end_run), telling the onboarding that advanced with it.
    async fn end_run_onboarding(&self, fence: Fence, end: RunEnd) -> Result<(Run, Option<Onboarding>)> {
        Ok((self.end_run(fence, end).await?, None))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn minute(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::Duration::minutes(minute)
    }

    #[test]
    fn steps_are_gone_through_in_their_order_and_read_back() {
        let steps = [OnboardingStep::Welcome, OnboardingStep::ConnectServices, OnboardingStep::FirstSync, OnboardingStep::Completed];
        assert!(steps.is_sorted());
        for step in steps {
            assert_eq!(OnboardingStep::parse(step.as_str()), Some(step));
            assert_eq!(serde_json::to_value(step).expect("JSON"), step.as_str());
        }
        assert_eq!(OnboardingStep::parse("done"), None);
    }

    #[test]
    fn each_move_leads_from_each_step_where_the_table_says() {
        use OnboardingMove::{Begun, Joined, Left, Synced};
        use OnboardingStep::{Completed, ConnectServices, FirstSync, Welcome};
        for (from, by, to, moved) in [
            (Welcome, Begun, ConnectServices, Moved::Advanced),
            (ConnectServices, Begun, ConnectServices, Moved::Nothing),
            (FirstSync, Begun, FirstSync, Moved::Nothing),
            (Completed, Begun, Completed, Moved::Nothing),
            (Welcome, Joined, FirstSync, Moved::Advanced),
            (ConnectServices, Joined, FirstSync, Moved::Advanced),
            (FirstSync, Joined, FirstSync, Moved::Advanced),
            (Completed, Joined, Completed, Moved::Stored),
            (Welcome, Left, Welcome, Moved::Nothing),
            (Welcome, Synced, Completed, Moved::Advanced),
            (FirstSync, Synced, Completed, Moved::Advanced),
            (Completed, Synced, Completed, Moved::Nothing),
        ] {
            let done = from == Completed;
            let mut user = Onboarding {
                current_step: from,
                first_sync_completed: done,
                completed_at: done.then(|| minute(1)),
                ..Onboarding::welcome("ada")
            };
            assert_eq!((user.moves(by, minute(9)), user.current_step), (moved, to), "{from:?} by {by:?}");
            assert_eq!(user.completed_at, if to == Completed { Some(minute(if done { 1 } else { 9 })) } else { None });
            assert_eq!(user.updated_at.is_some(), moved != Moved::Nothing);
        }
    }

    #[test]
    fn an_advance_is_told_with_user_step_and_count() {
        let mut user = Onboarding::welcome("ada");
        user.moves(OnboardingMove::Joined, minute(3));
        let told: serde_json::Value = serde_json::from_str(&user.event(&"acme".into())).expect("JSON");
        let expected = serde_json::json!({
            "type": "onboarding-advanced", "workspace": "acme", "user": "ada", "step": "first_sync", "services_connected": 1,
            "at": "1970-01-01T00:03:00Z",
        });
        assert_eq!(told, expected);
    }

    proptest! {
        #[test]
        fn whatever_happens_the_step_never_goes_back_and_completion_is_told_once(
            moves in proptest::collection::vec(0..4u8, 0..40)
        ) {
            let mut user = Onboarding::welcome("ada");
            let (mut count, mut completions) = (0u32, 0);
            for (n, by) in moves.into_iter().enumerate() {
                let by = [OnboardingMove::Begun, OnboardingMove::Joined, OnboardingMove::Left, OnboardingMove::Synced][usize::from(by)];
                let before = user.clone();
                let moved = user.moves(by, minute(n as i64));
                count = match by {
                    OnboardingMove::Joined => count + 1,
                    OnboardingMove::Left => count.saturating_sub(1),
                    _ => count,
                };
                prop_assert_eq!(user.services_connected, count);
                prop_assert!(user.current_step >= before.current_step);
                prop_assert_eq!(moved == Moved::Nothing, user == before);
                completions += u32::from(moved == Moved::Advanced && user.current_step == OnboardingStep::Completed);
                prop_assert_eq!(completions, u32::from(user.first_sync_completed));
                prop_assert_eq!(user.completed_at.is_some(), user.first_sync_completed);
            }
        }
    }
}
