//! Account, channels, users, and which channels are read.

use crate::support::{Bench, HISTORY, after};
use provider_slack::simulator::SlackSim;
use serde_json::json;
use sync_core::{ErrorKind, IntegrationSync, Partition, PullRequest, StreamMode, StreamName};
use sync_testkit::Fault;

const LIST: &str = "slack.conversations.list";

fn workspace() -> Bench {
    let bench = Bench::new();
    bench.sim().add_channel("C2", "random");
    bench.sim().add_channel("C3", "elsewhere");
    bench.sim().set_member("C3", false);
    bench.sim().add_channel("C4", "old");
    bench.sim().archive("C4", true);
    bench.sim().add_channel("C5", "secret");
    bench.sim().make_private("C5");
    bench
}

async fn chosen(bench: &Bench) -> Vec<String> {
    bench.partitions().await.expect("partitions").iter().map(|partition| partition.id.to_string()).collect()
}

#[tokio::test]
async fn the_account_is_the_workspace() {
    let bench = Bench::new();
    let account = bench.slack.validate_credentials(&bench.services.context(json!({}))).await.expect("good");
    assert_eq!((&*account.id, account.name.as_deref()), ("T1", Some("Acme")));
    let wrong = bench.slack.validate_credentials(&bench.services.context(json!({"chanels": []}))).await.expect_err("a typo");
    assert_eq!(wrong.kind(), ErrorKind::Config);
    assert!(wrong.to_string().contains("chanels"), "{wrong}");
}

#[tokio::test]
async fn streams_declare_their_fields_and_timestamps_as_text() {
    use sync_core::FieldKind::Text;
    let bench = Bench::new();
    let streams = bench.slack.streams(&bench.services.context(json!({}))).await.expect("no call");
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, bench.slack.descriptor().fixed_streams);
    assert_eq!(streams.iter().map(|stream| stream.mode).collect::<Vec<_>>(), [StreamMode::Full, StreamMode::Full, StreamMode::Incremental]);
    let fields = streams[2].fields.as_deref().expect("declared");
    for name in ["ts", "thread_ts", "parent_ts", "latest_reply"] {
        assert_eq!(fields.iter().find(|field| *field.name == *name).expect(name).kind, Some(Text), "{name}");
    }
    assert!(bench.simulation.calls().is_empty());
}

#[tokio::test]
async fn channels_and_users_are_read_to_the_end_and_who_left_stays() {
    let bench = workspace();
    bench.sim().deactivate_user("U2");
    bench.sim().page_size(1);
    let channels = bench.listing("channels").await.expect("reads");
    assert_eq!((channels.ids(), channels.complete()), (vec!["C1", "C2", "C3", "C4", "C5"], true), "archived or not");
    let users = bench.listing("users").await.expect("reads");
    assert_eq!((users.ids(), users.complete()), (vec!["U1", "U2"], true));
    assert_eq!(users.by_id()["U2"]["deleted"], true);
    let bench = bench.set(json!({"types": ["public_channel"]}));
    assert_eq!(bench.listing("channels").await.expect("reads").ids(), ["C1", "C2", "C3", "C4"]);
}

#[tokio::test]
async fn an_empty_page_with_a_cursor_is_not_the_end() {
    let bench = workspace();
    let empty = r#"{"ok":true,"channels":[],"response_metadata":{"next_cursor":"dGVhbTpDMg=="}}"#;
    bench.simulation.faults().push(LIST, Fault::Body(empty.into()));
    let scan = bench.listing("channels").await.expect("reads");
    assert_eq!((scan.pages[0].batch.len(), scan.ids()), (0, vec!["C2", "C3", "C4", "C5"]));
}

#[tokio::test]
async fn an_unreadable_entry_is_remembered_to_the_end_of_the_listing() {
    let bench = workspace();
    let odd = r#"{"ok":true,"channels":[{"name":"no id"}],"response_metadata":{"next_cursor":"dGVhbTpDMQ=="}}"#;
    bench.simulation.faults().push(LIST, Fault::Body(odd.into()));
    let mut request = PullRequest::new("channels", Partition::whole(), bench.services.clock().now());
    let page = bench.page(&request).await.expect("goes on");
    request.after = after(&page);
    let rest = bench.scan(request).await.expect("reads on");
    assert_eq!((page.failures.len(), rest.ids().len(), rest.complete()), (1, 5, false));
}

#[tokio::test]
async fn by_default_the_channels_of_the_app_are_read() {
    let bench = workspace();
    bench.sim().page_size(2);
    assert_eq!(chosen(&bench).await, ["C1", "C2", "C5"]);
    let cx = bench.services.context(json!({}));
    let partitions = bench.slack.partitions(&cx, &StreamName::from("messages")).await.expect("partitions");
    assert_eq!(partitions.list[0].title.as_deref(), Some("#general"));
    for stream in ["channels", "users"] {
        assert_eq!(bench.slack.partitions(&cx, &stream.into()).await.expect("whole").list, [Partition::whole()]);
    }
    assert_eq!(chosen(&bench.set(json!({"include_archived": true}))).await, ["C1", "C2", "C4", "C5"]);
}

#[tokio::test]
async fn only_a_list_of_which_every_channel_is_read_says_that_one_is_gone() {
    async fn complete(bench: &Bench, settings: serde_json::Value) -> bool {
        let cx = bench.services.context(settings);
        bench.slack.partitions(&cx, &StreamName::from("messages")).await.expect("partitions").complete
    }
    let bench = Bench::new();
    bench.sim().add_channel("C2", "random");
    assert!(complete(&bench, json!({})).await);
    assert!(complete(&bench, json!({"channels": ["general", "random"]})).await);
    assert!(!complete(&bench, json!({"channels": ["general"]})).await, "the other one was not selected");
    bench.sim().archive("C2", true);
    assert!(!complete(&bench, json!({})).await, "it was archived");
    assert!(complete(&bench, json!({"include_archived": true})).await, "archived, and read");
    assert!(complete(&bench, json!({"channels": ["general", "random"]})).await, "archived, and asked for");
    bench.sim().archive("C2", false);
    bench.sim().set_member("C2", false);
    assert!(!complete(&bench, json!({"include_archived": true})).await, "the app is not in it");
    bench.sim().remove_channel("C2");
    assert!(complete(&bench, json!({})).await, "it is gone");
    let odd = r#"{"ok":true,"channels":[{"name":"no id"}]}"#;
    bench.simulation.faults().push(LIST, Fault::Body(odd.into()));
    assert!(!complete(&bench, json!({})).await, "one could not be read");
}

#[tokio::test]
async fn only_the_selected_channels_are_read_by_name_or_id() {
    let bench = workspace().set(json!({"channels": ["#random", "C5", "old"]}));
    assert_eq!(chosen(&bench).await, ["C2", "C4", "C5"]);
    for partition in bench.partitions().await.expect("partitions") {
        bench.scan(bench.request_for(partition)).await.expect("reads");
    }
    let mut asked: Vec<String> =
        bench.simulation.calls().iter().filter(|call| call.operation == HISTORY).map(|call| call.path_and_query.clone()).collect();
    asked.dedup();
    assert_eq!(asked.len(), 3);
    for (path, channel) in asked.iter().zip(["C2", "C4", "C5"]) {
        assert!(path.contains(&format!("channel={channel}&")), "{path}");
    }
}

#[tokio::test]
async fn a_selected_channel_that_is_not_there_is_named_beside_those_that_are() {
    let bench = workspace().set(json!({"channels": ["general", "genral", "C9"]}));
    let error = bench.partitions().await.expect_err("two are missing");
    assert_eq!(error.kind(), ErrorKind::Config);
    for words in ["genral, C9", "#general", "#random", "`channels`"] {
        assert!(error.to_string().contains(words), "{error} lacks {words}");
    }
}

#[tokio::test]
async fn a_channel_without_the_app_fails_alone() {
    let bench = workspace().set(json!({"channels": ["general", "elsewhere"]}));
    bench.sim().post("C1", "U1", "read");
    bench.sim().post("C3", "U1", "unread");
    let partitions = bench.partitions().await.expect("both are listed");
    let [general, elsewhere] = <[Partition; 2]>::try_from(partitions).expect("two");
    let error = bench.scan(bench.request_for(elsewhere)).await.expect_err("not in the channel");
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.to_string().contains("invite the app") && error.to_string().contains("elsewhere"), "{error}");
    assert_eq!(bench.scan(bench.request_for(general.clone())).await.expect("reads").records.len(), 1);
    bench.sim().remove_channel("C1");
    assert_eq!(bench.scan(bench.request_for(general)).await.expect_err("gone").kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_channel_the_app_was_just_put_out_of_is_listed_and_refused() {
    let bench = Bench::new();
    bench.sim().put_out("C1");
    assert_eq!(bench.full().await.expect_err("put out").kind(), ErrorKind::Forbidden);
    bench.sim().set_member("C1", true);
    bench.full().await.expect("let in again");
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let bench = workspace();
    bench.sim().without_scope("groups:read");
    let error = bench.partitions().await.expect_err("private channels were asked for");
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.to_string().contains("groups:read"), "{error}");
    assert_eq!(chosen(&bench.set(json!({"types": ["public_channel"]}))).await, ["C1", "C2"]);
}

#[tokio::test]
async fn unknown_streams_and_made_up_partitions_are_refused() {
    let bench = Bench::new();
    for request in [
        PullRequest::new("files", Partition::whole(), bench.services.clock().now()),
        PullRequest::new("messages", Partition::new("C1"), bench.services.clock().now()),
    ] {
        assert_eq!(bench.page(&request).await.expect_err("refused").kind(), ErrorKind::Config);
    }
    assert!(bench.simulation.calls().is_empty());
}

#[test]
fn messages_replies_and_edits_have_the_time_they_are_given() {
    let bench = Bench::new();
    let sim = bench.sim();
    let question = sim.at("1712345678.000100").post("C1", "U1", "Lunch?");
    let answer = sim.at("1712345678.000099").reply("C1", &question, "U2", "At noon.");
    assert_eq!((question.as_str(), answer.as_str()), ("1712345678.000100", "1712345678.000099"));
    let next = sim.at("0.000001").post("C1", "U1", "long ago");
    assert_eq!((next.as_str(), sim.post("C1", "U1", "a minute later").as_str()), ("0.000001", "60.000218"));
}

#[test]
#[should_panic = "\"1712345678.1\" is no timestamp of Slack's"]
fn a_time_that_is_no_timestamp_is_refused() {
    Bench::new().sim().at("1712345678.1");
}

#[test]
#[should_panic = "there is a message of 1712345678.000100 in #general already"]
fn two_messages_of_one_time_are_refused() {
    let bench = Bench::new();
    for text in ["one", "another"] {
        bench.sim().at("1712345678.000100").post("C1", "U1", text);
    }
}

#[test]
fn a_seed_makes_the_same_workspace_again() {
    assert_eq!(SlackSim::seeded(5).keys(), SlackSim::seeded(5).keys());
    assert_ne!(SlackSim::seeded(5).keys(), SlackSim::seeded(6).keys());
}
