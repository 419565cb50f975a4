//! A host program with tables of its own in the same SQLite file: it writes through its own connection while Syncline pulls into a
//! table of its, and adds a row of its own to each commit.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use support::{
    World, clean, messages,
    scripted::{Scripted, last, page, then},
};
use syncline::{
    Connection, Credentials, ErrorKind, HostTable, Pull, Syncline,
    core::{Next, PullPage, Stream},
    mapping::{Column, Mapping},
};

/// What the host had before it ever heard of Syncline.
const HOST: &str = "
    CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, success BOOLEAN NOT NULL, checksum BLOB NOT NULL);
    INSERT INTO _sqlx_migrations VALUES (1, 'init', TRUE, x'00'), (2, 'contacts', TRUE, x'01');
    CREATE TABLE contacts (
        id INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        email TEXT NOT NULL,
        name TEXT,
        plan TEXT NOT NULL DEFAULT 'free',
        notes TEXT,
        visits INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL DEFAULT 'by the host',
        UNIQUE (tenant, email),
        CHECK (name <> 'forbidden')
    );
    CREATE INDEX contacts_by_name ON contacts (name);
    CREATE TABLE ads (id TEXT PRIMARY KEY, body TEXT);
    INSERT INTO ads VALUES ('1', 'ours');
    CREATE TABLE audit (tenant TEXT NOT NULL, contact TEXT NOT NULL);
    INSERT INTO contacts (tenant, email, name, plan, notes, visits) VALUES
        ('acme', 'ada@example.com', 'Ada', 'pro', 'met in May', 7), ('bolt', 'ada@example.com', 'Another Ada', 'free', NULL, 1);
";

fn mapping() -> Mapping {
    Mapping::new("crm", "people")
        .table(HostTable::new("contacts").key("email").workspace_column("tenant"))
        .column(Column::new("mail").to("email").key().then("trim").then("lower"))
        .column(Column::new("name").to("name"))
}

fn people(list: &[(&str, &str)]) -> PullPage {
    let mails: Vec<String> = list.iter().map(|(mail, _)| (*mail).to_owned()).collect();
    last(page(mails.iter().zip(list).map(|(id, (mail, name))| (id.as_str(), json!({ "mail": mail, "name": name, "hobby": "chess" })))))
}

fn pull() -> Pull {
    Pull::mapped(mapping()).safety_lag(Duration::ZERO)
}

struct Host {
    world: World,
    provider: Scripted,
    syncline: Syncline,
    connection: Connection,
}

async fn host() -> Host {
    let world = World::new();
    world.sql().execute_batch(HOST).expect("the host's schema");
    let provider = Scripted::new("crm").streams(vec![Stream::full("people")]);
    let syncline = world.open(provider.clone()).await;
    let connection = syncline.workspace("acme").connect("crm", Credentials::api_key("good")).await.expect("it connects");
    Host { world, provider, syncline, connection }
}

/// Everything of the host's own, row by row.
fn own(world: &World, table: &str) -> Vec<String> {
    let columns = world.ask(&format!("SELECT group_concat('quote(' || name || ')', ' || '','' || ') FROM pragma_table_info('{table}')"));
    world.ask_all(&format!("SELECT {columns} FROM {table} ORDER BY 1"))
}

#[tokio::test]
async fn rows_land_in_a_table_of_the_host_and_its_own_columns_stay_untouched() {
    let Host { world, provider, syncline, connection } = host().await;
    let (schema, ads, migrations) = (
        world.ask("SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_master WHERE name NOT LIKE '%syncline%' ORDER BY name)"),
        own(&world, "ads"),
        own(&world, "_sqlx_migrations"),
    );
    let others = world.ask("SELECT quote(name) || plan || visits FROM contacts WHERE tenant = 'bolt'");
    provider.pages(vec![people(&[(" Ada@Example.com ", "Ada Lovelace"), ("bob@example.com", "Bob")])]);
    let result = connection.sync_from_external(pull()).await.expect("it runs");
    clean(&result);
    assert_eq!((result.counts.created, result.counts.updated), (1, 1));
    assert_eq!(
        world.ask_all("SELECT email || '|' || name || '|' || plan || '|' || ifnull(notes, '-') || '|' || visits || '|' || created_at FROM contacts WHERE tenant = 'acme' ORDER BY email"),
        ["ada@example.com|Ada Lovelace|pro|met in May|7|by the host", "bob@example.com|Bob|free|-|0|by the host"]
    );
    assert_eq!(world.ask("SELECT quote(name) || plan || visits FROM contacts WHERE tenant = 'bolt'"), others, "another tenant's row");
    assert_eq!((own(&world, "ads"), own(&world, "_sqlx_migrations")), (ads, migrations));
    let now =
        world.ask("SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_master WHERE name NOT LIKE '%syncline%' ORDER BY name)");
    assert_eq!(now, schema, "the host's schema is the host's");
    let ours = world.ask_all("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%migrations' ORDER BY 1");
    assert_eq!(ours, ["_sqlx_migrations", "syncline_migrations"]);
    let lineage = syncline.workspace("acme").lineage("contacts", "ada@example.com", Some("name")).await.expect("lineage");
    assert_eq!((lineage[0].previous_value.clone(), lineage[0].new_value.clone()), (Some(json!("Ada")), Some(json!("Ada Lovelace"))));
    assert_eq!(lineage[0].source_ref.as_deref(), Some("people → name"));
    // Again: nothing.
    provider.pages(vec![people(&[(" Ada@Example.com ", "Ada Lovelace"), ("bob@example.com", "Bob")])]);
    let again = connection.sync_from_external(pull()).await.expect("it runs");
    assert_eq!((again.counts.unchanged, again.counts.synced()), (2, 0));
}

#[tokio::test]
async fn a_row_the_hosts_constraints_refuse_fails_alone() {
    let Host { world, provider, connection, .. } = host().await;
    provider.pages(vec![people(&[("eve@example.com", "forbidden"), ("bob@example.com", "Bob")])]);
    let result = connection.sync_from_external(pull()).await.expect("it runs");
    assert_eq!((result.success(), result.counts.created, result.counts.failed), (true, 1, 1), "{:?}", result.errors);
    assert!(result.failures[0].error.contains("CHECK"), "{:?}", result.failures);
    assert_eq!(world.ask("SELECT count(*) FROM contacts WHERE tenant = 'acme'"), "2");
}

#[tokio::test]
async fn rows_of_the_host_go_only_when_it_said_so() {
    let Host { world, provider, connection, .. } = host().await;
    provider.pages(vec![people(&[("ada@example.com", "Ada"), ("bob@example.com", "Bob")])]);
    clean(&connection.sync_from_external(pull()).await.expect("it runs"));
    provider.pages(vec![people(&[("ada@example.com", "Ada")])]);
    connection.sync_from_external(pull().confirm_deletes()).await.expect("it runs");
    assert_eq!(world.ask("SELECT count(*) FROM contacts WHERE tenant = 'acme'"), "2", "by default a row stays");
    let deleting = Mapping::new("deleting", "people")
        .table(HostTable::new("contacts").key("email").workspace_column("tenant").delete_rows())
        .column(Column::new("mail").to("email").key())
        .column(Column::new("name").to("name"));
    for list in [&[("ada@example.com", "Ada"), ("bob@example.com", "Bob")][..], &[("ada@example.com", "Ada")][..]] {
        provider.pages(vec![people(list)]);
        let pull = Pull::mapped(deleting.clone()).safety_lag(Duration::ZERO).confirm_deletes();
        clean(&connection.sync_from_external(pull).await.expect("it runs"));
    }
    assert_eq!(world.ask_all("SELECT email FROM contacts WHERE tenant = 'acme'"), ["ada@example.com"]);
    assert_eq!(world.ask("SELECT count(*) FROM contacts WHERE tenant = 'bolt'"), "1");
}

#[tokio::test]
async fn a_table_or_column_the_host_lacks_is_named_before_anything_is_written() {
    let Host { world, provider, connection, .. } = host().await;
    provider.answer(|_, _| Ok(people(&[("ada@example.com", "X")])));
    let table = Mapping::new("m1", "people").table(HostTable::new("contcats").key("email")).column(Column::new("mail").to("email").key());
    let column = mapping().column(Column::new("hobby").to("hobbies"));
    for (mapping, says) in [(table, &["contcats"][..]), (column, &["hobbies", "email", "name"][..])] {
        let result = connection.sync_from_external(Pull::mapped(mapping)).await.expect("the run began");
        assert_eq!((result.success(), result.errors[0].kind), (false, ErrorKind::Config));
        for word in says {
            assert!(messages(&result).contains(word), "{}", messages(&result));
        }
    }
    assert_eq!(world.ask("SELECT name FROM contacts WHERE tenant = 'acme'"), "Ada");
}

#[tokio::test]
async fn the_hosts_hook_writes_in_the_same_transaction_and_rolls_back_with_it() {
    let world = World::new();
    world.sql().execute_batch(HOST).expect("the host's schema");
    let storage = world.storage().await;
    let refuses = Arc::new(AtomicBool::new(false));
    let refuse = Arc::clone(&refuses);
    storage.on_commit(move |tx, committed| {
        for key in committed.written {
            tx.execute("INSERT INTO audit (tenant, contact) VALUES (?1, ?2)", (committed.workspace.as_str(), &**key))?;
        }
        if refuse.load(Ordering::SeqCst) { Err("the host says no".into()) } else { Ok(()) }
    });
    let provider = Scripted::new("crm").streams(vec![Stream::full("people")]);
    let syncline = world.open_on(storage, provider.clone()).await;
    let connection = syncline.workspace("acme").connect("crm", Credentials::api_key("good")).await.expect("it connects");
    refuses.store(true, Ordering::SeqCst);
    provider.answer(|_, _| Ok(people(&[("bob@example.com", "Bob")])));
    let before = world.dump();
    let result = connection.sync_from_external(pull()).await.expect("the run began");
    assert!(!result.success());
    assert!(messages(&result).contains("hook"), "{}", messages(&result));
    assert_eq!(
        (world.ask("SELECT count(*) FROM audit"), world.ask("SELECT count(*) FROM contacts WHERE tenant = 'acme'")),
        ("0".into(), "1".into())
    );
    for table in ["syncline_sync_cursors", "lineage", "links"] {
        assert_eq!(world.dump().table(table), before.table(table), "{table}");
    }
    refuses.store(false, Ordering::SeqCst);
    clean(&connection.sync_from_external(pull()).await.expect("it runs"));
    assert_eq!(world.ask_all("SELECT tenant || ' ' || contact FROM audit"), ["acme bob@example.com"]);
    clean(&connection.sync_from_external(pull()).await.expect("it runs"));
    assert_eq!(world.ask("SELECT count(*) FROM audit"), "1", "what is not written is not told");
}

#[tokio::test]
async fn the_host_writes_through_its_own_connection_while_a_pull_runs() {
    let Host { world, provider, connection, .. } = host().await;
    const PAGES: usize = 40;
    provider.answer(|_, n| {
        let mut page = people(&[(&format!("person{n}@example.com"), "from the service")]);
        if n + 1 < PAGES {
            page.next = Next::Page(n.to_string().into());
        }
        Ok(page)
    });
    let path = world.path();
    let done = Arc::new(AtomicBool::new(false));
    let (stop, writes) = (
        Arc::clone(&done),
        std::thread::spawn({
            let done = Arc::clone(&done);
            move || {
                let conn = rusqlite::Connection::open(path).expect("the host opens its file");
                conn.busy_timeout(Duration::from_secs(10)).expect("a setting");
                let mut writes = 0;
                // Bounded, so that the host never keeps the writer waiting for as long as the machine is busy.
                while writes < 200 && !done.load(Ordering::SeqCst) || writes == 0 {
                    conn.execute("UPDATE contacts SET visits = visits + 1 WHERE tenant = 'acme' AND email = 'ada@example.com'", [])
                        .expect("the host writes");
                    writes += 1;
                }
                writes
            }
        }),
    );
    let result = connection.sync_from_external(pull().commit_rows(1)).await.expect("it runs");
    stop.store(true, Ordering::SeqCst);
    let writes: i64 = writes.join().expect("the host's thread");
    clean(&result);
    assert_eq!(result.counts.created, PAGES as u64);
    assert_eq!(world.ask("SELECT visits FROM contacts WHERE tenant = 'acme' AND email = 'ada@example.com'"), (7 + writes).to_string());
    assert_eq!(world.ask("SELECT count(*) FROM contacts WHERE tenant = 'acme'"), (PAGES + 1).to_string());
}

#[tokio::test]
async fn a_managed_table_keeps_clear_of_a_table_of_the_hosts_of_that_name() {
    let world = World::new();
    world
        .sql()
        .execute_batch("CREATE TABLE crm_people (id INTEGER PRIMARY KEY, mine TEXT); INSERT INTO crm_people VALUES (1, 'x')")
        .expect("a table");
    let provider = Scripted::new("crm").streams(vec![Stream::full("people")]);
    let syncline = world.open(provider.clone()).await;
    let connection = syncline.workspace("acme").connect("crm", Credentials::api_key("good")).await.expect("it connects");
    provider.pages(vec![then(page([("1", json!({ "mine": "theirs" }))]), "x"), last(page([]))]);
    clean(&connection.sync_from_external(Pull::stream("people")).await.expect("it runs"));
    assert_eq!(own(&world, "crm_people"), ["1,'x'"]);
    assert_eq!(syncline.workspace("acme").count("crm_people").await.expect("a count"), 1, "by its entity type it is found");
}
