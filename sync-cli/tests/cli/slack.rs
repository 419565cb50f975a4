//! A stream of several partitions: one of them fails, the others go on.

use syncline::{providers::slack::simulator::SlackSim, testkit::Simulation};

use crate::house::{House, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_cannot_be_read_is_named_and_the_others_are_pulled() {
    let house = House::new().await;
    let sim = SlackSim::new("T1", "Acme");
    sim.expect_token("xoxb-right");
    let ada = sim.add_user("U012ADA01", "Ada Lovelace");
    let (general, secret) = (sim.add_channel("C012GEN01", "general"), sim.add_channel("C012SEC02", "secret"));
    let hello = sim.at("1712345678.000100").post(&general, &ada, "Hello");
    sim.at("1712345700.000200").reply(&general, &hello, &ada, "Anyone here?");
    sim.at("1712345679.000100").post(&secret, &ada, "Hush");
    sim.put_out(&secret);
    let slack = Simulation::new(sim);
    let served = slack.serve().await.expect("a loopback socket");
    let syncline = |args: &[&str]| {
        let mut command = house.bare(args);
        command.env("SYNCLINE_SLACK_BASE_URL", &served.url).env("SLACK", "xoxb-right");
        said(command)
    };

    let connected = syncline(&["connect", "slack", "--token-env", "SLACK"]);
    assert!(connected.code == 0 && connected.out.contains("connected slack to Acme"), "{}{}", connected.out, connected.err);
    assert!(connected.out.contains("next        syncline pull slack messages"), "{}", connected.out);

    let pulled = syncline(&["pull", "slack", "messages"]);
    assert_eq!(pulled.code, 3, "{}{}", pulled.out, pulled.err);
    assert!(pulled.out.contains("slack/messages → slack_messages  done in part") && pulled.out.contains("created     2"), "{}", pulled.out);
    assert!(pulled.err.contains(&secret) && pulled.err.contains("not_in_channel"), "{}", pulled.err);

    let mapped = syncline(&["pull", "slack", "messages", "--mapping", "communication", "--partition", &general, "--json"]);
    assert_eq!((mapped.code, &mapped.json()["records_created"]), (0, &2.into()), "{}", mapped.err);
    let rows = syncline(&["show", "communication", "--json"]).json();
    assert_eq!((&rows["total"], &rows["rows"][0]["fields"]["sender_name"]), (&2.into(), &"Ada Lovelace".into()), "{rows}");

    slack.sim().set_member(&secret, true);
    let whole = syncline(&["pull", "slack", "messages", "--full", "-q"]);
    assert!(whole.code == 0 && whole.err.is_empty() && whole.out.contains("created     1"), "{}{}", whole.out, whole.err);
}
