//! Two sheets and a Slack channel fill one table of the application, `partners`, by three mappings with three priorities: who wins a
//! field, what the loser said, what is only kept beside it, a decision and an edit by people, a plan, an explanation, and undoing.
//!
//! The services are simulated in this process; leave out `.transport(…)` to speak to Google and Slack.
//!
//! `cargo run --example mapping`

use std::collections::BTreeMap;

use serde_json::{Value, json, value::RawValue};
use syncline::{
    Apply, ConflictFilter, Credentials, DataSource, Edit, EntityQuery, HostTable, ItemKind, Keyring, LineageEntry, Pull, ResolveConflict,
    Sheets, Slack, SourceStatus, SqliteStorage, SyncOptions, Syncline, TabMapping, Workspace,
    mapping::{Authority, Column, Mapping, NullPolicy, Transforms},
    providers::{sheets::simulator::SheetsSim, slack::simulator::SlackSim},
    storage::sqlite::rusqlite,
    testkit::Simulation,
};

type Done<T> = Result<T, Box<dyn std::error::Error>>;

/// The application's own table. Syncline writes the columns that mappings name, and no other.
const TABLE: &str = "
    CREATE TABLE partners (email TEXT PRIMARY KEY, name TEXT, city TEXT, phone TEXT, deal_micros INTEGER, joined_on TEXT, notes TEXT);
    INSERT INTO partners (email, notes) VALUES ('ann@fog.example', 'met in May');";

fn partners() -> HostTable {
    HostTable::new("partners").key("email")
}

/// The master sheet has the last word: priority 9. A mapping made by calls.
fn master() -> Mapping {
    Mapping::new("master", "Partners")
        .table(partners())
        .null_policy(NullPolicy::Keep)
        .column(Column::new("E-mail").to("email").key().then("trim").then("lower"))
        .column(Column::new("Name").to("name").priority(9).then("collapse").then("trim"))
        .column(Column::new("City").to("city").priority(9).then_with("null_if", json!(["?"])))
        .column(Column::new("Deal").to("deal_micros").then("currency"))
        .column(Column::new("Since").to("joined_on").then_with("date", json!({ "formats": ["%d.%m.%Y", "iso"] })))
}

/// What people write down on visits: priority 5. The same as data, which may as well be a file.
const VISITS: &str = r#"
    name = "visits"
    stream = "Visits"
    null_policy = "keep"                # an empty cell says nothing
    table = { name = "partners", key = ["email"] }
    columns = [
        { source = "Who", target = "email", key = true, transforms = ["trim", "lower"] },
        { source = "City", target = "city", priority = 5 },
        { source = "Phone", target = "phone", priority = 5 },
    ]"#;

/// What is said in a channel, such as `ann@fog.example: moved to Bonn, call 0228 5550`: priority 1, and for the phone number only a
/// reference. This mapping is kept in the database, where users of the application may change it.
fn talk() -> Mapping {
    let part = |pattern: &str| json!({ "pattern": pattern, "no_match": "null" });
    Mapping::new("talk", "messages")
        .table(partners())
        .null_policy(NullPolicy::Keep)
        .column(Column::new("text").to("email").key().then_with("regex", part(r"^(\S+@\S+):")))
        .column(Column::new("text").to("city").priority(1).then_with("regex", part(r"moved to (\w+)")))
        .column(Column::new("text").to("phone").authority(Authority::Reference).then_with("regex", part(r"call ([0-9 +]+)")))
}

/// Everything that is wrong with a mapping is told at once, before anything is read.
fn mistakes() {
    println!("A mapping with mistakes:");
    let wrong = Mapping::new("wrong", "Partners").entity("partner").column(Column::new("Name").then("trimm")).column(Column::new("Name"));
    let problems = wrong.problems(&Transforms::default(), None);
    problems.iter().for_each(|problem| println!("  {problem}"));
    assert_eq!(problems.len(), 3, "no key, no such transform, one field twice");
}

/// What Google and Slack hold.
fn services() -> (Simulation<SheetsSim>, Simulation<SlackSim>) {
    let (sheet, slack) = (SheetsSim::new("1AbC", "Partner list"), SlackSim::new("T1", "Acme"));
    let master = [
        ["E-mail", "Name", "City", "Deal", "Since"],
        ["Ann@Fog.example ", "Ann  Fogg", "Ulm", "€1,250.00", "03.04.2024"],
        ["bob@gate.example", "Bob Gate", "?", "$80", "2025-01-31"],
    ];
    let visits = [
        ["Who", "City", "Phone"],
        ["ann@fog.example", "Bonn", "0228 1"],
        ["bob@gate.example", "Essen", ""],
        ["cy@new.example", "Rome", "06 7"],
    ];
    sheet.load("Partners", &master);
    sheet.load("Visits", &visits);
    let (ada, channel) = (slack.add_user("U1", "Ada"), slack.add_channel("C1", "partners"));
    for text in ["Good morning!", "ann@fog.example: moved to Bonn, call 0228 5550", "bob@gate.example: moved to Kiel"] {
        slack.post(&channel, &ada, text);
    }
    (Simulation::new(sheet), Simulation::new(slack))
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Done<()> {
    mistakes();
    let (google, slack) = services();

    // The host's database, with a table of its own in it.
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.db");
    rusqlite::Connection::open(&file)?.execute_batch(TABLE)?;
    let syncline = Syncline::builder()
        .storage(SqliteStorage::open(&file).await?)
        .keyring(Keyring::parse(&Keyring::generate("example"))?)
        .provider(Sheets::builder().transport(google.transport()).build()?)
        .provider(Slack::builder().transport(slack.transport()).build()?)
        .build()
        .await?;
    let acme = syncline.workspace("acme");
    let sheets = acme.connect("sheets", Credentials::token("ya29.a-token")).settings(json!({ "spreadsheet_id": "1AbC" })).await?;
    let chat = acme.connect("slack", Credentials::token("xoxb-a-token")).await?;

    // The weakest source comes first: it does not matter. This one is stored, and run by its name.
    let source = DataSource {
        id: "talk".into(),
        kind: "slack".into(),
        name: "#partners".into(),
        connection_id: chat.id().clone(),
        connector_config: Value::Null,
        schedule: None,
        status: SourceStatus::Active,
    };
    acme.put_data_source(&source).await?;
    let tab = TabMapping { id: "talk".into(), data_source_id: source.id.clone(), status: SourceStatus::Active, mapping: talk() };
    acme.put_tab_mapping(&tab).await?;
    let said = acme.sync_tab("talk", &SyncOptions::default()).await?.result;
    let visited = sheets.sync_from_external(Pull::mapped(toml::from_str::<Mapping>(VISITS)?)).await?;
    let listed = sheets.sync_from_external(Pull::mapped(master())).await?;
    for result in [&said, &visited, &listed] {
        assert!(result.success() && result.counts.balanced(), "{:?} {:?}", result.errors, result.failures);
    }
    show(&acme, "Pulled").await?;

    // Each field has one source that won it: the last line of its history.
    println!("\nWho won Ann's fields:");
    let history = acme.lineage("partners", "ann@fog.example", None).await?;
    let winners: BTreeMap<&str, &LineageEntry> = history.iter().map(|change| (&*change.field_name, change)).collect();
    for (field, change) in &winners {
        println!("  {field}: {}", change.source_ref.as_deref().unwrap_or("?"));
    }
    assert_eq!(winners["city"].source_ref.as_deref(), Some("Partners → Column C"));
    assert_eq!(winners["phone"].source_ref.as_deref(), Some("Visits → Column C"), "the master sheet has no column for it");
    let ann = async || row(&acme, "ann@fog.example").await;
    assert_eq!(ann().await?["city"], "Ulm", "the master sheet wins, whoever came last");
    assert_eq!(ann().await?["notes"], "met in May", "the application's own column");
    assert_eq!(
        (row(&acme, "bob@gate.example").await?["deal_micros"].clone(), ann().await?["name"].clone()),
        (json!(80_000_000), json!("Ann Fogg"))
    );

    // What the losers said is not lost: each is a conflict until somebody decides, or the sources agree.
    println!("\nConflicts, decided by priority:");
    let conflicts = acme.conflicts(ConflictFilter::default()).await?;
    for conflict in &conflicts {
        let (loser, rule) = (&conflict.loser.mapping, &conflict.rule);
        println!("  {} {}: {} wins, {loser} says {} ({rule})", conflict.entity, conflict.field, conflict.winning, conflict.value);
    }
    // Ada knows better about Ann. Of all else the talk says about cities, the rule's decision stands.
    let of =
        |entity: &str, loser: &str| conflicts.iter().find(|one| &*one.entity == entity && &*one.loser.mapping == loser).map(|one| one.id);
    let taken = of("ann@fog.example", "visits").ok_or("a conflict with the visits")?;
    acme.resolve_conflict(ResolveConflict::take(taken).by("ada")).await?;
    let accepted = of("bob@gate.example", "talk").ok_or("a conflict with the talk")?;
    acme.resolve_conflict(ResolveConflict::accept(accepted).all_alike().by("ada")).await?;
    assert_eq!((ann().await?["city"].clone(), acme.conflicts(ConflictFilter::default()).await?.len()), (json!("Bonn"), 0));

    // A reference overwrites nothing; it is kept beside the field.
    let beside = acme.reference_values("partners", "ann@fog.example").await?;
    println!("\nAnn's phone is {}; beside it {} says {}", ann().await?["phone"], beside[0].source.mapping, beside[0].value);
    assert_eq!((ann().await?["phone"].clone(), beside[0].value.get()), (json!("0228 1"), "\"0228 5550\""));

    // People edit, and the history says who.
    acme.edit(Edit::of("partners", "cy@new.example").set("name", "Cy New").by("ada")).await?;

    // The sheet changes. The plan says what that would do, row by row, before anything is written.
    google.sim().set_cell("Partners", 2, 3, "Köln");
    google.sim().set_cell("Partners", 3, 4, "$95.50");
    let plan = sheets.plan(Pull::mapped(master())).await?.plan;
    println!("\nPlan {}:", plan.run);
    for item in acme.plan_items(plan.run, 0, 100).await? {
        println!("  {} {}", if item.kind == ItemKind::Create { "+" } else { "~" }, item.entity);
        for change in &item.changes {
            let told = |value: &Option<Box<RawValue>>| value.as_ref().map_or("nothing".to_owned(), |json| json.to_string());
            println!("      {}: {} → {}", change.field, told(&change.old), told(&change.new));
        }
    }
    assert_eq!(ann().await?["city"], "Bonn", "nothing is written yet");
    acme.approve_plan(plan.run, "ada").await?;
    let applied = sheets.apply(Apply::plan(plan.run).triggered_by("ben")).await?;
    assert_eq!((applied.counts.updated, ann().await?["city"].clone()), (2, json!("Köln")));

    // Every value knows where it came from.
    println!("\nAnn's city:");
    for change in acme.lineage("partners", "ann@fog.example", Some("city")).await? {
        let (to, from) = (change.new_value.unwrap_or_default(), change.source_ref.as_deref().unwrap_or("?").to_owned());
        println!("  {to} out of {from}, run {}, by {}", change.sync_run_id, change.changed_by);
    }

    // And any run can be taken back; what others changed since would stay.
    let undone = sheets.undo(applied.run.ok_or("it ran")?, "ada").await?;
    assert_eq!((undone.counts.updated, ann().await?["city"].clone()), (2, json!("Bonn")));
    show(&acme, "Undone").await
}

async fn row(acme: &Workspace, key: &str) -> Done<serde_json::Map<String, Value>> {
    let query = EntityQuery { key: Some(key.into()), ..EntityQuery::default() };
    Ok(acme.entities("partners", query).await?.into_iter().next().ok_or("the row is there")?.fields)
}

async fn show(acme: &Workspace, title: &str) -> Done<()> {
    println!("\n{title}:");
    for row in acme.entities("partners", EntityQuery::default()).await? {
        println!("  {}", Value::from(row.fields));
    }
    Ok(())
}
