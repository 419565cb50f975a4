//! A provider of one's own in one file: a warehouse that counts its stock, pulled into SQLite and pushed to, with the public API alone.
//!
//! `cargo run --example own_provider`

use std::{collections::BTreeMap, sync::Mutex};

use serde_json::json;
use syncline::{
    Credentials, EntityQuery, Error, ErrorKind, Keyring, Pull, Push, Result, SqliteStorage, Syncline,
    core::{
        Account, Capabilities, Descriptor, ExposeSecret, Field, FieldKind, IntegrationSync, Next, Operation, Partitions, PullPage,
        PullRequest, PushBatch, PushItem, PushLimits, PushMode, PushOutcome, RecordBatch, Stream, StreamName, SyncContext, Writes,
        async_trait,
    },
};

/// Records on one page.
const PAGE: usize = 2;

/// The warehouse, here in memory. A real provider speaks to its service through `syncline::http::Api`, which brings the one retry,
/// the quotas, the token and the redaction.
#[derive(Debug)]
struct Warehouse {
    descriptor: Descriptor,
    stock: Mutex<BTreeMap<String, u32>>,
}

/// What a push writes.
#[derive(serde::Deserialize)]
struct Shelf {
    item: String,
    pieces: u32,
}

impl Warehouse {
    fn new(stock: &[(&'static str, u32)]) -> Self {
        let descriptor = Descriptor {
            capabilities: Capabilities { pull: true, push: true, ..Capabilities::default() },
            fixed_streams: &["stock"],
            // Setting a count twice is setting it once, so one whose answer was lost may be sent again.
            push: PushLimits { items: 100, repeatable: true, modes: &[PushMode::Upsert], ..PushLimits::default() },
            ..Descriptor::new("warehouse", "Warehouse")
        };
        Self { descriptor, stock: Mutex::new(stock.iter().map(|(item, pieces)| ((*item).to_owned(), *pieces)).collect()) }
    }

    /// The page from `from` on, and how many records there are.
    fn page(&self, from: usize) -> (Vec<(String, u32)>, usize) {
        let stock = self.stock.lock().expect("no holder panics");
        (stock.iter().skip(from).take(PAGE).map(|(item, pieces)| (item.clone(), *pieces)).collect(), stock.len())
    }

    /// Writes one item. What cannot be right fails alone, with its reason.
    fn write(&self, item: &PushItem) -> PushOutcome {
        let mut stock = self.stock.lock().expect("no holder panics");
        match (item.operation, serde_json::from_slice::<Shelf>(&item.fields)) {
            // One that is gone already is what a delete asks for.
            (Operation::Delete, _) => match &item.id {
                Some(id) => {
                    stock.remove(id.as_str());
                    PushOutcome::deleted(id.clone())
                }
                None => PushOutcome::Skipped("nobody said which item"),
            },
            (Operation::Upsert, Ok(shelf)) => match stock.insert(shelf.item.clone(), shelf.pieces) {
                Some(_) => PushOutcome::updated(shelf.item),
                None => PushOutcome::created(shelf.item),
            },
            (Operation::Upsert, Err(why)) => {
                PushOutcome::Failed(Error::new(ErrorKind::Invalid, "warehouse.shelf", format!("this is no item and its pieces: {why}")))
            }
        }
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
        let stock = Stream::full("stock").with_fields(fields).writable(Writes::Fields(["item".into(), "pieces".into()].into()));
        Ok(vec![Stream { key: ["item".into()].into(), ..stock }])
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
            record.finish(name.as_str(), Operation::Upsert, None);
        }
        let reached = from + items.len();
        let mut page = PullPage::new(batch);
        page.next = if reached < total { Next::Page(reached.to_string().into()) } else { Next::End { complete: true } };
        Ok(page)
    }

    async fn push(&self, _: &SyncContext, batch: &PushBatch) -> Result<Vec<PushOutcome>> {
        Ok(batch.items.iter().map(|item| self.write(item)).collect())
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
    assert!(warehouse.is_valid().await);
    let first = warehouse.sync_from_external(Pull::stream("stock")).await?;
    let again = warehouse.sync_from_external(Pull::stream("stock")).await?;
    println!("first {} created, then {} unchanged", first.counts.created, again.counts.unchanged);
    for row in harbour.entities("warehouse_stock", EntityQuery::default()).await? {
        println!("{}: {}", row.key, row.fields["pieces"]);
    }
    assert_eq!((first.counts.created, again.counts.unchanged, harbour.count("warehouse_stock").await?), (3, 3, 3));

    let counted = [json!({ "item": "rope", "pieces": 90 }), json!({ "item": "oar", "pieces": 12 }), json!({ "item": "tar", "pieces": -1 })];
    let pushed = warehouse.sync_to_external(Push::records("stock", counted.clone())).await?;
    let repeated = warehouse.sync_to_external(Push::records("stock", counted)).await?;
    println!("pushed: {} new, {} changed; again: {} unchanged", pushed.counts.created, pushed.counts.updated, repeated.counts.unchanged);
    for failure in &pushed.failures {
        println!("{failure}");
    }
    assert_eq!((pushed.counts.created, pushed.counts.updated, pushed.counts.failed), (1, 1, 1));
    assert_eq!((repeated.counts.unchanged, repeated.counts.failed), (2, 1));
    Ok(())
}
