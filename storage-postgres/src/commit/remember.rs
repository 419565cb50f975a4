//! What a pull leaves for pushes to know: the rows it wrote are as the service has them, so that a push does not send them back.
//!
//! The writer of mapped rows calls it once for each set of records it writes together, in which no row stands twice:
//!
//! 1. [`Remembering::open`] once for a commit; `None` for feeds that cannot be pushed.
//! 2. [`Remembering::sends`] for each field, to know whether one that is kept as it is counts as [`Done::kept`].
//! 3. [`Remembering::before`] before anything of the set is written, for the records whose row is there.
//! 4. [`Remembering::keep`] after all of it is written, for the records that were written or found as they are; not for those that were
//!    refused or left out.
//!
//! Both questions take two statements, and `keep` one to three more where something has changed.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, Row as _};
use sync_core::{Record, RecordBatch, RecordId, split_key, store::PushLink};

use super::{Rows, Work};
use crate::{
    error::Db,
    host::Host,
    push::{
        content::{Content, Seen, link},
        journal::forget_version,
        link::{find, number, put},
    },
};

/// Remembers rows of one feed.
#[derive(Debug)]
pub(super) struct Remembering {
    feed_no: i64,
    /// A table of the host is read in its own role, which links are not.
    host: Option<Host>,
    content: Content,
    /// Reads rows by the keys of their records.
    find: String,
    /// How many parts a key has; `None` where it is one text.
    parts: Option<usize>,
}

/// A record and the key it names its row by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) batch: &'a RecordBatch,
    pub(super) record: &'a Record,
    pub(super) key: &'a str,
}

/// A row as it stands, and what the record leaves open about it.
#[derive(Debug)]
pub(super) struct Look {
    key: Box<str>,
    /// `None` when a field of it cannot be sent.
    hash: Option<u64>,
    /// Whether a field that the record does not have has a value in the row.
    unsaid: bool,
    known: Option<PushLink>,
}

/// What a commit did with a record.
#[derive(Debug)]
pub(super) struct Done<'a> {
    pub(super) of: Asked<'a>,
    /// Whether the row was there before.
    pub(super) there: bool,
    /// Whether anything was written.
    pub(super) written: bool,
    /// Whether a field that pushes send was kept as it is, though the record has it otherwise.
    pub(super) kept: bool,
    /// What [`Remembering::before`] answered for it; `None` for a row that was not there.
    pub(super) before: Option<Look>,
}

impl Remembering {
    /// `None` for feeds that cannot be pushed.
    pub(super) async fn open(work: &mut Work<'_>, rows: &Rows) -> Db<Option<Self>> {
        let pushes = &work.commit.target.pushes;
        if pushes.is_empty() {
            return Ok(None);
        }
        let (content, table, condition, parts) = match rows {
            Rows::Stream(_) => return Ok(None),
            Rows::Managed(table) => {
                let condition = "t.workspace_id = $1 AND t.connection_no = 0 AND t.entity_id = u.p0".to_owned();
                (Content::of_table(table, pushes)?, table.sql.clone(), condition, None)
            }
            Rows::Host(host) => {
                let condition = host.by_key("t.", "$1::text", |at| format!("u.p{at}"));
                (Content::of_host(host, pushes)?, host.sql.clone(), condition, Some(host.spec.key.len()))
            }
        };
        let width = parts.unwrap_or(1);
        let lists = (0..width).map(|at| format!("${}::text[]", at + 2)).collect::<Vec<_>>().join(", ");
        let names = (0..width).map(|at| format!("p{at}")).collect::<Vec<_>>().join(", ");
        let find = format!(
            "SELECT u.at, {} FROM unnest({lists}) WITH ORDINALITY u({names}, at) CROSS JOIN LATERAL (SELECT {} FROM {table} t \
             WHERE $1::text IS NOT NULL AND {condition} LIMIT 1) t",
            content.names(),
            content.list()
        );
        let feed_no = number(work.tx, work.workspace, &work.commit.feed).await?;
        let host = match rows {
            Rows::Host(host) => Some(Host::clone(host)),
            Rows::Stream(_) | Rows::Managed(_) => None,
        };
        Ok(Some(Self { feed_no, host, content, find, parts }))
    }

    /// Whether pushes send a field.
    pub(super) fn sends(&self, field: &str) -> bool {
        self.content.has(field)
    }

    /// Whether the record is silent about a field that pushes send.
    fn is_silent(&self, of: Asked<'_>) -> bool {
        of.batch.cells(of.record).filter(|(name, _)| self.content.has(&of.batch.names()[*name])).count() < self.content.len()
    }

    /// Rows before they are written, in the order they were asked for; answered where what becomes of the link depends on it.
    pub(super) async fn before(&self, work: &mut Work<'_>, asked: &[Asked<'_>]) -> Db<Vec<Option<Look>>> {
        let silent: Vec<usize> = (0..asked.len()).filter(|at| self.is_silent(asked[*at])).collect();
        let looks = self.look(work, silent.iter().map(|at| asked[*at]).collect()).await?;
        let mut answers: Vec<Option<Look>> = asked.iter().map(|_| None).collect();
        for (at, look) in silent.into_iter().zip(looks) {
            answers[at] = look;
        }
        Ok(answers)
    }

    /// Rows as they are now; `None` for those that are not there any more, since a trigger of the host may have moved or removed them.
    async fn look(&self, work: &mut Work<'_>, asked: Vec<Asked<'_>>) -> Db<Vec<Option<Look>>> {
        let mut looks: Vec<Option<Look>> = asked.iter().map(|_| None).collect();
        if asked.is_empty() {
            return Ok(looks);
        }
        let mut lists: Vec<Vec<String>> = vec![Vec::with_capacity(asked.len()); self.parts.unwrap_or(1)];
        for of in &asked {
            match self.parts {
                None => lists[0].push(of.key.to_owned()),
                Some(_) => lists.iter_mut().zip(split_key(of.key)).for_each(|(list, part)| list.push(part)),
            }
        }
        let mut query = sqlx::query(AssertSqlSafe(self.find.clone())).bind(work.workspace.as_str());
        for list in lists {
            query = query.bind(list);
        }
        if let Some(host) = &self.host {
            host.enter(work.tx).await?;
        }
        let rows = query.fetch_all(&mut **work.tx).await?;
        if self.host.is_some() {
            Host::leave(work.tx).await?;
        }
        let mut met: Vec<(i64, Seen<'_>)> = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(seen) = self.content.read(row, 1)? {
                met.push((row.try_get(0)?, seen));
            }
        }
        let keys: Vec<&str> = met.iter().map(|(_, seen)| seen.key).collect();
        let known = find(work.tx, work.workspace, &work.commit.feed, &keys).await?;
        for ((at, Seen { key, cells, hash }), known) in met.into_iter().zip(known) {
            let place = at as usize - 1;
            let of = asked[place];
            let said = |field: &str| of.batch.cells(of.record).any(|(name, _)| of.batch.names()[name].eq_ignore_ascii_case(field));
            let unsaid = cells.iter().enumerate().any(|(at, json)| *json != "null" && !said(self.content.name(at)));
            looks[place] = Some(Look { key: key.into(), hash: self.content.bytes().is_none().then_some(hash), unsaid, known });
        }
        Ok(looks)
    }

    /// Remembers rows that were written, or found as their records have them.
    pub(super) async fn keep(&self, work: &mut Work<'_>, done: Vec<Done<'_>>) -> Db<()> {
        let after = self.look(work, done.iter().map(|done| done.of).collect()).await?;
        let mut met: Vec<(&Done<'_>, Look)> = done.iter().zip(after).filter_map(|(done, look)| Some((done, look?))).collect();
        let takers: Vec<&str> = met
            .iter()
            .filter(|(done, look)| look.known.as_ref().is_none_or(|known| known.id.as_ref() != Some(&done.of.record.id)))
            .map(|(done, _)| done.of.record.id.as_str())
            .collect();
        let mut links = Links::default();
        for (_, look) in &mut met {
            // The same row may have been named in two ways.
            if let Some(known) = look.known.take() {
                links.meet(look.key.clone(), known);
            }
        }
        self.read_linked(work, takers, &mut links).await?;
        let mut open = false;
        for (done, look) in met {
            open |= self.settle(done, look, &mut links);
        }
        if open {
            forget_version(work.tx, work.workspace, self.feed_no).await?;
        }
        let changed = links.changed();
        put(work.tx, work.workspace, self.feed_no, changed, work.commit.at).await
    }

    /// Reads the links to these records.
    async fn read_linked(&self, work: &mut Work<'_>, ids: Vec<&str>, links: &mut Links) -> Db<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let found = sqlx::query(
            "SELECT true, l.external_id, l.content_hash, l.version, l.entity_id FROM unnest($3::text[]) u(id) CROSS JOIN LATERAL (SELECT * \
             FROM push_links p WHERE p.workspace_id = $1 AND p.feed_no = $2 AND p.external_id = u.id OFFSET 0) l",
        );
        let found = found.bind(work.workspace.as_str()).bind(self.feed_no).bind(ids).fetch_all(&mut **work.tx).await?;
        for row in found {
            if let Some(known) = link(&row, 0)? {
                links.meet(row.try_get::<&str, _>(4)?.into(), known);
            }
        }
        Ok(())
    }

    /// Says what is known of a row from now on; answers whether there is something new to send.
    fn settle(&self, done: &Done<'_>, after: Look, links: &mut Links) -> bool {
        let known = links.now.get(&after.key);
        let silent = self.is_silent(done.of);
        let hash = match known {
            // Nothing new is agreed.
            Some(link) if !done.written && (done.kept || silent) => link.hash,
            _ if done.kept => None,
            _ if !silent || !done.there => after.hash,
            // What the record is silent about is agreed if the row was, before the record's own fields were written.
            Some(link) => after.hash.filter(|_| link.hash.is_some() && done.before.as_ref().and_then(|before| before.hash) == link.hash),
            // The service does not have what the row has.
            None => after.hash.filter(|_| !after.unsaid),
        };
        let version = known.filter(|_| !done.written).and_then(|link| link.version.clone());
        let link = PushLink { id: Some(done.of.record.id.clone()), hash, version };
        if known == Some(&link) {
            return false;
        }
        if known.is_none_or(|known| known.id != link.id) {
            links.take_over(&done.of.record.id, &after.key);
        }
        links.set(after.key, link);
        hash.is_none()
    }
}

/// Links of one set of records, as they are and as they become.
#[derive(Debug, Default)]
struct Links {
    now: HashMap<Box<str>, PushLink>,
    was: HashMap<Box<str>, PushLink>,
    by_id: HashMap<RecordId, Vec<Box<str>>>,
}

impl Links {
    /// A link as it was found.
    fn meet(&mut self, key: Box<str>, link: PushLink) {
        self.was.insert(key.clone(), link.clone());
        self.set(key, link);
    }

    fn set(&mut self, key: Box<str>, link: PushLink) {
        if let Some(id) = &link.id {
            self.by_id.entry(id.clone()).or_default().push(key.clone());
        }
        self.now.insert(key, link);
    }

    /// A record stands for the row with this key alone from now on: others that it stood for keep their content, not its id, so that a
    /// push never writes two rows into one record.
    fn take_over(&mut self, id: &RecordId, key: &str) {
        for other in self.by_id.remove(id).unwrap_or_default() {
            if *other != *key
                && let Some(link) = self.now.get_mut(&other)
                && link.id.as_ref() == Some(id)
            {
                (link.id, link.version) = (None, None);
            }
        }
    }

    /// Those that are not as they were.
    fn changed(&self) -> Vec<(&str, &PushLink)> {
        self.now.iter().filter(|(key, link)| self.was.get(*key) != Some(link)).map(|(key, link)| (&**key, link)).collect()
    }
}
