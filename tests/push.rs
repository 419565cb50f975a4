//! Writing to a service: what is sent, what is not, and what is written down of it.

mod support;

use serde_json::json;
use support::{
    World, clean, messages,
    pushable::{Fate, Pushable, name_of},
};
use syncline::{
    Connection, Credentials, Direction, ErrorKind, IntentFilter, IntentState, Outcome, Push, PushRecord, Syncline,
    core::{Error, PushLimits},
};

async fn connect(syncline: &Syncline) -> Connection {
    syncline.workspace("acme").connect("crm", Credentials::token("t")).await.expect("it connects")
}

async fn open(world: &World, service: &Pushable) -> Connection {
    connect(&world.open(service.clone()).await).await
}

fn batches(items: usize) -> PushLimits {
    PushLimits { items, ..PushLimits::default() }
}

fn person(n: usize, v: usize) -> PushRecord {
    PushRecord::new(format!("p{n}"), &json!({ "name": format!("p{n}"), "v": v }))
}

fn people(many: usize, v: usize) -> Push {
    Push::records("people", (0..many).map(|n| person(n, v)))
}

fn truth(many: usize, v: usize) -> Vec<String> {
    let mut truth: Vec<String> = (0..many).map(|n| format!("p{n}={v}")).collect();
    truth.sort();
    truth
}

#[tokio::test]
async fn a_push_creates_updates_and_deletes_and_repeated_sends_nothing() {
    let (world, service) = (World::new(), Pushable::new(batches(10)));
    let crm = open(&world, &service).await;
    let result = crm.sync_to_external(people(25, 1)).await.expect("it runs");
    clean(&result);
    assert_eq!(result.direction, Direction::ToExternal);
    assert_eq!((result.counts.read, result.counts.created), (25, 25));
    assert_eq!(service.truth(), truth(25, 1));
    assert_eq!(service.called(), 3);

    let result = crm.sync_to_external(people(25, 1)).await.expect("it runs");
    clean(&result);
    assert_eq!((result.counts.unchanged, service.called()), (25, 0));

    let change = (0..25).map(|n| person(n, if n == 3 { 2 } else { 1 })).chain([PushRecord::delete("p24")]);
    let result = crm.sync_to_external(Push::records("people", change)).await.expect("it runs");
    assert_eq!((result.counts.updated, result.counts.deleted, result.counts.unchanged, result.counts.skipped), (1, 1, 23, 1));
    assert_eq!(service.called(), 1);
    let mut now = truth(24, 1);
    now.retain(|row| row != "p3=1");
    now.push("p3=2".into());
    now.sort();
    assert_eq!(service.truth(), now);
    assert!(crm.unconfirmed(IntentFilter::default()).await.expect("a list").is_empty());
}

#[tokio::test]
async fn between_two_calls_there_is_one_commit() {
    let (world, service) = (World::new(), Pushable::new(batches(10)));
    let storage = support::faulty::Faulty::new(world.storage().await);
    let crm = connect(&world.open_on(storage.clone(), service.clone()).await).await;
    storage.harm(None);
    clean(&crm.sync_to_external(people(50, 1)).await.expect("it runs"));
    let journal = storage.calls().iter().filter(|name| **name == "journal").count();
    assert_eq!((service.called(), journal), (5, 6), "the intents of the next batch ride with the outcomes of the last");
    storage.harm(None);
    clean(&crm.sync_to_external(people(50, 1)).await.expect("it runs"));
    assert_eq!(storage.calls().iter().filter(|name| **name == "journal").count(), 1, "counts alone");
}

#[tokio::test]
async fn lanes_send_side_by_side_and_count_once() {
    let world = World::new();
    let service = Pushable::new(PushLimits { items: 3, lanes: 4, ..PushLimits::default() });
    let crm = open(&world, &service).await;
    let gate = service.gate();
    let mut run = Box::pin(crm.sync_to_external(people(100, 1)));
    while service.state().waiting < 4 {
        assert!(support::look(&mut run).await.is_pending());
        tokio::task::yield_now().await;
    }
    gate.add_permits(1_000);
    let result = run.await.expect("it runs");
    clean(&result);
    assert_eq!((result.counts.read, result.counts.created, service.called()), (100, 100, 34));
    assert_eq!(service.truth(), truth(100, 1));
    let result = crm.sync_to_external(people(100, 2).lanes(1)).await.expect("it runs");
    assert_eq!(result.counts.updated, 100);
}

#[tokio::test]
async fn of_two_records_with_one_key_the_last_counts() {
    let (world, service) = (World::new(), Pushable::new(batches(10)));
    let crm = open(&world, &service).await;
    let result = crm.sync_to_external(Push::records("people", [person(1, 1), person(2, 1), person(1, 7)])).await.expect("it runs");
    assert_eq!(service.truth(), ["p1=7", "p2=1"]);
    assert_eq!((result.counts.read, result.counts.created, result.counts.skipped), (3, 2, 1));
    assert!(result.failures[0].to_string().contains("Record p1"), "{:?}", result.failures);
}

#[tokio::test]
async fn records_that_cannot_be_sent_fail_one_by_one_in_plain_words() {
    let (world, service) = (World::new(), Pushable::new(batches(10)));
    let crm = open(&world, &service).await;
    let records: Vec<PushRecord> = vec![
        person(1, 1),
        PushRecord::keyless(&json!({ "name": "nobody" })),
        PushRecord::new("p2", &json!({ "name": "p2", "colour": "red", "size": 3 })),
        PushRecord::new("p3", &"no object"),
        PushRecord::new("", &json!({ "name": "empty" })),
        PushRecord::delete("p9"),
    ];
    let result = crm.sync_to_external(Push::records("people", records)).await.expect("it runs");
    assert_eq!((result.counts.read, result.counts.created, result.counts.failed, result.counts.skipped), (6, 1, 4, 1));
    assert!(result.counts.balanced());
    assert_eq!(result.outcome, Outcome::Partial);
    let said = result.failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for words in [
        "has no key",
        "Record p2: the stream has no field \"colour\", \"size\" to write; it has: \"name\", \"v\", \"note\"",
        "Record p3: the record is not a JSON object",
        "Record p9: no record of the service is known",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    assert_eq!(service.truth(), ["p1=1"]);
}

#[tokio::test]
async fn of_two_rows_that_are_one_record_at_the_service_the_second_fails() {
    let (world, service) = (World::new(), Pushable::new(batches(10)));
    let crm = open(&world, &service).await;
    service.state().stream.key = std::sync::Arc::new(["name".into()]);
    let twice = [PushRecord::new("a", &json!({ "name": "same", "v": 1 })), PushRecord::new("b", &json!({ "name": "same", "v": 2 }))];
    let result = crm.sync_to_external(Push::records("people", twice)).await.expect("it runs");
    assert_eq!((result.counts.read, result.counts.created, result.counts.failed), (2, 1, 1), "{result:?}");
    assert!(result.failures[0].to_string().contains("Record b: another row of this push is the record \"same\""), "{:?}", result.failures);
    assert_eq!(service.truth(), ["same=1"]);
}

#[tokio::test]
async fn keys_are_made_of_columns_when_records_have_none() {
    let (world, service) = (World::new(), Pushable::new(batches(10)));
    let crm = open(&world, &service).await;
    let push = || Push::records("people", [json!({ "name": "a/b", "v": 1 }), json!({ "name": "", "v": 2 })]).key(["name"]);
    let result = crm.sync_to_external(push()).await.expect("it runs");
    assert_eq!((result.counts.created, result.counts.failed), (1, 1));
    assert!(result.failures[0].to_string().contains("no value in its key column \"name\""), "{:?}", result.failures);
    for (key, known) in [("a\\/b", 1), ("a/b", 0)] {
        let one = crm.sync_to_external(push().keys([key])).await.expect("it runs");
        assert_eq!(one.counts.unchanged, known, "{key}");
    }
    let again = crm.sync_to_external(push()).await.expect("it runs");
    assert_eq!((again.counts.unchanged, service.called()), (1, 1), "the first push called once, the second not at all");
}

#[tokio::test]
async fn a_refused_record_waits_for_a_change_and_a_put_off_one_for_its_time() {
    let (world, service) = (World::new(), Pushable::new(batches(10)));
    let crm = open(&world, &service).await;
    service.fates(|item, _| match name_of(item).as_str() {
        "p1" => Fate::Refused,
        "p2" => Fate::NotNow,
        _ => Fate::Well,
    });
    let first = crm.sync_to_external(people(4, 1)).await.expect("it runs");
    assert_eq!((first.counts.created, first.counts.failed), (2, 2));
    service.called();
    let open = crm.unconfirmed(IntentFilter::default()).await.expect("a list");
    assert_eq!(
        open.iter().map(|write| (&*write.key, write.state, write.next_try.is_some())).collect::<Vec<_>>(),
        [("p1", IntentState::Failed, false), ("p2", IntentState::Failed, true),]
    );
    assert!(open[0].reason.as_deref().is_some_and(|reason| reason.contains("refused the value")), "{open:?}");

    // Neither is sent again as long as nothing changed and nothing is due.
    let second = crm.sync_to_external(people(4, 1)).await.expect("it runs");
    assert_eq!((second.counts.failed, second.counts.unchanged, service.called()), (2, 2, 0));

    world.clock.advance(std::time::Duration::from_secs(61));
    service.fates(|_, _| Fate::Well);
    let third = crm.sync_to_external(people(4, 1)).await.expect("it runs");
    assert_eq!((third.counts.created, third.counts.failed, service.called()), (1, 1, 1));
    let changed = crm.sync_to_external(Push::records("people", [person(1, 2)])).await.expect("it runs");
    clean(&changed);
    assert_eq!(service.truth(), ["p0=1", "p1=2", "p2=1", "p3=1"]);
}

#[tokio::test]
async fn failed_writes_can_be_sent_again_at_once_from_what_was_kept() {
    let (world, service) = (World::new(), Pushable::new(batches(10)));
    let crm = open(&world, &service).await;
    service.fates(|_, _| Fate::Refused);
    crm.sync_to_external(people(3, 1)).await.expect("it runs");
    service.fates(|_, _| Fate::Well);
    let result = crm.retry_push("people").await.expect("it runs");
    clean(&result);
    assert_eq!((result.counts.read, result.counts.created), (3, 3));
    assert_eq!(service.truth(), truth(3, 1));
}

#[tokio::test]
async fn a_batch_that_is_refused_as_a_whole_is_split_down_to_the_bad_record() {
    let (world, service) = (World::new(), Pushable::new(batches(16)));
    let crm = open(&world, &service).await;
    service.calls(|batch, _| {
        let bad = batch.items.iter().any(|item| ["p5", "p11"].contains(&&*name_of(item)));
        bad.then(|| Error::new(ErrorKind::Invalid, "crm.write", "one of the values is too large"))
    });
    let result = crm.sync_to_external(people(16, 1)).await.expect("it runs");
    assert_eq!((result.counts.created, result.counts.failed), (14, 2));
    let mut failed: Vec<&str> = result.failures.iter().filter_map(|failure| failure.record.as_deref()).collect();
    failed.sort_unstable();
    assert_eq!(failed, ["p11", "p5"]);
    assert!(service.state().received.values().all(|times| *times == 1), "each good one arrived once");
}

#[tokio::test]
async fn an_answer_with_fewer_outcomes_than_items_makes_each_unknown_and_says_so() {
    let (world, service) = (World::new(), Pushable::new(batches(5)));
    let crm = open(&world, &service).await;
    {
        let mut state = service.state();
        state.withheld = 1;
        state.can_look = false;
    }
    let result = crm.sync_to_external(people(5, 1)).await.expect("it runs");
    assert_eq!((result.counts.read, result.counts.unsettled), (5, 5));
    assert!(result.counts.balanced());
    assert_eq!(result.outcome, Outcome::Partial);
    let open = crm.unconfirmed(IntentFilter::default()).await.expect("a list");
    assert!(open.iter().all(|write| write.state == IntentState::Unknown), "{open:?}");

    service.state().can_look = true;
    let result = crm.sync_to_external(people(5, 1)).await.expect("it runs");
    assert_eq!((result.counts.created, result.counts.unsettled), (5, 0), "{:?}", messages(&result));
    assert_eq!(service.truth(), truth(5, 1));
    assert!(service.state().received.values().all(|times| *times == 1));
}

#[tokio::test]
async fn an_error_that_meets_every_item_stops_the_run_and_the_rest_is_sent_by_the_next() {
    for kind in [ErrorKind::Auth, ErrorKind::RateLimited, ErrorKind::CircuitOpen, ErrorKind::Forbidden] {
        let (world, service) = (World::new(), Pushable::new(batches(2)));
        let crm = open(&world, &service).await;
        service.calls(move |_, n| (n == 1).then(|| Error::new(kind, "crm.write", "not now")));
        let result = crm.sync_to_external(people(8, 1)).await.expect("a result");
        assert!(!result.success(), "{kind:?}");
        assert_eq!(result.errors[0].kind, kind);
        assert_eq!((result.counts.created, result.counts.failed), (2, 2));
        assert_eq!(service.called(), 2, "nothing is sent after it");
        service.calls(|_, _| None);
        world.clock.advance(std::time::Duration::from_secs(61));
        let result = crm.sync_to_external(people(8, 1)).await.expect("a result");
        clean(&result);
        assert_eq!(service.truth(), truth(8, 1));
    }
}

#[tokio::test]
async fn what_the_service_works_on_is_asked_for_later() {
    let (world, service) = (World::new(), Pushable::new(batches(10)));
    let crm = open(&world, &service).await;
    service.fates(|_, _| Fate::Pending);
    let impatient = people(3, 1).patience(std::time::Duration::ZERO);
    let result = crm.sync_to_external(impatient).await.expect("it runs");
    assert_eq!((result.counts.read, result.counts.unsettled), (3, 3));
    assert!(service.truth().is_empty());
    let result = crm.sync_to_external(people(3, 1)).await.expect("it runs");
    assert_eq!((result.counts.created, result.counts.unsettled, service.called()), (3, 0, 1), "{result:?}");
    assert_eq!(service.truth(), truth(3, 1));
}

#[tokio::test]
async fn records_of_a_source_are_pushed_and_handed_out_page_by_page() {
    use syncline::{RecordSource, SourcePage, WorkspaceId, core::async_trait};

    #[derive(Debug)]
    struct Host;

    #[async_trait]
    impl RecordSource for Host {
        async fn workspace_contacts(&self, workspace: &WorkspaceId, _: Option<&str>) -> syncline::Result<SourcePage> {
            let who = PushRecord::new("w", &json!({ "name": workspace.as_str() }));
            Ok(SourcePage { records: vec![who], after: None })
        }

        async fn app_contacts(&self, _: &WorkspaceId, table: &str, after: Option<&str>) -> syncline::Result<SourcePage> {
            if table != "contacts" {
                return Err(Error::config("source", format!("there is no table {table:?}")));
            }
            let from: usize = after.map_or(0, |after| after.parse().expect("a number"));
            let to = (from + 4).min(10);
            let records = (from..to).map(|n| person(n, 1)).collect();
            Ok(SourcePage { records, after: (to < 10).then(|| to.to_string().into()) })
        }
    }

    let (world, service) = (World::new(), Pushable::new(batches(3)));
    let syncline = world.builder().storage(world.storage().await).provider(service.clone()).source(Host).build().await.expect("an engine");
    let crm = connect(&syncline).await;
    assert_eq!(crm.workspace_contacts().await.expect("rows")[0].fields(), Some(r#"{"name":"acme"}"#));
    assert_eq!(crm.app_contacts("contacts").await.expect("rows").len(), 10);
    assert!(crm.app_contacts("films").await.is_err());
    let result = crm.sync_to_external(Push::source("people", "contacts")).await.expect("it runs");
    clean(&result);
    assert_eq!(service.truth(), truth(10, 1));
    service.called();
    crm.sync_to_external(Push::source("people", "contacts")).await.expect("it runs");
    assert_eq!(service.called(), 0);
}
