//! Making a plan: everything a push does up to the first write, which is collected in its stead.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use sync_core::{
    Direction, Error, ErrorKind, PushMode, RecordId, Result,
    store::{Fence, NewPlan, PLAN, Plan},
};
use tokio::sync::mpsc;

use super::{
    items::{Draft, Items},
    kept::Kept,
    sight::{Sight, Sought, find},
};
use crate::{
    Connection, Push,
    plan::{FAILURES_KEPT, planned_by},
    push::{
        courier::{Courier, Parcel},
        mirror::{self, Deletes},
        pages::PAGE,
        prepare::{Job, Ready},
        rows::{Aside, Page, named},
        run::Work,
        survey::Survey,
        there::{Keep, There, read},
    },
    run::{Shield, Start},
};

/// Fields that a plan holds while it is made, in bytes.
const HELD: usize = 512 << 20;

/// Looks at what a push would look at, and stores what it would send.
pub(crate) async fn plan(connection: &Connection, push: Push) -> Result<Plan> {
    let job = Job::new(connection, push).await?;
    let new = job.new_run(PLAN, false);
    planned_by(connection, Start { operation: "push", new }, |fence, shield| look(job, fence, shield)).await
}

async fn look(job: Job, fence: Fence, shield: Shield) -> Result<Plan> {
    job.check()?;
    let store = Arc::clone(&job.connection.workspace.store);
    let known = job.target();
    let mut kept = Kept::of(&job);
    let mut plan = NewPlan {
        run: fence.run,
        feed: job.feed.clone(),
        direction: Direction::ToExternal,
        entity: job.entity(),
        key: known.as_ref().map(|target| target.place.key().to_vec()).unwrap_or_default(),
        request: serde_json::Value::Null,
        counts: sync_core::Counts::default(),
        failures: Vec::new(),
        errors: Vec::new(),
        made_by: job.connection.workspace.asked_by(job.push.triggered_by.as_deref()),
        made_at: job.cx.services.now(),
    };
    let survey = Survey::of(&job.connection, &job.push, &job.feed, known.as_ref(), true).await?;
    let Items { list, aside } = match survey.idle() {
        Some(rows) => {
            let mut items = Items::default();
            items.aside.unchanged(rows);
            items
        }
        None => {
            let Ready { courier, work, plan: to } = job.ready(survey.since, true, fence, shield).await?;
            kept.saw(&to);
            if plan.key.is_empty() {
                plan.key = work.form.key.to_vec();
            }
            let marked = |field: &str| to.fields.iter().any(|known| known.sensitive && *known.name == *field);
            // What goes is listed with all its fields; of those that the mapping does not read the stream alone speaks.
            let sensitive = |field: &str| match work.mapping.as_deref() {
                Some(mapping) if mapping.column_reads(field) => mapping.is_sensitive_source(field),
                _ => marked(field),
            };
            decide(&courier, &work, kept.records(), sensitive).await?
        }
    };
    plan.request = kept.to_json()?;
    plan.counts = aside.counts;
    plan.failures = named(aside.failures);
    plan.failures.truncate(FAILURES_KEPT);
    store.put_plan(plan, list).await
}

/// What would be sent, in the order in which it would be.
async fn decide(courier: &Courier, work: &Work, handed: bool, sensitive: impl Fn(&str) -> bool) -> Result<Items> {
    let (mut there, mut deletes) = (None, Page::default());
    if work.push.mode == PushMode::Mirror {
        let all = mirror::survey(courier, Keep::All).await?;
        let confirmed = Deletes { confirmed: work.push.confirm_deletes, only: None };
        deletes = mirror::surplus(courier, &all, work.pages(courier, true), &work.form, confirmed).await?;
        there = Some(all);
    }
    let (mut drafts, mut aside) = collect(courier, work, deletes).await?;
    links(courier, &mut drafts).await?;
    if there.is_none() && work.push.look {
        let ids = drafts.iter().filter_map(|draft| draft.intent.id.clone()).collect();
        there = look_at(courier, &ids).await?;
    }
    let found = match there {
        Some(_) => HashMap::new(),
        None => {
            let stray = drafts.iter().filter(|draft| draft.stray());
            let sought =
                |draft: &Draft| Some(Sought { id: draft.intent.id.clone()?, mode: draft.intent.mode, fields: draft.intent.fields.clone() });
            find(courier, stray.filter_map(sought).collect()).await?
        }
    };
    // Writes that are not settled stay so; a push counts them at its end.
    let open = courier.unsettled().await?;
    aside.counts.read += open;
    aside.counts.unsettled += open;
    let mut items = Items { aside, ..Items::default() };
    for draft in drafts {
        let id = draft.intent.id.as_ref();
        let sight = match &there {
            Some(there) => Sight::of(there, id),
            None => id.and_then(|id| found.get(id).cloned()).unwrap_or_default(),
        };
        items.add(draft, &sight, handed, !courier.key.is_empty())?;
    }
    for change in items.list.iter_mut().flat_map(|item| &mut item.changes) {
        change.sensitive = sensitive(&change.field);
    }
    Ok(items)
}

/// Reads the records with these ids, if there is any.
pub(super) async fn look_at(courier: &Courier, ids: &HashSet<RecordId>) -> Result<Option<There>> {
    if ids.is_empty() {
        return Ok(None);
    }
    if !courier.provider.descriptor().capabilities.pull {
        let text = "the provider cannot read the stream, so that nothing tells what is there; plan without a look";
        return Err(Error::config("push", text));
    }
    Ok(Some(read(courier, Keep::These(ids)).await?))
}

/// Decides about all rows; what would be handed to the lanes is kept.
async fn collect(courier: &Courier, work: &Work, deletes: Page) -> Result<(Vec<Draft>, Aside)> {
    let (out, mut inbox) = mpsc::channel::<Parcel>(1);
    let kept = async move {
        let (mut drafts, mut aside, mut held) = (Vec::new(), Aside::default(), 0);
        while let Some(parcel) = inbox.recv().await {
            aside.absorb(parcel.aside);
            for item in parcel.items {
                held += item.weight() * 2 + 200;
                drafts.push(Draft::of(item));
            }
            if held > HELD {
                let text = format!("this plan would hold more than {} MiB of records; plan a part of them, by their keys", HELD >> 20);
                return Err(Error::new(ErrorKind::Config, "push", text));
            }
        }
        Ok((drafts, aside))
    };
    // When the collector gives up, its end of the channel goes, and the feeder ends too.
    let (fed, kept) = futures_util::future::join(work.feed(courier, out, deletes), kept).await;
    let kept = kept?;
    fed?;
    Ok(kept)
}

/// What is known of the records of writes that failed before.
async fn links(courier: &Courier, drafts: &mut [Draft]) -> Result<()> {
    let mut left_over: Vec<&mut Draft> = drafts.iter_mut().filter(|draft| draft.left_over).collect();
    for some in left_over.chunks_mut(PAGE) {
        let keys: Vec<Box<str>> = some.iter().map(|draft| draft.intent.key.clone()).collect();
        let links = courier.store.push_links(&courier.feed, &keys).await?;
        for (draft, link) in some.iter_mut().zip(links) {
            draft.link = link;
        }
    }
    Ok(())
}
