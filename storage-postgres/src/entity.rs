//! Rows of entity types: writing, sweeping, reading.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use sqlx::{AssertSqlSafe, Row as _};
use sync_core::{
    ConnectionId, EntityType, Error, ErrorKind, HostTable, Place, Result, WorkspaceId, join_key, json_value, key_text, split_key,
    store::{CommitReport, Entity, EntityQuery, EntityStore, ErasedEntity, PageCommit, Preview, Sweep, SweepReport, Trial},
};

use crate::{
    commit::{self, Mode, Written},
    erase_entity,
    error::{Db, Fault, explain},
    host::Host,
    name::quoted,
    row, run,
    storage::{Handle, Scoped},
    sweep,
    table::{Keyed, Table},
    turn::Turn,
    tx::{Ask, Door, Repeat, Tx},
};

/// An entity type that this workspace may look at.
enum Known {
    Ours(Table),
    Host(Host),
}

impl Known {
    /// What all rows of the workspace ($1) are selected from.
    fn rows(&self) -> String {
        match self {
            Self::Ours(table) => format!("{} WHERE workspace_id = $1", table.sql),
            Self::Host(host) => match &host.spec.workspace_column {
                Some(column) => format!("{} WHERE {}::text = $1", host.sql, quoted(column)),
                None => format!("{} WHERE $1::text IS NOT NULL", host.sql),
            },
        }
    }
}

impl Known {
    /// Tables of the host are read in its own role.
    async fn enter(&self, tx: &mut Tx) -> Db<()> {
        match self {
            Self::Ours(_) => Ok(()),
            Self::Host(host) => host.enter(tx).await,
        }
    }

    async fn leave(&self, tx: &mut Tx) -> Db<()> {
        match self {
            Self::Ours(_) => Ok(()),
            Self::Host(_) => Host::leave(tx).await,
        }
    }
}

async fn known(tx: &mut Tx, workspace: &WorkspaceId, entity: &EntityType) -> Db<Option<Known>> {
    let Some(table) = Table::load(tx, entity).await? else { return Ok(None) };
    if table.keyed == Keyed::Host {
        return Ok(Host::registered(tx, workspace, entity, table.id).await?.map(Known::Host));
    }
    Ok(Some(Known::Ours(table)))
}

/// The entity types a workspace has rows of.
async fn types(tx: &mut Tx, workspace: &WorkspaceId) -> Db<Vec<EntityType>> {
    let all: Vec<String> = sqlx::query_scalar("SELECT entity_type FROM entity_types ORDER BY entity_type").fetch_all(&mut **tx).await?;
    let mut present = Vec::new();
    for entity in all.into_iter().map(EntityType::from) {
        let Some(known) = known(tx, workspace, &entity).await? else { continue };
        if any(tx, workspace, &known).await? {
            present.push(entity);
        }
    }
    Ok(present)
}

async fn any(tx: &mut Tx, workspace: &WorkspaceId, known: &Known) -> Db<bool> {
    let sql = format!("SELECT EXISTS (SELECT FROM {})", known.rows());
    known.enter(tx).await?;
    let any = sqlx::query_scalar(AssertSqlSafe(sql)).bind(workspace.as_str()).fetch_one(&mut **tx).await?;
    known.leave(tx).await?;
    Ok(any)
}

/// Which keys a query is about, as a comparison with $2.
fn about(query: &EntityQuery) -> (&'static str, &str) {
    match (&query.key, &query.after) {
        (Some(key), _) => ("=", key),
        (None, Some(after)) => (">", after),
        (None, None) => (">=", ""),
    }
}

async fn ours(tx: &mut Tx, table: &Table, workspace: &WorkspaceId, query: &EntityQuery, limit: usize) -> Db<Vec<Entity>> {
    let (compared, key) = about(query);
    // Per connection by the key's index; rows of one key from several connections come together.
    let sql = format!(
        "SELECT m.entity_id, c.id, m.last_synced_at, {} FROM (SELECT 0::bigint AS no, NULL::text AS id UNION ALL \
         SELECT no, connection_id FROM connection_numbers WHERE workspace_id = $1) c CROSS JOIN LATERAL \
         (SELECT * FROM {} m WHERE m.workspace_id = $1 AND m.connection_no = c.no AND m.entity_id {compared} $2 ORDER BY m.entity_id LIMIT $3) m \
         WHERE $4::text IS NULL OR c.id = $4 ORDER BY m.entity_id, c.id NULLS FIRST LIMIT $3",
        row::columns(table),
        table.sql
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(workspace.as_str())
        .bind(key)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1))
        .bind(query.connection.as_ref().map(AsRef::<str>::as_ref))
        .fetch_all(&mut **tx)
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.push(Entity {
            key: row.try_get::<String, _>(0)?.into(),
            connection: row.try_get::<Option<String>, _>(1)?.map(ConnectionId::from),
            last_synced_at: row.try_get(2)?,
            fields: row::object(table, row, 3)?,
        });
    }
    Ok(found)
}

/// Cuts a page, but never between rows of one key (they come from different connections): the next page begins after a key. `false`
/// when all of it is one key, whose end is not known.
fn cut_between_keys(found: &mut Vec<Entity>, limit: usize) -> bool {
    if found.len() <= limit || limit == 0 {
        return true;
    }
    let next = found[limit].key.clone();
    match found[..limit].iter().rposition(|entity| entity.key != next) {
        Some(at) => {
            found.truncate(at + 1);
            true
        }
        None => false,
    }
}

async fn hosts(tx: &mut Tx, host: &Host, workspace: &WorkspaceId, query: &EntityQuery, limit: usize) -> Db<Vec<Entity>> {
    let columns: Vec<_> = host.values().collect();
    let keys: Vec<_> = host.key().collect();
    let list = columns.iter().map(|column| format!("to_json({})::text", column.sql)).collect::<Vec<_>>().join(", ");
    let order = keys.iter().map(|column| &*column.sql).collect::<Vec<_>>().join(", ");
    let (compared, key) = about(query);
    let parts = if key.is_empty() { vec![String::new(); keys.len()] } else { split_key(key) };
    if parts.len() != keys.len() {
        // A key with another number of parts than the table's is nobody's.
        return Ok(Vec::new());
    }
    let mut terms = vec![match &host.spec.workspace_column {
        Some(column) => format!("{}::text = $1", quoted(column)),
        None => "$1::text IS NOT NULL".to_owned(),
    }];
    if query.key.is_some() || query.after.is_some() {
        let values: Vec<String> =
            keys.iter().enumerate().map(|(at, column)| format!("($2::text[])[{}]::{}", at + 1, column.cast)).collect();
        terms.push(format!("({order}) {compared} ({})", values.join(", ")));
    } else {
        terms.push("$2::text[] IS NOT NULL".to_owned());
    }
    let sql = format!("SELECT {list} FROM {} WHERE {} ORDER BY {order}", host.sql, terms.join(" AND "));
    let sql = if query.connection.is_none() { format!("{sql} LIMIT {limit}") } else { sql };
    host.enter(tx).await?;
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(workspace.as_str()).bind(&parts).fetch_all(&mut **tx).await?;
    Host::leave(tx).await?;
    let mut found = Vec::new();
    for row in &rows {
        let mut fields = serde_json::Map::new();
        let mut parts: Vec<String> = vec![String::new(); keys.len()];
        for (at, column) in columns.iter().enumerate() {
            let Some(json) = row.try_get::<Option<&str>, _>(at)? else { continue };
            for (part, _) in keys.iter().enumerate().filter(|(_, key)| key.name == column.name) {
                parts[part] = key_text(json).unwrap_or_default().into_owned();
            }
            fields.insert(column.name.to_string(), json_value(json));
        }
        found.push(Entity { key: join_key(parts.iter().map(String::as_str)).into(), connection: None, last_synced_at: None, fields });
    }
    if let Some(connection) = &query.connection {
        // A row belongs to a connection when one of its records stands behind it.
        let keys: Vec<&str> = found.iter().map(|entity| &*entity.key).collect();
        let linked: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT k FROM unnest($3::text[]) k CROSS JOIN LATERAL (SELECT FROM record_links l WHERE l.workspace_id = $1 \
             AND l.type_id = $2 AND l.entity_id = k AND l.connection_id = $4 LIMIT 1) l",
        )
        .bind(workspace.as_str())
        .bind(host.id)
        .bind(keys)
        .bind(connection.as_str())
        .fetch_all(&mut **tx)
        .await?;
        let linked: std::collections::HashSet<String> = linked.into_iter().collect();
        found.retain(|entity| linked.contains(&*entity.key));
        found.truncate(limit);
    }
    Ok(found)
}

pub(crate) async fn list(tx: &mut Tx, workspace: &WorkspaceId, entity: &EntityType, query: &EntityQuery) -> Db<Vec<Entity>> {
    let mut limit = if query.limit == 0 { 100 } else { query.limit as usize };
    if about(query).1.contains('\0') {
        return Ok(Vec::new());
    }
    match known(tx, workspace, entity).await? {
        Some(Known::Ours(table)) => loop {
            let mut found = ours(tx, &table, workspace, query, limit).await?;
            // A table that only other workspaces have rows in is unknown here.
            if found.is_empty() && !any(tx, workspace, &Known::Ours(table.clone())).await? {
                return Err(unknown(tx, workspace, entity).await?.into());
            }
            if cut_between_keys(&mut found, limit) {
                return Ok(found);
            }
            limit *= 2;
        },
        Some(Known::Host(host)) => hosts(tx, &host, workspace, query, limit).await,
        None => Err(unknown(tx, workspace, entity).await?.into()),
    }
}

async fn unknown(tx: &mut Tx, workspace: &WorkspaceId, entity: &EntityType) -> Db<Error> {
    let there = types(tx, workspace).await?;
    let there = there.iter().map(EntityType::as_str).collect::<Vec<_>>().join(", ");
    let text = format!("there are no rows of {entity} here; there are: {}", if there.is_empty() { "none yet" } else { &there });
    Ok(Error::new(ErrorKind::NotFound, "entities", text))
}

async fn commit_in_turn(inner: Arc<Handle>, workspace: WorkspaceId, commit: PageCommit, turn: Turn) -> Result<CommitReport> {
    let (commit, turn) = (Arc::new(commit), Arc::new(turn));
    let whose = workspace.clone();
    let door = Door::Workspace(workspace.clone());
    let ask: Ask<Written> = Arc::new(move |tx, written| {
        let whose = whose.clone();
        async move {
            match &written.mark {
                Some(mark) => run::has_committed(tx, &whose, mark).await,
                None => Ok(false),
            }
        }
        .boxed()
    });
    // What was moved is told beside the error that took the transaction back.
    let moved: Arc<OnceLock<Vec<Box<str>>>> = Arc::default();
    let written = loop {
        // Whoever waits for the one before holds no connection that that one may need.
        turn.begin().await.map_err(|fault| explain("commit", &inner.place, fault))?;
        let (workspace, commit, at) = (workspace.clone(), Arc::clone(&commit), Arc::clone(&turn));
        let told = Arc::clone(&moved);
        let done = inner.run("commit", door.clone(), Repeat::Ask(door.clone(), Arc::clone(&ask)), move |tx| {
            let (workspace, commit, turn, told) = (workspace.clone(), Arc::clone(&commit), Arc::clone(&at), Arc::clone(&told));
            async move {
                let done = commit::write(tx, &workspace, &commit, Mode::Commit, Some(&turn)).await;
                if done.is_err() {
                    turn.again();
                }
                if let Err(Fault::Moved(moved)) = &done {
                    let _ = told.set(moved.clone());
                }
                done
            }
            .boxed()
        });
        let done = done.await;
        if let Some(moved) = moved.get() {
            turn.done();
            return Ok(CommitReport { moved: moved.clone(), ..CommitReport::default() });
        }
        if done.is_ok() || !turn.gave_way() {
            break done?;
        }
    };
    if let Some((entity, table)) = &written.table {
        inner.tables.remember(entity, table);
    }
    inner.crash_point("p11");
    turn.done();
    Ok(written.preview.report)
}

#[async_trait]
impl EntityStore for Scoped {
    fn commits_at_once(&self) -> usize {
        2
    }

    async fn commit(&self, commit: PageCommit) -> Result<CommitReport> {
        let turn = self.inner.turns.take(&self.workspace, commit.fence, &commit);
        let answer = turn.answer();
        // A task of its own, so that its end is told to the commit after it, whoever waits.
        let task = tokio::spawn(commit_in_turn(Arc::clone(&self.inner), self.workspace.clone(), commit, turn));
        let ended = task.await;
        answer.told();
        match ended {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Error::new(ErrorKind::Internal, "commit", "the runtime is shutting down; nothing is known of this work")),
        }
    }

    async fn preview(&self, trial: Trial) -> Result<Preview> {
        let (workspace, trial) = (self.workspace.clone(), Arc::new(trial));
        let tried = self.inner.try_out("preview", &self.workspace, move |tx| {
            let (workspace, trial) = (workspace.clone(), Arc::clone(&trial));
            async move {
                let mut preview = Preview::default();
                for commit in &trial.commits {
                    preview.add(commit::write(tx, &workspace, commit, Mode::Preview, None).await?.preview);
                }
                if let Some(sweep) = &trial.sweep {
                    sweep::try_out(tx, &workspace, sweep, &mut preview).await?;
                }
                Ok(preview)
            }
            .boxed()
        });
        tried.await
    }

    async fn sweep(&self, sweep: Sweep) -> Result<SweepReport> {
        sweep::sweep(&self.inner, &self.workspace, sweep).await
    }

    async fn erase_entity(&self, entity: &EntityType, key: &str) -> Result<ErasedEntity> {
        let (workspace, entity, key) = (self.workspace.clone(), entity.clone(), Box::<str>::from(key));
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("erase_entity", door, Repeat::Always, move |tx| {
            let (workspace, entity, key) = (workspace.clone(), entity.clone(), key.clone());
            async move { erase_entity::erase(tx, &workspace, &entity, &key).await }.boxed()
        });
        done.await
    }

    async fn register_table(&self, table: Arc<HostTable>, fields: &[Box<str>]) -> Result<()> {
        let (workspace, fields) = (self.workspace.clone(), Arc::<[Box<str>]>::from(fields));
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("register_table", door, Repeat::Always, move |tx| {
            let (workspace, table, fields) = (workspace.clone(), Arc::clone(&table), Arc::clone(&fields));
            async move {
                let fields: Vec<&str> = fields.iter().map(|field| &**field).collect();
                Host::register(tx, &workspace, &table, &fields).await.map(drop)
            }
            .boxed()
        });
        done.await
    }

    async fn place(&self, entity: &EntityType) -> Result<Option<Place>> {
        let (workspace, entity) = (self.workspace.clone(), entity.clone());
        let found = self.inner.read("place", &self.workspace, move |tx| {
            let (workspace, entity) = (workspace.clone(), entity.clone());
            async move {
                Ok(known(tx, &workspace, &entity).await?.map(|known| match known {
                    Known::Ours(table) if table.keyed == Keyed::Stream => Place::Stream,
                    Known::Ours(_) => Place::Managed { key: Arc::from([]) },
                    Known::Host(host) => Place::Host(Arc::new(host.spec)),
                }))
            }
            .boxed()
        });
        found.await
    }

    async fn entity_types(&self) -> Result<Vec<EntityType>> {
        let workspace = self.workspace.clone();
        let found = self.inner.read("entity_types", &self.workspace, move |tx| {
            let workspace = workspace.clone();
            async move { types(tx, &workspace).await }.boxed()
        });
        found.await
    }

    async fn count_entities(&self, entity: &EntityType) -> Result<u64> {
        let (workspace, entity) = (self.workspace.clone(), entity.clone());
        let found = self.inner.read("count_entities", &self.workspace, move |tx| {
            let (workspace, entity) = (workspace.clone(), entity.clone());
            async move {
                let Some(known) = known(tx, &workspace, &entity).await? else { return Ok(0) };
                let sql = format!("SELECT count(*) FROM {}", known.rows());
                known.enter(tx).await?;
                let count = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql)).bind(workspace.as_str()).fetch_one(&mut **tx).await?;
                known.leave(tx).await?;
                Ok(count.cast_unsigned())
            }
            .boxed()
        });
        found.await
    }

    async fn entities(&self, entity: &EntityType, query: EntityQuery) -> Result<Vec<Entity>> {
        let (workspace, entity, query) = (self.workspace.clone(), entity.clone(), Arc::new(query));
        let found = self.inner.read("entities", &self.workspace, move |tx| {
            let (workspace, entity, query) = (workspace.clone(), entity.clone(), Arc::clone(&query));
            async move { list(tx, &workspace, &entity, &query).await }.boxed()
        });
        found.await
    }
}
