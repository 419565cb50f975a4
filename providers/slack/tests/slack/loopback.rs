//! The whole way over a real socket, with the transport hosts use.

use crate::support::Bench;
use provider_slack::{Slack, simulator::SlackSim};

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
