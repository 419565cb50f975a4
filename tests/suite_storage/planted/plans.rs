//! Plans.

use syncline::core::{Result, RunId, async_trait, store::*};

use super::Store;
use crate::harm::Harm;

#[async_trait]
impl PlanStore for Store {
    async fn put_plan(&self, mut plan: NewPlan, mut items: Vec<PlanItem>) -> Result<Plan> {
        if let Harm::Plan(harm) = self.harm {
            harm(&mut plan, &mut items);
        }
        self.to("put_plan").put_plan(plan, items).await
    }

    async fn plan(&self, run: RunId) -> Result<Option<Plan>> {
        self.to("plan").plan(run).await
    }

    async fn plans(&self, before: Option<RunId>, limit: u32) -> Result<Vec<Plan>> {
        let mut found = self.to("plans").plans(before, limit).await?;
        harm!(self, Plans, &mut found);
        Ok(found)
    }

    async fn plan_items(&self, run: RunId, after: u32, limit: u32) -> Result<Vec<PlanItem>> {
        let mut found = self.to("plan_items").plan_items(run, after, limit).await?;
        harm!(self, Items, &mut found);
        Ok(found)
    }

    async fn settle_plan(&self, run: RunId, mut expected: PlanState, mut settle: Settle) -> Result<bool> {
        harm!(self, Settling, &mut settle);
        if let Harm::SettlesBlindly = self.harm {
            expected = self.own.plan(run).await?.map_or(expected, |plan| plan.state);
        }
        self.to("settle_plan").settle_plan(run, expected, settle).await
    }
}
