//! A host program of a few lines: one sheet into one SQLite file, twice, and where a value came from. The sheet is simulated in this
//! process, so that no account and no network are needed; leave out `.transport(…)` to speak to Google.
//!
//! `cargo run --example quickstart`

use serde_json::json;
use syncline::{Credentials, Keyring, Pull, Sheets, SqliteStorage, Syncline, providers::sheets::simulator::SheetsSim, testkit::Simulation};

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sheet = SheetsSim::new("1AbC", "Staff list");
    sheet.load("Staff", &[vec!["id", "name", "town"], vec!["1", "Ada", "London"], vec!["2", "Grace", "Arlington"]]);
    let google = Simulation::new(sheet);

    // The engine: where rows and state are kept, the key credentials are sealed with, the services it knows.
    let folder = tempfile::tempdir()?;
    let syncline = Syncline::builder()
        .storage(SqliteStorage::open(folder.path().join("app.db")).await?)
        .keyring(Keyring::parse(&Keyring::generate("example"))?)
        .provider(Sheets::builder().transport(google.transport()).build()?)
        .build()
        .await?;

    // A tenant connects an account: one cheap call proves the token, then it is stored sealed.
    let acme = syncline.workspace("acme");
    let sheets = acme.connect("sheets", Credentials::token("ya29.a-token")).settings(json!({ "spreadsheet_id": "1AbC" })).await?;

    // The tab lands in the table sheets_staff, keyed by its column id.
    let staff = Pull::stream("Staff").key(["id"]);
    let first = sheets.sync_from_external(staff.clone()).await?;
    println!("first: {} created in {:?}", first.counts.created, first.duration());

    // Somebody moves: only that is written.
    google.sim().set_cell("Staff", 2, 3, "Paris");
    let second = sheets.sync_from_external(staff).await?;
    println!("again: {} updated, {} unchanged", second.counts.updated, second.counts.unchanged);

    // Every value knows where it came from.
    for change in acme.lineage("sheets_staff", "1", Some("town")).await? {
        let from = change.previous_value.map_or("nothing".to_owned(), |value| value.to_string());
        let to = change.new_value.map_or("nothing".to_owned(), |value| value.to_string());
        println!("town: {from} → {to}, {}, run {}", change.source_ref.as_deref().unwrap_or("?"), change.sync_run_id);
    }
    assert_eq!((first.counts.created, second.counts.updated, second.counts.unchanged), (2, 1, 1));
    Ok(())
}
