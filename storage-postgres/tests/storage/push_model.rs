//! Random pulls and random changes of the host's: exactly what the host changed is to be sent.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};
use sync_core::{
    Field, FieldKind, HostTable, Target,
    store::{ChangedQuery, PushCommit},
};

use crate::push_support::*;

const KINDS: [(&str, FieldKind); 6] = [
    ("name", FieldKind::Text),
    ("age", FieldKind::Integer),
    ("score", FieldKind::Number),
    ("free", FieldKind::Text),
    ("vip", FieldKind::Boolean),
    ("tags", FieldKind::Json),
];
const COLUMNS: &str =
    "id text PRIMARY KEY, name text, age integer, score float8, free text, vip boolean, tags json, beside text DEFAULT 'x'";

/// What a record says of a field; of its own kind, since the host's columns take no other.
fn cell(kind: FieldKind) -> BoxedStrategy<Option<Value>> {
    let value = match kind {
        FieldKind::Integer => (-3..3i64).prop_map(|n| json!(n)).boxed(),
        FieldKind::Number => prop_oneof![(-3..3i64).prop_map(|n| json!(n)), any::<f64>().prop_map(|n| json!(n))].boxed(),
        FieldKind::Boolean => any::<bool>().prop_map(|b| json!(b)).boxed(),
        FieldKind::Json => prop_oneof![Just(json!({"k": [1, "x", null]})), Just(json!("")), Just(json!(1.5))].boxed(),
        FieldKind::Text | FieldKind::Date | FieldKind::Timestamp => {
            prop_oneof![(-3..3i64).prop_map(|n| json!(n)), "[a-b0-9 \"\\\\é名🦀]{0,3}".prop_map(|s| json!(s))].boxed()
        }
    };
    prop_oneof![2 => Just(None), 1 => Just(Some(Value::Null)), 6 => value.prop_map(Some)].boxed()
}

/// What the host writes into a field, as SQL.
fn literal(kind: FieldKind) -> BoxedStrategy<String> {
    let value = match kind {
        FieldKind::Integer => (-2..3i64).prop_map(|n| n.to_string()).boxed(),
        FieldKind::Number => prop_oneof![
            (-2..3i64).prop_map(|n| format!("{n}.0")),
            any::<f64>().prop_filter("a number", |n| n.is_finite()).prop_map(|n| format!("'{n:e}'"))
        ]
        .boxed(),
        FieldKind::Boolean => any::<bool>().prop_map(|b| b.to_string()).boxed(),
        // Of a number that only gained a digit (1.5, 1.50) a push takes the new text for a change, and a snapshot shows none.
        FieldKind::Json => prop_oneof![Just("'{\"k\": [1]}'".to_owned()), Just("'\"\"'".into()), Just("'2.50'".into())].boxed(),
        FieldKind::Text | FieldKind::Date | FieldKind::Timestamp => {
            prop_oneof![Just("''".to_owned()), Just("'Zoë'".into()), "[a-b0-9 é名🦀]{0,3}".prop_map(|s| format!("'{s}'"))].boxed()
        }
    };
    prop_oneof![1 => Just("NULL".to_owned()), 5 => value].boxed()
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
    let set = (0..KINDS.len())
        .prop_flat_map(|field| (0..6u8, literal(KINDS[field].1)).prop_map(move |(key, value)| Local::Set(key, field, value)));
    prop_oneof![
        6 => set,
        1 => (0..6u8).prop_map(Local::Beside),
        2 => (0..6u8, 0..KINDS.len()).prop_map(|(key, field)| Local::Same(key, field)),
        1 => (0..6u8).prop_map(Local::Remove),
    ]
}

type Said = (u8, Option<Vec<Option<Value>>>);

fn said() -> impl Strategy<Value = Said> {
    let cells = KINDS.map(|(_, kind)| cell(kind)).to_vec();
    (0..6u8, prop_oneof![5 => cells.prop_map(Some), 1 => Just(None)])
}

/// Some pulls, then some changes of the host's.
type Round = (Vec<Vec<Said>>, Vec<Local>);

fn round() -> impl Strategy<Value = Round> {
    (prop::collection::vec(prop::collection::vec(said(), 1..4), 0..4), prop::collection::vec(local(), 0..5))
}

/// Every row by its key, as it can be told from others.
async fn snapshot(site: &Site, table: &str, run: &Run) -> BTreeMap<String, String> {
    if table.starts_with("hosted") {
        // Both zeros are one.
        let query = format!("SELECT id || ' ' || ROW(name, age, score + 0, free, vip, tags::text)::text FROM {table}");
        return site
            .column(&query)
            .await
            .into_iter()
            .map(|row| row.split_once(' ').map(|(key, row)| (key.into(), row.into())).expect("a key"))
            .collect();
    }
    run.table().await.into_iter().map(|(key, row)| (key, row.to_string())).collect()
}

async fn change(site: &Site, table: &str, key: &str, local: &Local) {
    let hosted = table.starts_with("hosted");
    let sql = match local {
        Local::Set(row, field, value) => {
            let make = if hosted { format!("INSERT INTO {table} (id) VALUES ('k{row}') ON CONFLICT DO NOTHING; ") } else { String::new() };
            format!("{make}UPDATE {table} SET {} = {value} WHERE {key} = 'k{row}'", KINDS[*field].0)
        }
        Local::Beside(row) if hosted => format!("UPDATE {table} SET beside = beside || 'y' WHERE id = 'k{row}'"),
        Local::Beside(row) => format!("UPDATE {table} SET partition_id = 'elsewhere' WHERE {key} = 'k{row}'"),
        Local::Same(row, field) => format!("UPDATE {table} SET {0} = {0} WHERE {key} = 'k{row}'", KINDS[*field].0),
        Local::Remove(row) => format!("DELETE FROM {table} WHERE {key} = 'k{row}'"),
    };
    site.execute(&sql).await;
}

async fn live(site: &Site, case: usize, place: u8, rounds: &[Round]) {
    let hosted = format!("hosted{case}");
    let target = match place {
        0 => host(HostTable::new(hosted.as_str()).key("id")),
        1 => host(HostTable::new(hosted.as_str()).key("id").delete_rows()),
        _ => Target {
            fields: KINDS.map(|(field, kind)| Field::typed(field, kind)).to_vec().into(),
            ..managed(&format!("people{case}"), &["id"])
        },
    };
    let (table, key) = if place < 2 { (hosted, "id") } else { (format!("syncline.people{case}"), "entity_id") };
    if place < 2 {
        site.execute(&format!("CREATE TABLE {table} ({COLUMNS})")).await;
    }
    let target = sends(target, &KINDS.map(|(field, _)| field));
    let feed = mapped_feed(&format!("c{case}"), "s", "m");
    let pull = begin(&site.storage, "acme", &feed, &target).await;
    let other = push(&site.storage, "acme", &mapped_feed(&format!("c{case}"), "for its fence", "m"), &target).await;
    let push = Push { commit: PushCommit { feed, ..other.commit.clone() }, ..other };
    // The columns of a managed table come with the first record.
    pull.commit(&[up("r0", json!({"id": "k0"}))]).await;
    // Rows the host took away in an earlier round: one that comes back as the service still has it is nothing to send.
    let mut away: BTreeSet<String> = BTreeSet::new();
    for (pulls, locals) in rounds {
        for page in pulls {
            let rows: Vec<(String, Option<Value>)> = page
                .iter()
                .map(|(row, cells)| {
                    let fields = cells.as_ref().map(|cells| {
                        let cells = KINDS
                            .iter()
                            .zip(cells)
                            .filter_map(|((field, _), value)| value.clone().map(|value| ((*field).to_owned(), value)));
                        Value::Object(std::iter::once(("id".to_owned(), json!(format!("k{row}")))).chain(cells).collect())
                    });
                    (format!("r{row}"), fields)
                })
                .collect();
            let report = pull.commit(&rows.iter().map(|(id, fields)| (id.as_str(), fields.clone())).collect::<Vec<_>>()).await;
            assert_eq!(report.counts.failed, 0, "{:?}", report.failures);
            assert_eq!(lines(&push.changed().await), [""; 0], "a pull's own rows would be sent back");
        }
        let before = snapshot(site, &table, &pull).await;
        for local in locals {
            change(site, &table, key, local).await;
        }
        let after = snapshot(site, &table, &pull).await;
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
            let page = push.store.changed_rows(ChangedQuery { after: from, limit: 2, ..push.query() }).await.expect("read");
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

#[test]
fn exactly_what_the_host_changed_is_to_be_sent() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let site = runtime.block_on(Site::new());
    let case = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) });
    let tried = runner.run(&(prop::collection::vec(round(), 1..4), 0..3u8), |(rounds, place)| {
        case.set(case.get() + 1);
        runtime.block_on(live(&site, case.get(), place, &rounds));
        Ok(())
    });
    tried.unwrap_or_else(|failure| panic!("{failure}"));
}
