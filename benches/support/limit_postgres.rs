//! The bare limit for PostgreSQL: the least that has to be done to have the members in a table of typed columns, and nothing else.
//!
//! Four requests at once; each page is parsed into a typed struct of borrowed text; two connections write, 2,000 rows a transaction: a
//! binary COPY into a temporary table, then one upsert from it. An ordinary superuser, no row security, no hash, no lineage, no counts,
//! no cursor, no mapping. Times stay text, as they do in our tables.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::{Mutex, mpsc};

use super::{
    measure::Sample,
    server::{ServerStopwatch, connect},
};

const PAGE: usize = 1_000;
const PAGES_PER_TRANSACTION: usize = 2;
const FETCHES: usize = 4;
const WRITERS: usize = 2;

/// A value's binary form, behind its length.
trait Cell {
    fn put(&self, out: &mut Vec<u8>);
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Text without the escapes it had in the JSON.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

impl Cell for Text<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        put(out, self.0.as_bytes());
    }
}

impl Cell for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        put(out, &self.to_be_bytes());
    }
}

impl Cell for bool {
    fn put(&self, out: &mut Vec<u8>) {
        put(out, &[u8::from(*self)]);
    }
}

impl Cell for &RawValue {
    fn put(&self, out: &mut Vec<u8>) {
        let json = self.get().as_bytes();
        out.extend_from_slice(&(json.len() as u32 + 1).to_be_bytes());
        // The version of jsonb's binary form.
        out.push(1);
        out.extend_from_slice(json);
    }
}

/// The fields of a member: the columns of the table, and the order values are sent in.
macro_rules! columns {
    ($($(#[$borrow:meta])? $name:ident: $rust:ty, $kind:literal);* $(;)?) => {
        const COLUMNS: &[(&str, &str)] = &[$((stringify!($name), $kind)),*];

        #[derive(Debug, Deserialize)]
        struct Member<'a> {
            $($(#[$borrow])? $name: $rust),*
        }

        impl Member<'_> {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&(COLUMNS.len() as u16).to_be_bytes());
                $(self.$name.put(out);)*
            }
        }
    };
}

columns! {
    #[serde(borrow)] id: Text<'a>, "text PRIMARY KEY";
    #[serde(borrow)] email_address: Text<'a>, "text";
    #[serde(borrow)] unique_email_id: Text<'a>, "text";
    #[serde(borrow)] contact_id: Text<'a>, "text";
    #[serde(borrow)] full_name: Text<'a>, "text";
    web_id: i64, "bigint";
    #[serde(borrow)] email_type: Text<'a>, "text";
    #[serde(borrow)] status: Text<'a>, "text";
    consents_to_one_to_one_messaging: bool, "boolean";
    #[serde(borrow)] merge_fields: &'a RawValue, "jsonb";
    #[serde(borrow)] interests: &'a RawValue, "jsonb";
    #[serde(borrow)] stats: &'a RawValue, "jsonb";
    #[serde(borrow)] ip_signup: Text<'a>, "text";
    #[serde(borrow)] timestamp_signup: Text<'a>, "text";
    #[serde(borrow)] ip_opt: Text<'a>, "text";
    #[serde(borrow)] timestamp_opt: Text<'a>, "text";
    member_rating: i64, "bigint";
    #[serde(borrow)] last_changed: Text<'a>, "text";
    #[serde(borrow)] language: Text<'a>, "text";
    vip: bool, "boolean";
    #[serde(borrow)] email_client: Text<'a>, "text";
    #[serde(borrow)] location: &'a RawValue, "jsonb";
    #[serde(borrow)] source: Text<'a>, "text";
    tags_count: i64, "bigint";
    #[serde(borrow)] tags: &'a RawValue, "jsonb";
    #[serde(borrow)] list_id: Text<'a>, "text";
}

#[derive(Debug, Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    members: Vec<Member<'a>>,
}

/// The mode `limit-postgres`: reads all members from `api` into the table of the database at `url`, which is made when it is not there.
pub(crate) fn run(api: &str, url: &str) -> Sample {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let columns: Vec<String> = COLUMNS.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        let mut connection = connect(url).await;
        run_sql(&mut connection, format!("CREATE TABLE IF NOT EXISTS members ({})", columns.join(", "))).await;
        let mut writers = Vec::new();
        for _ in 0..WRITERS {
            writers.push(Writer::new(url).await);
        }

        let watch = ServerStopwatch::start(url).await;
        let (hand_over, pages) = mpsc::channel(FETCHES);
        let pages = Arc::new(Mutex::new(pages));
        let offsets = Arc::new(AtomicUsize::new(0));
        for _ in 0..FETCHES {
            tokio::spawn(fetch(api.to_owned(), Arc::clone(&offsets), hand_over.clone()));
        }
        drop(hand_over);
        let writing: Vec<_> = writers.into_iter().map(|writer| tokio::spawn(writer.write_all(Arc::clone(&pages)))).collect();
        let mut taken = 0;
        for writer in writing {
            taken += writer.await.expect("the writer went through");
        }
        let mut sample = watch.stop(taken).await;
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM members").fetch_one(&mut connection).await.expect("a count");
        sample.rows = rows as u64;
        sample
    })
}

/// Fetches the next page that nobody else fetches, until there are no more.
async fn fetch(api: String, offsets: Arc<AtomicUsize>, hand_over: mpsc::Sender<Bytes>) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client needs nothing");
    loop {
        let offset = offsets.fetch_add(PAGE, Ordering::Relaxed);
        let url = format!("{api}/3.0/lists/x/members?count={PAGE}&offset={offset}");
        let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status).expect("the service answers");
        let body = answer.bytes().await.expect("the body arrives whole");
        // Beyond the last member a page is an empty list; no member is that small.
        if body.len() < 200 || hand_over.send(body).await.is_err() {
            return;
        }
    }
}

/// One connection that writes.
struct Writer {
    connection: PgConnection,
    rows: Vec<u8>,
}

impl Writer {
    async fn new(url: &str) -> Self {
        let mut connection = connect(url).await;
        run_sql(&mut connection, "CREATE TEMP TABLE stage (LIKE members) ON COMMIT DELETE ROWS".to_owned()).await;
        Self { connection, rows: Vec::new() }
    }

    async fn write_all(mut self, pages: Arc<Mutex<mpsc::Receiver<Bytes>>>) -> u64 {
        let mut taken = 0;
        loop {
            let mut group = Vec::with_capacity(PAGES_PER_TRANSACTION);
            pages.lock().await.recv_many(&mut group, PAGES_PER_TRANSACTION).await;
            if group.is_empty() {
                return taken;
            }
            if group.len() < PAGES_PER_TRANSACTION
                && let Some(page) = pages.lock().await.recv().await
            {
                group.push(page);
            }
            taken += self.write(&group).await;
        }
    }

    async fn write(&mut self, pages: &[Bytes]) -> u64 {
        let mut taken = 0;
        self.rows.clear();
        self.rows.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        for page in pages {
            let page: Page<'_> = serde_json::from_slice(page).expect("a page is JSON of the shape");
            for member in &page.members {
                member.put(&mut self.rows);
            }
            taken += page.members.len() as u64;
        }
        self.rows.extend_from_slice(&(-1_i16).to_be_bytes());
        let mut transaction = self.connection.begin().await.expect("a transaction begins");
        let mut copy = transaction.copy_in_raw("COPY stage FROM STDIN (FORMAT binary)").await.expect("the stage takes rows");
        copy.send(self.rows.as_slice()).await.expect("the rows are sent");
        copy.finish().await.expect("the rows are of the table's types");
        sqlx::query(AssertSqlSafe(upsert())).execute(&mut *transaction).await.expect("the rows are written");
        transaction.commit().await.expect("the transaction commits");
        taken
    }
}

async fn run_sql(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.expect("the statement fits the database");
}

fn upsert() -> String {
    let sets: Vec<String> = COLUMNS[1..].iter().map(|(name, _)| format!("{name} = excluded.{name}")).collect();
    format!("INSERT INTO members SELECT * FROM stage ON CONFLICT (id) DO UPDATE SET {}", sets.join(", "))
}
