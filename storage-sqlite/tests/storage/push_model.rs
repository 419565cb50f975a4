//! Random pulls and random changes of the host's: exactly what the host changed is to be sent.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use storage_sqlite::{SqliteStorage, rusqlite};
use sync_core::{Field, FieldKind, HostTable, Target};

use crate::{push_support::*, support::*};

const FIELDS: [&str; 6] = ["name", "age", "score", "free", "vip", "tags"];
const KINDS: [(&str, FieldKind); 6] = [
    ("name", FieldKind::Text),
    ("age", FieldKind::Integer),
    ("score", FieldKind::Number),
    ("free", FieldKind::Text),
    ("vip", FieldKind::Boolean),
    ("tags", FieldKind::Json),
];
const SCHEMA: &str =
    "CREATE TABLE hosted (id TEXT PRIMARY KEY, name TEXT, age INTEGER, score REAL, free, vip BOOLEAN, tags JSON, beside TEXT DEFAULT 'x')";

/// What a record says of a field.
fn cell() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(Value::Null)),
        1 => (-3..3i64).prop_map(|n| Some(json!(n))),
        1 => any::<f64>().prop_map(|n| Some(json!(n))),
        1 => any::<bool>().prop_map(|b| Some(json!(b))),
        2 => "[a-b0-9 \"\\\\é名🦀]{0,3}".prop_map(|s| Some(json!(s))),
        1 => Just(Some(json!({"k": [1, "x", null]}))),
    ]
}

/// What the host writes into a field, as SQL.
fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("NULL".to_owned()),
        Just("''".to_owned()),
        (-2..3i64).prop_map(|n| n.to_string()),
        (-2..3i64).prop_map(|n| format!("{n}.0")),
        (-2..3i64).prop_map(|n| format!("'{n}'")),
        any::<f64>().prop_filter("a number", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
        "[a-b0-9 é名🦀]{0,3}".prop_map(|s| format!("'{s}'")),
        Just("'Zoë'".to_owned()),
        Just("'{\"k\": [1]}'".to_owned()),
    ]
}

#[derive(Clone, Debug)]
enum Local {
    Set(u8, usize, String),
    /// A field that is not sent.
    Beside(u8),
    /// The value that is there, once more.
    Same(u8, usize),
    Remove(u8),
}

fn local() -> impl Strategy<Value = Local> {
    prop_oneof![
        6 => (0..6u8, 0..FIELDS.len(), literal()).prop_map(|(key, field, value)| Local::Set(key, field, value)),
        1 => (0..6u8).prop_map(Local::Beside),
        2 => (0..6u8, 0..FIELDS.len()).prop_map(|(key, field)| Local::Same(key, field)),
        1 => (0..6u8).prop_map(Local::Remove),
    ]
}

type Said = (u8, Option<Vec<Option<Value>>>);

fn said() -> impl Strategy<Value = Said> {
    (0..6u8, prop_oneof![5 => prop::collection::vec(cell(), FIELDS.len()).prop_map(Some), 1 => Just(None)])
}

/// Some pulls, then some changes of the host's.
type Round = (Vec<Vec<Said>>, Vec<Local>);

fn round() -> impl Strategy<Value = Round> {
    (prop::collection::vec(prop::collection::vec(said(), 1..4), 0..4), prop::collection::vec(local(), 0..5))
}

/// Every row of the host's table by its key, as SQLite itself writes its values down: no two values look the same. In a column of JSON a
/// text that is none stands for itself: `` and `""` are the same empty text.
fn hosted(conn: &rusqlite::Connection) -> BTreeMap<String, String> {
    let list = FIELDS.map(|field| match field {
        "tags" => "quote(CASE WHEN typeof(tags) = 'text' AND NOT json_valid(tags) THEN json_quote(tags) ELSE tags END)".to_owned(),
        plain => format!("quote({plain})"),
    });
    let list = list.join(" || '|' || ");
    let mut rows = conn.prepare(&format!("SELECT id, {list} FROM hosted")).expect("a query");
    rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows").map(|row| row.expect("a row")).collect()
}

/// Every row by its key, as it can be told from others.
async fn snapshot(conn: &rusqlite::Connection, run: &Run) -> BTreeMap<String, String> {
    if run.target.entity.as_str() == "hosted" {
        return hosted(conn);
    }
    // In a table of ours values are what readers get: there the text 2 in a column of numbers is the number.
    run.table().await.into_iter().map(|(key, row)| (key, row.to_string().replace("-0.0", "0.0"))).collect()
}

fn change(conn: &rusqlite::Connection, table: &str, key: &str, local: &Local) {
    let run = |sql: String| conn.execute_batch(&sql).expect("the host's change");
    match local {
        Local::Set(row, field, value) => {
            if table == "hosted" {
                run(format!("INSERT OR IGNORE INTO hosted (id) VALUES ('k{row}')"));
            }
            run(format!("UPDATE {table} SET {} = {value} WHERE {key} = 'k{row}'", FIELDS[*field]));
        }
        Local::Beside(row) if table == "hosted" => run(format!("UPDATE hosted SET beside = beside || 'y' WHERE id = 'k{row}'")),
        Local::Beside(row) => run(format!("UPDATE {table} SET partition_id = 'elsewhere' WHERE {key} = 'k{row}'")),
        Local::Same(row, field) => run(format!("UPDATE {table} SET {0} = {0} WHERE {key} = 'k{row}'", FIELDS[*field])),
        Local::Remove(row) => run(format!("DELETE FROM {table} WHERE {key} = 'k{row}'")),
    }
}

async fn live(target: Target, rounds: &[Round]) {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    execute(&folder.db(), SCHEMA);
    let (table, key) = if target.entity.as_str() == "hosted" { ("hosted", "id") } else { ("people", "entity_id") };
    let target = sends(target, &FIELDS);
    let pull = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &target).await;
    let other = push(&storage, "acme", &mapped_feed("c1", "for its fence", "m"), &target).await;
    let push = Push { commit: sync_core::store::PushCommit { feed: pull.feed.clone(), ..other.commit.clone() }, ..other };
    // The columns of a managed table come with the first record.
    pull.commit(&[up("r0", json!({"id": "k0"}))]).await;
    let conn = rusqlite::Connection::open(folder.db()).expect("opens");
    // Rows the host took away in an earlier round: one that comes back as the service still has it is nothing to send.
    let mut away: BTreeSet<String> = BTreeSet::new();
    for (pulls, locals) in rounds {
        for page in pulls {
            let rows: Vec<(String, Option<Value>)> = page
                .iter()
                .map(|(row, cells)| {
                    let fields = cells.as_ref().map(|cells| {
                        let cells =
                            FIELDS.iter().zip(cells).filter_map(|(field, value)| value.clone().map(|value| ((*field).to_owned(), value)));
                        Value::Object(std::iter::once(("id".to_owned(), json!(format!("k{row}")))).chain(cells).collect())
                    });
                    (format!("r{row}"), fields)
                })
                .collect();
            let report = pull.commit(&rows.iter().map(|(id, fields)| (id.as_str(), fields.clone())).collect::<Vec<_>>()).await;
            assert_eq!(report.counts.failed, 0, "{:?}", report.failures);
            assert_eq!(lines(&push.changed().await), [""; 0], "a pull's own rows would be sent back");
        }
        let before = snapshot(&conn, &pull).await;
        for local in locals {
            change(&conn, table, key, local);
        }
        let after = snapshot(&conn, &pull).await;
        let expected: BTreeSet<&String> = after.iter().filter(|(row, now)| before.get(*row) != Some(now)).map(|(row, _)| row).collect();
        let changed = push.changed().await;
        let (sent, told) = (keys(&changed), |row: &&String| !away.contains(*row));
        let clear = (sent.iter().filter(told).collect::<BTreeSet<_>>(), expected.into_iter().filter(told).collect::<BTreeSet<_>>());
        assert_eq!(clear.0, clear.1, "{before:?} {after:?}");
        assert_eq!(changed.unchanged as usize + sent.len(), after.len());
        away.extend(before.into_keys().filter(|row| !after.contains_key(row)));
        // Page by page they are the same.
        let (mut paged, mut from) = (Vec::new(), None);
        loop {
            let page =
                push.store.changed_rows(sync_core::store::ChangedQuery { after: from, limit: 2, ..push.query() }).await.expect("read");
            paged.extend(lines(&page));
            from = page.after;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(paged, lines(&changed));
        push.accept_all().await;
        assert_eq!(push.keys().await, [""; 0], "what was accepted is not sent again");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn exactly_what_the_host_changed_is_to_be_sent(rounds in prop::collection::vec(round(), 1..4), place in 0..3u8) {
        let target = match place {
            0 => host(HostTable::new("hosted").key("id")),
            1 => host(HostTable::new("hosted").key("id").delete_rows()),
            _ => Target { fields: typed(&KINDS.map(|(field, kind)| Field::typed(field, kind))), ..managed("people", &["id"]) },
        };
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(live(target, &rounds));
    }
}
