//! Rows, lineage and activity: the calls, and what is read.

use std::sync::Arc;

use syncline::core::{
    EntityType, Error, ErrorKind, HostTable, Result, async_trait,
    store::{
        Activity, ActivityStore, CommitReport, Entity, EntityQuery, EntityStore, LineageEntry, LineageStore, NewActivity, PageCommit,
        Preview, Sweep, SweepReport, Trial,
    },
};

use super::{
    Scoped, World,
    commit::{self, Table, shown},
};

impl Scoped {
    fn types(&self, world: &World) -> Vec<EntityType> {
        let present = world.tables.iter().filter(|((workspace, _), table)| *workspace == self.workspace && !table.rows.is_empty());
        present.map(|((_, entity), _)| entity.clone()).collect()
    }

    fn table<'w>(&self, world: &'w World, entity: &EntityType) -> Option<&'w Table> {
        world.tables.get(&(self.workspace.clone(), entity.clone()))
    }
}

/// Whole keys, so that the next page begins after one.
fn page(table: &Table, query: &EntityQuery) -> Vec<Entity> {
    let limit = if query.limit == 0 { 100 } else { query.limit as usize };
    let mut found: Vec<Entity> = Vec::new();
    let mut end = 0;
    for ((key, connection), row) in &table.rows {
        let wanted = query.key.as_ref().is_none_or(|wanted| wanted == key)
            && query.after.as_ref().is_none_or(|after| key > after)
            && query.connection.as_ref().is_none_or(|wanted| connection.as_ref() == Some(wanted));
        if !wanted {
            continue;
        }
        if found.last().is_some_and(|last| last.key != *key) {
            if found.len() >= limit {
                break;
            }
            end = found.len();
        }
        let fields = row.fields.iter().filter(|(_, field)| &*field.json != "null");
        let fields = fields.map(|(name, field)| (name.to_string(), shown(&field.json))).collect();
        found.push(Entity { key: key.clone(), connection: connection.clone(), last_synced_at: Some(row.written), fields });
    }
    if found.len() > limit && end > 0 {
        found.truncate(end);
    }
    found
}

#[async_trait]
impl EntityStore for Scoped {
    async fn commit(&self, commit: PageCommit) -> Result<CommitReport> {
        self.handle.write_all(|world| {
            world.fenced(&self.workspace, commit.fence, "commit")?;
            if let Some(expected) = &commit.expects {
                let mut made = expected.nothing_yet();
                made.extend(&commit::write(&mut world.clone(), &self.workspace, &commit)?.changes);
                let moved = expected.moved(&made);
                if !moved.is_empty() {
                    return Ok(CommitReport { moved, ..CommitReport::default() });
                }
            }
            Ok(commit::write(world, &self.workspace, &commit)?.report)
        })
    }

    async fn preview(&self, trial: Trial) -> Result<Preview> {
        self.handle.read(|world| {
            let (mut world, mut preview) = (world.clone(), Preview::default());
            for commit in &trial.commits {
                preview.add(commit::write(&mut world, &self.workspace, commit)?);
            }
            if let Some(sweep) = &trial.sweep {
                world.try_sweep(&self.workspace, sweep, &mut preview)?;
            }
            Ok(preview)
        })
    }

    async fn sweep(&self, sweep: Sweep) -> Result<SweepReport> {
        self.handle.write(|world| world.sweep(&self.workspace, &sweep))
    }

    async fn register_table(&self, _: Arc<HostTable>, _: &[Box<str>]) -> Result<()> {
        Err(Error::unsupported("register_table"))
    }

    async fn entity_types(&self) -> Result<Vec<EntityType>> {
        Ok(self.handle.read(|world| self.types(world)))
    }

    async fn count_entities(&self, entity: &EntityType) -> Result<u64> {
        Ok(self.handle.read(|world| self.table(world, entity).map_or(0, |table| table.rows.len() as u64)))
    }

    async fn entities(&self, entity: &EntityType, query: EntityQuery) -> Result<Vec<Entity>> {
        self.handle.read(|world| match self.table(world, entity).filter(|table| !table.rows.is_empty()) {
            Some(table) => Ok(page(table, &query)),
            None => {
                let text = format!("there are no rows of {entity} here; there are: {:?}", self.types(world));
                Err(Error::new(ErrorKind::NotFound, "entities", text))
            }
        })
    }
}

#[async_trait]
impl LineageStore for Scoped {
    async fn lineage(&self, entity: &EntityType, key: &str, field: Option<&str>) -> Result<Vec<LineageEntry>> {
        let wanted = |entry: &LineageEntry| {
            entry.entity_type == *entity && &*entry.entity_id == key && field.is_none_or(|field| &*entry.field_name == field)
        };
        let of = |world: &World| {
            let own = world.lineage.iter().filter(|(workspace, entry)| *workspace == self.workspace && wanted(entry));
            own.map(|(_, entry)| entry.clone()).collect()
        };
        Ok(self.handle.read(of))
    }
}

#[async_trait]
impl ActivityStore for Scoped {
    async fn log_activity(&self, new: NewActivity) -> Result<()> {
        self.handle.write(|world| {
            let row = Activity {
                id: world.number(),
                integration_name: new.integration,
                connection_id: new.connection,
                action: new.action,
                success: new.success,
                records_affected: new.records_affected,
                error_message: new.error,
                metadata: new.metadata,
                created_at: new.at,
            };
            world.activities.push((self.workspace.clone(), row));
            Ok(())
        })
    }

    async fn activities(&self, limit: u32) -> Result<Vec<Activity>> {
        let of = |world: &World| {
            let own = world.activities.iter().rev().filter(|(workspace, _)| *workspace == self.workspace);
            own.take(limit as usize).map(|(_, row)| row.clone()).collect()
        };
        Ok(self.handle.read(of))
    }
}
