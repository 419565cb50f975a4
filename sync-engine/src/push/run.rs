//! What a push does between the beginning and the end of its run.

use std::{collections::HashSet, sync::Arc};

use sync_core::{
    PushMode, Result, RunError, SyncResult, Target,
    mapping::CompiledMapping,
    store::{Fence, PushMemory},
};
use tokio::sync::mpsc;

use super::{
    Push, What,
    courier::{Courier, Done, Halt, Parcel},
    feeder::Feeder,
    leftover::{Again, leftovers},
    mirror::{self, Deletes},
    pages::{PAGE, Pages, Rows, Seen},
    prepare::{Job, Ready},
    rows::{Form, Page},
    select::Rules,
    survey::Survey,
    there::Keep,
};
use crate::{
    Connection,
    run::{self, Report, Shield, Start},
};

pub(crate) async fn push(connection: &Connection, push: Push) -> Result<SyncResult> {
    let job = Job::new(connection, push).await?;
    let new = job.new_run(job.push.mode.as_str(), connection.provider.descriptor().push.one_writer);
    run::lead(connection, Start { operation: "push", new }, |fence, shield| execute(job, fence, shield)).await
}

async fn execute(job: Job, fence: Fence, shield: Shield) -> Result<Report> {
    job.check()?;
    let known = job.target();
    job.register(known.as_ref()).await?;
    let survey = Survey::of(&job.connection, &job.push, &job.feed, known.as_ref(), false).await?;
    if survey.end_if_idle(&job.connection, &job.feed, fence).await? {
        return Ok(Report::default());
    }
    let Ready { courier, work, plan } = job.ready(survey.since, false, fence, shield).await?;
    let _halt = Halt(Arc::clone(&courier));
    if plan.news {
        courier.commit(Vec::new(), &mut Done::default(), Some(plan.memory.clone())).await?;
    }
    let worked = work.run(&courier).await;
    let errors = courier.counted(worked).await?;
    let counts = courier.state().counts;
    // Only when nothing was left behind; a row that was would stand below the mark, and not be looked at again.
    if let Some(reached) = survey.reached
        && errors.is_empty()
        && counts.failed + counts.skipped + counts.unsettled == 0
        && plan.memory.version.as_ref() != Some(&reached)
    {
        let memory = PushMemory { version: Some(reached), ..plan.memory };
        courier.commit(Vec::new(), &mut Done::default(), Some(memory)).await?;
    }
    Ok(Report { partial: !errors.is_empty() || counts.failed + counts.unsettled > 0, errors, ..Report::default() })
}

/// What is pushed, once it is clear where to.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) form: Form,
    pub(crate) connection: Connection,
    pub(crate) push: Push,
    pub(crate) mapping: Option<Arc<CompiledMapping>>,
    pub(crate) target: Option<Arc<Target>>,
    /// Rows of the table below this version were pushed as they are.
    pub(crate) since: Option<Box<str>>,
    /// It only looks.
    pub(crate) trial: bool,
}

impl Work {
    async fn run(&self, courier: &Arc<Courier>) -> Result<Vec<RunError>> {
        courier.round(true, true).await?;
        let deletes = match self.push.mode {
            PushMode::Mirror => {
                let there = mirror::survey(courier, Keep::Nothing).await?;
                let confirmed = Deletes { confirmed: self.push.confirm_deletes, only: None };
                mirror::surplus(courier, &there, self.pages(courier, true), &self.form, confirmed).await?
            }
            _ => Page::default(),
        };
        courier.send(|out| self.feed(courier, out, deletes)).await?;
        courier.settle(self.push.patience).await
    }

    /// Hands over what has to be sent.
    pub(crate) async fn feed(&self, courier: &Courier, out: mpsc::Sender<Parcel>, deletes: Page) -> Result<()> {
        let rules = Rules { mode: courier.mode, all: self.push.all, run: courier.fence.run };
        let mut feeder = Feeder::new(courier, rules, out).await?;
        let fed = self.fill(courier, &mut feeder, deletes).await;
        feeder.finish().await;
        fed
    }

    async fn fill(&self, courier: &Courier, feeder: &mut Feeder<'_>, deletes: Page) -> Result<()> {
        let only: Option<HashSet<Box<str>>> = self.push.keys.as_ref().map(|keys| keys.iter().cloned().collect());
        let again = match &self.push.what {
            // Of a plan those it names.
            _ if courier.screen.is_some() => Again::All,
            What::Failed(_) => Again::All,
            What::Mapped(_) => Again::DueOfTable { whole: only.is_none() },
            // What is not among the rows of a mirror shall not be there.
            _ if self.push.mode == PushMode::Mirror => Again::DueOfTable { whole: true },
            What::Records(_) | What::Source(_) => Again::Due,
        };
        if !matches!(self.push.what, What::Failed(_)) {
            let mut pages = self.pages(courier, self.push.all || courier.screen.is_some());
            while let Some(page) = pages.next(&self.form).await? {
                if !feeder.page(page).await? {
                    return Ok(());
                }
            }
            if !feeder.page(deletes).await? {
                return Ok(());
            }
        }
        leftovers(courier, feeder, again, only.as_ref()).await
    }

    /// The rows of this push from the first on.
    pub(crate) fn pages(&self, courier: &Courier, all: bool) -> Pages {
        self.pages_of(courier, all, self.push.keys.as_deref())
    }

    /// The rows with these keys, or every row.
    pub(crate) fn pages_of(&self, courier: &Courier, all: bool, only: Option<&[Box<str>]>) -> Pages {
        let workspace = &self.connection.workspace;
        match (&self.push.what, &self.mapping, &self.target, &workspace.engine.source) {
            (What::Mapped(_), Some(mapping), Some(target), _) => Pages::Mapped(Box::new(Rows {
                store: Arc::clone(&courier.store),
                feed: courier.feed.clone(),
                mapping: Arc::clone(mapping),
                target: Arc::clone(target),
                keys: only.map(|keys| keys.chunks(PAGE).map(<[_]>::to_vec).rev().collect()),
                all,
                since: self.since.clone(),
                after: None,
                ended: false,
                trial: self.trial,
            })),
            (What::Source(table), _, _, Some(source)) => Pages::Source {
                source: Arc::clone(source),
                workspace: workspace.id.clone(),
                table: table.clone(),
                only: only.map(|keys| keys.iter().cloned().collect()),
                seen: Seen::default(),
                after: None,
                ended: false,
            },
            (What::Records(records), ..) => Pages::records(Arc::clone(records), &self.form, only),
            _ => Pages::records(Arc::default(), &self.form, None),
        }
    }
}
