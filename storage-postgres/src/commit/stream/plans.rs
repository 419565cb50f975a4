//! The plans PostgreSQL makes of our statements, in a table of a million rows and from prepared statements that began small.

use futures_util::FutureExt as _;
use sqlx::{AssertSqlSafe, Row as _, raw_sql};
use sync_core::{
    Direction,
    store::{Begin, Feed, NewRun, RunStore as _},
};
use sync_testkit::postgres::TestDatabase;

use super::sql::{self, Statements};
use crate::{
    PostgresStorage,
    commit::delete,
    error::Db,
    hiding::Hiding,
    storage::Scoped,
    table::{self, Table, connection_no},
    tx::{Door, Repeat, Tx, raw},
};

/// The plan of a statement that this connection has prepared.
async fn plan(tx: &mut Tx, statement: &str, values: &str) -> Db<String> {
    let name: String = sqlx::query_scalar("SELECT name FROM pg_prepared_statements WHERE statement = $1")
        .persistent(false)
        .bind(statement)
        .fetch_one(&mut **tx)
        .await?;
    let rows = raw_sql(AssertSqlSafe(format!("EXPLAIN EXECUTE \"{name}\"({values})"))).fetch_all(&mut **tx).await?;
    let lines: Result<Vec<String>, sqlx::Error> = rows.iter().map(|row| row.try_get(0)).collect();
    Ok(lines?.join("\n"))
}

async fn plans(tx: &mut Tx, table: &Table) -> Db<Vec<(&'static str, String)>> {
    let no = connection_no(tx, "c1").await?;
    raw(tx, sql::make_stage(table, false)).await?;
    let statements = Statements { table, columns: table.columns.iter().enumerate().collect(), beyond: true };
    let (find, fill, insert) = (sql::find(table), statements.fill(), statements.insert());
    let (update, plainly, rehash) = (statements.update(Some(&Hiding::default()))?, statements.update(None)?, statements.rehash());
    let delete = delete::delete(table, "''", ", l AS (SELECT $4::bigint, $5::bigint, $6::timestamptz)");
    let none: Option<String> = None;
    for _ in 0..20 {
        sqlx::query(AssertSqlSafe(find.clone())).bind("acme").bind(no).bind(["k1", "k2"].as_slice()).fetch_all(&mut **tx).await?;
        sqlx::query(AssertSqlSafe(fill.clone())).bind("acme").bind(no).execute(&mut **tx).await?;
        let query = sqlx::query(AssertSqlSafe(insert.clone())).bind("acme").bind(no).bind(None::<i64>).bind(chrono::Utc::now());
        query.fetch_all(&mut **tx).await?;
        let query = sqlx::query(AssertSqlSafe(update.clone())).bind("acme").bind(no).bind(&none).bind(chrono::Utc::now());
        query.bind(table.id).bind(1i64).fetch_all(&mut **tx).await?;
        let query = sqlx::query(AssertSqlSafe(plainly.clone())).bind("acme").bind(no).bind(&none).bind(chrono::Utc::now());
        query.fetch_all(&mut **tx).await?;
        let query = sqlx::query(AssertSqlSafe(delete.clone())).bind("acme").bind(no).bind([].as_slice() as &[&str]);
        query.bind(table.id).bind(1i64).bind(chrono::Utc::now()).bind(false).fetch_all(&mut **tx).await?;
        sqlx::query(AssertSqlSafe(rehash.clone())).bind("acme").bind(no).fetch_all(&mut **tx).await?;
    }
    let many = format!("ARRAY[{}]", (1..=2000).map(|n| format!("'k{n}'")).collect::<Vec<_>>().join(", "));
    Ok(vec![
        ("find", plan(tx, &find, &format!("'acme', {no}, {many}")).await?),
        ("fill", plan(tx, &fill, &format!("'acme', {no}")).await?),
        ("insert", plan(tx, &insert, &format!("'acme', {no}, NULL, now()")).await?),
        ("update", plan(tx, &update, &format!("'acme', {no}, NULL, now(), {}, 1", table.id)).await?),
        ("plainly", plan(tx, &plainly, &format!("'acme', {no}, NULL, now()")).await?),
        ("delete", plan(tx, &delete, &format!("'acme', {no}, {many}, 1, 1, now(), false")).await?),
        ("rehash", plan(tx, &rehash, &format!("'acme', {no}")).await?),
    ])
}

#[tokio::test]
async fn among_a_million_rows_everything_goes_by_the_key() {
    let database = TestDatabase::create().await;
    let storage = PostgresStorage::connect(database.url()).await.expect("opens");
    let store = Scoped { inner: std::sync::Arc::clone(&storage.0), workspace: "acme".into() };
    let new = NewRun {
        feed: Feed { connection: "c1".into(), stream: "s".into(), mapping: "".into() },
        direction: Direction::FromExternal,
        entity: "x_s".into(),
        job_type: "full",
        exclusive: false,
        triggered_by: "tester".into(),
        at: chrono::Utc::now(),
    };
    assert!(matches!(store.begin_run(new).await, Ok(Begin::Started(_))));
    let made = store.inner.run("make", Door::Workspace("acme".into()), Repeat::Always, |tx| {
        async move {
            let fields = [("a", sync_core::FieldKind::Text), ("n", sync_core::FieldKind::Integer), ("j", sync_core::FieldKind::Json)];
            let fields = fields.map(|(name, kind)| sync_core::Field::typed(name, kind));
            connection_no(tx, "c1").await?;
            table::managed(tx, &"x_s".into(), &sync_core::Place::Stream, &fields, &[]).await
        }
        .boxed()
    });
    let table = made.await.expect("a table");
    let fill = "INSERT INTO syncline.x_s (workspace_id, connection_no, entity_id, row_hash, partition_id, created_at, last_synced_at, a, n) \
                SELECT 'acme', no, 'k' || g, g, '', now(), now(), 'text', g FROM syncline.connection_numbers, generate_series(1, 1000000) g";
    raw_sql(fill).execute(&mut database.connection().await).await.expect("a million rows");
    let plans = store.inner.run("explain", Door::Workspace("acme".into()), Repeat::Always, move |tx| {
        let table = std::sync::Arc::clone(&table);
        async move { plans(tx, &table).await }.boxed()
    });
    for (name, plan) in plans.await.expect("plans") {
        let by_key = plan.contains("using x_s_pkey on x_s") || plan.contains("Conflict Arbiter Indexes: x_s_pkey");
        let whole_key = name == "insert" || plan.contains("(entity_id = ");
        assert!(by_key && whole_key && !plan.contains("Seq Scan on x_s"), "{name}:\n{plan}");
    }
}
