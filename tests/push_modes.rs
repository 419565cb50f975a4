//! Pushes of tables, the modes, and what is refused before anything is sent.

mod support;

use std::{sync::Arc, time::Duration};

use serde_json::json;
use support::{
    World, clean, look, messages,
    pushable::{Fate, Pushable},
};
use syncline::{
    Connection, Credentials, Direction, ErrorKind, HostTable, Outcome, PassthroughRequest, Pull, Push, PushMode, PushRecord, SyncEvent,
    Syncline,
    core::{Field, Method, PushItem, PushLimits, Writes},
    mapping::{Column, Mapping},
};

async fn connect(syncline: &Syncline) -> Connection {
    syncline.workspace("acme").connect("crm", Credentials::token("t")).await.expect("it connects")
}

fn service() -> Pushable {
    Pushable::new(PushLimits { items: 10, ..PushLimits::default() })
}

fn person(n: usize, v: usize) -> PushRecord {
    PushRecord::new(format!("p{n}"), &json!({ "name": format!("p{n}"), "v": v }))
}

fn people(many: usize, v: usize) -> Push {
    Push::records("people", (0..many).map(|n| person(n, v)))
}

/// The host's table `staff`, keyed by name.
fn staff() -> Arc<Mapping> {
    let mapping = Mapping::new("staff", "people")
        .table(HostTable::new("staff").key("name"))
        .column(Column::new("name").to("name").key())
        .column(Column::new("v").to("v"));
    Arc::new(mapping)
}

async fn with_staff(many: usize) -> (World, Pushable, Syncline, Connection) {
    let (world, service) = (World::new(), service());
    let syncline = world.open(service.clone()).await;
    let conn = world.sql();
    conn.execute_batch("CREATE TABLE staff (name TEXT PRIMARY KEY, v INTEGER, secret TEXT)").expect("a table");
    for n in 0..many {
        conn.execute("INSERT INTO staff VALUES (?1, 1, 'private')", [format!("p{n}")]).expect("a row");
    }
    let crm = connect(&syncline).await;
    (world, service, syncline, crm)
}

#[tokio::test]
async fn rows_of_a_table_are_pushed_once_and_again_when_they_change() {
    let (world, service, _syncline, crm) = with_staff(25).await;
    let first = crm.sync_to_external(Push::mapped(staff())).await.expect("it runs");
    clean(&first);
    assert_eq!((first.counts.created, service.called()), (25, 3));
    assert_eq!(service.truth().len(), 25);
    assert!(!format!("{:?}", service.state().records).contains("private"), "only mapped fields leave");

    let again = crm.sync_to_external(Push::mapped(staff())).await.expect("it runs");
    clean(&again);
    assert_eq!((again.counts.unchanged, service.called()), (25, 0));

    world.sql().execute("UPDATE staff SET v = 2, secret = 'x' WHERE name IN ('p3', 'p4')", []).expect("a change");
    world.sql().execute("UPDATE staff SET secret = 'y' WHERE name = 'p5'", []).expect("a change of what is not sent");
    let changed = crm.sync_to_external(Push::mapped(staff())).await.expect("it runs");
    assert_eq!((changed.counts.updated, changed.counts.unchanged, service.called()), (2, 23, 1));
    let only = crm.sync_to_external(Push::mapped(staff()).keys(["p1", "nobody"]).all()).await.expect("it runs");
    assert_eq!((only.counts.updated, only.counts.failed, only.counts.read), (1, 1, 2));
    assert!(only.failures[0].to_string().contains("Record nobody: there is no row with this key"), "{:?}", only.failures);
}

#[tokio::test]
async fn a_key_that_only_tells_our_rows_apart_is_not_sent() {
    let (world, service, _syncline, crm) = with_staff(0).await;
    world
        .sql()
        .execute_batch("CREATE TABLE news (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO news VALUES (1, 'a'), (2, 'b')")
        .expect("a table");
    let mapping = Mapping::new("news", "people")
        .table(HostTable::new("news").key("id"))
        .column(Column::new("id").to("id").key())
        .column(Column::new("name").to("v"));
    let first = crm.sync_to_external(Push::mapped(mapping.clone())).await.expect("it runs");
    clean(&first);
    assert_eq!((first.counts.created, service.truth()), (2, vec!["a=null".to_owned(), "b=null".to_owned()]));
    world.sql().execute("UPDATE news SET v = 'c' WHERE id = 1", []).expect("a change");
    let changed = crm.sync_to_external(Push::mapped(mapping)).await.expect("it runs");
    assert_eq!((changed.counts.updated, service.truth()), (1, vec!["b=null".to_owned(), "c=null".to_owned()]));
}

#[tokio::test]
async fn a_table_without_changes_is_pushed_without_a_call_of_any_kind() {
    let (world, service, _syncline, crm) = with_staff(25).await;
    clean(&crm.sync_to_external(Push::mapped(staff())).await.expect("it runs"));
    service.called();
    service.state().asked = 0;
    let again = crm.sync_to_external(Push::mapped(staff())).await.expect("it runs");
    clean(&again);
    assert_eq!((again.counts.read, again.counts.unchanged, service.called(), service.state().asked), (25, 25, 0, 0));
    // An open write of an earlier push is seen to, whatever the rows say.
    service.fates(|item, _| if is_of(item, "p3") { Fate::LostAfter } else { Fate::Well });
    service.state().can_look = false;
    world.sql().execute("UPDATE staff SET v = 2 WHERE name = 'p3'", []).expect("a change");
    let lost = crm.sync_to_external(Push::mapped(staff()).patience(Duration::ZERO)).await.expect("it runs");
    assert_eq!(lost.counts.unsettled, 1);
    service.fates(|_, _| Fate::Well);
    service.state().can_look = true;
    let settled = crm.sync_to_external(Push::mapped(staff())).await.expect("it runs");
    assert_eq!((settled.counts.unsettled, settled.counts.updated), (0, 1), "{settled:?}");
}

/// Whether an item is of the person of this name.
fn is_of(item: &PushItem, name: &str) -> bool {
    serde_json::from_slice::<serde_json::Value>(&item.fields).is_ok_and(|fields| fields["name"] == name)
}

/// `staff` with a version the host raises.
fn versioned() -> Arc<Mapping> {
    let mapping = Mapping::new("staff", "people")
        .table(HostTable::new("staff").key("name").version_column("changed"))
        .column(Column::new("name").to("name").key())
        .column(Column::new("v").to("v"));
    Arc::new(mapping)
}

#[tokio::test]
async fn rows_below_the_version_that_was_pushed_are_not_looked_at() {
    let (world, service, _syncline, crm) = with_staff(25).await;
    world.sql().execute_batch("ALTER TABLE staff ADD COLUMN changed INTEGER; UPDATE staff SET changed = 7").expect("a version column");
    clean(&crm.sync_to_external(Push::mapped(versioned())).await.expect("it runs"));
    // Rows of the very version that was reached are looked at again: another may have been written in the same moment.
    world
        .sql()
        .execute_batch("INSERT INTO staff VALUES ('late', 1, '', 7); UPDATE staff SET v = 5, changed = 9 WHERE name = 'p1'")
        .expect("changes");
    let some = crm.sync_to_external(Push::mapped(versioned())).await.expect("it runs");
    assert_eq!((some.counts.created, some.counts.updated, some.counts.read), (1, 1, 26), "{some:?}");
    let none = crm.sync_to_external(Push::mapped(versioned())).await.expect("it runs");
    assert_eq!((none.counts.read, none.counts.unchanged), (1, 1), "the row of version 9 alone");
    // What was refused is not left behind, though the others go on.
    service.fates(|item, _| if is_of(item, "p2") { Fate::Refused } else { Fate::Well });
    world.sql().execute_batch("UPDATE staff SET v = 6, changed = 10 WHERE name IN ('p2', 'p3')").expect("changes");
    let refused = crm.sync_to_external(Push::mapped(versioned())).await.expect("it runs");
    assert_eq!((refused.counts.updated, refused.counts.failed), (1, 1), "{refused:?}");
    service.fates(|_, _| Fate::Well);
    world.sql().execute_batch("UPDATE staff SET v = 7, changed = 11 WHERE name = 'p4'").expect("a change");
    let still = crm.sync_to_external(Push::mapped(versioned())).await.expect("it runs");
    assert_eq!((still.counts.updated, still.counts.failed), (1, 1), "refused as it is, and said so: {still:?}");
    world.sql().execute_batch("UPDATE staff SET v = 8, changed = 12 WHERE name = 'p2'").expect("a change");
    let mended = crm.sync_to_external(Push::mapped(versioned())).await.expect("it runs");
    clean(&mended);
    assert_eq!(mended.counts.updated, 1);
    // Other fields than those the version was said of: all rows are looked at.
    let more = Arc::new(Mapping::clone(&versioned()).column(Column::new("note").to("secret")));
    let all = crm.sync_to_external(Push::mapped(more)).await.expect("it runs");
    assert_eq!(all.counts.read, 26);
}

#[tokio::test]
async fn a_push_never_echoes_a_pull_nor_a_pull_a_push() {
    let (world, service, _syncline, crm) = with_staff(0).await;
    for n in 0..5 {
        service.state().records.insert(format!("r90{n}"), json!({ "name": format!("p{n}"), "v": 1 }));
    }
    let pulled = crm.sync_from_external(Pull::mapped(staff())).await.expect("it runs");
    assert_eq!(pulled.counts.created, 5, "{pulled:?}");
    let pushed = crm.sync_to_external(Push::mapped(staff())).await.expect("it runs");
    clean(&pushed);
    assert_eq!((pushed.counts.unchanged, service.called()), (5, 0));

    world.sql().execute("UPDATE staff SET v = 2 WHERE name = 'p3'", []).expect("a change");
    let pushed = crm.sync_to_external(Push::mapped(staff())).await.expect("it runs");
    assert_eq!((pushed.counts.updated, service.called()), (1, 1), "{pushed:?}");
    assert_eq!(service.state().records["r903"], json!({ "name": "p3", "v": 2 }), "by the id the pull brought");
    let pulled = crm.sync_from_external(Pull::mapped(staff())).await.expect("it runs");
    assert_eq!((pulled.counts.updated, pulled.counts.unchanged), (0, 5));
    crm.sync_to_external(Push::mapped(staff())).await.expect("it runs");
    assert_eq!(service.called(), 0);

    // A row that was made here comes back as itself.
    world.sql().execute("INSERT INTO staff (name, v) VALUES ('new', 1)", []).expect("a row");
    crm.sync_to_external(Push::mapped(staff())).await.expect("it runs");
    let pulled = crm.sync_from_external(Pull::mapped(staff())).await.expect("it runs");
    assert_eq!((pulled.counts.created, pulled.counts.unchanged), (0, 6), "{pulled:?}");
    assert_eq!(world.ask("SELECT count(*) FROM staff"), "6");
}

#[tokio::test]
async fn a_failed_row_that_is_as_it_was_again_is_over() {
    let (world, service, _syncline, crm) = with_staff(2).await;
    crm.sync_to_external(Push::mapped(staff())).await.expect("it runs");
    world.sql().execute("UPDATE staff SET v = 9 WHERE name = 'p0'", []).expect("a change");
    service.fates(|_, _| support::pushable::Fate::Refused);
    let refused = crm.sync_to_external(Push::mapped(staff())).await.expect("it runs");
    assert_eq!(refused.counts.failed, 1);
    world.sql().execute("UPDATE staff SET v = 1 WHERE name = 'p0'", []).expect("back");
    let after = crm.sync_to_external(Push::mapped(staff())).await.expect("it runs");
    assert_eq!((after.counts.failed, after.counts.unchanged), (0, 2));
    assert_eq!(world.ask("SELECT count(*) FROM syncline_push_intents"), "0");
}

#[tokio::test]
async fn refused_rows_of_a_mapping_can_be_sent_again_as_they_were() {
    let (world, service, _syncline, crm) = with_staff(3).await;
    service.fates(|_, _| support::pushable::Fate::Refused);
    let refused = crm.sync_to_external(Push::mapped(staff())).await.expect("it runs");
    assert_eq!(refused.counts.failed, 3);
    service.fates(|_, _| support::pushable::Fate::Well);
    let one = crm.sync_to_external(Push::failed_of(staff()).keys(["p1"])).await.expect("it runs");
    assert_eq!((one.counts.read, one.counts.created), (1, 1));
    let rest = crm.sync_to_external(Push::failed_of(staff())).await.expect("it runs");
    assert_eq!((rest.counts.read, rest.counts.created), (2, 2));
    service.called();
    clean(&crm.sync_to_external(Push::mapped(staff())).await.expect("it runs"));
    assert_eq!((service.called(), world.ask("SELECT count(*) FROM syncline_push_links")), (0, "3".to_owned()));
}

#[tokio::test]
async fn insert_leaves_known_records_alone_and_update_new_ones() {
    let (world, service) = (World::new(), service());
    let crm = connect(&world.open(service.clone()).await).await;
    crm.sync_to_external(people(2, 1)).await.expect("it runs");
    service.state().calls.clear();
    let inserted = crm.sync_to_external(people(4, 2).mode(PushMode::Insert)).await.expect("it runs");
    assert_eq!(service.state().calls, [["p2", "p3"]], "what is known to be there is not even sent");
    assert_eq!((inserted.counts.created, inserted.counts.skipped), (2, 2), "{inserted:?}");
    assert_eq!(service.truth(), ["p0=1", "p1=1", "p2=2", "p3=2"]);
    let updated = crm.sync_to_external(people(6, 3).mode(PushMode::Update)).await.expect("it runs");
    assert_eq!((updated.counts.updated, updated.counts.skipped), (4, 2), "{updated:?}");
    assert_eq!(service.truth(), ["p0=3", "p1=3", "p2=3", "p3=3"]);
}

#[tokio::test]
async fn a_mirror_deletes_what_is_not_ours_and_stops_before_a_mass_deletion() {
    let (world, service) = (World::new(), service());
    let crm = connect(&world.open(service.clone()).await).await;
    crm.sync_to_external(people(20, 1)).await.expect("it runs");
    service.state().records.insert("stranger".into(), json!({ "name": "stranger", "v": 0 }));
    service.called();
    let mirrored = crm.sync_to_external(people(19, 1).mode(PushMode::Mirror)).await.expect("it runs");
    clean(&mirrored);
    assert_eq!((mirrored.counts.deleted, mirrored.counts.unchanged), (2, 19), "{mirrored:?}");
    assert_eq!(service.truth().len(), 19);
    service.called();

    for (refused, words) in
        [(people(10, 2).mode(PushMode::Mirror), "9 of the 19 records"), (people(0, 2).mode(PushMode::Mirror), "19 of the 19 records")]
    {
        let result = crm.sync_to_external(refused).await.expect("a result");
        assert!(!result.success());
        assert_eq!(result.errors[0].kind, ErrorKind::Conflict);
        assert!(messages(&result).contains(words) && messages(&result).contains("confirm_deletes"), "{}", messages(&result));
        assert_eq!(service.called(), 0, "nothing is sent");
    }
    service.state().incomplete = true;
    let result = crm.sync_to_external(people(18, 2).mode(PushMode::Mirror)).await.expect("a result");
    assert!(messages(&result).contains("could not be read in full"), "{}", messages(&result));
    assert_eq!((service.called(), service.truth().len()), (0, 19));
    service.state().incomplete = false;

    let result = crm.sync_to_external(people(10, 2).mode(PushMode::Mirror).confirm_deletes()).await.expect("a result");
    clean(&result);
    assert_eq!((result.counts.updated, result.counts.deleted), (10, 9));
    assert_eq!(service.truth().len(), 10);
}

#[tokio::test]
async fn a_mirror_deletes_nothing_as_long_as_it_is_not_clear_what_is_ours() {
    let (world, service) = (World::new(), service());
    let crm = connect(&world.open(service.clone()).await).await;
    crm.sync_to_external(people(20, 1)).await.expect("it runs");
    // What a lost write made is not linked yet and looks like a stranger.
    service.fates(|_, _| support::pushable::Fate::LostAfter);
    service.state().can_look = false;
    let lost = crm.sync_to_external(Push::records("people", [person(20, 1)])).await.expect("it runs");
    assert_eq!(lost.counts.unsettled, 1);
    let result = crm.sync_to_external(people(21, 1).mode(PushMode::Mirror)).await.expect("a result");
    assert!(messages(&result).contains("1 earlier writes are not settled"), "{}", messages(&result));
    service.state().can_look = true;
    service.fates(|_, _| support::pushable::Fate::Well);
    let unreadable = (0..20).map(|n| person(n, 1)).chain([PushRecord::new("p20", &json!({ "colour": 1 }))]);
    let result = crm.sync_to_external(Push::records("people", unreadable).mode(PushMode::Mirror)).await.expect("a result");
    assert!(messages(&result).contains("some rows cannot be sent"), "{}", messages(&result));
    assert_eq!(service.truth().len(), 21);
    clean(&crm.sync_to_external(people(21, 1).mode(PushMode::Mirror)).await.expect("a result"));
    assert_eq!(service.truth().len(), 21);
}

#[tokio::test]
async fn a_mirror_of_a_table_deletes_the_records_of_rows_that_went() {
    let (world, service, _syncline, crm) = with_staff(10).await;
    crm.sync_to_external(Push::mapped(staff())).await.expect("it runs");
    world.sql().execute("DELETE FROM staff WHERE name = 'p4'", []).expect("a delete");
    let mirrored = crm.sync_to_external(Push::mapped(staff()).mode(PushMode::Mirror)).await.expect("it runs");
    clean(&mirrored);
    assert_eq!((mirrored.counts.deleted, mirrored.counts.unchanged), (1, 9));
    assert!(!service.truth().contains(&"p4=1".to_owned()));
    assert_eq!(world.ask("SELECT count(*) FROM syncline_push_links"), "9");
}

#[tokio::test]
async fn a_stream_whose_fields_changed_is_refused_with_the_difference() {
    let (world, service) = (World::new(), service());
    let crm = connect(&world.open(service.clone()).await).await;
    let header = |print: &str, fields: &[&str]| {
        let mut state = service.state();
        state.stream.fingerprint = Some(print.into());
        state.stream.fields = Some(fields.iter().map(|name| Field::new(*name)).collect());
    };
    header("1", &["name", "v", "note"]);
    clean(&crm.sync_to_external(people(2, 1)).await.expect("it runs"));
    header("2", &["v", "name", "remark"]);
    service.called();
    let result = crm.sync_to_external(people(2, 2)).await.expect("a result");
    assert!(!result.success());
    assert_eq!(result.errors[0].kind, ErrorKind::Config);
    let said = messages(&result);
    for words in ["missing \"note\"", "new \"remark\"", "moved \"v\", \"name\"", "accept_shape"] {
        assert!(said.contains(words), "{words} in {said}");
    }
    assert_eq!(service.called(), 0);
    clean(&crm.sync_to_external(people(2, 2).accept_shape()).await.expect("it runs"));
    clean(&crm.sync_to_external(people(2, 3)).await.expect("it runs"));
    assert_eq!(service.truth(), ["p0=3", "p1=3"]);
}

#[tokio::test]
async fn a_push_that_cannot_work_is_refused_in_plain_words() {
    let (world, service) = (World::new(), service());
    let crm = connect(&world.open(service.clone()).await).await;
    let said = |result: syncline::SyncResult| {
        assert!(!result.success());
        assert_eq!(result.direction, Direction::ToExternal);
        assert!(result.completed_at >= result.started_at && result.run.is_some());
        messages(&result)
    };
    let unknown = said(crm.sync_to_external(Push::records("films", [json!({})])).await.expect("a result"));
    assert!(unknown.contains("there is no stream \"films\"; there are: \"people\""), "{unknown}");
    service.state().stream.writes = Writes::Nothing;
    let read_only = said(crm.sync_to_external(people(1, 1)).await.expect("a result"));
    assert!(read_only.contains("can only be read"), "{read_only}");
    let none = crm.sync_to_external(Push::source("people", "contacts")).await.expect_err("no run begins");
    assert!(none.text().contains("source(…)"), "{none}");
    let row = crm.load_config().await.expect("a row");
    assert_eq!(row.error_count, 0, "a slip of the pen says nothing about the connection");
    crm.disable().await.expect("off");
    assert_eq!(crm.sync_to_external(people(1, 1)).await.expect_err("no run begins").kind(), ErrorKind::Config);
}

#[tokio::test]
async fn one_writer_at_a_time_waits_in_one_process_and_others_are_refused() {
    for one_writer in [true, false] {
        let world = World::new();
        let service = Pushable::new(PushLimits { items: 10, one_writer, ..PushLimits::default() });
        let crm = connect(&world.open(service.clone()).await).await;
        let gate = service.gate();
        let mut first = Box::pin(crm.sync_to_external(people(2, 1)));
        while service.state().waiting == 0 {
            assert!(look(&mut first).await.is_pending());
            tokio::task::yield_now().await;
        }
        let mut second = Box::pin(crm.sync_to_external(people(2, 2)));
        for _ in 0..20 {
            if let std::task::Poll::Ready(answer) = look(&mut second).await {
                assert!(!one_writer);
                assert_eq!(answer.expect_err("it is refused").kind(), ErrorKind::Conflict);
                break;
            }
            tokio::task::yield_now().await;
        }
        gate.add_permits(100);
        clean(&first.await.expect("it runs"));
        if one_writer {
            let result = second.await.expect("it runs after the first");
            clean(&result);
            assert_eq!((result.counts.updated, service.truth()), (2, vec!["p0=2".to_owned(), "p1=2".to_owned()]));
        }
    }
}

#[tokio::test]
async fn progress_and_waiting_are_told_as_they_happen() {
    let (world, service) = (World::new(), service());
    let syncline = world.open(service.clone()).await;
    let crm = connect(&syncline).await;
    let mut events = syncline.events();
    service.fates(|_, times| if times == 0 { support::pushable::Fate::LostBefore } else { support::pushable::Fate::Well });
    let result = crm.sync_to_external(people(3, 1)).await.expect("it runs");
    clean(&result);
    let (mut began, mut waited, mut counts) = (None, Vec::new(), None);
    loop {
        match events.next().await.expect("an event") {
            SyncEvent::SyncStarted { direction, .. } => began = Some(direction),
            SyncEvent::SyncWaiting { items, until, .. } => waited.push((items, (until - support::start()).num_seconds())),
            SyncEvent::SyncProgress { counts: so_far, .. } => counts = Some(so_far),
            SyncEvent::SyncComplete { outcome, .. } => {
                assert_eq!(outcome, Outcome::Ok);
                break;
            }
            _ => {}
        }
    }
    assert_eq!(began, Some(Direction::ToExternal));
    assert_eq!(waited, [(3, 60)], "30 s in flight and 30 s of grace");
    assert_eq!(counts, Some(result.counts));
    let stored = syncline.workspace("acme").events_after(0, 100).await.expect("events");
    assert!(stored.iter().any(|event| event.body.contains("sync-progress")), "{stored:?}");
}

#[tokio::test]
async fn calls_of_the_hosts_own_leave_one_line_in_the_log_without_their_query() {
    let (world, service) = (World::new(), service());
    let syncline = world.open(service.clone()).await;
    let crm = connect(&syncline).await;
    let answer = crm.request(PassthroughRequest::get("v1/team?token=hidden").query("secret", "hidden")).await.expect("an answer");
    assert_eq!(answer.status, 200);
    let refused = crm.request(PassthroughRequest::new(Method::Delete, "v1/team")).await.expect_err("it is refused");
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    let lines = syncline.workspace("acme").activities(10).await.expect("a log");
    let lines: Vec<_> = lines.iter().filter(|line| &*line.action == "request").collect();
    assert_eq!(lines.iter().map(|line| line.success).collect::<Vec<_>>(), [false, true]);
    assert_eq!(lines[1].metadata, json!({ "method": "GET", "path": "v1/team", "status": 200 }));
    assert!(!format!("{lines:?}").contains("hidden"));

    let other = world.builder().storage(world.storage().await).provider(support::scripted::Scripted::new("demo"));
    let other = other.build().await.expect("an engine");
    let demo = other.workspace("acme").connect("demo", Credentials::token("t")).await.expect("it connects");
    let none = demo.request(PassthroughRequest::get("x")).await.expect_err("none is let through");
    assert_eq!(none.kind(), ErrorKind::Unsupported);
    assert!(none.to_string().contains("demo"), "{none}");
    let lacking = demo.sync_to_external(Push::records("items", [json!({})])).await.expect("a result");
    assert_eq!((lacking.errors[0].kind, lacking.direction), (ErrorKind::Unsupported, Direction::ToExternal));
}
