//! What was pushed: links, intents and memory of feeds, and the rows that differ.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use syncline::core::{
    Error, Operation, Record, RecordBatch, RecordId, Result, async_trait,
    store::{
        ChangedQuery, ChangedRows, ConflictStore, Feed, Intent, IntentFilter, PlanStore, PushCommit, PushLink, PushMemory, PushStore,
        Settled,
    },
};

use super::{FeedKey, Scoped, World, commit::Row, feed_key};

/// What one feed's pushes know.
#[derive(Clone, Debug, Default)]
pub(super) struct Pushed {
    pub(super) links: BTreeMap<Box<str>, PushLink>,
    intents: BTreeMap<Box<str>, Intent>,
    memory: PushMemory,
}

/// The hash of the fields that are pushed.
fn content(row: &Row, pushes: &[Box<str>]) -> u64 {
    let mut hash = DefaultHasher::new();
    for field in pushes {
        (field, row.json(field)).hash(&mut hash);
    }
    hash.finish()
}

impl World {
    /// Remembers what a pull brought, so that a push does not send it back. Where the row keeps another value than the service's,
    /// or kept a change the record says nothing of, there is something to send.
    pub(super) fn agree(
        &mut self,
        feed: &FeedKey,
        pushes: &[Box<str>],
        (batch, record): (&RecordBatch, &Record),
        key: &str,
        (before, after): (Option<&Row>, &Row),
    ) {
        let links = &mut self.pushed.entry(feed.clone()).or_default().links;
        let known = links.get(key).cloned().unwrap_or_default();
        let settled = before.is_none_or(|before| known.hash == Some(content(before, pushes)));
        let agreed = pushes.iter().all(|field| match batch.cell(record, field) {
            Some(theirs) => theirs == after.json(field),
            None => settled,
        });
        let link = PushLink { id: Some(record.id.clone()), hash: agreed.then(|| content(after, pushes)), ..known };
        links.insert(key.into(), link);
    }

    fn changed(&self, scoped: &Scoped, query: &ChangedQuery) -> Result<ChangedRows> {
        let (target, pushes) = (&query.target, &query.target.pushes);
        let table = self.tables.get(&(scoped.workspace.clone(), target.entity.clone()));
        let Some(table) = table.filter(|table| table.mapped) else {
            return Err(Error::config("changed_rows", format!("there is no table of {} that could be pushed", target.entity)));
        };
        let known = |field: &str| table.rows.values().any(|row| row.fields.contains_key(field));
        if let Some(missing) = pushes.iter().find(|field| !table.rows.is_empty() && !known(field)) {
            return Err(Error::config("changed_rows", format!("rows of {} have no field {missing}", target.entity)));
        }
        let links = self.pushed.get(&feed_key(&scoped.workspace, &query.feed)).map(|pushed| &pushed.links);
        let mut found = ChangedRows::default();
        let wanted = |key: &str| query.keys.as_ref().is_none_or(|keys| keys.iter().any(|wanted| **wanted == *key));
        let after = |key: &str| query.after.as_ref().is_none_or(|after| *key > **after);
        let mut rows = table.rows.iter().filter(|((key, _), _)| wanted(key) && after(key)).peekable();
        let mut looked = 0;
        while let Some(((key, _), row)) = rows.next() {
            let link = links.and_then(|links| links.get(key)).cloned();
            let hash = content(row, pushes);
            if link.as_ref().is_some_and(|link| link.hash == Some(hash)) && !query.all {
                found.unchanged += 1;
            } else {
                let names: Vec<usize> = pushes.iter().map(|field| found.batch.name(field)).collect();
                let mut draft = found.batch.record();
                for (name, field) in names.into_iter().zip(pushes.iter()) {
                    draft.made(name, row.json(field));
                }
                draft.finish(&**key, Operation::Upsert, None);
                found.links.push(link);
                found.hashes.push(hash);
            }
            looked += 1;
            if looked == query.limit && rows.peek().is_some() {
                found.after = Some(key.clone());
                break;
            }
        }
        let there = |key: &str| table.rows.contains_key(&(key.into(), None));
        found.missing = query.keys.iter().flatten().filter(|key| !there(key)).cloned().collect();
        Ok(found)
    }
}

fn listed(scoped: &Scoped, world: &World, filter: &IntentFilter) -> Vec<(Feed, Intent)> {
    let limit = if filter.limit == 0 { 100 } else { filter.limit as usize };
    let after = filter.after.as_ref().map(|(feed, key)| (feed_key(&scoped.workspace, feed), key));
    let own = world.pushed.iter().filter(|(feed, _)| feed.0 == scoped.workspace);
    let all = own.flat_map(|(feed, pushed)| pushed.intents.values().map(move |intent| (feed, intent)));
    let wanted = all.filter(|(feed, intent)| {
        filter.feed.as_ref().is_none_or(|wanted| feed_key(&scoped.workspace, wanted) == **feed)
            && filter.connection.as_ref().is_none_or(|connection| feed.1 == *connection)
            && (filter.states.is_empty() || filter.states.contains(&intent.state))
            && (filter.keys.is_empty() || filter.keys.contains(&intent.key))
            && after.as_ref().is_none_or(|(after, key)| (*feed, &intent.key) > (after, *key))
    });
    let feed = |of: &FeedKey| Feed { connection: of.1.clone(), stream: of.2.clone(), mapping: of.3.clone() };
    wanted.take(limit).map(|(of, intent)| (feed(of), intent.clone())).collect()
}

/// Plans need not be kept.
impl PlanStore for Scoped {}

/// Nor what is said beside fields.
impl ConflictStore for Scoped {}

#[async_trait]
impl PushStore for Scoped {
    async fn changed_rows(&self, query: ChangedQuery) -> Result<ChangedRows> {
        self.handle.read(|world| world.changed(self, &query))
    }

    async fn push_links(&self, feed: &Feed, keys: &[Box<str>]) -> Result<Vec<Option<PushLink>>> {
        self.handle.read(|world| {
            let pushed = world.pushed.get(&feed_key(&self.workspace, feed));
            Ok(keys.iter().map(|key| pushed.and_then(|pushed| pushed.links.get(key)).cloned()).collect())
        })
    }

    async fn linked_keys(&self, feed: &Feed, ids: &[RecordId]) -> Result<Vec<Option<Box<str>>>> {
        self.handle.read(|world| {
            let pushed = world.pushed.get(&feed_key(&self.workspace, feed));
            let linked = |id: &RecordId| {
                pushed.and_then(|pushed| pushed.links.iter().find(|(_, link)| link.id.as_ref() == Some(id)).map(|(key, _)| key.clone()))
            };
            Ok(ids.iter().map(linked).collect())
        })
    }

    async fn push_memory(&self, feed: &Feed) -> Result<PushMemory> {
        let whose = feed_key(&self.workspace, feed);
        Ok(self.handle.read(|world| world.pushed.get(&whose).map(|pushed| pushed.memory.clone()).unwrap_or_default()))
    }

    async fn intents(&self, filter: IntentFilter) -> Result<Vec<(Feed, Intent)>> {
        Ok(self.handle.read(|world| listed(self, world, &filter)))
    }

    async fn journal(&self, commit: PushCommit) -> Result<()> {
        self.handle.write(|world| {
            world.fenced(&self.workspace, commit.fence, "journal")?;
            let pushed = world.pushed.entry(feed_key(&self.workspace, &commit.feed)).or_default();
            for settled in commit.settled {
                match settled {
                    Settled::Accepted { key, link } => {
                        pushed.intents.remove(&key);
                        pushed.links.insert(key, link);
                    }
                    Settled::Deleted { key } => {
                        pushed.intents.remove(&key);
                        pushed.links.remove(&key);
                    }
                    Settled::Dropped { key } => drop(pushed.intents.remove(&key)),
                    Settled::Open(intent) => drop(pushed.intents.insert(intent.key.clone(), *intent)),
                }
            }
            pushed.intents.extend(commit.begun.into_iter().map(|intent| (intent.key.clone(), intent)));
            pushed.memory = commit.memory.unwrap_or(std::mem::take(&mut pushed.memory));
            world.book(&self.workspace, commit.fence.run, &commit.counts, &commit.failures, &commit.events);
            Ok(())
        })
    }
}
