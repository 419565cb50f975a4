//! Writing the records of a round: staged by a copy, compared and merged by statements over all of them.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Error as Sql, Row as _};
use sync_core::{Error, ErrorKind, RecordBatch, Retry};

use super::{
    outcome::Outcome,
    rounds::Slots,
    sql::{self, Statements},
    staging::{Candidate, Refused, Staged, stage},
};
use crate::{
    commit::{Mode, Work},
    error::{Db, Fault, code, row_fault},
    table::Table,
    tx::{Tx, raw},
};

/// Somebody else writes the same rows without end.
pub(super) fn contended() -> Fault {
    let text = "other writers keep changing the rows of this commit; nothing of it was written";
    Error::new(ErrorKind::Storage, "commit", text).with_retry(Retry::After(None)).into()
}

/// Where a round begins: back to it when somebody else wrote the same rows.
const ROUND: &str = "syncline_round";
/// Where a part of a round begins: back to it when one of its rows is refused.
const PART: &str = "syncline_part";

/// Applies the rounds of one commit, one after the other.
pub(super) struct Applier<'a> {
    table: &'a Arc<Table>,
    pooler: bool,
    /// The savepoints that are set, and whether the staging table held rows then.
    points: Vec<(&'static str, bool)>,
    /// Whether the staging table holds rows of an earlier list.
    dirty: bool,
    told: bool,
}

impl<'a> Applier<'a> {
    pub(super) fn new(table: &'a Arc<Table>, pooler: bool) -> Self {
        Self { table, pooler, points: Vec::new(), dirty: false, told: false }
    }

    /// Sets a savepoint, in the place of the last one of that name.
    async fn set(&mut self, tx: &mut Tx, point: &'static str) -> Db<()> {
        let known = self.points.iter().position(|(name, _)| *name == point);
        if let Some(at) = known {
            self.points.truncate(at);
            raw(tx, format!("RELEASE SAVEPOINT {point}; SAVEPOINT {point}")).await?;
        } else {
            raw(tx, format!("SAVEPOINT {point}")).await?;
        }
        self.points.push((point, self.dirty));
        Ok(())
    }

    /// Back to the last savepoint of a name, which stays.
    async fn back(&mut self, tx: &mut Tx, point: &'static str) -> Db<()> {
        if let Some(at) = self.points.iter().position(|(name, _)| *name == point) {
            self.points.truncate(at + 1);
            self.dirty = self.points[at].1;
        }
        Ok(raw(tx, format!("ROLLBACK TO SAVEPOINT {point}")).await?)
    }

    pub(super) async fn begin_round(&mut self, tx: &mut Tx) -> Db<()> {
        self.set(tx, ROUND).await
    }

    pub(super) async fn undo_round(&mut self, tx: &mut Tx) -> Db<()> {
        self.back(tx, ROUND).await
    }

    /// Tests may stop the process just before lineage is written.
    pub(super) fn before_lines(&mut self, work: &Work<'_>) {
        if !self.told && work.mode == Mode::Commit {
            self.told = true;
            work.tx.inner.crash_point("p8");
        }
    }

    pub(super) async fn end(&mut self, work: &mut Work<'_>) -> Db<()> {
        self.before_lines(work);
        if !self.points.is_empty() {
            raw(work.tx, format!("RELEASE SAVEPOINT {ROUND}")).await?;
        }
        // Its transaction may try out another commit.
        if self.dirty && work.mode == Mode::Preview {
            raw(work.tx, format!("DELETE FROM {}", sql::stage(self.table))).await?;
        }
        Ok(())
    }

    /// Writes the records of a round that was begun. Answers `false` when somebody else wrote the same rows meanwhile.
    pub(super) async fn apply(
        &mut self,
        work: &mut Work<'_>,
        batches: &[(&RecordBatch, Slots)],
        candidates: &[Candidate<'_>],
        outcome: &mut Outcome,
    ) -> Db<bool> {
        match self.write(work, batches, candidates, outcome).await {
            Err(Fault::Sql(error)) if row_fault(&error).is_some() => {}
            done => return done,
        }
        // A row is refused: it is looked for by halving the list, and left out.
        self.undo_round(work.tx).await?;
        let mut lists: Vec<&[Candidate<'_>]> = vec![candidates];
        while let Some(list) = lists.pop() {
            self.set(work.tx, PART).await?;
            let error = match self.write(work, batches, list, outcome).await {
                Ok(true) => continue,
                Err(Fault::Sql(error)) => error,
                done => return done,
            };
            let Some((reason, column)) = row_fault(&error) else { return Err(error.into()) };
            self.back(work.tx, PART).await?;
            match list {
                [one] => outcome.refused(&one.entry, self.named(reason, column)),
                _ => {
                    let (first, second) = list.split_at(list.len() / 2);
                    lists.extend([second, first]);
                }
            }
        }
        Ok(true)
    }

    /// The field of a column that a refusal names.
    fn named(&self, reason: String, column: Option<String>) -> Refused {
        let field = |name: &str| {
            self.table.columns.iter().find(|column| *column.sql == crate::name::quoted(name)).map(|column| column.field.clone())
        };
        let column = column.map(|name| field(&name).unwrap_or_else(|| name.into()));
        Refused { reason: reason.into(), column }
    }

    async fn write(
        &mut self,
        work: &mut Work<'_>,
        batches: &[(&RecordBatch, Slots)],
        list: &[Candidate<'_>],
        outcome: &mut Outcome,
    ) -> Db<bool> {
        let staged = stage(self.table, batches, list);
        let mut tried = Outcome::default();
        for (at, refused) in &staged.refused {
            tried.refused(&list[*at].entry, refused.clone());
        }
        if staged.new + staged.whole + staged.partial > 0 && !self.merge(work, batches, list, &staged, &mut tried).await? {
            return Ok(false);
        }
        outcome.merge(tried);
        Ok(true)
    }

    async fn merge(
        &mut self,
        work: &mut Work<'_>,
        batches: &[(&RecordBatch, Slots)],
        list: &[Candidate<'_>],
        staged: &Staged,
        outcome: &mut Outcome,
    ) -> Db<bool> {
        let table = Arc::clone(self.table);
        let places: Vec<usize> = if staged.uniform { staged.columns.clone() } else { (0..table.columns.len()).collect() };
        let columns = |places: &[usize]| places.iter().map(|at| (*at, &table.columns[*at])).collect();
        let copy = Statements { table: &table, columns: columns(&staged.columns), beyond: false };
        self.copy(work.tx, &copy, &staged.data).await?;
        let statements = Statements { table: &table, columns: columns(&places), beyond: staged.beyond };
        if staged.partial > 0 {
            let filled = sqlx::query(AssertSqlSafe(statements.fill())).bind(work.workspace.as_str()).bind(work.connection_no);
            if filled.execute(&mut **work.tx).await?.rows_affected() != staged.partial as u64 {
                return Ok(false);
            }
        }
        if staged.new > 0 && insert(work, &statements, outcome).await? != staged.new as u64 {
            return Ok(false);
        }
        let changed = (staged.whole + staged.partial) as u64;
        let mut same: Vec<i32> = Vec::new();
        if changed > 0 {
            self.before_lines(work);
            let Some(found) = update(work, &statements, changed, batches, list, outcome).await? else { return Ok(false) };
            same = found;
        }
        outcome.counts.created += staged.new as u64;
        outcome.counts.updated += changed - same.len() as u64;
        outcome.counts.unchanged += same.len() as u64;
        let keeps_keys = work.tally.keys.is_some();
        if keeps_keys || work.shows() {
            let mut left_out = vec![false; list.len()];
            staged.refused.iter().for_each(|(at, _)| left_out[*at] = true);
            same.iter().for_each(|n| left_out[*n as usize] = true);
            for candidate in list.iter().zip(left_out).filter_map(|(candidate, left_out)| (!left_out).then_some(candidate)) {
                if keeps_keys {
                    outcome.written.push(candidate.entry.key().into());
                }
                if work.shows() && candidate.known.is_none() {
                    outcome.creation(&candidate.entry, batches[candidate.entry.batch].0);
                }
            }
        }
        Ok(true)
    }

    /// Ships the staged records. A connection that has no staging table yet is given one.
    async fn copy(&mut self, tx: &mut Tx, statements: &Statements<'_>, data: &[u8]) -> Db<()> {
        if self.dirty {
            raw(tx, format!("DELETE FROM {}", sql::stage(self.table))).await?;
        }
        let sql = statements.copy();
        match send(tx, &sql, data).await {
            // There is no such table, or no temporary one at all.
            Err(error) if matches!(code(&error), Some("42P01" | "3F000")) => {
                let (point, _) = self.points.last().copied().unwrap_or((ROUND, false));
                self.back(tx, point).await?;
                drop_stages(tx, self.table).await?;
                raw(tx, sql::make_stage(self.table, self.pooler)).await?;
                send(tx, &sql, data).await?;
            }
            done => done?,
        }
        self.dirty = true;
        Ok(())
    }
}

/// Bytes of a copy that are sent at once.
const PARTS: usize = 1 << 17;

async fn send(tx: &mut Tx, sql: &str, data: &[u8]) -> Result<(), Sql> {
    let mut copy = tx.copy_in_raw(sql).await?;
    // What is sent is copied into the connection's buffer, which stays as large as it became.
    for part in data.chunks(PARTS) {
        copy.send(part).await?;
    }
    copy.finish().await?;
    Ok(())
}

/// Drops what this connection staged for the table before it had its present columns.
async fn drop_stages(tx: &mut Tx, table: &Table) -> Db<()> {
    let old: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r' AND starts_with(relname::text, $1)",
    )
    .bind(sql::stages(table))
    .fetch_all(&mut **tx)
    .await?;
    for name in old {
        raw(tx, format!("DROP TABLE pg_temp.{}", crate::name::quoted(&name))).await?;
    }
    Ok(())
}

/// Makes rows, and answers how many.
async fn insert(work: &mut Work<'_>, statements: &Statements<'_>, outcome: &mut Outcome) -> Db<u64> {
    let run = work.commit.target.lineage.then_some(work.commit.fence.run.0);
    let query = sqlx::query(AssertSqlSafe(statements.insert())).bind(work.workspace.as_str()).bind(work.connection_no);
    let mut created = 0;
    for row in query.bind(run).bind(work.commit.at).fetch_all(&mut **work.tx).await? {
        created += row.try_get::<i64, _>(1)?.cast_unsigned();
        if work.commit.scan.is_some() {
            outcome.shown.add_all(&row.try_get::<&str, _>(0)?.into(), row.try_get::<Vec<i64>, _>(2)?);
        }
    }
    Ok(created)
}

/// Changes rows, with their lines of lineage, and answers the records that say nothing new; `None` when not all rows are there as they
/// were found.
async fn update(
    work: &mut Work<'_>,
    statements: &Statements<'_>,
    changed: u64,
    batches: &[(&RecordBatch, Slots)],
    list: &[Candidate<'_>],
    outcome: &mut Outcome,
) -> Db<Option<Vec<i32>>> {
    // What has a column is told with it; the rest of `extra` by itself.
    let fields = statements.beyond.then(|| {
        let fields = statements.table.columns.iter().map(|column| (column.field.to_string(), true.into()));
        serde_json::Value::Object(fields.collect()).to_string()
    });
    let (workspace, connection) = (work.workspace.as_str(), work.connection_no);
    if work.shows() {
        let query = sqlx::query(AssertSqlSafe(statements.shown()?)).bind(workspace).bind(connection).bind(&fields);
        for row in query.fetch_all(&mut **work.tx).await? {
            let (n, pairs): (i32, &str) = (row.try_get(0)?, row.try_get(1)?);
            if pairs != "{}" {
                let entry = &list[n as usize].entry;
                outcome.update(entry, batches[entry.batch].0, pairs)?;
            }
        }
    }
    let told = work.commit.target.lineage && work.mode == Mode::Commit;
    let told = told.then_some(&work.hiding);
    let query = sqlx::query_scalar(AssertSqlSafe(statements.update(told)?)).bind(workspace).bind(connection).bind(&fields);
    let query = query.bind(work.commit.at);
    let query = if told.is_some() { query.bind(statements.table.id).bind(work.commit.fence.run.0) } else { query };
    let query = if let Some(hiding) = told.filter(|hiding| !hiding.is_empty()) { query.bind(hiding.fields()) } else { query };
    let updated: i64 = query.fetch_one(&mut **work.tx).await?;
    if updated.cast_unsigned() == changed {
        return Ok(Some(Vec::new()));
    }
    // Written in another way, or in another partition: the row stays, its hash becomes the present one.
    let query = sqlx::query_scalar(AssertSqlSafe(statements.rehash())).bind(workspace).bind(connection);
    let same: Vec<i32> = query.fetch_all(&mut **work.tx).await?;
    Ok((updated.cast_unsigned() + same.len() as u64 == changed).then_some(same))
}
