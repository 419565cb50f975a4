//! A provider of one's own in one file: a warehouse that counts its stock, pulled into SQLite with the public API alone.
//!
//! `cargo run --example own_provider`

use std::sync::Mutex;

use serde_json::json;
use syncline::{
    Credentials, EntityQuery, Error, ErrorKind, Keyring, Pull, Result, SqliteStorage, Syncline,
    core::{
        Account, Capabilities, Descriptor, ExposeSecret, Field, FieldKind, IntegrationSync, Next, Operation, Partitions, PullPage,
        PullRequest, RecordBatch, Stream, StreamName, SyncContext, async_trait,
    },
};

/// Records on one page.
const PAGE: usize = 2;

/// The warehouse, here in memory. A real provider speaks to its service through `syncline::http::Api`, which brings the one retry,
/// the quotas, the token and the redaction.
#[derive(Debug)]
struct Warehouse {
    descriptor: Descriptor,
    stock: Mutex<Vec<(&'static str, u32)>>,
}

impl Warehouse {
    fn new(stock: &[(&'static str, u32)]) -> Self {
        let descriptor = Descriptor {
            capabilities: Capabilities { pull: true, ..Capabilities::default() },
            fixed_streams: &["stock"],
            ..Descriptor::new("warehouse", "Warehouse")
        };
        Self { descriptor, stock: Mutex::new(stock.to_vec()) }
    }

    /// The page from `from` on, and how many records there are.
    fn page(&self, from: usize) -> (Vec<(&'static str, u32)>, usize) {
        let stock = self.stock.lock().expect("no holder panics");
        (stock.iter().skip(from).take(PAGE).copied().collect(), stock.len())
    }
}

#[async_trait]
impl IntegrationSync for Warehouse {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    async fn validate_credentials(&self, cx: &SyncContext) -> Result<Account> {
        let token = cx.services.token(&cx.connection, None).await?;
        match token.secret.expose_secret() {
            "open sesame" => Ok(Account { id: "main".into(), name: Some("Main warehouse".into()) }),
            _ => Err(Error::new(ErrorKind::Auth, "warehouse.door", "the warehouse does not know this word")),
        }
    }

    async fn streams(&self, _: &SyncContext) -> Result<Vec<Stream>> {
        let fields = [Field::typed("item", FieldKind::Text), Field::typed("pieces", FieldKind::Integer)];
        Ok(vec![Stream::full("stock").with_fields(fields)])
    }

    async fn partitions(&self, _: &SyncContext, _: &StreamName) -> Result<Partitions> {
        Ok(Partitions::whole())
    }

    async fn pull(&self, _: &SyncContext, request: &PullRequest) -> Result<PullPage> {
        let from: usize = request
            .after
            .as_ref()
            .map_or(Ok(0), |token| token.as_str().parse())
            .map_err(|_| Error::new(ErrorKind::Invalid, "warehouse.stock", "the page token is none of ours"))?;
        let (items, total) = self.page(from);
        let mut batch = RecordBatch::default();
        let (item, pieces) = (batch.name("item"), batch.name("pieces"));
        for (name, count) in &items {
            let mut record = batch.record();
            record.made_text(item, name);
            record.made(pieces, &count.to_string());
            record.finish(*name, Operation::Upsert, None);
        }
        let reached = from + items.len();
        let mut page = PullPage::new(batch);
        page.next = if reached < total { Next::Page(reached.to_string().into()) } else { Next::End { complete: true } };
        Ok(page)
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let syncline = Syncline::builder()
        .storage(SqliteStorage::open(folder.path().join("app.db")).await?)
        .keyring(Keyring::parse(&Keyring::generate("example"))?)
        .provider(Warehouse::new(&[("anchor", 3), ("rope", 120), ("sail", 7)]))
        .build()
        .await?;
    let harbour = syncline.workspace("harbour");

    let refused = harbour.connect("warehouse", Credentials::token("please")).await.expect_err("a wrong word");
    println!("{refused} ({})", refused.hint());

    let warehouse = harbour.connect("warehouse", Credentials::token("open sesame")).settings(json!({})).await?;
    let first = warehouse.sync_from_external(Pull::stream("stock")).await?;
    let again = warehouse.sync_from_external(Pull::stream("stock")).await?;
    println!("first {} created, then {} unchanged", first.counts.created, again.counts.unchanged);
    for row in harbour.entities("warehouse_stock", EntityQuery::default()).await? {
        println!("{}: {}", row.key, row.fields["pieces"]);
    }
    assert_eq!((first.counts.created, again.counts.unchanged, harbour.count("warehouse_stock").await?), (3, 3, 3));
    Ok(())
}
