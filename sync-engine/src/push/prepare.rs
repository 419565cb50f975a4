//! What a push does before its first row, whether it sends or only looks.

use std::sync::{Arc, atomic::AtomicBool};

use sync_core::{
    Direction, EntityType, Error, Place, PushMode, Result, SyncContext, Target,
    mapping::CompiledMapping,
    policy::SettlePolicy,
    store::{self, Feed, Fence, NewRun},
};
use tokio::sync::Notify;

use super::{
    Push, What,
    courier::Courier,
    next::Terms,
    plan::{Plan, sending, target},
    rows::Form,
    run::Work,
};
use crate::{Connection, pull::entity_of, run::Shield};

/// A push about to begin.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) connection: Connection,
    pub(crate) push: Push,
    pub(crate) feed: Feed,
    pub(crate) mapping: Option<Arc<CompiledMapping>>,
    pub(crate) cx: SyncContext,
    /// The connection as it was then.
    pub(crate) row: store::Connection,
}

/// A push that knows where to.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) courier: Arc<Courier>,
    pub(crate) work: Work,
    pub(crate) plan: Plan,
}

impl Job {
    pub(crate) async fn new(connection: &Connection, push: Push) -> Result<Self> {
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
        let feed = Feed {
            connection: connection.id.clone(),
            stream: push.stream.clone(),
            mapping: mapping.as_deref().map(|mapping| mapping.name().into()).unwrap_or_default(),
        };
        Ok(Self { connection: connection.clone(), push, feed, mapping, cx, row })
    }

    pub(crate) fn entity(&self) -> EntityType {
        let stream = || entity_of(self.connection.integration_name(), &self.push.stream);
        self.mapping.as_deref().map_or_else(stream, |mapping| mapping.entity().clone())
    }

    pub(crate) fn new_run(&self, job_type: &'static str, exclusive: bool) -> NewRun {
        NewRun {
            feed: self.feed.clone(),
            direction: Direction::ToExternal,
            entity: self.entity(),
            job_type,
            exclusive,
            triggered_by: self.connection.workspace.asked_by(self.push.triggered_by.as_deref()),
            at: self.cx.services.now(),
        }
    }

    /// What cannot work whatever the rows are.
    pub(crate) fn check(&self) -> Result<()> {
        if self.push.mode == PushMode::Mirror && (self.push.keys.is_some() || matches!(self.push.what, What::Failed(_))) {
            return Err(Error::config("push", "a mirror needs all rows; push without keys(…), and not what failed alone"));
        }
        Ok(())
    }

    /// What the storage has to know to compare rows of the mapping's table, as far as it is known without the service.
    pub(crate) fn target(&self) -> Option<Arc<Target>> {
        self.mapping.as_deref().map(|mapping| target(&self.connection, mapping, &[]))
    }

    /// Says that the host's table is used.
    pub(crate) async fn register(&self, target: Option<&Arc<Target>>) -> Result<()> {
        match target.map(|target| (&target.place, &target.pushes)) {
            Some((Place::Host(table), fields)) => self.connection.workspace.store.register_table(Arc::clone(table), fields).await,
            _ => Ok(()),
        }
    }

    /// Asks the service what the stream is like. Of a table only rows from the version `since` on are looked at. A `trial` leaves no trace.
    pub(crate) async fn ready(self, since: Option<Box<str>>, trial: bool, fence: Fence, shield: Shield) -> Result<Ready> {
        let Self { connection, push, feed, mapping, cx, row: _ } = self;
        let plan = Plan::make(&connection, &cx, &push, &feed, mapping.as_deref()).await?;
        let target = mapping.as_deref().map(|mapping| target(&connection, mapping, &plan.fields));
        let mapping = mapping.map(|mapping| Arc::new(sending(&mapping, &plan.key, &plan.writes, &plan.fields)));
        let limits = connection.provider.descriptor().push;
        let most = if limits.one_writer { 1 } else { limits.lanes.max(1) };
        let courier = Courier {
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
            screen: None,
            halted: AtomicBool::new(false),
            alarm: Notify::new(),
            state: std::sync::Mutex::default(),
        };
        let key = if push.key.is_empty() { Arc::clone(&plan.key) } else { push.key.as_slice().into() };
        let form = Form { id: Arc::clone(&courier.key), key, writes: plan.writes.clone() };
        let work = Work { form, connection, push, mapping, target, since, trial };
        Ok(Ready { courier: Arc::new(courier), work, plan })
    }
}
