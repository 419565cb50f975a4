//! Runs that outlive their tokens (reliability: TS4).

use std::time::Duration;

use serde_json::json;
use syncline::{
    Callback, Pull, Sheets, Slack,
    core::ExposeSecret as _,
    providers::{sheets::simulator::SheetsSim, slack::simulator::SlackSim},
    testkit::{AuthorizationRules, AuthorizationServer, Decision, Fault, Simulation},
};

use crate::{
    scene::{REDIRECT, client},
    support::{World, clean, start},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_two_hours_on_tokens_of_ten_minutes_ends_well() {
    let world = World::new();
    let rules = AuthorizationRules { life: Some(Duration::from_secs(600)), ..SlackSim::authorization_rules(true) };
    let server = AuthorizationServer::new(rules).with_client("client", Some("s3cret"), &[REDIRECT]);
    let sim = SlackSim::new("T024BE7LD", "Acme").authorized_by(&server);
    let (ada, general) = (sim.add_user("U024ADA01", "Ada Lovelace"), sim.add_channel("C024GEN01", "general"));
    // Fifteen messages a call, and a call a minute.
    let messages = 15 * 125;
    for n in 0..messages {
        let ts = format!("{}.000001", start().timestamp() - 400_000 + n * 10);
        sim.at(&ts).post(&general, &ada, "message");
    }
    sim.enforce_quotas(true);
    let simulation = Simulation::new(sim).with_clock(world.clock.clone());
    let slack = Slack::builder().transport(simulation.transport()).build().expect("a provider");
    let builder = world.builder().storage(world.storage().await).provider(slack).oauth_client("slack", client());
    let syncline = builder.build().await.expect("an engine");
    let begun = syncline.workspace("acme").begin_authorization("slack").settings(json!({ "commercial": true })).await.expect("begun");
    let back = server.decide(&begun.url, &Decision::Approve, world.clock.now()).expect("sent back");
    let callback = Callback::from_query(back.split_once('?').expect("a query").1, begun.browser.expose_secret().to_owned());
    let connection = syncline.finish_authorization(callback.expect("a query")).await.expect("authorised").connection;

    let (begun, asked) = (world.clock.now(), simulation.calls().iter().filter(|call| call.operation == "oauth.token").count());
    let pull = Pull::stream("messages").safety_lag(Duration::ZERO);
    let result = connection.sync_from_external(pull).await.expect("it runs");
    clean(&result);
    assert_eq!(result.counts.created, messages as u64);
    let minutes = (world.clock.now() - begun).num_minutes();
    assert!(minutes >= 120, "it took {minutes} min of the service's time");
    let renewed = (simulation.calls().iter().filter(|call| call.operation == "oauth.token").count() - asked) as i64;
    // With five minutes left each; if they were renewed only when the service refuses them, half of this would do.
    assert!((minutes / 6..=minutes / 5 + 1).contains(&renewed), "{renewed} renewals in {minutes} min");
    assert_eq!(server.grants(), 1);
    assert!(connection.is_valid().await, "the last refresh token is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_outlives_a_token_reads_it_again() {
    let world = World::new();
    // With two minutes left they are good, and renewed with less.
    let rules = AuthorizationRules { life: Some(Duration::from_secs(240)), ..SheetsSim::authorization_rules() };
    let server = AuthorizationServer::new(rules).with_client("client", Some("s3cret"), &[REDIRECT]);
    let sim = SheetsSim::new("1AbC", "Film list").authorized_by(&server);
    sim.load("Movies", &[vec!["Title", "Year"], vec!["Alien", "1979"]]);
    let simulation = Simulation::new(sim).with_clock(world.clock.clone());
    let sheets = Sheets::builder().transport(simulation.transport()).build().expect("a provider");
    let builder = world.builder().storage(world.storage().await).provider(sheets).oauth_client("google", client());
    let syncline = builder.build().await.expect("an engine");
    let begun = syncline.workspace("acme").begin_authorization("sheets").settings(json!({ "spreadsheet_id": "1AbC" }));
    let begun = begun.await.expect("begun");
    let back = server.decide(&begun.url, &Decision::Approve, world.clock.now()).expect("sent back");
    let callback = Callback::from_query(back.split_once('?').expect("a query").1, begun.browser.expose_secret().to_owned());
    let connection = syncline.finish_authorization(callback.expect("a query")).await.expect("authorised").connection;
    let pull = || Pull::stream("Movies").key(["Title"]);
    clean(&connection.sync_from_external(pull()).await.expect("it runs"));
    let read = simulation.calls().last().expect("calls").operation;
    for age in [0, 30, 60, 90, 110] {
        connection.refresh_oauth_token().await.expect("renewed");
        world.clock.advance(Duration::from_secs(age));
        simulation.faults().push(read, Fault::rate_limited(245));
        let (waited, before) = (world.clock.slept().len(), connection.load_config().await.expect("a row").token_version);
        clean(&connection.sync_from_external(pull()).await.expect("it runs"));
        assert!(world.clock.slept()[waited..].iter().any(|wait| wait.as_secs() >= 245), "it waited as it was told to");
        assert_eq!(connection.load_config().await.expect("a row").token_version, before + 1, "age {age}: a new token");
    }
    assert!(simulation.calls().iter().all(|call| call.status != Some(401)), "no token that had ended was sent");
}
