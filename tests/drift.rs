//! Columns that change between runs: what stops a run, what is a warning, told once, and that nothing is lost or passed over in silence.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    On, World,
    scripted::{Scripted, last, page, reaching, then},
    services::{SPREADSHEET, movies, sheets},
    stage::{Rows, Stage, WHOLE, object, rows_of},
};
use syncline::{
    Connection, Credentials, Outcome, Pull, Severity, SyncEvent, SyncResult, Workspace,
    core::{Counts, Field, RecordFailure, Stream, TokenLife},
    mapping::{Column, Contract, Mapping, NewColumns, OnError},
    providers::sheets::simulator::{SheetsSim, SimCell},
};

/// What a mapping may have agreed on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Agreed {
    Evolve,
    Freeze,
    DropRow,
    DropValue,
}

const ALL: [Agreed; 4] = [Agreed::Evolve, Agreed::Freeze, Agreed::DropRow, Agreed::DropValue];

impl Agreed {
    fn contract(self) -> Contract {
        let contract = Contract::default();
        match self {
            Self::Evolve => contract.columns(NewColumns::Evolve),
            Self::Freeze => contract.columns(NewColumns::Freeze),
            Self::DropRow => contract.values(OnError::DropRow),
            Self::DropValue => contract.values(OnError::DropValue),
        }
    }
}

fn mapping(agreed: Agreed) -> Mapping {
    Mapping::new("movies", "Movies")
        .entity("movie")
        .contract(agreed.contract().ignore("Note"))
        .column(Column::new("Title").to("title").key())
        .column(Column::new("Gross").to("gross").then("number"))
        .column(Column::new("Year").to("year").optional().then("number"))
}

type Tab = &'static [&'static [&'static str]];

const BASE: Tab =
    &[&["Title", "Gross", "Year", "Note"], &["Alien", "79", "1979", "a"], &["Brazil", "10", "1985", "b"], &["Ikiru", "3", "1952", "c"]];

const KEY_TWICE: Tab = &[&["Title", "Gross", "Year", "Note", "Title"], &["Alien", "79", "1979", "a", "Odd"]];
const BLANK_ROW: Tab = &[BASE[0], BASE[1], &[], BASE[2], BASE[3]];
const TEXT_FOR_NUMBER: Tab = &[BASE[0], BASE[1], &["Brazil", "n/a", "1985", "b"], BASE[3]];
const BLANK_HEADER: Tab = &[&[], BASE[1], BASE[2], BASE[3]];
const NO_ROWS: Tab = &[BASE[0]];

/// Writes the tab anew; what stood there before is blank.
fn write(sim: &SheetsSim, tab: Tab) {
    for row in 0..8 {
        for column in 0..6 {
            let text = tab.get(row).and_then(|cells| cells.get(column)).copied().unwrap_or_default();
            sim.set_cell("Movies", row + 1, column + 1, SimCell::imported(text));
        }
    }
}

/// What a run answers: what stops it, or what became of the records, with the errors and warnings it tells.
enum Answer {
    /// It stops before the first row, with an error that holds these words.
    Stops(&'static [&'static str]),
    /// It goes through; nothing is said, and every row is as it was.
    Silent,
    /// It goes through with these warnings, the first time and whenever it sees it again.
    Warns(&'static [&'static str], &'static [&'static str]),
    /// It goes through so, each time.
    Tells(Outcome, Counts, &'static [&'static str]),
    /// Nothing came: the rows stay, and the deletes wait for a word.
    Empty(&'static str),
}

use Answer::{Empty, Silent, Stops, Tells, Warns};

const fn counts(unchanged: u64, skipped: u64, failed: u64) -> Counts {
    Counts { read: unchanged + skipped + failed, unchanged, skipped, failed, created: 0, updated: 0, deleted: 0, swept: 0, unsettled: 0 }
}

const SAME: Counts = counts(3, 0, 0);
const UNREADABLE: &str = "Row 3, Column B (Gross): \"n/a\" ";

/// What changed, the tab after it, and what each contract makes of it.
fn matrix(agreed: Agreed) -> Vec<(&'static str, Tab, Answer)> {
    use Agreed::{DropRow, DropValue, Evolve, Freeze};
    vec![
        ("nothing", BASE, Silent),
        (
            "a column that is needed has another name",
            &[
                &["Title", "Takings", "Year", "Note"],
                &["Alien", "80", "1979", "a"],
                &["Brazil", "10", "1985", "b"],
                &["Ikiru", "3", "1952"],
            ],
            match agreed {
                Freeze => Stops(&[
                    "column \"Gross\" is missing; it is probably called \"Takings\" now",
                    "column \"Takings\" is new, and the contract freezes columns",
                ]),
                _ => Stops(&["column \"Gross\" is missing; it is probably called \"Takings\" now"]),
            },
        ),
        (
            "the key has another name",
            &[&["Film title", "Gross", "Year", "Note"], &["Alien", "79", "1979", "a"]],
            Stops(&["key column \"Title\" is missing; it is probably called \"Film title\" now"]),
        ),
        (
            "a column that may be missing has another name",
            &[&["Title", "Gross", "Jahr", "Note"], &["Alien", "79", "1", "a"], &["Brazil", "10", "2", "b"], &["Ikiru", "3", "3", "c"]],
            match agreed {
                Freeze => Stops(&["column \"Jahr\" is new, and the contract freezes columns"]),
                _ => Warns(&["Column C: the column \"Year\" is gone and is probably called \"Jahr\" now; what is stored of it stays"], &[]),
            },
        ),
        (
            "columns in another order",
            &[
                &["Note", "Year", "Title", "Gross"],
                &["a", "1979", "Alien", "79"],
                &["b", "1985", "Brazil", "10"],
                &["c", "1952", "Ikiru", "3"],
            ],
            Silent,
        ),
        (
            "the key stands there twice",
            KEY_TWICE,
            match agreed {
                Freeze => Stops(&["column \"Title (2)\" is new, and the contract freezes columns"]),
                _ => Stops(&["the key column \"Title\" stands there twice"]),
            },
        ),
        (
            "another column stands there twice",
            &[
                &["Title", "Gross", "Year", "Note", "Gross"],
                &["Alien", "79", "1979", "a", "1"],
                &["Brazil", "10", "1985", "b", "2"],
                &["Ikiru", "3", "1952", "c", "3"],
            ],
            match agreed {
                Freeze => Stops(&["column \"Gross (2)\" is new, and the contract freezes columns"]),
                Evolve => Warns(
                    &[
                        "Column E: the column \"Gross (2)\" is new; the mapping neither reads nor ignores it",
                        "Row 1, Column E: the header \"Gross\" stands there twice; this column is named \"Gross (2)\"",
                    ],
                    &["Row 1, Column E: the header \"Gross\" stands there twice; this column is named \"Gross (2)\""],
                ),
                DropRow | DropValue => Tells(
                    Outcome::Ok,
                    SAME,
                    &["Row 1, Column E: the header \"Gross\" stands there twice; this column is named \"Gross (2)\""],
                ),
            },
        ),
        ("a blank row", BLANK_ROW, Silent),
        (
            "a value of another type",
            TEXT_FOR_NUMBER,
            match agreed {
                Evolve | Freeze => Tells(Outcome::Partial, counts(2, 0, 1), &[UNREADABLE]),
                DropRow => Tells(Outcome::Ok, counts(2, 1, 0), &[UNREADABLE]),
                DropValue => Tells(Outcome::Ok, SAME, &[UNREADABLE]),
            },
        ),
        (
            "a new column",
            &[
                &["Title", "Gross", "Year", "Note", "Budget"],
                &["Alien", "79", "1979", "a", "11"],
                &["Brazil", "10", "1985", "b", "15"],
                &["Ikiru", "3", "1952", "c", "1"],
            ],
            match agreed {
                Evolve => Warns(&["Column E: the column \"Budget\" is new; the mapping neither reads nor ignores it"], &[]),
                Freeze => Stops(&["column \"Budget\" is new, and the contract freezes columns"]),
                DropRow | DropValue => Silent,
            },
        ),
        (
            "a column that is needed is gone",
            &[&["Title", "Year", "Note"], &["Alien", "1979", "a"], &["Brazil", "1985", "b"], &["Ikiru", "1952", "c"]],
            Stops(&["column \"Gross\" is missing; columns seen: \"Title\", \"Year\", \"Note\""]),
        ),
        (
            "a column that may be missing is gone",
            &[&["Title", "Gross", "Note"], &["Alien", "79", "a"], &["Brazil", "10", "b"], &["Ikiru", "3", "c"]],
            Warns(&["the column \"Year\" is gone; what is stored of it stays"], &[]),
        ),
        (
            "a column that is ignored is gone",
            &[&["Title", "Gross", "Year"], &["Alien", "79", "1979"], &["Brazil", "10", "1985"], &["Ikiru", "3", "1952"]],
            Silent,
        ),
        ("a header without text", BLANK_HEADER, Stops(&["row 1 has no column names"])),
        ("no rows", NO_ROWS, Empty("the source is empty: no record came, and the last read of everything brought 3")),
    ]
}

fn told(failures: &[RecordFailure]) -> Vec<String> {
    failures.iter().map(ToString::to_string).collect()
}

/// Whether each text begins with one of these words, one for each.
#[track_caller]
fn same_words(told: &[String], words: &[&str], place: &str) {
    assert!(told.len() == words.len() && told.iter().zip(words).all(|(text, words)| text.starts_with(words)), "{place}: {told:#?}");
}

/// Where one case is played.
struct Stand<'a> {
    world: &'a World,
    sim: &'a SheetsSim,
    workspace: Workspace,
    connection: Connection,
}

/// One case of the matrix: planned, run, run again, and mended.
async fn one(stand: &Stand<'_>, agreed: Agreed, (what, tab, answer): (&str, Tab, Answer)) {
    let Stand { world, sim, workspace, connection } = stand;
    let place = format!("{agreed:?}, {what}");
    let pull = || Pull::mapped(mapping(agreed));
    let run = async || connection.sync_from_external(pull()).await.expect("it begins");
    let sql = format!("SELECT header || ' ' || run_id FROM syncline_sync_looks WHERE connection_id = '{}'", connection.id());
    let looks = || world.ask_all(&sql);
    write(sim, BASE);
    let first = run().await;
    assert_eq!((first.outcome, first.counts.created), (Outcome::Ok, 3), "{place}: {:?} {:?}", first.errors, first.failures);
    let (rows, seen) = (rows_of(workspace, "movie").await, looks());
    assert_eq!(seen.len(), 1, "{place}: a run that went through remembers");

    write(sim, tab);
    let planned = connection.plan(pull()).await;
    let (done, again) = (run().await, run().await);
    for (n, result) in [&done, &again].into_iter().enumerate() {
        assert!(result.counts.balanced(), "{place}: {:?}", result.counts);
        match &answer {
            Stops(words) => {
                let message = &result.errors[0].message;
                assert!(!result.success() && words.iter().all(|words| message.contains(words)), "{place}: {message}");
                assert_eq!(result.counts, Counts::default(), "{place}: before the first row");
            }
            Silent => {
                assert_eq!((result.outcome, result.counts), (Outcome::Ok, SAME), "{place}: {:?}", result.errors);
                same_words(&told(&result.failures), &[], &place);
            }
            Warns(first, later) => {
                assert_eq!((result.outcome, result.counts), (Outcome::Ok, SAME), "{place}: {:?}", result.errors);
                same_words(&told(&result.failures), if n == 0 { first } else { later }, &place);
                assert!(result.failures.iter().all(|failure| failure.severity == Severity::Warning), "{place}");
            }
            Tells(outcome, counts, words) => {
                assert_eq!((result.outcome, result.counts), (*outcome, *counts), "{place}: {:?} {:?}", result.errors, result.failures);
                same_words(&told(&result.failures), words, &place);
            }
            Empty(words) => {
                assert_eq!((result.outcome, result.counts), (Outcome::Partial, Counts::default()), "{place}: {:?}", result.errors);
                assert!(result.errors[0].message.contains("a complete read showed 0 of the 3 known rows"), "{place}: {:?}", result.errors);
                same_words(&told(&result.failures), if n == 0 { std::slice::from_ref(words) } else { &[] }, &place);
            }
        }
    }
    // What the run is asked about later is what it answered.
    let stored = workspace.failures(done.run.expect("a run"), 99).await.expect("failures");
    let sorted = |failures: &[RecordFailure]| {
        let mut texts = told(failures);
        texts.sort();
        texts
    };
    assert_eq!(sorted(&stored), sorted(&done.failures), "{place}: stored");
    // A plan had said the same, and had not kept the run from saying it.
    match (&planned, &answer) {
        (Err(error), Stops(words)) => assert!(words.iter().all(|words| error.to_string().contains(words)), "{place}: {error}"),
        (Ok(plan), _) => {
            assert_eq!(sorted(&plan.plan.failures), sorted(&done.failures), "{place}: planned");
            assert_eq!((plan.plan.counts, plan.items), (done.counts, 0), "{place}: planned");
        }
        (Err(error), _) => panic!("{place}: planned: {error}"),
    }
    if matches!(answer, Stops(_)) {
        assert_eq!(looks(), seen, "{place}: a run that stopped remembers nothing");
    }
    assert_eq!(rows_of(workspace, "movie").await, rows, "{place}: nothing is lost, and nothing made up");

    write(sim, BASE);
    let mended = run().await;
    assert_eq!((mended.outcome, mended.counts), (Outcome::Ok, SAME), "{place}, mended: {:?} {:?}", mended.errors, mended.failures);
    assert_eq!(rows_of(workspace, "movie").await, rows, "{place}, mended");
}

async fn every_change_of_a_header_is_told_as_its_contract_says(on: On) {
    let world = World::on(on).await;
    let simulation = movies(&world, &[vec!["Title"]]);
    simulation.sim().set_reads_per_minute(1_000_000);
    let syncline = world.builder().storage(world.place().open().await).provider(sheets(&simulation)).build().await.expect("an engine");
    for agreed in ALL {
        for (n, case) in matrix(agreed).into_iter().enumerate() {
            let workspace = syncline.workspace(format!("{agreed:?}{n}"));
            let connecting = workspace.connect("sheets", Credentials::token("ya29.good"));
            let connection = connecting.settings(json!({ "spreadsheet_id": SPREADSHEET })).await.expect("it connects");
            one(&Stand { world: &world, sim: simulation.sim(), workspace, connection }, agreed, case).await;
            world.clock.advance(Duration::from_secs(120));
        }
    }
}

fn people(contract: Contract) -> Pull {
    Pull::mapped(
        Mapping::new("people", "people")
            .entity("person")
            .contract(contract)
            .column(Column::new("mail").to("email").key())
            .column(Column::new("name").optional())
            .column(Column::new("visits").optional().then("number")),
    )
}

fn evolve() -> Contract {
    Contract::default().columns(NewColumns::Evolve)
}

/// Records by their mail, each with further fields.
fn records(list: &[(&str, Value)]) -> Rows {
    let record = |(mail, more): &(&str, Value)| {
        let mut fields = object(more.clone());
        fields.insert("mail".into(), (*mail).into());
        ((*mail).to_owned(), fields)
    };
    list.iter().map(record).collect()
}

/// Of a service that tells no fields the columns are the names its records have.
async fn names_of_records_are_columns_where_a_service_tells_none(on: On) {
    let stage = Stage::full(on, &["people"]).await;
    let mut events = stage.syncline.events();
    let base = records(&[("a", json!({ "name": "Ann" })), ("b", json!({ "visits": 2 })), ("c", json!({ "name": "Cleo" }))]);
    let cut = support::stage::Cut { page: 1, commit: 2 };
    let first = stage.pull(people(evolve()), &base, cut).await;
    assert_eq!(told(&first.failures), Vec::<String>::new(), "each column is read");
    // A column on the second page, and one that no record has any more.
    let after = records(&[("a", json!({ "name": "Ann" })), ("b", json!({ "note": "x" })), ("c", json!({ "Visits": 7 }))]);
    let second = stage.pull(people(evolve()), &after, cut).await;
    let expected = [
        "Visits: the column \"visits\" is gone and is probably called \"Visits\" now; what is stored of it stays",
        "note: the column \"note\" is new; the mapping neither reads nor ignores it",
    ];
    assert_eq!(told(&second.failures), expected);
    assert_eq!(stage.rows("person").await["b"]["visits"], json!(2), "a field no record has is no null");
    let said = loop {
        match events.next().await.expect("an event") {
            SyncEvent::SourceChanged { run, warnings } => break (Some(run), warnings),
            SyncEvent::SyncComplete { run, .. } if Some(run) == second.run => panic!("nothing was said"),
            _ => {}
        }
    };
    assert_eq!((said.0, said.1.iter().map(|text| &**text).collect::<Vec<_>>()), (second.run, expected.to_vec()), "as it happens");
    let third = stage.pull(people(evolve()), &after, cut).await;
    assert_eq!(told(&third.failures), Vec::<String>::new(), "once");
    let gone = stage.pull(people(Contract::default()), &records(&[("a", json!({})), ("b", json!({})), ("c", json!({}))]), cut).await;
    assert_eq!(told(&gone.failures), ["the column \"name\" is gone; what is stored of it stays"], "whatever the contract");
}

/// A new column on a later page stops a run whose contract freezes columns; what came before it stays.
async fn a_frozen_contract_holds_on_every_page(on: On) {
    let stage = Stage::full(on, &["people"]).await;
    let freeze = || people(Contract::default().columns(NewColumns::Freeze));
    let base = records(&[("a", json!({ "name": "Ann" })), ("b", json!({ "name": "Bob" }))]);
    stage.pull(freeze(), &base, WHOLE).await;
    let look = || stage.world.ask("SELECT header || run_id FROM syncline_sync_looks");
    let before = look();
    stage.shows(&records(&[("a", json!({ "name": "Anna" })), ("b", json!({ "name": "Ben", "note": "x" }))]), 1);
    let stopped = stage.connection.sync_from_external(freeze().safety_lag(Duration::ZERO).commit_rows(1)).await.expect("it begins");
    assert!(!stopped.success() && stopped.errors[0].message.contains("column \"note\" is new"), "{:?}", stopped.errors);
    assert!(stopped.counts.balanced() && stopped.counts.read == 1, "{:?}", stopped.counts);
    let rows = stage.rows("person").await;
    assert_eq!((&rows["a"]["name"], &rows["b"]["name"], look()), (&json!("Anna"), &json!("Bob"), before));
}

/// A run that reads what changed says nothing of columns that its few records do not have.
async fn a_few_records_prove_no_column_gone(on: On) {
    let stage = Stage::of(World::on(on).await, vec![Stream::incremental("people")], None).await;
    let show = async |list: &[(&str, Value)], cursor: &str| {
        let records = records(list);
        let page = page(records.iter().map(|(id, fields)| (id.as_str(), Value::Object(fields.clone()))));
        stage.provider.pages(vec![reaching(last(page), cursor)]);
        let result = stage.connection.sync_from_external(people(evolve()).safety_lag(Duration::ZERO)).await.expect("it runs");
        assert!(result.success(), "{:?}", result.errors);
        told(&result.failures)
    };
    assert_eq!(show(&[("a", json!({ "name": "Ann", "visits": 1, "zip": 1 }))], "1").await.len(), 1, "zip is new");
    assert_eq!(
        show(&[("b", json!({ "note": 1 }))], "2").await,
        ["note: the column \"note\" is new; the mapping neither reads nor ignores it"]
    );
    let later = [(vec![], "3"), (vec![("c", json!({ "name": "Cleo" }))], "4"), (vec![("d", json!({ "zip": 2, "note": 3 }))], "5")];
    for (list, cursor) in later {
        assert_eq!(show(&list, cursor).await, Vec::<String>::new(), "{list:?}");
    }
}

/// A run that goes on where another was cut off sees only the rest, and proves no column gone.
async fn a_read_that_goes_on_mid_way_has_not_seen_everything(on: On) {
    let world = World::on(on).await;
    let provider = Scripted::new("crm").streams(vec![Stream::full("people")]);
    let provider = provider.described(|descriptor| descriptor.page_tokens = TokenLife::Durable(Duration::from_secs(3_600)));
    let syncline = world.builder().storage(world.place().open().await).provider(provider.clone()).build().await.expect("an engine");
    let connection = syncline.workspace("acme").connect("crm", Credentials::api_key("good")).await.expect("it connects");
    let stage = Stage { provider, syncline, connection, world };
    let base = records(&[("a", json!({ "name": "Ann" })), ("b", json!({ "visits": 2 }))]);
    stage.pull(people(evolve()), &base, support::stage::Cut { page: 1, commit: 1 }).await;
    let shown = support::stage::pages(base.iter().map(|(id, fields)| (id.as_str(), fields)), 1);
    stage.provider.pages(shown[..1].to_vec());
    let cut_off = stage.connection.sync_from_external(people(evolve()).safety_lag(Duration::ZERO).commit_rows(1)).await.expect("it begins");
    assert!(!cut_off.success() && cut_off.counts.read == 1, "{:?}", cut_off.counts);
    stage.provider.pages(shown[1..].to_vec());
    let rest = stage.connection.sync_from_external(people(evolve()).safety_lag(Duration::ZERO)).await.expect("it runs");
    assert!(stage.provider.requests()[0].after.is_some(), "it goes on mid-way");
    assert_eq!((rest.outcome, rest.counts.read, told(&rest.failures)), (Outcome::Ok, 1, vec![]), "{:?}", rest.errors);
    assert_eq!(stage.world.ask("SELECT records FROM syncline_sync_looks"), "2", "what the last read of everything had brought");
    let whole = stage.pull(people(evolve()), &records(&[("a", json!({})), ("b", json!({ "visits": 2 }))]), WHOLE).await;
    assert_eq!(told(&whole.failures), ["the column \"name\" is gone; what is stored of it stays"], "and then one that has");
}

/// Plans and limited runs look, and leave it to a run to remember; neither does one that reads nothing anew forget.
async fn only_a_run_remembers_what_it_saw(on: On) {
    let stage = Stage::full(on, &["people"]).await;
    let looks = || stage.world.ask_all("SELECT header || ' ' || coalesce(records, -1) || ' ' || run_id FROM syncline_sync_looks");
    let base = records(&[("a", json!({ "name": "Ann", "zip": 1 })), ("b", json!({ "name": "Bob" }))]);
    let warning = ["zip: the column \"zip\" is new; the mapping neither reads nor ignores it"];
    stage.shows(&base, 9);
    let plan = stage.connection.plan(people(evolve()).safety_lag(Duration::ZERO)).await.expect("a plan");
    assert_eq!((told(&plan.plan.failures), looks()), (warning.map(String::from).to_vec(), vec![]));
    let limited = stage.pull(people(evolve()).limit(1), &base, WHOLE).await;
    assert_eq!((told(&limited.failures), looks()), (warning.map(String::from).to_vec(), vec![]));
    let run = stage.pull(people(evolve()), &base, WHOLE).await;
    assert_eq!(told(&run.failures), warning);
    let kept = looks();
    assert!(kept.len() == 1 && kept[0].contains("\"zip\"") && kept[0].ends_with(&format!(" 2 {}", run.run.expect("a run"))), "{kept:?}");
    stage.pull(people(evolve()).limit(1), &Rows::new(), WHOLE).await;
    assert_eq!(looks(), kept);
    // Another mapping of the stream has a look of its own.
    let other = Pull::mapped(
        Mapping::new("other", "people").entity("other").contract(evolve()).column(Column::new("mail").key()).column(Column::new("name")),
    );
    assert_eq!(told(&stage.pull(other, &base, WHOLE).await.failures), warning);
    assert_eq!(looks().len(), 2);
}

/// What is said of the whole stream is not crowded out by what is said of its rows.
async fn rows_that_fail_do_not_hide_what_changed(on: On) {
    let stage = Stage::full(on, &["people"]).await;
    let record = |n: usize| (format!("m{n:03}"), object(json!({ "mail": format!("m{n:03}"), "visits": "odd", "note": 1 })));
    let result = stage.pull(people(evolve()), &(0..150).map(record).collect::<Rows>(), WHOLE).await;
    assert_eq!((result.outcome, result.counts.failed, result.failures.len()), (Outcome::Partial, 150, 100));
    assert!(result.failures[0].to_string().starts_with("note: the column \"note\" is new"), "{}", result.failures[0]);
    let stored = stage.acme().failures(result.run.expect("a run"), 1_000).await.expect("failures");
    assert_eq!(stored.len(), 151, "all of it is stored, and once");
}

/// A header that changes between the look at the stream and its first page is met by the page's own.
async fn a_page_that_tells_other_fields_than_the_stream_is_checked_by_its_own(on: On) {
    let field = |names: &[&str]| -> std::sync::Arc<[Field]> { names.iter().map(|name| Field::new(*name)).collect() };
    let declared = Stream { fields: Some(field(&["mail", "name", "visits"])), ..Stream::full("people") };
    let stage = Stage::of(World::on(on).await, vec![declared], None).await;
    let needs = |contract: Contract| {
        let mapping = Mapping::new("people", "people").entity("person").contract(contract).column(Column::new("mail").to("email").key());
        Pull::mapped(mapping.column(Column::new("name"))).safety_lag(Duration::ZERO)
    };
    let show = |provider: &Scripted, names: &[&str]| {
        let mut told = last(page([("a", json!({ "mail": "a", names[1]: "Ann" }))]));
        told.fields = Some(field(names));
        provider.pages(vec![told]);
    };
    let run = async |contract: Contract| -> SyncResult { stage.connection.sync_from_external(needs(contract)).await.expect("it begins") };
    show(&stage.provider, &["mail", "name", "visits"]);
    let first = run(Contract::default()).await;
    assert_eq!((first.outcome, first.counts.created), (Outcome::Ok, 1), "{:?}", first.errors);
    show(&stage.provider, &["mail", "Full", "visits"]);
    let stopped = run(Contract::default()).await;
    let words = "column \"name\" is missing; it is probably called \"Full\" now";
    assert!(!stopped.success() && stopped.errors[0].message.contains(words), "{:?}", stopped.errors);
    show(&stage.provider, &["mail", "name", "visits", "note"]);
    let frozen = run(Contract::default().columns(NewColumns::Freeze).ignore("visits")).await;
    assert!(!frozen.success() && frozen.errors[0].message.contains("column \"note\" is new"), "{:?}", frozen.errors);
    show(&stage.provider, &["mail", "name", "visits", "note"]);
    let warned = run(evolve().ignore("visits")).await;
    assert_eq!(told(&warned.failures), ["note: the column \"note\" is new; the mapping neither reads nor ignores it"]);
}

/// A read of everything that shows nothing is told even where somebody let it delete.
async fn an_empty_source_is_a_warning_though_its_rows_may_go(on: On) {
    let stage = Stage::full(on, &["people"]).await;
    let base = records(&[("a", json!({})), ("b", json!({}))]);
    stage.pull(Pull::stream("people"), &base, WHOLE).await;
    let emptied = stage.pull(Pull::stream("people").confirm_deletes(), &Rows::new(), WHOLE).await;
    assert_eq!((emptied.outcome, emptied.counts.swept), (Outcome::Ok, 2));
    assert_eq!(told(&emptied.failures), ["the source is empty: no record came, and the last read of everything brought 2"]);
    assert_eq!(told(&stage.pull(Pull::stream("people"), &Rows::new(), WHOLE).await.failures), Vec::<String>::new(), "once");
    assert_eq!(told(&stage.pull(Pull::stream("people"), &base, WHOLE).await.failures), Vec::<String>::new());
    // A scan that goes on mid-way has not read everything.
    stage.provider.pages(vec![then(page([("a", json!({ "mail": "a" }))]), "more"), page([])]);
    let unsure = stage.connection.sync_from_external(Pull::stream("people").safety_lag(Duration::ZERO)).await.expect("it runs");
    assert_eq!((unsure.outcome, told(&unsure.failures)), (Outcome::Ok, vec![]), "{:?}", unsure.errors);
}

mod on_sqlite {
    use super::On::Sqlite;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_change_of_a_header_is_told_as_its_contract_says() {
        super::every_change_of_a_header_is_told_as_its_contract_says(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn names_of_records_are_columns_where_a_service_tells_none() {
        super::names_of_records_are_columns_where_a_service_tells_none(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_frozen_contract_holds_on_every_page() {
        super::a_frozen_contract_holds_on_every_page(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_few_records_prove_no_column_gone() {
        super::a_few_records_prove_no_column_gone(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_a_run_remembers_what_it_saw() {
        super::only_a_run_remembers_what_it_saw(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_read_that_goes_on_mid_way_has_not_seen_everything() {
        super::a_read_that_goes_on_mid_way_has_not_seen_everything(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rows_that_fail_do_not_hide_what_changed() {
        super::rows_that_fail_do_not_hide_what_changed(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_page_that_tells_other_fields_than_the_stream_is_checked_by_its_own() {
        super::a_page_that_tells_other_fields_than_the_stream_is_checked_by_its_own(Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_empty_source_is_a_warning_though_its_rows_may_go() {
        super::an_empty_source_is_a_warning_though_its_rows_may_go(Sqlite).await;
    }
}

mod on_postgres {
    use super::On::Postgres;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_change_of_a_header_is_told_as_its_contract_says() {
        super::every_change_of_a_header_is_told_as_its_contract_says(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn names_of_records_are_columns_where_a_service_tells_none() {
        super::names_of_records_are_columns_where_a_service_tells_none(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_frozen_contract_holds_on_every_page() {
        super::a_frozen_contract_holds_on_every_page(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_few_records_prove_no_column_gone() {
        super::a_few_records_prove_no_column_gone(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_a_run_remembers_what_it_saw() {
        super::only_a_run_remembers_what_it_saw(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_read_that_goes_on_mid_way_has_not_seen_everything() {
        super::a_read_that_goes_on_mid_way_has_not_seen_everything(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rows_that_fail_do_not_hide_what_changed() {
        super::rows_that_fail_do_not_hide_what_changed(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_page_that_tells_other_fields_than_the_stream_is_checked_by_its_own() {
        super::a_page_that_tells_other_fields_than_the_stream_is_checked_by_its_own(Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_empty_source_is_a_warning_though_its_rows_may_go() {
        super::an_empty_source_is_a_warning_though_its_rows_may_go(Postgres).await;
    }
}
