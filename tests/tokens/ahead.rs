//! The tick that renews tokens ahead of their end.

use std::time::Duration;

use syncline::{
    Connection, ConnectionStatus, Syncline,
    core::ExposeSecret as _,
    testkit::{Access, Fault},
};

use crate::{scene::Scene, support::On};

const MINUTE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_secs(15 * 60);
const HOUR: Duration = Duration::from_secs(3600);

/// The counts of a tick: renewed, failed, left.
async fn tick(syncline: &Syncline) -> (u64, u64, u64) {
    let done = syncline.renew_due(TICK).await.expect("the database answers");
    (done.renewed, done.failed, done.left)
}

async fn ends_in(connection: &Connection, scene: &Scene) -> i64 {
    let ends = connection.load_config().await.expect("a row").expires_at.expect("an end");
    (ends - scene.world.clock.now()).num_seconds()
}

mod on_sqlite {
    use super::On;

    #[tokio::test(flavor = "multi_thread")]
    async fn over_a_day_of_ticks_no_call_sees_a_token_that_has_ended_and_each_is_renewed_once() {
        super::over_a_day_of_ticks_no_call_sees_a_token_that_has_ended_and_each_is_renewed_once(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_paused_refused_cooling_or_gone_is_left_alone() {
        super::what_is_paused_refused_cooling_or_gone_is_left_alone(On::Sqlite).await;
    }
}

mod on_postgres {
    use super::On;

    #[tokio::test(flavor = "multi_thread")]
    async fn over_a_day_of_ticks_no_call_sees_a_token_that_has_ended_and_each_is_renewed_once() {
        super::over_a_day_of_ticks_no_call_sees_a_token_that_has_ended_and_each_is_renewed_once(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_paused_refused_cooling_or_gone_is_left_alone() {
        super::what_is_paused_refused_cooling_or_gone_is_left_alone(On::Postgres).await;
    }
}

async fn over_a_day_of_ticks_no_call_sees_a_token_that_has_ended_and_each_is_renewed_once(on: On) {
    let scene = Scene::new(on, HOUR).await;
    // Two processes, whose ticks come at the same time.
    let (one, two) = (scene.open().await, scene.open().await);
    let used = scene.connect(&one, "acme").await;
    let idle = scene.connect(&one, "bolt").await;
    let (mut renewed, connected) = (0, scene.asked());
    for minute in 1..=24 * 60 {
        scene.world.clock.advance(MINUTE);
        if minute % 15 == 0 {
            let before = scene.asked();
            let (first, second) = tokio::join!(tick(&one), tick(&two));
            assert_eq!((first.1, second.1), (0, 0), "none failed");
            let (asked, told) = ((scene.asked() - before) as u64, first.0.max(second.0));
            assert!(asked <= 2 && told <= asked && asked <= first.0 + second.0, "{asked} renewals, {first:?} and {second:?}");
            renewed += asked;
        }
        if minute % 5 == 0 {
            let token = used.ensure_valid_token().await.expect("a token");
            assert!(
                matches!(scene.server.access(token.secret.expose_secret(), scene.world.clock.now()), Access::Good(_)),
                "minute {minute}"
            );
            assert!(ends_in(&idle, &scene).await > 0, "minute {minute}: nobody uses it, and it is good");
        }
    }
    // Each 45 minutes: a quarter of an hour later a token of an hour would end within the tick and five minutes.
    assert_eq!(renewed, 2 * 24 * 60 / 45);
    assert_eq!((scene.asked() - connected) as u64, renewed, "callers found nothing to renew");
    assert!(idle.is_valid().await && used.is_valid().await, "no refresh token was sent twice");
}

async fn what_is_paused_refused_cooling_or_gone_is_left_alone(on: On) {
    let scene = Scene::new(on, HOUR).await;
    let syncline = scene.open().await;
    let mut connections = Vec::new();
    for workspace in ["paused", "gone", "good"] {
        connections.push(scene.connect(&syncline, workspace).await);
    }
    let [paused, gone, good] = &connections[..] else { unreachable!("three") };
    paused.disable().await.expect("paused");
    // Taken away here alone: revoking it at the service would be seen in the counts.
    gone.disconnect().await.expect("disconnected");
    assert_eq!(tick(&syncline).await, (0, 0, 0), "nothing is near its end");
    scene.world.clock.advance(Duration::from_secs(40 * 60 + 1));
    scene.simulation.faults().push("oauth.token", Fault::status(200, r#"{"ok":false,"error":"bad_client_secret"}"#));
    let before = good.load_config().await.expect("a row");
    assert_eq!(tick(&syncline).await, (0, 1, 0), "the service gives nothing, and who ticks is told");
    assert_eq!(good.status().await.expect("a status"), ConnectionStatus::Active, "which says nothing of the grant");
    assert_eq!(tick(&syncline).await, (0, 0, 0), "it is left alone for half a minute");
    scene.world.clock.advance(Duration::from_secs(30));
    assert_eq!(tick(&syncline).await, (1, 0, 0));
    let after = good.load_config().await.expect("a row");
    assert_eq!((after.token_version, after.renewal.failing_since), (before.token_version + 1, None));
    assert_eq!(paused.load_config().await.expect("a row").token_version, 1, "nobody has touched it");
    // Switched on again it is renewed by the next tick, although its token has ended long since.
    scene.world.clock.advance(2 * HOUR);
    paused.enable().await.expect("enabled");
    assert_eq!(tick(&syncline).await, (2, 0, 0));
    assert!(paused.is_valid().await && good.is_valid().await);
    // A grant that was taken back is found out once.
    scene.server.revoke_everything();
    scene.world.clock.advance(HOUR);
    assert_eq!(tick(&syncline).await, (0, 2, 0));
    assert_eq!(tick(&syncline).await, (0, 0, 0));
    for connection in [paused, good] {
        let row = connection.load_config().await.expect("a row");
        assert_eq!(row.status, ConnectionStatus::Error);
        assert!(row.error_message.as_deref().is_some_and(|text| text.contains("invalid_refresh_token")), "{:?}", row.error_message);
    }
}
