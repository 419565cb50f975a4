//! Decides about rows and hands the lanes what has to be sent, ahead of them.

use std::collections::{HashMap, HashSet};

use sync_core::{
    Earlier, Operation, RecordFailure, RecordId, Result,
    store::{Intent, IntentFilter, IntentState, PushLink, Settled},
};
use tokio::sync::mpsc;

use super::{
    batch::Batcher,
    courier::{Courier, Parcel},
    item::{Basis, Item, rule_of},
    pages::Seen,
    rows::{Aside, Page, Row},
    select::{Choice, Rules, choose},
};

/// Failures and settled rows that are written down together at most, when nothing is sent with them.
const ASIDE: usize = 1_000;

/// What was handed to lanes is theirs; when they are gone, the run is about to stop.
#[derive(Debug)]
pub(crate) struct Feeder<'c> {
    courier: &'c Courier,
    rules: Rules,
    out: mpsc::Sender<Parcel>,
    batcher: Batcher,
    aside: Aside,
    /// Whether any write of the feed is open, so that rows have to be compared with it.
    open: bool,
    /// Keys at the service of what this run sends.
    ids: Seen,
    /// Keys whose writes failed earlier and that this run has met.
    pub(crate) met: HashSet<Box<str>>,
}

impl<'c> Feeder<'c> {
    pub(crate) async fn new(courier: &'c Courier, rules: Rules, out: mpsc::Sender<Parcel>) -> Result<Self> {
        let any = IntentFilter { feed: Some(courier.feed.clone()), limit: 1, ..IntentFilter::default() };
        let open = !courier.store.intents(any).await?.is_empty();
        let batcher = Batcher::new(courier.limits.items, courier.limits.bytes);
        Ok(Self { courier, rules, out, batcher, aside: Aside::default(), open, ids: Seen::default(), met: HashSet::new() })
    }

    /// Decides about a page; answers whether anybody still takes what is handed over.
    pub(crate) async fn page(&mut self, page: Page) -> Result<bool> {
        if self.courier.screen.is_none() {
            self.aside.absorb(page.aside);
        }
        let surplus = page.surplus;
        let rows = with_ids(self.courier, page.rows, page.links).await?;
        let intents = self.intents(&rows).await?;
        let now = self.courier.cx.services.now();
        for (row, link) in rows {
            let intent = intents.get(&*row.key);
            if intent.is_some_and(|intent| intent.state == IntentState::Failed) {
                self.met.insert(row.key.clone());
            }
            let choice = match &self.courier.screen {
                None => choose(&row, link.as_ref(), intent, &self.rules, now),
                Some(screen) => match screen.choose(&row, link.as_ref(), intent) {
                    Some(choice) => choice,
                    None => continue,
                },
            };
            if let (Choice::Send | Choice::Retry, Some(id)) = (&choice, &row.id)
                && !self.ids.first(id.as_str())
            {
                let text = format!("another row of this push is the record {:?} at the service too; only the first is sent", id.as_str());
                self.aside.fail(RecordFailure::error(text).of_record(row.key));
                continue;
            }
            match choice {
                Choice::Unchanged => self.aside.unchanged(1),
                Choice::Reverted => {
                    self.aside.unchanged(1);
                    self.aside.settled.push(Settled::Dropped { key: row.key });
                }
                Choice::Held | Choice::Counted => {}
                Choice::Overtaken => {
                    let text = "an earlier write of it is not settled, and it is no longer as that one; once it is, push it again";
                    self.aside.fail(RecordFailure::error(text).of_record(row.key));
                }
                Choice::StillFailed(reason) => self.aside.fail(RecordFailure::error(reason).of_record(row.key)),
                Choice::Skip(reason) => self.aside.skip(&row.key, reason),
                Choice::Send => {
                    let basis = Basis { rule: rule_of(&row, link.as_ref(), surplus), link };
                    let item = Item::new(row, self.rules.mode, basis, intent.cloned(), &*self.courier.cx.services);
                    if !self.add(item).await {
                        return Ok(false);
                    }
                }
                Choice::Retry => {
                    let basis = Some(Basis { rule: sync_core::mapping::Rule::Retried, link });
                    let again = intent.cloned().map(|intent| Item { basis, ..Item::again(intent, Earlier::Never) });
                    if let Some(item) = again
                        && !self.add(item).await
                    {
                        return Ok(false);
                    }
                }
            }
            if self.aside.failures.len() + self.aside.settled.len() >= ASIDE && !self.hand_over(Vec::new()).await {
                return Ok(false);
            }
        }
        Ok(!self.out.is_closed())
    }

    /// Sends an item; answers whether anybody still takes what is handed over.
    pub(crate) async fn add(&mut self, item: Item) -> bool {
        match self.batcher.add(item) {
            Some(full) => self.hand_over(full).await,
            None => true,
        }
    }

    /// Whether a write that failed before is sent again here.
    pub(crate) fn lets(&self, intent: &Intent) -> bool {
        self.courier.screen.as_ref().is_none_or(|screen| screen.left_over(intent))
    }

    /// A write that needs nothing more.
    pub(crate) fn settle(&mut self, settled: Settled) {
        self.aside.settled.push(settled);
    }

    /// Hands over what is left; answers which failed writes were met.
    pub(crate) async fn finish(mut self) -> HashSet<Box<str>> {
        for rest in self.batcher.rest() {
            if !self.hand_over(rest).await {
                return self.met;
            }
        }
        if !self.aside.is_empty() {
            self.hand_over(Vec::new()).await;
        }
        self.met
    }

    async fn hand_over(&mut self, items: Vec<Item>) -> bool {
        self.out.send(Parcel { items, aside: std::mem::take(&mut self.aside) }).await.is_ok()
    }

    async fn intents(&self, rows: &[(Row, Option<PushLink>)]) -> Result<HashMap<Box<str>, Intent>> {
        if !self.open || rows.is_empty() {
            return Ok(HashMap::new());
        }
        let keys: Vec<Box<str>> = rows.iter().map(|(row, _)| row.key.clone()).collect();
        let limit = keys.len() as u32;
        let filter = IntentFilter { feed: Some(self.courier.feed.clone()), keys, limit, ..IntentFilter::default() };
        Ok(self.courier.store.intents(filter).await?.into_iter().map(|(_, intent)| (intent.key.clone(), intent)).collect())
    }
}

/// Rows with their links, and with the ids those know.
pub(crate) async fn with_ids(
    courier: &Courier,
    rows: Vec<Row>,
    links: Option<Vec<Option<PushLink>>>,
) -> Result<Vec<(Row, Option<PushLink>)>> {
    let links = match links {
        Some(links) => links,
        None if rows.is_empty() => Vec::new(),
        None => {
            let keys: Vec<Box<str>> = rows.iter().map(|row| row.key.clone()).collect();
            courier.store.push_links(&courier.feed, &keys).await?
        }
    };
    // Where the service's key is made of columns, a record that shall go has none of them; its own key is made of the same.
    let by_key = |row: &Row| (row.operation == Operation::Delete && !courier.key.is_empty()).then(|| RecordId::from(&*row.key));
    let with_id = |(row, link): (Row, Option<PushLink>)| {
        let id = row.id.clone().or_else(|| link.as_ref().and_then(|link| link.id.clone())).or_else(|| by_key(&row));
        (Row { id, ..row }, link)
    };
    Ok(rows.into_iter().zip(links).map(with_id).collect())
}
