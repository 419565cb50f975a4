//! Applying the plan of a push: a push of the items and nothing else, through the same journal as every push.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use sync_core::{
    Counts, Error, ErrorKind, Operation, PushMode, RecordFailure, RecordId, Result, RunError, SyncResult,
    store::{
        Fence, Intent, IntentFilter, IntentState, ItemKind, ItemState, Plan, PlanItem, PlanState, SeenRecord, Settle, without_stranger,
    },
};

use super::{
    kept::{FormKept, Kept},
    look::look_at,
    screen::{Fate, RECORD, Screen, done, operation},
    sight::{Sight, Sought, fields_of, find},
};
use crate::{
    Apply, Connection,
    plan::{appliable, unfit},
    push::{
        courier::{Courier, Done, Halt},
        mirror::{self, Deletes},
        pages::PAGE,
        prepare::{Job, Ready},
        rows::{Aside, Page},
        run::Work,
        there::{Keep, There},
    },
    run::{self, Report, Shield, Start},
};

/// Items read together.
const ITEMS: u32 = 2_000;
const GONE: &str = "its row is gone, or can no longer be sent; it was left alone";
const KEPT: &str = "a row stands for it now; it was left alone";

/// Sends what a stored plan says.
pub(crate) async fn apply(connection: &Connection, apply: Apply, plan: Plan) -> Result<SyncResult> {
    let row = connection.usable().await?;
    appliable(connection, &plan)?;
    let mut kept = Kept::read(&plan)?;
    kept.same_place(&plan, &row)?;
    let (chosen, others_done) = items(connection, &plan, &apply).await?;
    let form = kept.take_form();
    let push = kept.push(&plan, &chosen, apply.triggered_by.as_deref());
    let job = Job::new(connection, push).await?;
    // The settings are read again with the job; a plan is not applied with those it was not made for.
    let new = job.new_run(job.push.mode.as_str(), connection.provider.descriptor().push.one_writer);
    let applying = Applying { connection: connection.clone(), plan, form, chosen, others_done, partial: apply.only.is_some(), apply };
    run::lead(connection, Start { operation: "apply", new }, |fence, shield| applying.run(job, fence, shield)).await
}

/// The items to be applied, and whether all others were.
async fn items(connection: &Connection, plan: &Plan, apply: &Apply) -> Result<(Vec<PlanItem>, bool)> {
    let run = plan.plan.run;
    let (mut chosen, mut others_done, mut after, mut unknown) = (Vec::new(), true, 0, apply.only.clone());
    loop {
        let items = connection.workspace.store.plan_items(run, after, ITEMS).await?;
        let Some(last) = items.last() else { break };
        after = last.no;
        for item in items {
            let name = without_stranger(&item.entity);
            let wanted = apply.only.as_ref().is_none_or(|only| only.contains(name));
            if let Some(unknown) = unknown.as_mut().filter(|_| wanted) {
                unknown.remove(name);
            }
            match (item.state, wanted) {
                (ItemState::Applied, _) => {}
                (_, true) => chosen.push(item),
                (_, false) => others_done = false,
            }
        }
    }
    if let Some(entity) = unknown.iter().flatten().next() {
        let text = format!("the plan has no row with the key {entity:?}; nothing was done about it");
        return Err(Error::config("apply", text).at("plan", run.to_string()));
    }
    Ok((chosen, others_done))
}

struct Applying {
    connection: Connection,
    apply: Apply,
    plan: Plan,
    form: Option<FormKept>,
    chosen: Vec<PlanItem>,
    others_done: bool,
    /// Whether only a part was asked for.
    partial: bool,
}

impl Applying {
    async fn run(self, job: Job, fence: Fence, shield: Shield) -> Result<Report> {
        // Nobody else applies it from here on: the stream is this run's.
        let now = self.connection.workspace.plan(self.plan.plan.run).await?;
        if (now.state, now.applied_run) != (self.plan.state, self.plan.applied_run) {
            return Err(unfit(&self.plan, "somebody else has changed or applied it just now; look at it again"));
        }
        Kept::read(&self.plan)?.same_place(&self.plan, &job.row)?;
        if self.chosen.is_empty() {
            return self.settled(&HashMap::new(), fence).await.map(|left| self.report(left, Vec::new(), Counts::default()));
        }
        let known = job.target();
        job.register(known.as_ref()).await?;
        let Ready { mut courier, work, plan: to } = job.ready(None, false, fence, shield).await?;
        Kept::same_stream(self.form.as_ref(), &self.plan, &to)?;
        let screen = Arc::new(Screen::new(&self.chosen));
        match Arc::get_mut(&mut courier) {
            Some(courier) => courier.screen = Some(Arc::clone(&screen)),
            None => return Err(Error::new(ErrorKind::Internal, "apply", "the run began before its plan was known")),
        }
        let _halt = Halt(Arc::clone(&courier));
        if to.news {
            courier.commit(Vec::new(), &mut Done::default(), Some(to.memory.clone())).await?;
        }
        let worked = self.send(&courier, &work, &screen).await;
        let worked = courier.counted(worked).await;
        self.engine().crash_points.at("w13");
        let fates = self.chosen.iter().filter_map(|item| Some((item.no, screen.fate(item.no)?.state()))).collect();
        let left = self.settled(&fates, fence).await;
        let counts = courier.state().counts;
        let errors = worked?;
        Ok(self.report(left?, errors, counts))
    }

    fn engine(&self) -> &crate::syncline::Engine {
        &self.connection.workspace.engine
    }

    fn report(&self, left: bool, errors: Vec<RunError>, counts: Counts) -> Report {
        let partial = !errors.is_empty() || counts.failed + counts.unsettled > 0 || (left && !self.partial);
        Report { partial, errors, ..Report::default() }
    }

    /// What the service has, where the plan was made from that.
    async fn there(&self, courier: &Courier, work: &Work) -> Result<Option<There>> {
        if !work.push.look {
            return Ok(None);
        }
        let ids: HashSet<RecordId> = self.chosen.iter().filter_map(id).cloned().collect();
        if work.push.mode == PushMode::Mirror {
            return mirror::survey(courier, Keep::These(&ids)).await.map(Some);
        }
        look_at(courier, &ids).await
    }

    /// The items whose records at the service are no longer as they were seen.
    async fn drifted(&self, courier: &Courier, there: Option<&There>) -> Result<HashSet<u32>> {
        let seen = |item: &PlanItem| item.write.as_ref().and_then(|write| write.seen);
        let found = match there {
            Some(_) => HashMap::new(),
            None => {
                let sought = self
                    .chosen
                    .iter()
                    .filter(|item| seen(item).is_some())
                    .filter_map(|item| Some(Sought { id: id(item)?.clone(), mode: courier.mode, fields: fields(item) }));
                find(courier, sought.collect()).await?
            }
        };
        let mut drifted = HashSet::new();
        for item in &self.chosen {
            let Some(then) = seen(item) else { continue };
            let sight = match there {
                Some(there) => Sight::of(there, id(item)),
                None => id(item).and_then(|id| found.get(id).cloned()).unwrap_or_default(),
            };
            let sent: Vec<String> = fields_of(&fields(item)).into_keys().collect();
            let sent = (operation(item) == Operation::Upsert).then(|| sent.iter().map(String::as_str));
            let now = match (sight.kept(sent), then) {
                (Some(SeenRecord::Read(_)), SeenRecord::There) => Some(SeenRecord::There),
                (now, _) => now,
            };
            if now != Some(then) {
                drifted.insert(item.no);
            }
        }
        Ok(drifted)
    }

    async fn send(&self, courier: &Arc<Courier>, work: &Work, screen: &Screen) -> Result<Vec<RunError>> {
        courier.round(true, true).await?;
        let there = self.there(courier, work).await?;
        screen.drift(self.drifted(courier, there.as_ref()).await?);
        let deletes = match (work.push.mode, &there) {
            (PushMode::Mirror, Some(there)) => {
                let only = self.chosen.iter().filter(|item| item.kind == ItemKind::Delete).filter_map(id).cloned().collect();
                let deletes = Deletes { confirmed: work.push.confirm_deletes, only: Some(&only) };
                mirror::surplus(courier, there, work.pages_of(courier, true, None), &work.form, deletes).await?
            }
            _ => Page::default(),
        };
        courier.send(|out| work.feed(courier, out, deletes)).await?;
        let aside = self.left_alone(courier, screen, there.as_ref()).await?;
        courier.commit(Vec::new(), &mut Done::beside(aside), None).await?;
        courier.settle(work.push.patience).await
    }

    /// Items that nothing came by for: their rows are gone, or an earlier attempt has done them.
    async fn left_alone(&self, courier: &Courier, screen: &Screen, there: Option<&There>) -> Result<Aside> {
        let mut aside = Aside::default();
        let rest: Vec<&PlanItem> = self.chosen.iter().filter(|item| screen.fate(item.no).is_none()).collect();
        for some in rest.chunks(PAGE) {
            let keys: Vec<Box<str>> = some.iter().map(|item| item.entity.clone()).collect();
            let links = courier.store.push_links(&courier.feed, &keys).await?;
            let filter = IntentFilter { feed: Some(courier.feed.clone()), keys, limit: some.len() as u32, ..IntentFilter::default() };
            let open = courier.store.intents(filter).await?;
            for (item, link) in some.iter().zip(links) {
                let Some(write) = item.write.as_deref() else { continue };
                let surplus = item.kind == ItemKind::Delete && there.is_some();
                let gone = surplus && id(item).is_some_and(|id| there.is_some_and(|there| !there.records.contains_key(id)));
                let begun = |intent: &Intent| intent.key == item.entity && intent.state != IntentState::Failed && screen.lets(intent);
                let drifted = screen.drifted(item.no);
                let fate = match () {
                    () if open.iter().any(|(_, intent)| begun(intent)) => Fate::Begun,
                    () if gone || (!surplus && done(write, operation(item), link.as_ref())) => Fate::Done,
                    () => Fate::Moved,
                };
                match fate {
                    Fate::Begun => {}
                    Fate::Done => aside.unchanged(1),
                    Fate::Moved => {
                        aside.counts.read += 1;
                        aside.counts.skipped += 1;
                        let text = match () {
                            () if drifted => RECORD,
                            () if surplus => KEPT,
                            () => GONE,
                        };
                        aside.failures.push(RecordFailure::warning(text).of_record(item.entity.clone()));
                    }
                }
                screen.set(item.no, fate);
            }
        }
        Ok(aside)
    }

    /// Writes down what became of the items; answers whether anything of the plan is left.
    async fn settled(&self, fates: &HashMap<u32, ItemState>, fence: Fence) -> Result<bool> {
        let applied = |item: &PlanItem| fates.get(&item.no) == Some(&ItemState::Applied);
        let left = !self.others_done || !self.chosen.iter().all(applied);
        let touched = !fates.is_empty() || self.plan.state == PlanState::Partial;
        let settle = Settle {
            state: match (left, touched) {
                (false, _) => PlanState::Applied,
                (true, true) => PlanState::Partial,
                (true, false) => self.plan.state,
            },
            run: Some(fence.run),
            items: fates.iter().map(|(no, state)| (*no, *state)).collect(),
            by: self.connection.workspace.asked_by(self.apply.triggered_by.as_deref()),
            at: self.engine().shared.clock.now(),
        };
        if self.connection.workspace.store.settle_plan(self.plan.plan.run, self.plan.state, settle).await? {
            return Ok(left);
        }
        Err(unfit(&self.plan, "somebody else changed it while it was being applied; what was sent stays"))
    }
}

/// The service's own key of an item's record.
fn id(item: &PlanItem) -> Option<&RecordId> {
    item.records.first().map(|(_, id)| id)
}

/// What an item sends.
fn fields(item: &PlanItem) -> Box<str> {
    item.write.as_ref().and_then(|write| Some(write.fields.as_ref()?.get().into())).unwrap_or_else(|| "{}".into())
}
