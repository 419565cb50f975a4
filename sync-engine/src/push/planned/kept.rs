//! What a stored plan keeps of its push, so that it can be applied by its number alone, and refused where it no longer fits.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sync_core::{
    Error, ErrorKind, Operation, PushMode, Result,
    mapping::Mapping,
    store::{self, ItemKind, PlanItem, Shape},
};

use crate::{
    Push, PushRecord,
    plan::unfit,
    push::{What, plan::Plan, prepare::Job},
};

/// The form of [`Kept`] that this version writes, and the only one it reads.
const VERSION: u32 = 1;

/// A push without its rows.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// Which form this has.
    version: u32,
    rows: RowsOf,
    mode: Box<str>,
    /// The key columns as the push named them.
    key: Vec<Box<str>>,
    confirm_deletes: bool,
    accept_shape: bool,
    /// Whether the stream was read.
    pub(super) looked: bool,
    /// The service's id of the account.
    account: Box<str>,
    /// A digest of the connection's settings: they may say which document is written to.
    settings: Box<str>,
    /// The stream as it was, and what its records were told apart by; absent when nobody was asked.
    stream: Option<Form>,
}

/// Where the rows come from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RowsOf {
    /// The plan's items hold them.
    Records,
    Mapped(Box<Mapping>),
    Source(Box<str>),
    Failed(Option<Box<Mapping>>),
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Form {
    key: Vec<Box<str>>,
    shape: Option<Shape>,
}

impl Form {
    fn of(plan: &Plan) -> Self {
        Self { key: plan.key.to_vec(), shape: plan.memory.shape.clone() }
    }
}

impl Kept {
    pub(super) fn of(job: &Job) -> Self {
        let Push { what, mode, key, confirm_deletes, accept_shape, look, .. } = &job.push;
        let owned = |mapping: &Arc<Mapping>| Box::new(Mapping::clone(mapping));
        Self {
            version: VERSION,
            rows: match what {
                What::Records(_) => RowsOf::Records,
                What::Mapped(mapping) => RowsOf::Mapped(owned(mapping)),
                What::Source(table) => RowsOf::Source(table.clone()),
                What::Failed(mapping) => RowsOf::Failed(mapping.as_ref().map(owned)),
            },
            mode: mode.as_str().into(),
            key: key.clone(),
            confirm_deletes: *confirm_deletes,
            accept_shape: *accept_shape,
            looked: *look || *mode == PushMode::Mirror,
            account: job.row.account_id.clone(),
            settings: digest(&job.row),
            stream: None,
        }
    }

    /// Remembers what the service said of the stream.
    pub(super) fn saw(&mut self, plan: &Plan) {
        self.stream = Some(Form::of(plan));
    }

    /// Whether the rows are handed over, so that there is none to read again.
    pub(super) fn records(&self) -> bool {
        matches!(self.rows, RowsOf::Records)
    }

    pub(super) fn to_json(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self).map_err(|e| Error::new(ErrorKind::Internal, "plan", "a plan is not JSON").because(e))
    }

    /// What is stored, if this version can read it.
    pub(super) fn read(plan: &store::Plan) -> Result<Self> {
        let kept = serde_json::from_value::<Self>(plan.plan.request.clone()).ok();
        let kept = kept.filter(|kept| kept.version == VERSION && PushMode::parse(&kept.mode).is_some());
        kept.ok_or_else(|| unfit(plan, "another version of this library made it; make a new plan"))
    }

    /// The push of these items and nothing else.
    pub(super) fn push(self, plan: &store::Plan, items: &[PlanItem], triggered_by: Option<&str>) -> Push {
        let stream = plan.plan.feed.stream.clone();
        let mut push = match self.rows {
            RowsOf::Records => Push::records(stream, items.iter().filter_map(record)),
            RowsOf::Mapped(mapping) => Push { stream, ..Push::mapped(*mapping) },
            RowsOf::Source(table) => Push::source(stream, table),
            RowsOf::Failed(None) => Push::failed(stream),
            RowsOf::Failed(Some(mapping)) => Push { stream, ..Push::failed_of(*mapping) },
        };
        push.keys = Some(items.iter().map(|item| item.entity.clone()).collect());
        push.mode = PushMode::parse(&self.mode).unwrap_or_default();
        push.key = self.key;
        push.confirm_deletes = self.confirm_deletes;
        push.accept_shape = self.accept_shape;
        push.look = self.looked;
        push.triggered_by = triggered_by.map(Into::into);
        push
    }

    /// # Errors
    /// Conflict when the connection no longer leads where the plan was made for.
    pub(super) fn same_place(&self, plan: &store::Plan, row: &store::Connection) -> Result<()> {
        if self.account != row.account_id {
            return Err(unfit(plan, "the connection is with another account now; make a new plan"));
        }
        if self.settings != digest(row) {
            return Err(unfit(plan, "the connection's settings have changed, and may lead elsewhere; make a new plan"));
        }
        Ok(())
    }

    /// # Errors
    /// Conflict when the stream is no longer as it was.
    pub(super) fn same_stream(form: Option<&FormKept>, plan: &store::Plan, now: &Plan) -> Result<()> {
        match form {
            Some(FormKept(then)) if *then == Form::of(now) => Ok(()),
            _ => Err(unfit(plan, "the stream's fields or key columns are no longer those it was made for; make a new plan")),
        }
    }

    /// The stream as it was, for [`same_stream`](Self::same_stream).
    pub(super) fn take_form(&mut self) -> Option<FormKept> {
        self.stream.take().map(FormKept)
    }
}

/// The stream as a plan has it.
#[derive(Debug)]
pub(super) struct FormKept(Form);

/// An item as the record it was; `None` where no row is behind it.
fn record(item: &PlanItem) -> Option<PushRecord> {
    let write = item.write.as_deref()?;
    if write.left_over || (item.kind == ItemKind::Delete && write.rule == sync_core::mapping::Rule::Mirrored) {
        return None;
    }
    let (operation, fields) = match item.kind {
        ItemKind::Delete => (Operation::Delete, "{}".into()),
        _ => (Operation::Upsert, write.fields.as_ref()?.get().into()),
    };
    let id = item.records.first().map(|(_, id)| id.clone());
    Some(PushRecord { key: Some(item.entity.clone()), id, operation, fields: Ok(fields) })
}

fn digest(row: &store::Connection) -> Box<str> {
    let digest = Sha256::digest(row.settings.to_string().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}
