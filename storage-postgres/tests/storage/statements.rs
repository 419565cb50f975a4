//! How many statements a commit takes.

use serde_json::json;
use storage_postgres::PostgresStorage;
use sync_core::{FieldRule, HostTable, Target, mapping::Authority};

use crate::{push_support::*, support::migrated, wire::Proxy};

const CONTACTS: &str = "CREATE TABLE contacts (tenant text, email text, name text, visits int, PRIMARY KEY (tenant, email))";

fn rule(priority: i32) -> FieldRule {
    FieldRule { authority: Authority::SourceOfTruth, priority }
}

/// Tables of ours and of the host, whose rows are found by their key; in the middle one sources differ in priority.
fn targets() -> [Target; 3] {
    let owned = rules(&[("name", rule(5)), ("visits", rule(5))]);
    let contacts = HostTable::new("contacts").key("email").workspace_column("tenant");
    [managed("people", &["email"]), Target { rules: owned, ..managed("members", &["email"]) }, host(contacts)]
}

/// What a commit of these rows takes, and what comes of it.
async fn commit(proxy: &Proxy, run: &Run, emails: &[String], name: &str) -> (usize, [u64; 6]) {
    let rows: Vec<Row<'_>> = emails.iter().map(|email| up(email, json!({ "email": email, "name": name, "visits": 7 }))).collect();
    let before = proxy.statements();
    let done = run.commit(&rows).await;
    (proxy.statements() - before, counts(&done.counts))
}

/// Rows are looked up by their keys, made, changed and contended for a page at a time.
#[tokio::test]
async fn statements_of_a_commit_do_not_grow_with_its_rows() {
    let database = migrated().await;
    let proxy = Proxy::before(&database.url()).await;
    let storage = PostgresStorage::builder(proxy.url()).max_connections(4).open().await.expect("the database opens");
    sqlx::raw_sql(CONTACTS).execute(&mut database.connection().await).await.expect("the host's table");
    let emails: Vec<String> = (0..1_012).map(|n| format!("p{n:04}@x")).collect();
    let (first, rest) = emails.split_at(2);
    let (few, many) = rest.split_at(10);
    for target in targets() {
        let run = begin(&storage, "acme", &mapped_feed("c1", target.entity.as_str(), "m"), &target).await;
        // Columns are made, and what is known of the table is read, by the first commits.
        for name in ["first", "second"] {
            commit(&proxy, &run, first, name).await;
        }
        let same = async |run: &Run, name: &str, rows: fn(u64) -> [u64; 6]| {
            let (of_few, of_many) = (commit(&proxy, run, few, name).await, commit(&proxy, run, many, name).await);
            assert_eq!((of_few.1, of_many.1), (rows(10), rows(1_000)), "{} {name}", target.entity);
            assert!(
                of_few.0 > 0 && of_many.0 <= of_few.0,
                "{} {name}: {} statements for 10 rows, {} for 1,000",
                target.entity,
                of_few.0,
                of_many.0
            );
        };
        same(&run, "made", |n| [n, 0, 0, 0, 0, 0]).await;
        same(&run, "changed", |n| [0, n, 0, 0, 0, 0]).await;
        same(&run, "changed", |n| [0, 0, n, 0, 0, 0]).await;
        if !target.rules.is_empty() {
            let weaker = Target { rules: rules(&[("name", rule(1)), ("visits", rule(1))]), ..target.clone() };
            let other = begin(&storage, "acme", &mapped_feed("c2", "s", "m"), &weaker).await;
            commit(&proxy, &other, first, "loses").await;
            same(&other, "loses", |n| [0, 0, n, 0, 0, 0]).await;
        }
    }
}
