//! Pulls against the simulator: every message once, threads with their parents, positions that may be stored.

use std::{collections::BTreeMap, time::Duration};

use provider_slack::{Slack, simulator::SlackSim};
use serde_json::json;
use sync_core::{Cursor, Error, ErrorKind, IntegrationSync, Next, Partition, PullPage, PullRequest, StreamName, SyncContext};
use sync_testkit::{Fault, Simulation, TestServices};

struct World {
    simulation: Simulation<SlackSim>,
    slack: Slack,
    services: TestServices,
    general: String,
    ada: String,
}

/// Messages by their `ts`: sender, text, parent.
type Messages = BTreeMap<String, (String, String, String)>;

impl World {
    fn new() -> Self {
        let services = TestServices::new(1);
        let sim = SlackSim::new("T1", "Acme");
        sim.without_limits();
        let ada = sim.add_user("ada", "Ada Lovelace");
        let general = sim.add_channel("general");
        let simulation = Simulation::new(sim).with_clock(services.clock().clone());
        let slack = Slack::builder().transport(simulation.transport()).build().expect("well formed");
        Self { simulation, slack, services, general, ada }
    }

    fn sim(&self) -> &SlackSim {
        self.simulation.sim()
    }

    fn cx(&self) -> SyncContext {
        self.services.context(json!({ "page_size": 2 }))
    }

    fn request(&self, cursor: Option<Cursor>) -> PullRequest {
        let mut request = PullRequest::new("messages", Partition::new(self.general.as_str()), self.services.clock().now());
        request.cursor = cursor;
        request.look_back = Duration::from_secs(3600);
        request
    }

    async fn page(&self, request: &PullRequest) -> Result<PullPage, Error> {
        self.slack.pull(&self.cx(), request).await
    }

    /// Reads to the end; answers the messages, the cursor, and whether the scan was complete. A message that comes twice panics.
    async fn read(&self, mut request: PullRequest) -> Result<(Messages, Option<Cursor>, bool), Error> {
        let mut messages = Messages::new();
        loop {
            let page = self.page(&request).await?;
            take(&page, &mut messages);
            match page.next {
                Next::Page(token) => {
                    assert_eq!(page.cursor, None, "history comes newest first: only the last page has a position");
                    request.after = Some(token);
                }
                Next::End { complete } => return Ok((messages, page.cursor, complete)),
                Next::NotReady { .. } => panic!("Slack is always ready"),
            }
        }
    }
}

fn take(page: &PullPage, into: &mut Messages) {
    assert_eq!(page.failures, []);
    for record in page.batch.records() {
        let text = |name| page.batch.cell(record, name).map(|json| json.trim_matches('"').to_owned()).unwrap_or_default();
        let twice = into.insert(text("ts"), (text("sender_name"), text("text"), text("parent_ts")));
        assert_eq!(twice, None, "{} came twice", record.id);
    }
}

const PARENT: &str = "1767200000.000100";

fn conversation(world: &World) {
    let (sim, general, ada) = (world.sim(), &world.general, &world.ada);
    for n in 0..5 {
        sim.post(general, ada, &format!("17672{n:05}.00000{n}"), &format!("message {n}"));
    }
    sim.post(general, ada, PARENT, "who is in?");
    for n in 0..5 {
        sim.reply(general, PARENT, ada, &format!("1767200{n}00.000200"), &format!("reply {n}"));
    }
    sim.post_as_bot(general, "deploys", "1767200001.000000", "shipped");
}

#[tokio::test]
async fn every_message_and_reply_comes_once_with_its_sender_and_parent() {
    let world = World::new();
    conversation(&world);
    let (messages, cursor, complete) = world.read(world.request(None)).await.expect("reads");
    assert_eq!(messages.len(), world.sim().messages(&world.general));
    assert!(complete);
    assert_eq!(messages[PARENT], ("Ada Lovelace".into(), "who is in?".into(), "null".into()));
    assert_eq!(messages["1767200300.000200"], ("Ada Lovelace".into(), "reply 3".into(), PARENT.into()));
    assert_eq!(messages["1767200001.000000"].0, "deploys");
    let newest = messages.keys().max().expect("there are some");
    assert_eq!(cursor, Some(Cursor::new(1, newest.as_str())));
    assert_eq!(world.simulation.count("slack.users.list"), 1, "names are listed once, not per page");
}

#[tokio::test]
async fn an_incremental_read_sees_late_replies_and_edits_inside_the_look_back_and_proves_no_deletes() {
    let world = World::new();
    conversation(&world);
    let (_, cursor, _) = world.read(world.request(None)).await.expect("reads");
    world.sim().reply(&world.general, PARENT, &world.ada, "1767202000.000900", "late");
    world.sim().edit(&world.general, PARENT, "who is in now?", "1767202001.000000");
    let (messages, moved, complete) = world.read(world.request(cursor.clone())).await.expect("reads");
    assert_eq!(messages["1767202000.000900"].1, "late");
    assert_eq!(messages[PARENT].1, "who is in now?");
    assert!(!complete && moved != cursor);
}

#[tokio::test]
async fn a_position_without_news_stays_where_it_was() {
    let world = World::new();
    conversation(&world);
    let (_, cursor, _) = world.read(world.request(None)).await.expect("reads");
    for message in ["1767200400.000200", "1767200300.000200"] {
        world.sim().delete(&world.general, message);
    }
    let (_, again, _) = world.read(world.request(cursor.clone())).await.expect("reads");
    assert_eq!(again, cursor);
}

#[tokio::test]
async fn a_scan_that_was_cut_goes_on_from_any_page_and_shows_the_same() {
    let world = World::new();
    conversation(&world);
    let (whole, cursor, _) = world.read(world.request(None)).await.expect("reads");
    let mut request = world.request(None);
    let mut before = Messages::new();
    loop {
        let (mut rest, end, _) = world.read(request.clone()).await.expect("goes on");
        rest.extend(before.clone());
        assert_eq!((&rest, &end), (&whole, &cursor));
        let page = world.page(&request).await.expect("a page");
        take(&page, &mut before);
        let Next::Page(token) = page.next else { break };
        request.after = Some(token);
    }
}

#[tokio::test]
async fn what_is_newer_than_the_run_waits_for_the_next() {
    let world = World::new();
    conversation(&world);
    let mut request = world.request(None);
    request.until = chrono::DateTime::from_timestamp(1_767_200_250, 0).expect("a time");
    let (messages, cursor, _) = world.read(request).await.expect("reads");
    assert!(messages.keys().all(|ts| ts.as_str() <= "1767200250.000000"));
    let (rest, ..) = world.read(world.request(cursor)).await.expect("reads");
    assert!(rest.contains_key("1767200300.000200") && rest.contains_key("1767200400.000200"));
}

#[tokio::test]
async fn channels_are_partitions_and_only_a_full_list_says_that_one_is_gone() {
    let world = World::new();
    let random = world.sim().add_channel("random");
    let partitions = world.slack.partitions(&world.cx(), &StreamName::from("messages")).await.expect("lists");
    let titles: Vec<_> = partitions.list.iter().map(|partition| partition.title.as_deref()).collect();
    assert_eq!(titles, [Some("#general"), Some("#random")]);
    assert!(partitions.complete);
    world.sim().set_member(&random, false, true);
    let partitions = world.slack.partitions(&world.cx(), &StreamName::from("messages")).await.expect("lists");
    assert_eq!((partitions.list.len(), partitions.complete), (1, false));
    let cx = world.services.context(json!({ "channels": ["#random", "nowhere"] }));
    let error = world.slack.partitions(&cx, &StreamName::from("messages")).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.text().contains("nowhere") && error.text().contains("general, random"), "{error}");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_an_error_and_never_an_empty_page() {
    for fault in [
        Fault::Html,
        Fault::Empty,
        Fault::Cut(40),
        Fault::Body(r#"{"ok":true}"#.into()),
        Fault::Body("{}".into()),
        Fault::Body(r#"{"ok":true,"messages":{}}"#.into()),
    ] {
        let world = World::new();
        conversation(&world);
        let shown = format!("{fault:?}");
        world.simulation.faults().push_times("slack.conversations.history", fault, 9);
        let error = world.page(&world.request(None)).await.expect_err(&shown);
        assert!(matches!(error.kind(), ErrorKind::Decode | ErrorKind::Transport), "{shown}: {error:?}");
    }
}

#[tokio::test]
async fn limits_are_waited_for_in_both_forms() {
    let world = World::new();
    conversation(&world);
    let faults = world.simulation.faults();
    faults.push("slack.conversations.history", Fault::rate_limited(20));
    faults.push("slack.conversations.history", Fault::Body(r#"{"ok":false,"error":"ratelimited"}"#.into()));
    let (messages, ..) = world.read(world.request(None)).await.expect("waits and goes on");
    assert_eq!(messages.len(), world.sim().messages(&world.general));
    assert!(world.services.clock().slept().iter().sum::<Duration>() >= Duration::from_secs(20));
}

#[tokio::test]
async fn refusals_have_the_kind_a_caller_can_act_on() {
    let world = World::new();
    world.sim().set_member(&world.general, false, false);
    assert_eq!(world.page(&world.request(None)).await.expect_err("not a member").kind(), ErrorKind::Forbidden);
    world.sim().revoke_token();
    assert_eq!(world.slack.validate_credentials(&world.cx()).await.expect_err("revoked").kind(), ErrorKind::AuthRevoked);
    world.sim().expect_token("another");
    let error = world.slack.validate_credentials(&world.cx()).await.expect_err("wrong");
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(!format!("{error:?}").contains("test-token"), "{error:?}");
    let cx = world.services.context(json!({ "chanels": [] }));
    let error = world.slack.validate_credentials(&cx).await.expect_err("no such setting");
    assert!(error.kind() == ErrorKind::Config && error.text().contains("chanels"), "{error}");
}

#[tokio::test]
async fn names_that_may_not_be_read_leave_the_messages_readable() {
    let world = World::new();
    conversation(&world);
    world.sim().take_scope("users:read");
    let (messages, ..) = world.read(world.request(None)).await.expect("reads");
    assert_eq!(messages[PARENT].0, "null");
}

#[tokio::test]
async fn users_and_channels_are_complete_lists() {
    let world = World::new();
    for n in 0..450 {
        let user = world.sim().add_user(&format!("u{n}"), &format!("User {n}"));
        if n == 7 {
            world.sim().deactivate_user(&user);
        }
    }
    let (mut ids, mut request) = (Vec::new(), PullRequest::new("users", Partition::whole(), world.services.clock().now()));
    loop {
        let page = world.page(&request).await.expect("reads");
        ids.extend(page.batch.records().iter().map(|record| record.id.to_string()));
        match page.next {
            Next::Page(token) => request.after = Some(token),
            next => break assert_eq!(next, Next::End { complete: true }),
        }
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 451);
}

#[tokio::test]
async fn the_same_holds_over_a_socket() {
    let world = World::new();
    conversation(&world);
    let served = world.simulation.serve().await.expect("listens");
    let slack = Slack::builder().base_url(format!("{}/api/", served.url)).build().expect("well formed");
    let account = slack.validate_credentials(&world.cx()).await.expect("answers");
    assert_eq!((&*account.id, account.name.as_deref()), ("T1", Some("Acme")));
    let page = slack.pull(&world.cx(), &world.request(None)).await.expect("answers");
    assert_eq!(page.batch.len(), 2);
}
