//! What a push does between the beginning and the end of its run.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::AtomicBool},
};

use sync_core::{
    Direction, EntityType, Error, Place, PushMode, Result, RunError, SyncContext, SyncResult, Target,
    mapping::CompiledMapping,
    policy::SettlePolicy,
    store::{Feed, Fence, NewRun, PushMemory},
};

use tokio::sync::Notify;

use super::{
    Push, What,
    courier::{Courier, Done, Halt},
    feeder::Feeder,
    leftover::{Again, leftovers},
    mirror,
    next::Terms,
    pages::{PAGE, Pages, Rows, Seen},
    plan::{Plan, sending, target},
    rows::{Form, Page},
    select::Rules,
    survey::Survey,
};
use crate::{
    Connection,
    pull::entity_of,
    run::{self, Report, Shield, Start},
};

/// A push about to begin.
struct Job {
    connection: Connection,
    push: Push,
    feed: Feed,
    mapping: Option<Arc<CompiledMapping>>,
    cx: SyncContext,
}

pub(crate) async fn push(connection: &Connection, push: Push) -> Result<SyncResult> {
    let row = connection.usable().await?;
    let engine = &connection.workspace.engine;
    let mapping = match &push.what {
        What::Mapped(mapping) | What::Failed(Some(mapping)) => Some(Arc::new(mapping.compile(&engine.transforms)?)),
        _ => None,
    };
    if matches!(push.what, What::Source(_)) && engine.source.is_none() {
        return Err(Error::config("push", "no source of rows was given to the engine: call source(…) on its builder"));
    }
    let cx = connection.context_with(&row.settings)?;
    let feed = feed_of(connection, &push, mapping.as_deref());
    let new = NewRun {
        feed: feed.clone(),
        direction: Direction::ToExternal,
        entity: entity(connection, &push, mapping.as_deref()),
        job_type: push.mode.as_str(),
        exclusive: connection.provider.descriptor().push.one_writer,
        triggered_by: connection.workspace.asked_by(push.triggered_by.as_deref()),
        at: cx.services.now(),
    };
    let job = Job { connection: connection.clone(), push, feed, mapping, cx };
    run::lead(connection, Start { operation: "push", new }, |fence, shield| execute(job, fence, shield)).await
}

fn feed_of(connection: &Connection, push: &Push, mapping: Option<&CompiledMapping>) -> Feed {
    Feed {
        connection: connection.id.clone(),
        stream: push.stream.clone(),
        mapping: mapping.map(|mapping| mapping.name().into()).unwrap_or_default(),
    }
}

fn entity(connection: &Connection, push: &Push, mapping: Option<&CompiledMapping>) -> EntityType {
    mapping.map_or_else(|| entity_of(connection.integration_name(), &push.stream), |mapping| mapping.entity().clone())
}

async fn execute(job: Job, fence: Fence, shield: Shield) -> Result<Report> {
    let Job { connection, push, feed, mapping, cx } = job;
    if push.mode == PushMode::Mirror && (push.keys.is_some() || matches!(push.what, What::Failed(_))) {
        return Err(Error::config("push", "a mirror needs all rows; push without keys(…), and not what failed alone"));
    }
    let known = mapping.as_deref().map(|mapping| target(&connection, mapping, &[]));
    if let Some(target) = &known
        && let Place::Host(table) = &target.place
    {
        connection.workspace.store.register_table(Arc::clone(table), &target.pushes).await?;
    }
    let survey = Survey::of(&connection, &push, &feed, known.as_ref()).await?;
    if survey.end_if_idle(&connection, &feed, fence).await? {
        return Ok(Report::default());
    }
    let plan = Plan::make(&connection, &cx, &push, &feed, mapping.as_deref()).await?;
    let target = mapping.as_deref().map(|mapping| target(&connection, mapping, &plan.fields));
    let mapping = mapping.map(|mapping| Arc::new(sending(&mapping, &plan.key, &plan.writes, &plan.fields)));
    let limits = connection.provider.descriptor().push;
    let most = if limits.one_writer { 1 } else { limits.lanes.max(1) };
    let courier = Arc::new(Courier {
        store: Arc::clone(&connection.workspace.store),
        engine: Arc::clone(&connection.workspace.engine),
        provider: Arc::clone(&connection.provider),
        cx,
        fence,
        feed,
        stream: push.stream.clone(),
        key: Arc::clone(&plan.key),
        mode: if push.mode == PushMode::Mirror { PushMode::Upsert } else { push.mode },
        limits,
        lanes: push.lanes.unwrap_or(most).min(most),
        terms: Terms { settle: SettlePolicy::new(limits.in_flight), repeatable: limits.repeatable },
        patience: push.patience,
        shield,
        halted: AtomicBool::new(false),
        alarm: Notify::new(),
        state: std::sync::Mutex::default(),
    });
    let _halt = Halt(Arc::clone(&courier));
    let key = if push.key.is_empty() { plan.key } else { push.key.as_slice().into() };
    let form = Form { id: Arc::clone(&courier.key), key, writes: plan.writes };
    let work = Work { form, connection, push, mapping, target, since: survey.since };
    if plan.news {
        courier.commit(Vec::new(), &mut Done::default(), Some(plan.memory.clone())).await?;
    }
    let worked = work.run(&courier).await;
    let unsettled = courier.unsettled().await;
    if let Ok(many) = unsettled
        && many > 0
    {
        let counted = courier.commit(Vec::new(), &mut Done::unsettled(many), None).await;
        if worked.is_ok() {
            counted?;
        }
    }
    let errors = worked?;
    unsettled?;
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
    Ok(Report { partial: !errors.is_empty() || counts.failed + counts.unsettled > 0, errors, gone: Vec::new() })
}

/// What is pushed, once it is clear where to.
struct Work {
    connection: Connection,
    push: Push,
    mapping: Option<Arc<CompiledMapping>>,
    target: Option<Arc<Target>>,
    form: Form,
    /// Rows of the table below this version were pushed as they are.
    since: Option<Box<str>>,
}

impl Work {
    async fn run(&self, courier: &Arc<Courier>) -> Result<Vec<RunError>> {
        courier.round(true, true).await?;
        let deletes = match self.push.mode {
            PushMode::Mirror => mirror::surplus(courier, self.pages(courier, true), &self.form, self.push.confirm_deletes).await?,
            _ => Page::default(),
        };
        courier.send(|out| self.feed(courier, out, deletes)).await?;
        courier.settle(self.push.patience).await
    }

    async fn feed(&self, courier: &Courier, out: tokio::sync::mpsc::Sender<super::courier::Parcel>, deletes: Page) -> Result<()> {
        let rules = Rules { mode: courier.mode, all: self.push.all, run: courier.fence.run };
        let mut feeder = Feeder::new(courier, rules, out).await?;
        let fed = self.fill(courier, &mut feeder, deletes).await;
        feeder.finish().await;
        fed
    }

    async fn fill(&self, courier: &Courier, feeder: &mut Feeder<'_>, deletes: Page) -> Result<()> {
        let only: Option<HashSet<Box<str>>> = self.push.keys.as_ref().map(|keys| keys.iter().cloned().collect());
        let again = match &self.push.what {
            What::Failed(_) => Again::All,
            What::Mapped(_) => Again::DueOfTable { whole: only.is_none() },
            // What is not among the rows of a mirror shall not be there.
            _ if self.push.mode == PushMode::Mirror => Again::DueOfTable { whole: true },
            What::Records(_) | What::Source(_) => Again::Due,
        };
        if again != Again::All {
            let mut pages = self.pages(courier, self.push.all);
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
    fn pages(&self, courier: &Courier, all: bool) -> Pages {
        let only = self.push.keys.as_deref();
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
