//! Deleting what complete scans did not show.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use syncline::core::{
    Counts, EntityType, RecordId, Result, Target, WorkspaceId,
    mapping::Rule,
    store::{Change, Gone, Preview, Sweep, SweepReport},
};

use super::{FeedKey, RowKey, World, commit::Traced, feed_key};

impl Traced for Sweep {
    fn target(&self) -> &Target {
        &self.target
    }

    fn at(&self) -> DateTime<Utc> {
        self.at
    }
}

impl World {
    pub(super) fn sweep(&mut self, workspace: &WorkspaceId, sweep: &Sweep) -> Result<SweepReport> {
        self.fenced(workspace, sweep.fence, "sweep")?;
        let (feed, entity) = (feed_key(workspace, &sweep.feed), &sweep.target.entity);
        let scans: BTreeMap<_, _> = sweep.scans.iter().cloned().collect();
        let mut report = SweepReport::default();
        let mut missing: Vec<(RecordId, RowKey)> = Vec::new();
        for ((of, kind, id, row), link) in &self.links {
            let Some(scan) = scans.get(&link.partition).filter(|_| *of == feed && kind == entity) else { continue };
            report.known += 1;
            if link.shown != Some(*scan) && !self.swept.contains(&(feed.clone(), link.partition.clone(), *scan)) {
                missing.push((id.clone(), row.clone()));
            }
        }
        report.missing = missing.len() as u64;
        if report.missing as f64 > sweep.max_share * report.known as f64 && !sweep.confirmed {
            return Ok(report);
        }
        report.deleted = report.missing;
        for (id, key) in missing {
            for (field, old) in self.unlink(workspace, &feed, entity, &id, &key) {
                self.trace(workspace, sweep.fence.run, sweep, (&key, &field), Some(&old), None);
            }
        }
        self.swept.extend(scans.into_iter().map(|(partition, scan)| (feed.clone(), partition, scan)));
        self.book(workspace, sweep.fence.run, &Counts { swept: report.deleted, ..Counts::default() }, &[], &[]);
        Ok(report)
    }

    /// What a sweep would do to this world, which the caller drops.
    pub(super) fn try_sweep(&mut self, workspace: &WorkspaceId, sweep: &Sweep, preview: &mut Preview) -> Result<()> {
        let place = (workspace.clone(), sweep.target.entity.clone());
        let (links, rows) = (self.links.clone(), self.tables.get(&place).cloned().unwrap_or_default().rows);
        preview.swept = Some(self.sweep(workspace, sweep)?);
        let gone = links.iter().filter(|(link, _)| !self.links.contains_key(*link));
        preview.gone.extend(gone.map(|((_, _, record, key), link)| Gone {
            entity: key.0.clone(),
            record: record.clone(),
            partition: link.partition.clone(),
        }));
        let left = self.tables.get(&place).cloned().unwrap_or_default().rows;
        for (key, row) in rows.iter().filter(|(key, _)| !left.contains_key(*key)) {
            let fields = row.fields.iter().filter(|(_, field)| &*field.json != "null");
            preview.changes.extend(fields.map(|(name, field)| Change {
                entity: key.0.clone(),
                field: name.clone(),
                old: Some(field.json.clone()),
                new: None,
                rule: Rule::Deleted,
            }));
        }
        Ok(())
    }

    /// Takes away that a record stands behind a row, and the row when none does any more. Answers the fields of a row that went.
    pub(super) fn unlink(
        &mut self,
        workspace: &WorkspaceId,
        feed: &FeedKey,
        entity: &EntityType,
        id: &RecordId,
        key: &RowKey,
    ) -> Vec<(Box<str>, Box<str>)> {
        self.links.remove(&(feed.clone(), entity.clone(), id.clone(), key.clone()));
        if self.links.keys().any(|(of, kind, _, row)| of.0 == *workspace && kind == entity && row == key) {
            return Vec::new();
        }
        if let Some(pushed) = self.pushed.get_mut(feed) {
            pushed.links.remove(&key.0);
        }
        let row = self.tables.get_mut(&(workspace.clone(), entity.clone())).and_then(|table| table.rows.remove(key));
        let fields = row.into_iter().flat_map(|row| row.fields);
        fields.filter(|(_, field)| &*field.json != "null").map(|(name, field)| (name, field.json)).collect()
    }
}
