//! The whole way over a real socket, with the transport hosts use.

use crate::support::{Bench, POST, item};
use provider_slack::{Slack, simulator::SlackSim};
use serde_json::json;
use sync_core::{Found, PushOutcome};
use sync_testkit::Fault;

#[tokio::test]
async fn a_workspace_is_read_over_a_real_socket() {
    let mut bench = Bench::over(SlackSim::seeded(9));
    let served = bench.simulation.serve().await.expect("a free port");
    bench.slack = Slack::builder().base_url(format!("{}/api/", served.url)).build().expect("loopback may be http");
    bench.sim().page_size(50);
    let quoted = bench.sim().post("C0001", "U0001", "naïve “quotes” \u{1f680}");
    let mut ids = Vec::new();
    for partition in bench.partitions().await.expect("partitions") {
        let scan = bench.scan(bench.request_for(partition)).await.expect("reads");
        if let Some(cells) = scan.by_id().get(&*format!("C0001/{quoted}")) {
            assert_eq!((&cells["text"], &cells["sender_name"]), (&"naïve “quotes” \u{1f680}".into(), &"Ada Moreau".into()));
        }
        ids.extend(scan.ids().into_iter().map(str::to_owned));
    }
    ids.sort();
    assert_eq!(ids, bench.sim().keys());
}

#[tokio::test]
async fn a_message_is_written_over_a_real_socket_and_found_when_the_answer_is_lost() {
    let mut bench = Bench::new();
    let served = bench.simulation.serve().await.expect("a free port");
    bench.slack = Slack::builder().base_url(format!("{}/api/", served.url)).build().expect("loopback may be http");
    let fields = json!({"channel_id": "C1", "text": "naïve “quotes” \u{1f680}\n<@U1> & co", "blocks": [{"type": "divider"}]});
    let first = bench.written(item("m1", None, &fields)).await;
    bench.simulation.faults().push(POST, Fault::LostAnswer);
    let lost = item("m2", None, &fields);
    assert!(matches!(bench.push(lost.clone()).await.expect("an outcome"), PushOutcome::Unknown));
    let Found::Sent { id: second, .. } = bench.find(lost).await.expect("a look") else { panic!("it was posted") };
    let posted = bench.posted();
    assert_eq!(posted.keys().map(String::as_str).collect::<Vec<_>>(), [first.as_str(), second.as_str()]);
    assert!(posted.values().all(|message| message["text"] == fields["text"] && message["blocks"][0]["type"] == "divider"));
    assert_eq!(bench.simulation.count(POST), 2);
}
