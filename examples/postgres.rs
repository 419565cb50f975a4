//! The same host program on PostgreSQL: one sheet into a schema of its own, twice, with a hook that writes beside the rows in the same
//! transaction, and where a value came from. The sheet is simulated in this process.
//!
//! `DATABASE_URL=postgres://user@localhost/database cargo run --example postgres`
//!
//! The user has to be one that may make a schema and, the first time on a server, two roles (`syncline_app` and `syncline_fleet`); the
//! example drops its schema `syncline_example` at the end.

use futures_util::FutureExt as _;
use serde_json::json;
use syncline::{
    Credentials, Keyring, PostgresStorage, Pull, Sheets, Syncline,
    providers::sheets::simulator::SheetsSim,
    storage::postgres::sqlx::{self, Connection as _},
    testkit::Simulation,
};

/// The schema of this example.
const SCHEMA: &str = "syncline_example";

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Ok(url) = std::env::var("DATABASE_URL") else {
        println!("This example needs a PostgreSQL server (15 or newer) whose user may make a schema and roles:");
        println!("  DATABASE_URL=postgres://user@localhost/database cargo run --example postgres");
        return Ok(());
    };
    let sheet = SheetsSim::new("1AbC", "Staff list");
    sheet.load("Staff", &[vec!["id", "name", "town"], vec!["1", "Ada", "London"], vec!["2", "Grace", "Arlington"]]);
    let google = Simulation::new(sheet);

    // A hook of the host writes in the transaction of the rows: both are there, or neither. Here it tells of the keys that were written.
    let storage = PostgresStorage::builder(&url)
        .schema(SCHEMA)
        .on_commit(|connection, committed| {
            async move {
                let channel = "syncline_example";
                let told = format!("{} {}: {}", committed.workspace, committed.entity, committed.written.join(" "));
                sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(told).execute(connection).await?;
                Ok(())
            }
            .boxed()
        })
        .open()
        .await?;
    let mut listener = sqlx::postgres::PgListener::connect(&url).await?;
    listener.listen("syncline_example").await?;

    let syncline = Syncline::builder()
        .storage(storage)
        // A program keeps its keys; this one makes one each time, and so gives each a name of its own.
        .keyring(Keyring::parse(&Keyring::generate(&format!("example-{}", std::process::id())))?)
        .provider(Sheets::builder().transport(google.transport()).build()?)
        .build()
        .await?;
    let acme = syncline.workspace("acme");
    let sheets = acme.connect("sheets", Credentials::token("ya29.a-token")).settings(json!({ "spreadsheet_id": "1AbC" })).await?;

    let staff = Pull::stream("Staff").key(["id"]);
    let first = sheets.sync_from_external(staff.clone()).await?;
    println!("first: {} created in {:?}", first.counts.created, first.duration());
    println!("heard: {}", listener.recv().await?.payload());
    google.sim().set_cell("Staff", 2, 3, "Paris");
    let second = sheets.sync_from_external(staff).await?;
    println!("again: {} updated, {} unchanged", second.counts.updated, second.counts.unchanged);
    println!("heard: {}", listener.recv().await?.payload());
    for change in acme.lineage("sheets_staff", "1", Some("town")).await? {
        let from = change.previous_value.map_or("nothing".to_owned(), |value| value.to_string());
        let to = change.new_value.map_or("nothing".to_owned(), |value| value.to_string());
        println!("town: {from} → {to}, {}, run {}", change.source_ref.as_deref().unwrap_or("?"), change.sync_run_id);
    }
    assert_eq!((first.counts.created, second.counts.updated, second.counts.unchanged), (2, 1, 1));

    drop((syncline, acme, sheets, listener));
    let mut connection = sqlx::PgConnection::connect(&url).await?;
    sqlx::raw_sql("DROP SCHEMA syncline_example CASCADE").execute(&mut connection).await?;
    Ok(())
}
