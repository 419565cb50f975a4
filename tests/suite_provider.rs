//! What every provider has to do, for both that are here and for one from outside.

mod support;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};
use support::library::{Desk, Library, book};
use sync_testkit::suite::provider::{self, Exact, ProviderFixture, PushSubject, ServiceSide, Setup, Subject, World};
use syncline::{
    Sheets, Slack,
    core::PassthroughRequest,
    providers::{
        sheets::simulator::{SheetsSim, SimCell},
        slack::simulator::SlackSim,
    },
    testkit::{Fault, Simulation, VirtualClock},
};

/// A tab of rows with the key `id`.
#[derive(Debug)]
struct SheetsFixture;

#[derive(Debug)]
struct Spreadsheet(Simulation<SheetsSim>);

const TAB: &str = "Items";

impl Spreadsheet {
    /// Each row as the fields of a record, by its number.
    fn rows(&self) -> Vec<Value> {
        let cell = |cell: Option<&SimCell>| match cell {
            Some(SimCell::Text(text)) => json!(text),
            Some(SimCell::Number(number)) => json!(*number as i64),
            _ => Value::Null,
        };
        let cells = self.0.sim().cells(TAB);
        cells.iter().skip(1).map(|row| json!({ "id": cell(row.first()), "name": cell(row.get(1)), "amount": cell(row.get(2)) })).collect()
    }
}

impl ServiceSide for Spreadsheet {
    fn records(&self) -> BTreeMap<String, String> {
        self.rows().iter().filter_map(|row| Some((row["id"].as_str()?.to_owned(), row.to_string()))).collect()
    }

    fn add(&self) -> Option<String> {
        let id = format!("new{}", self.rows().len());
        self.0.sim().append_row(TAB, [SimCell::from(&*id), SimCell::from("added"), SimCell::Number(1.0)]);
        Some(id)
    }

    fn add_unreadable(&self) -> bool {
        let rows = self.rows().len();
        self.0.sim().resize(TAB, rows + 4, 3);
        self.0.sim().append_row(TAB, [SimCell::Blank, SimCell::from("without a key"), SimCell::Number(1.0)]);
        true
    }

    fn holding(&self, fields: &Value) -> Vec<String> {
        self.rows().into_iter().filter(|row| row == fields).filter_map(|row| Some(row["id"].as_str()?.to_owned())).collect()
    }
}

impl ProviderFixture for SheetsFixture {
    fn subject(&self) -> Subject {
        let settings = json!({ "spreadsheet_id": "1AbCdEfG", "rows_per_page": 3 });
        let good = (0..4).map(|n| json!({ "id": format!("p{n}"), "name": format!("pushed {n}"), "amount": n })).collect();
        let push = PushSubject {
            key: vec!["id".into()],
            changed: Some(json!({ "id": "p0", "name": "changed", "amount": 77 })),
            bad: Some(json!({ "id": "bad", "name": { "first": "an object fits in no cell" }, "amount": 1 })),
            deletes: true,
            finds: true,
            writes: vec!["sheets.values.append"],
            changes: vec!["sheets.values.batchUpdate"],
            removes: vec!["sheets.spreadsheets.batchUpdate"],
            looks: vec!["sheets.values.batchGet"],
            ..PushSubject::new(TAB, good)
        };
        Subject {
            key: vec!["id".into()],
            required_settings: vec!["spreadsheet_id"],
            wrong_settings: vec![
                ("spreadsheet_id", json!({ "spreadsheet_id": "../drive" })),
                ("rows_per_page", json!({ "spreadsheet_id": "1AbCdEfG", "rows_per_page": 0 })),
            ],
            identity: vec!["sheets.spreadsheets.get"],
            reads: vec!["sheets.spreadsheets.get", "sheets.values.batchGet"],
            passthrough: Some(PassthroughRequest::get("v4/spreadsheets/1AbCdEfG/values/Items!A1:C2")),
            push: Some(push),
            ..Subject::new(TAB, settings)
        }
    }

    fn world(&self, setup: &Setup) -> World {
        let sim = SheetsSim::new("1AbCdEfG", "Stock");
        let rows: Vec<Vec<String>> = [vec!["id".to_owned(), "name".to_owned(), "amount".to_owned()]]
            .into_iter()
            .chain((0..setup.records).map(|n| vec![format!("r{n}"), format!("row {n}"), n.to_string()]))
            .collect();
        sim.load(TAB, &rows);
        sim.resize(TAB, setup.records + 3, 3);
        sim.expect_token(&setup.token);
        sim.set_reads_per_minute(100_000);
        sim.set_writes_per_minute(100_000);
        let simulation = Simulation::new(sim).with_clock(setup.clock.clone());
        let provider = Sheets::builder().transport(simulation.transport()).build().expect("a provider");
        World::new(provider, simulation.controls(), Spreadsheet(simulation))
    }
}

#[tokio::test]
async fn sheets_does_what_every_provider_has_to() {
    let report = provider::run(&SheetsFixture).await;
    report.assert_passed();
    let skipped = [
        "a_cursor_brings_what_changed_alone",
        "nothing_new_is_nothing_lost",
        "a_read_from_a_cursor_is_not_complete",
        "a_removed_record_is_said_to_be_gone",
        "cursors_are_exact",
        "a_cursor_of_another_form_is_expired",
        "an_expired_cursor_is_said_to_be",
        "a_push_without_the_capability_is_unsupported",
        "a_repeatable_write_is_repeated_without_harm",
        "a_look_that_cannot_tell_says_so",
    ];
    assert_eq!(report.skipped(), skipped, "\n{report}");
}

/// Messages of two channels.
#[derive(Debug)]
struct SlackFixture;

#[derive(Debug)]
struct Workspace {
    simulation: Simulation<SlackSim>,
    clock: VirtualClock,
    exact: AtomicU32,
}

const CHANNELS: [&str; 2] = ["C024GEN01", "C024RND02"];

impl Workspace {
    fn sim(&self) -> &SlackSim {
        self.simulation.sim()
    }

    fn texts(&self) -> impl Iterator<Item = (String, String, String)> {
        self.sim().keys().into_iter().filter_map(|key| {
            let (channel, ts) = key.split_once('/')?;
            let message = self.sim().message(channel, ts)?;
            Some((key.clone(), channel.to_owned(), message["text"].as_str().unwrap_or_default().to_owned()))
        })
    }
}

impl ServiceSide for Workspace {
    fn records(&self) -> BTreeMap<String, String> {
        self.texts().map(|(key, _, text)| (key, text)).collect()
    }

    fn add(&self) -> Option<String> {
        let at = format!("{}.{:06}", self.clock.now().timestamp(), 1);
        let ts = self.sim().at(&at).post(CHANNELS[0], "U024ADA01", "one more");
        Some(format!("{}/{ts}", CHANNELS[0]))
    }

    fn add_at_last_digit(&self) -> Option<Exact> {
        // One microsecond apart, however late it is asked for.
        let micros = self.exact.fetch_add(1, Ordering::Relaxed) + 1;
        let position = format!("1767225599.{micros:06}");
        self.sim().at(&position).post(CHANNELS[0], "U024ADA01", "to the microsecond");
        Some(Exact { id: format!("{}/{position}", CHANNELS[0]), position })
    }

    fn holding(&self, fields: &Value) -> Vec<String> {
        let same = self.texts().filter(|(_, channel, text)| fields["channel_id"] == **channel && fields["text"] == **text);
        same.map(|(key, ..)| key).collect()
    }
}

impl ProviderFixture for SlackFixture {
    fn subject(&self) -> Subject {
        let settings = json!({ "history_limit": 2 });
        let good = (0..4).map(|n| json!({ "channel_id": CHANNELS[n % 2], "text": format!("pushed {n}") })).collect();
        let push = PushSubject {
            changed: Some(json!({ "channel_id": CHANNELS[0], "text": "changed" })),
            bad: Some(json!({ "channel_id": "C024GONE9", "text": "to nowhere" })),
            deletes: true,
            finds: true,
            writes: vec!["slack.chat.postMessage"],
            changes: vec!["slack.chat.update"],
            removes: vec!["slack.chat.delete"],
            looks: vec!["slack.conversations.history"],
            ..PushSubject::new("messages", good)
        };
        Subject {
            wrong_settings: vec![("history_limit", json!({ "history_limit": 0 })), ("channels", json!({ "channels": "general" }))],
            identity: vec!["slack.auth.test"],
            reads: vec!["slack.auth.test", "slack.conversations.list", "slack.conversations.history"],
            expired: Some(Fault::Body(r#"{"ok":false,"error":"invalid_cursor"}"#.into())),
            passthrough: Some(PassthroughRequest::get("team.info")),
            push: Some(push),
            ..Subject::new("messages", settings)
        }
    }

    fn world(&self, setup: &Setup) -> World {
        let sim = SlackSim::new("T024BE7LD", "Acme");
        let ada = sim.add_user("U024ADA01", "Ada Lovelace");
        for (channel, name) in CHANNELS.iter().zip(["general", "random"]) {
            sim.add_channel(channel, name);
        }
        let start = setup.clock.now().timestamp();
        for n in 0..setup.records {
            sim.at(&format!("{}.{n:06}", start - 7_200 + n as i64)).post(CHANNELS[n % 2], &ada, &format!("message {n}"));
        }
        sim.expect_token(&setup.token);
        sim.set_time(setup.clock.now());
        let simulation = Simulation::new(sim).with_clock(setup.clock.clone());
        let provider = Slack::builder().transport(simulation.transport()).build().expect("a provider");
        let workspace = Workspace { simulation, clock: setup.clock.clone(), exact: AtomicU32::new(0) };
        World::new(provider, workspace.simulation.controls(), workspace)
    }
}

#[tokio::test]
async fn slack_does_what_every_provider_has_to() {
    let report = provider::run(&SlackFixture).await;
    report.assert_passed();
    let skipped = [
        "a_missing_setting_is_named",
        "an_unreadable_record_does_not_stop_the_others",
        "a_removed_record_is_said_to_be_gone",
        "a_push_without_the_capability_is_unsupported",
        "a_repeatable_write_is_repeated_without_harm",
        "a_look_that_cannot_tell_says_so",
    ];
    assert_eq!(report.skipped(), skipped, "\n{report}");
}

/// The books of the library from outside.
#[derive(Debug)]
struct LibraryFixture;

#[derive(Debug)]
struct Shelves(Simulation<Desk>, VirtualClock);

impl Shelves {
    fn put(&self, mut book: Value, changed: String) -> String {
        book["changed"] = changed.into();
        let isbn = book["isbn"].as_str().unwrap_or_default().to_owned();
        self.0.sim().books().push(book);
        isbn
    }
}

impl ServiceSide for Shelves {
    fn records(&self) -> BTreeMap<String, String> {
        let books = self.0.sim().books();
        books.iter().filter_map(|book| Some((book["isbn"].as_str()?.to_owned(), format!("{} {}", book["title"], book["pages"])))).collect()
    }

    fn add(&self) -> Option<String> {
        let n = self.0.sim().books().len() + 20;
        Some(self.put(book(n, 5), self.1.now().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()))
    }

    fn change(&self) -> Option<String> {
        let mut book = self.0.sim().books().remove(0);
        book["pages"] = json!(1);
        Some(self.put(book, self.1.now().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()))
    }

    fn add_unreadable(&self) -> bool {
        self.0.sim().books().push(json!({ "isbn": "978-99", "title": "No date" }));
        true
    }

    fn add_at_last_digit(&self) -> Option<Exact> {
        let n = self.0.sim().books().len() + 20;
        let position = format!("2026-01-01T00:30:00.{n:06}Z");
        Some(Exact { id: self.put(book(n, 5), position.clone()), position })
    }

    fn holding(&self, fields: &Value) -> Vec<String> {
        let books = self.0.sim().books();
        let same = books.iter().filter(|book| book["title"] == fields["title"] && book["pages"] == fields["pages"]);
        same.filter_map(|book| Some(book["isbn"].as_str()?.to_owned())).collect()
    }
}

impl ProviderFixture for LibraryFixture {
    fn subject(&self) -> Subject {
        let good = (0..4).map(|n| json!({ "title": format!("Pushed {n}"), "pages": 10 + n })).collect();
        let push = PushSubject {
            changed: Some(json!({ "title": "Pushed 0, second edition", "pages": 12 })),
            bad: Some(json!({ "title": "", "pages": 3 })),
            deletes: true,
            finds: true,
            writes: vec!["library.enter"],
            changes: vec!["library.change"],
            removes: vec!["library.remove"],
            looks: vec!["library.marked"],
            ..PushSubject::new("books", good)
        };
        Subject {
            wrong_settings: vec![("page", json!({ "page": "many" }))],
            identity: vec!["library.card"],
            reads: vec!["library.books"],
            expired: Some(Fault::Body(r#"{"fault":"BOOKMARK_OLD"}"#.into())),
            push: Some(push),
            ..Subject::new("books", json!({ "page": 3 }))
        }
    }

    fn world(&self, setup: &Setup) -> World {
        let desk = Desk::new(&setup.token);
        desk.books().extend((0..setup.records).map(|n| book(n, 100 + n as u64)));
        let simulation = Simulation::new(desk).with_clock(setup.clock.clone());
        let provider = Library::new(simulation.transport()).expect("a provider");
        World::new(provider, simulation.controls(), Shelves(simulation, setup.clock.clone()))
    }
}

#[tokio::test]
async fn a_provider_from_outside_does_what_every_provider_has_to() {
    let report = provider::run(&LibraryFixture).await;
    report.assert_passed();
    let skipped = [
        "a_missing_setting_is_named",
        "a_removed_record_is_said_to_be_gone",
        "a_push_without_the_capability_is_unsupported",
        "passthrough_stays_with_the_service",
        "passthrough_reads_with_the_connection",
        "a_repeatable_write_is_repeated_without_harm",
        "a_look_that_cannot_tell_says_so",
    ];
    assert_eq!(report.skipped(), skipped, "\n{report}");
}
