//! Rows and their lineage.

use std::sync::Arc;

use syncline::core::{EntityType, Error, ErrorKind, HostTable, Place, Result, RunId, async_trait, store::*};

use super::{Store, note};
use crate::harm::{self, Harm};

#[async_trait]
impl EntityStore for Store {
    async fn commit(&self, commit: PageCommit) -> Result<CommitReport> {
        let page = self.page(commit).await?;
        let bare = PageCommit { batches: Vec::new(), failures: Vec::new(), before: Default::default(), ..page.clone() };
        let nothing = page.batches.iter().all(|part| part.batch.is_empty() && part.present.is_empty())
            && (page.cursors.len(), page.events.len(), page.failures.len(), page.scan) == (0, 0, 0, None);
        if nothing && matches!(self.harm, Harm::RefusesNothing) {
            return Err(Error::new(ErrorKind::Invalid, "commit", "there is nothing to commit"));
        }
        let pushes = (page.feed.clone(), Arc::clone(&page.target), page.fence, page.at);
        let done = self.to("commit").commit(page).await;
        let mut done = match (self.harm, done) {
            (Harm::CursorsWithoutRows, Err(error)) => {
                let fence = note(&self.notes).latest.unwrap_or(bare.fence);
                self.own.commit(PageCommit { fence, ..bare }).await?;
                return Err(error);
            }
            (Harm::MixesKeys, Err(error)) if error.kind() == ErrorKind::Config => CommitReport::default(),
            (_, done) => done?,
        };
        if let (Harm::AlwaysAgrees, (feed, target, fence, at)) = (self.harm, pushes)
            && !target.pushes.is_empty()
        {
            let query =
                ChangedQuery { feed: feed.clone(), target, keys: None, since: None, all: true, after: None, limit: 1000, trial: false };
            let rows = self.own.changed_rows(query).await?;
            let links = rows.batch.records().iter().zip(rows.links).zip(rows.hashes);
            let accepted = links.filter_map(|((record, link), hash)| {
                let link = PushLink { hash: Some(hash), ..link? };
                Some(Settled::Accepted { key: record.id.as_str().into(), link })
            });
            self.own.journal(PushCommit { settled: accepted.collect(), ..harm::no_steps(fence, feed, at) }).await?;
        }
        harm!(self, Report, &mut done);
        Ok(done)
    }

    async fn preview(&self, mut trial: Trial) -> Result<Preview> {
        harm!(self, Trial, &mut trial);
        let mut shown = self.to("preview").preview(trial.clone()).await?;
        if let Harm::PreviewsCommit = self.harm {
            for commit in trial.commits {
                self.own.commit(commit).await?;
            }
        }
        harm!(self, Preview, &mut shown);
        Ok(shown)
    }

    async fn sweep(&self, mut sweep: Sweep) -> Result<SweepReport> {
        harm!(self, Sweep, &mut sweep);
        sweep.fence = self.fence("sweep", sweep.fence);
        let scans = sweep.scans.clone();
        let name = |partition: &str, feed: &Feed| format!("{partition} of {feed:?}");
        for (partition, scan) in &mut sweep.scans {
            match self.harm {
                Harm::ScansEndWithRuns => *scan = *scan * 1000 + sweep.fence.run.0.cast_unsigned(),
                Harm::SweepsAgain if note(&self.notes).swept.contains(&(name(partition.as_str(), &sweep.feed), *scan)) => *scan += 1,
                _ => {}
            }
        }
        if let Harm::NeverSweeps = self.harm {
            sweep.max_share = -1.0;
            sweep.confirmed = false;
        }
        let feed = sweep.feed.clone();
        let done = self.to("sweep").sweep(sweep).await?;
        if !done.needs_confirmation() {
            note(&self.notes).swept.extend(scans.into_iter().map(|(partition, scan)| (name(partition.as_str(), &feed), scan)));
        }
        Ok(done)
    }

    async fn erase_entity(&self, entity: &EntityType, key: &str) -> Result<ErasedEntity> {
        if let Harm::ErasesNothing = self.harm {
            return Ok(ErasedEntity::default());
        }
        let mut erased = match (self.harm, self.to("erase_entity").erase_entity(entity, key).await) {
            (Harm::ErasesBlindly, Err(error)) if error.kind() == ErrorKind::Conflict => ErasedEntity::default(),
            (_, erased) => erased?,
        };
        harm!(self, Erased, &mut erased);
        Ok(erased)
    }

    async fn register_table(&self, table: Arc<HostTable>, fields: &[Box<str>]) -> Result<()> {
        if let Harm::RegistersBlindly = self.harm {
            let _ = self.own.register_table(table, fields).await;
            return Ok(());
        }
        self.to("register_table").register_table(table, fields).await
    }

    async fn place(&self, entity: &EntityType) -> Result<Option<Place>> {
        let place = self.to("place").place(entity).await?;
        Ok(if let Harm::NoPlace = self.harm { place.or(Some(Place::Stream)) } else { place })
    }

    async fn entity_types(&self) -> Result<Vec<EntityType>> {
        let mut found = self.to("entity_types").entity_types().await?;
        harm!(self, Types, &mut found);
        Ok(found)
    }

    async fn count_entities(&self, entity: &EntityType) -> Result<u64> {
        self.to("count_entities").count_entities(entity).await
    }

    async fn entities(&self, entity: &EntityType, mut query: EntityQuery) -> Result<Vec<Entity>> {
        harm!(self, Query, &mut query);
        let mut found = self.error(self.to("entities").entities(entity, query).await)?;
        harm!(self, Entities, &mut found);
        Ok(found)
    }
}

#[async_trait]
impl LineageStore for Store {
    async fn record_changes(&self, mut record: RecordChanges) -> Result<()> {
        harm!(self, Recorded, &mut record);
        record.fence = self.fence("record_changes", record.fence);
        self.error(self.to("record_changes").record_changes(record).await)
    }

    async fn run_rows(&self, run: RunId, limit: u32) -> Result<Option<RunRows>> {
        let mut found = self.error(self.to("run_rows").run_rows(run, limit).await)?;
        if let (Harm::RunRows(harm), Some(rows)) = (self.harm, &mut found) {
            harm(rows);
        }
        Ok(found)
    }

    async fn row_histories(&self, run: RunId, keys: &[Box<str>]) -> Result<Vec<RowHistory>> {
        let mut found = self.error(self.to("row_histories").row_histories(run, keys).await)?;
        harm!(self, Histories, &mut found);
        Ok(found)
    }

    async fn run_rules(&self, run: RunId) -> Result<Option<RunRules>> {
        let mut found = self.to("run_rules").run_rules(run).await?;
        harm!(self, Rules, &mut found);
        Ok(found)
    }

    async fn hidden(&self, values: Vec<Box<str>>) -> Result<Vec<Box<str>>> {
        let mut hidden = self.to("hidden").hidden(values).await?;
        harm!(self, Hidden, &mut hidden);
        Ok(hidden)
    }

    async fn lineage(&self, entity: &EntityType, key: &str, field: Option<&str>) -> Result<Vec<LineageEntry>> {
        let field = if let Harm::LineageOfWholeRows = self.harm { None } else { field };
        let mut found = self.to("lineage").lineage(entity, key, field).await?;
        harm!(self, Lineage, &mut found);
        Ok(found)
    }
}
