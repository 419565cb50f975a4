//! How far users have come.

use syncline::core::{Result, async_trait, store::*};

use super::Store;
use crate::harm::Harm;

type Time = chrono::DateTime<chrono::Utc>;

#[async_trait]
impl OnboardingStore for Store {
    async fn onboarding(&self, user: &str) -> Result<Option<Onboarding>> {
        let mut found = self.to("onboarding").onboarding(user).await?;
        if let (Harm::WritesDownWhoAsked, None) = (self.harm, &found) {
            self.own.begin_onboarding(user, chrono::DateTime::UNIX_EPOCH).await?;
        }
        if let Some(found) = &mut found {
            harm!(self, Onboarding, found);
        }
        Ok(found)
    }

    async fn begin_onboarding(&self, user: &str, at: Time) -> Result<(Onboarding, bool)> {
        let (begun, moved) = self.to("begin_onboarding").begin_onboarding(user, at).await?;
        Ok((begun, moved || matches!(self.harm, Harm::BeginsAgain)))
    }

    async fn connect_onboarding(&self, new: NewConnection) -> Result<(Connection, Option<Onboarding>)> {
        if let Harm::TellsNothing = self.harm {
            return Ok((self.connect(new).await?, None));
        }
        let (made, advanced) = self.own.connect_onboarding(new).await?;
        let user = made.connected_by.clone().unwrap_or_default();
        Ok((made, if let Harm::TellsAlways = self.harm { self.own.onboarding(&user).await? } else { advanced }))
    }

    async fn end_run_onboarding(&self, fence: Fence, end: RunEnd) -> Result<(Run, Option<Onboarding>)> {
        if let Harm::TellsNothing = self.harm {
            return Ok((self.end_run(fence, end).await?, None));
        }
        let mut end = end;
        harm!(self, RunEnd, &mut end);
        let (run, advanced) = self.own.end_run_onboarding(fence, end).await?;
        let whose = self.own.connection(&run.feed.connection).await?.and_then(|connection| connection.connected_by);
        match (self.harm, whose) {
            (Harm::TellsAlways, Some(user)) => Ok((run, self.own.onboarding(&user).await?)),
            _ => Ok((run, advanced)),
        }
    }
}
