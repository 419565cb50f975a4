//! Plans: a pull that stops before it writes, and what it would have written, applied later in whole or in part. Those of pushes are
//! made and applied where pushes are.

mod apply;
mod items;
mod look;
mod undo;
mod write;

use std::{borrow::Cow, collections::BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sync_core::{
    Error, ErrorKind, Result, RunId, Target,
    store::{self, PlanState},
};

use crate::Connection;

pub(crate) use self::{
    apply::apply,
    look::{FAILURES_KEPT, plan, planned_by},
    undo::{plan_undo, undo, undone_by},
};

/// What a stored plan keeps of its pull: enough to apply it without asking the service again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Which form this has.
    version: u32,
    target: Target,
}

impl Kept {
    fn to_json(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self).map_err(|e| Error::new(ErrorKind::Internal, "plan", "a plan is not JSON").because(e))
    }

    /// What is stored, if this version can read it.
    fn read(request: &serde_json::Value) -> Option<Self> {
        serde_json::from_value::<Self>(request.clone()).ok().filter(|kept| kept.version == VERSION)
    }
}

/// That a plan still may be applied, as far as its own state says.
pub(crate) fn appliable(connection: &Connection, plan: &store::Plan) -> Result<()> {
    let text = match plan.state {
        PlanState::Open | PlanState::Approved | PlanState::Partial if plan.plan.feed.connection == connection.id => return Ok(()),
        PlanState::Open | PlanState::Approved | PlanState::Partial => format!("it belongs to the connection {}", plan.plan.feed.connection),
        PlanState::Applied => format!("it was applied already, by {}; make a new plan", who(plan)),
        PlanState::Discarded => format!("it was discarded by {}; make a new plan", who(plan)),
    };
    Err(unfit(plan, text))
}

fn who(plan: &store::Plan) -> &str {
    plan.changed_by.as_deref().unwrap_or("somebody")
}

/// The plan is not applied, for this reason.
pub(crate) fn unfit(plan: &store::Plan, text: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Conflict, "apply", text).at("plan", plan.plan.run.to_string())
}

/// A value of a plan.
pub(crate) fn raw(json: &str) -> Result<Box<RawValue>> {
    RawValue::from_string(json.to_owned()).map_err(|e| Error::new(ErrorKind::Internal, "plan", "a planned value is not JSON").because(e))
}

/// The form of [`Kept`] that this version writes, and the only one it reads.
const VERSION: u32 = 1;

/// What to apply of a stored plan.
///
/// ```
/// # use sync_engine::Apply;
/// # use sync_core::RunId;
/// let all = Apply::plan(RunId(17)).triggered_by("anna");
/// let some = Apply::plan(RunId(17)).only(["anna@example.com", "ben@example.com"]);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Apply {
    pub(crate) plan: RunId,
    pub(crate) only: Option<BTreeSet<Box<str>>>,
    pub(crate) commit_rows: usize,
    pub(crate) triggered_by: Option<Box<str>>,
}

impl Apply {
    /// Everything of the plan that this run made.
    pub fn plan(run: RunId) -> Self {
        Self { plan: run, only: None, commit_rows: 2_000, triggered_by: None }
    }

    /// Only the rows with these keys; the others may be applied later.
    pub fn only<K: Into<Box<str>>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.only = Some(keys.into_iter().map(Into::into).collect());
        self
    }

    /// Commits after so many rows; 2,000 by default.
    pub fn commit_rows(mut self, rows: usize) -> Self {
        self.commit_rows = rows.max(1);
        self
    }

    /// Who asked for it, for the record; by default who the workspace [acts](crate::Workspace::acting) for, or `manual`.
    pub fn triggered_by(mut self, who: impl Into<Box<str>>) -> Self {
        self.triggered_by = Some(who.into());
        self
    }
}
