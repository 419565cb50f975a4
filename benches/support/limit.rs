//! The bare limit for SQLite: the least that has to be done to have the members in a table, and nothing else.
//!
//! One connection fetches ahead; each page is parsed into borrowed raw values; one prepared upsert per row, 2,000 rows a
//! transaction, write-ahead log, `synchronous = NORMAL`. No hash, no lineage, no counts, no cursor, no mapping.

use std::{borrow::Cow, path::Path, sync::mpsc};

use bytes::Bytes;
use rusqlite::{Connection, ToSql, types::ToSqlOutput, types::ValueRef};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::measure::{Sample, Stopwatch};

const PAGE: usize = 1_000;
const ROWS_PER_TRANSACTION: usize = 2_000;

/// The fields of a member: the columns of the table, and the order values are bound in.
macro_rules! columns {
    ($($name:ident $kind:literal),* $(,)?) => {
        const COLUMNS: &[(&str, &str)] = &[$((stringify!($name), $kind)),*];

        #[derive(Debug, Deserialize)]
        struct Member<'a> {
            $(#[serde(borrow)] $name: &'a RawValue),*
        }

        impl<'a> Member<'a> {
            fn cells(&self) -> [Cell<'a>; COLUMNS.len()] {
                [$(Cell(self.$name.get())),*]
            }
        }
    };
}

columns! {
    id "TEXT PRIMARY KEY", email_address "TEXT", unique_email_id "TEXT", contact_id "TEXT", full_name "TEXT", web_id "INTEGER",
    email_type "TEXT", status "TEXT", consents_to_one_to_one_messaging "INTEGER", merge_fields "TEXT", interests "TEXT", stats "TEXT",
    ip_signup "TEXT", timestamp_signup "TEXT", ip_opt "TEXT", timestamp_opt "TEXT", member_rating "INTEGER", last_changed "TEXT",
    language "TEXT", vip "INTEGER", email_client "TEXT", location "TEXT", source "TEXT", tags_count "INTEGER", tags "TEXT", list_id "TEXT",
}

#[derive(Debug, Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    members: Vec<Member<'a>>,
}

/// A JSON value on its way into a column: text without its quotes, whole numbers and truth as integers, nested values as they are.
struct Cell<'a>(&'a str);

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let json = self.0;
        Ok(match json.as_bytes()[0] {
            b'"' => match text(json) {
                Cow::Borrowed(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
                Cow::Owned(text) => ToSqlOutput::from(text),
            },
            b't' => ToSqlOutput::from(true),
            b'f' => ToSqlOutput::from(false),
            b'n' => ToSqlOutput::Borrowed(ValueRef::Null),
            b'{' | b'[' => ToSqlOutput::Borrowed(ValueRef::Text(json.as_bytes())),
            _ => ToSqlOutput::from(json.parse::<i64>().map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?),
        })
    }
}

fn text(json: &str) -> Cow<'_, str> {
    let inner = &json[1..json.len() - 1];
    if inner.contains('\\') { Cow::Owned(serde_json::from_str(json).expect("the parser has seen it")) } else { Cow::Borrowed(inner) }
}

/// The mode `limit`: reads all members from `api` into the table of `database`, which is made when it is not there.
pub(crate) fn run(api: &str, database: &Path) -> Sample {
    let mut sqlite = Connection::open(database).expect("the database opens");
    sqlite.pragma_update(None, "journal_mode", "WAL").expect("a file takes a write-ahead log");
    sqlite.pragma_update(None, "synchronous", "NORMAL").expect("synchronous can be set");
    let columns: Vec<String> = COLUMNS.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
    sqlite.execute_batch(&format!("CREATE TABLE IF NOT EXISTS members ({})", columns.join(", "))).expect("the table is made");

    let watch = Stopwatch::start();
    let pages = fetch(api);
    let mut taken = 0;
    let mut group = Vec::with_capacity(2);
    let mut pending = 0;
    for body in pages {
        pending += PAGE;
        group.push(body);
        if pending >= ROWS_PER_TRANSACTION {
            taken += write(&mut sqlite, &group);
            group.clear();
            pending = 0;
        }
    }
    if !group.is_empty() {
        taken += write(&mut sqlite, &group);
    }
    watch.stop(taken, || {
        sqlite.query_row("SELECT count(*) FROM members", [], |row| row.get::<_, i64>(0)).expect("the table can be counted") as u64
    })
}

fn write(sqlite: &mut Connection, pages: &[Bytes]) -> u64 {
    let mut taken = 0;
    let transaction = sqlite.transaction().expect("nobody else writes");
    {
        let mut upsert = transaction.prepare_cached(&upsert()).expect("the statement fits the table");
        for page in pages {
            let page: Page<'_> = serde_json::from_slice(page).expect("a page is JSON of the shape");
            for member in &page.members {
                upsert.execute(rusqlite::params_from_iter(member.cells())).expect("the row is written");
            }
            taken += page.members.len() as u64;
        }
    }
    transaction.commit().expect("the transaction commits");
    taken
}

fn upsert() -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let marks: Vec<String> = (1..=COLUMNS.len()).map(|n| format!("?{n}")).collect();
    let sets: Vec<String> = names[1..].iter().map(|name| format!("{name} = excluded.{name}")).collect();
    format!("INSERT INTO members ({}) VALUES ({}) ON CONFLICT (id) DO UPDATE SET {}", names.join(", "), marks.join(", "), sets.join(", "))
}

/// Fetches page after page on one connection and a thread of its own, at most one page ahead of the writer.
pub(crate) fn fetch(api: &str) -> mpsc::IntoIter<Bytes> {
    #[derive(Deserialize)]
    struct Total {
        total_items: usize,
    }
    let (hand_over, pages) = mpsc::sync_channel(1);
    let api = api.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().expect("a client needs nothing");
            let (mut offset, mut total) = (0, usize::MAX);
            while offset < total {
                let url = format!("{api}/3.0/lists/x/members?count={PAGE}&offset={offset}");
                let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status).expect("the service answers");
                let body = answer.bytes().await.expect("the body arrives whole");
                if total == usize::MAX {
                    total = serde_json::from_slice::<Total>(&body).expect("a page says how many there are").total_items;
                }
                offset += PAGE;
                if hand_over.send(body).is_err() {
                    break;
                }
            }
        });
    });
    pages.into_iter()
}

/// The mode `drain`: only fetches, to show that the service is no bottleneck. Takes the service's word for what a page holds.
pub(crate) fn drain(api: &str) -> Sample {
    let watch = Stopwatch::start();
    let pages = fetch(api).filter(|body| !body.is_empty()).count();
    let records = (pages * PAGE) as u64;
    watch.stop(records, || records)
}
