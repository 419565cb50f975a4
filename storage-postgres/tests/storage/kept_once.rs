//! What is counted and told stands once, also when the answer to its commit is lost on the way.

use std::sync::atomic::Ordering;

use serde_json::json;
use storage_postgres::PostgresStorage;
use sync_core::store::{Client, ClientAccount, NewConfig, NewConnection, OnboardingStep, RunStatus, Storage as _};

use crate::{
    connections::connection,
    lost::{LOST_AFTER, LOST_BEFORE, PASSES, proxy},
    push_support::{at, begin, feed, run_end, target},
    support::migrated,
};

#[tokio::test(flavor = "multi_thread")]
async fn advances_versions_and_clients_stand_once_when_their_answer_is_lost() {
    let database = migrated().await;
    let (url, next) = proxy(&database).await;
    let storage = PostgresStorage::builder(url).max_connections(3).open().await.expect("opens through the proxy");
    let acme = storage.workspace(&"acme".into());
    for (n, lost) in [LOST_BEFORE, LOST_AFTER, PASSES].into_iter().enumerate() {
        let (user, id, account) = (format!("user {n}"), format!("c{n}"), format!("acc{n}"));
        next.store(lost, Ordering::SeqCst);
        acme.begin_onboarding(&user, at(0)).await.expect("it goes through");
        next.store(lost, Ordering::SeqCst);
        acme.connect(NewConnection { connected_by: Some(user.as_str().into()), ..connection(&id, &account) })
            .await
            .expect("it goes through");
        let run = begin(&storage, "acme", &feed(&id, "s"), &target("x_s")).await;
        next.store(lost, Ordering::SeqCst);
        acme.end_run(run.fence, run_end(RunStatus::Completed)).await.expect("it goes through");
        let onboarding = acme.onboarding(&user).await.expect("read").expect("there");
        assert_eq!((onboarding.current_step, onboarding.services_connected), (OnboardingStep::Completed, 1), "{lost}");
        let events = acme.events(0, 100).await.expect("events");
        let told = events.iter().filter(|event| event.body.contains(&format!("\"{user}\""))).count();
        assert_eq!(told, 3, "{lost}: each advance is told once: {events:?}");

        let linked = ClientAccount { provider: "slack".into(), account_id: account.as_str().into(), name: None };
        let client = Client { accounts: vec![linked], ..Client::new(format!("client {n}"), "Client", at(1)) };
        next.store(lost, Ordering::SeqCst);
        assert_eq!(acme.put_client(client.clone(), Some("ada")).await.expect("it finds no account of its own taken"), client, "{lost}");
        next.store(lost, Ordering::SeqCst);
        acme.disconnect_by(&id.as_str().into(), Some("ada"), at(2)).await.expect("it goes through");
        let versions = acme.config_versions("connection", &id, 9).await.expect("versions");
        let told: Vec<_> = versions.iter().rev().map(|version| (version.version, version.action.as_str())).collect();
        assert_eq!(told, [(1, "connected"), (2, "changed"), (3, "disconnected")], "{lost}");
        assert_eq!(acme.activities(100).await.expect("a log").len(), 2 * (n + 1), "{lost}: a row for each change");
        assert_eq!(acme.onboarding(&user).await.expect("read").expect("there").services_connected, 0, "{lost}");

        for expected in 0..2 {
            let (kind, by) = ("mapping".into(), Some("ada".into()));
            let new =
                NewConfig { kind, id: account.as_str().into(), body: Some(json!({"n": 0.1})), expected, restores: None, by, at: at(3) };
            next.store(lost, Ordering::SeqCst);
            assert_eq!(acme.put_config(new).await.expect("it does not find its own version in the way").version, expected + 1, "{lost}");
        }
        assert_eq!(acme.config_versions("mapping", &account, 9).await.expect("versions").len(), 2, "{lost}");
        assert_eq!(next.load(Ordering::SeqCst), PASSES, "the connection was cut");
    }
}
