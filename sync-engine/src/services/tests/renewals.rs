//! Tokens that end, and what becomes of them (TS1–TS4).

use sync_core::{Delivery, store::ConnectionStatus};

use super::{
    memory::{locked, tokens},
    *,
};

const HOUR: Option<i64> = Some(3600);

fn world(rule: RefreshRule) -> World {
    World::new(Some(Stored("old", Some("r1"), 1, HOUR)), Some(rule))
}

fn gone() -> Error {
    Error::new(ErrorKind::AuthRevoked, "token", "invalid_grant")
}

fn down() -> Error {
    Error::new(ErrorKind::Transport, "token", "503").with_retry(Retry::After(None))
}

impl World {
    fn sent(&self) -> Vec<String> {
        locked(&self.authority.sent).clone()
    }

    fn actions(&self) -> Vec<(String, bool)> {
        locked(&self.store.log).iter().map(|line| (line.action.to_string(), line.success)).collect()
    }
}

#[tokio::test]
async fn a_token_is_renewed_ahead_of_its_end_and_the_old_refresh_token_is_kept_where_none_comes() {
    let world = world(RefreshRule::Kept);
    world.authority.answers(|_| Ok(tokens("new", None, 3600)));
    assert_eq!(world.token(None).await.expect("good"), ("old".into(), 1));
    world.clock.advance(Duration::from_secs(3600 - 700));
    assert_eq!(world.token(None).await.expect("renewed"), ("new".into(), 2));
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(world.token(None).await.expect("renewed again"), ("new".into(), 3));
    assert_eq!(world.sent(), ["r1", "r1"]);
    assert_eq!(world.actions(), [("oauth_refreshed".to_owned(), true), ("oauth_refreshed".to_owned(), true)]);
}

#[tokio::test]
async fn a_rotated_refresh_token_is_the_one_that_is_sent_next() {
    let world = world(RefreshRule::Rotated);
    world.authority.answers(|sent| Ok(tokens("new", Some(&format!("{sent}+")), 3600)));
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(3600));
        world.token(None).await.expect("renewed");
    }
    assert_eq!(world.sent(), ["r1", "r1+", "r1++"]);
}

#[tokio::test]
async fn of_many_callers_in_two_processes_one_renews() {
    let world = world(RefreshRule::Rotated);
    world.authority.answers(|_| Ok(tokens("new", Some("r2"), 3600)));
    world.clock.advance(Duration::from_secs(3600));
    let callers: Vec<_> = (0..2)
        .flat_map(|_| {
            let process = world.other();
            (0..32).map(move |_| {
                // Handles of one connection in one process do not share what they opened.
                let handle = ConnectionServices { tokens: Tokens::Vault(Arc::default()), ..process.clone() };
                tokio::spawn(async move { told(&handle, None).await })
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.expect("it ends").expect("a token"), ("new".into(), 2));
    }
    assert_eq!(world.sent().len(), 1);
    assert_eq!(*locked(&world.store.lease), None, "the lease is given back");
}

#[tokio::test]
async fn a_401_renews_once_for_all_who_were_refused() {
    let world = world(RefreshRule::Kept);
    world.authority.answers(|_| Ok(tokens("new", None, 3600)));
    for _ in 0..5 {
        assert_eq!(world.token(Some(1)).await.expect("renewed"), ("new".into(), 2));
    }
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn renewed_tokens_are_stored_before_they_are_used_however_long_the_database_refuses() {
    let world = world(RefreshRule::Rotated);
    world.authority.answers(|_| Ok(tokens("new", Some("r2"), 3600)));
    *locked(&world.store.refuses) = 5;
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(world.token(None).await.expect("stored at last"), ("new".into(), 2));
    assert_eq!(locked(&world.store.credentials).as_ref().map(|there| there.version), Some(2));
    assert_eq!(world.sent().len(), 1, "the service is not asked again for what it has given");
}

#[tokio::test]
async fn with_a_key_that_is_used_up_no_service_is_asked_for_tokens_that_could_not_be_kept() {
    let world = world(RefreshRule::Rotated);
    world.authority.answers(|_| Ok(tokens("new", Some("r2"), 3600)));
    world.clock.advance(Duration::from_secs(3600));
    // The rest of the first step of 16, of which the stored ones took two.
    for _ in 0..7 {
        world.services.seals().await.expect("granted");
    }
    *locked(&world.counts.used_up) = true;
    let error = world.token(None).await.expect_err("nothing can be sealed");
    assert!(error.kind() == ErrorKind::Key && error.text().contains("new key"), "{error}");
    assert_eq!(world.sent(), [""; 0]);
    *locked(&world.counts.used_up) = false;
    assert_eq!(world.token(None).await.expect("renewed"), ("new".into(), 2));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_loses_no_tokens() {
    let world = world(RefreshRule::Rotated);
    world.authority.answers(|_| Ok(tokens("new", Some("r2"), 3600)));
    world.clock.advance(Duration::from_secs(3600));
    let all = world.authority.gate.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    assert!(tokio::time::timeout(Duration::from_millis(50), world.token(None)).await.is_err(), "the service takes its time");
    world.authority.gate.add_permits(all.min(1000));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(locked(&world.store.credentials).as_ref().map(|there| there.version), Some(2));
    assert_eq!(world.token(None).await.expect("there").0, "new");
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test]
async fn what_was_refused_may_be_a_copy_that_another_process_has_replaced() {
    let world = Arc::new(world(RefreshRule::Rotated));
    let weak = Arc::downgrade(&world);
    world.authority.answers(move |_| {
        weak.upgrade().expect("it lives").keep(Stored("theirs", Some("r2"), 2, Some(9000)));
        Err(gone())
    });
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(world.token(None).await.expect("theirs counts"), ("theirs".into(), 2));
    assert_eq!(locked(&world.store.row).status, ConnectionStatus::Active);
}

#[tokio::test]
async fn a_revoked_grant_is_told_once_and_not_tried_again() {
    let world = world(RefreshRule::Kept);
    world.authority.answers(|_| Err(gone()));
    world.clock.advance(Duration::from_secs(3600));
    for _ in 0..3 {
        assert_eq!(world.token(None).await.expect_err("it is gone").kind(), ErrorKind::AuthRevoked);
    }
    assert_eq!(world.sent().len(), 1);
    let row = locked(&world.store.row).clone();
    assert_eq!((row.status, row.renewal.refused_at), (ConnectionStatus::Error, Some(at(3600))));
    assert!(row.error_message.is_some_and(|text| text.contains("invalid_grant")));
    assert_eq!(world.actions(), [("oauth_refresh_failed".to_owned(), false)]);
    assert!(locked(&world.store.log)[0].error.as_ref().is_some_and(|error| error.contains("invalid_grant")));
}

#[tokio::test]
async fn what_others_did_with_a_connection_while_the_service_was_asked_is_not_undone() {
    for status in [ConnectionStatus::Paused, ConnectionStatus::Disconnected] {
        let world = Arc::new(world(RefreshRule::Kept));
        let weak = Arc::downgrade(&world);
        world.authority.answers(move |_| {
            let world = weak.upgrade().expect("it lives");
            locked(&world.store.row).status = status;
            Err(gone())
        });
        world.clock.advance(Duration::from_secs(3600));
        assert_eq!(world.token(None).await.expect_err("it is gone").kind(), ErrorKind::AuthRevoked);
        assert_eq!(locked(&world.store.row).status, status);
    }
}

#[tokio::test]
async fn while_renewing_fails_the_old_token_serves_and_the_service_is_left_alone_for_half_a_minute() {
    let world = world(RefreshRule::Kept);
    world.authority.answers(|_| Err(down()));
    world.authority.answers(|_| Err(down()));
    world.authority.answers(|_| Ok(tokens("new", None, 3600)));
    world.clock.advance(Duration::from_secs(3600 - 40));
    assert_eq!(world.token(None).await.expect("it lives still").0, "old");
    world.clock.advance(Duration::from_secs(29));
    assert_eq!(world.token(Some(0)).await.expect("it lives still").0, "old");
    assert_eq!(world.sent().len(), 1, "the service is left alone");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.token(Some(0)).await.expect("it lives still").0, "old");
    assert_eq!(world.sent().len(), 2);
    world.clock.advance(Duration::from_secs(10));
    let error = world.token(None).await.expect_err("it has ended");
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(matches!(error.retry(), Retry::After(Some(wait)) if wait <= Duration::from_secs(20)), "{error:?}");
    world.clock.advance(Duration::from_secs(20));
    assert_eq!(world.token(None).await.expect("renewed"), ("new".into(), 2));
    assert_eq!(locked(&world.store.row).renewal.failing_since, None, "success clears it");
}

#[tokio::test]
async fn a_lost_answer_of_a_rotating_service_is_not_asked_for_again_while_the_access_token_lives() {
    let world = world(RefreshRule::Rotated);
    world.authority.answers(|_| Err(down().with_delivery(Delivery::Unknown)));
    world.authority.answers(|_| Err(gone()));
    world.clock.advance(Duration::from_secs(3600 - 100));
    assert_eq!(world.token(None).await.expect("it lives").0, "old");
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.token(Some(0)).await.expect("it lives").0, "old");
    assert_eq!(world.sent().len(), 1, "the refresh token may be spent");
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.token(None).await.expect_err("shown dead, tried once more").kind(), ErrorKind::AuthRevoked);
    assert_eq!(world.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_another_process_takes_its_token() {
    let world = world(RefreshRule::Rotated);
    *locked(&world.store.lease) = Some("another process".into());
    world.clock.advance(Duration::from_secs(3600));
    let services = world.services.clone();
    let waiting = tokio::spawn(async move { told(&services, None).await });
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!waiting.is_finished());
    world.keep(Stored("theirs", Some("r2"), 2, Some(9000)));
    assert_eq!(waiting.await.expect("it ends").expect("a token"), ("theirs".into(), 2));
    assert!(world.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_never_ends_is_told() {
    let world = world(RefreshRule::Kept);
    *locked(&world.store.lease) = Some("another process".into());
    world.clock.advance(Duration::from_secs(3600 - 60));
    assert_eq!(world.token(None).await.expect("it lives still").0, "old");
    world.clock.advance(Duration::from_secs(60));
    let error = world.token(None).await.expect_err("dead, and nobody renews it");
    assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
}

#[tokio::test]
async fn an_idle_connection_is_asked_for_again_and_one_that_fails_daily_is_given_up() {
    let world = world(RefreshRule::Kept);
    world.authority.answers(|_| Err(down()));
    let day = Duration::from_secs(24 * 3600);
    world.clock.advance(day);
    let kind = async |rejected| world.token(rejected).await.expect_err("the service is down").kind();
    assert_eq!(kind(None).await, ErrorKind::Transport);
    world.clock.advance(day * 30);
    assert_eq!((kind(None).await, world.sent().len()), (ErrorKind::Transport, 2), "after a month without an attempt");
    for _ in 0..3 {
        world.clock.advance(day);
        assert_eq!(kind(None).await, ErrorKind::Transport);
    }
    world.clock.advance(day);
    assert_eq!((kind(None).await, world.sent().len()), (ErrorKind::AuthRevoked, 6), "the attempt of the fourth day");
    let row = locked(&world.store.row).clone();
    assert_eq!((row.status, row.renewal.failures, row.error_kind), (ConnectionStatus::Error, 5, Some(ErrorKind::AuthRevoked)));
    assert!(row.error_message.is_some_and(|text| text.contains("given up")));
    world.clock.advance(day);
    assert_eq!((kind(None).await, world.sent().len()), (ErrorKind::AuthRevoked, 6), "the service is left alone");
    let asked = world.services.renewed_token(&world.connection).await.expect_err("it is down still");
    assert_eq!((asked.kind(), world.sent().len()), (ErrorKind::AuthRevoked, 7), "who asks gets an attempt");
}

#[tokio::test]
async fn a_client_that_is_wrong_for_weeks_costs_no_grant() {
    let world = world(RefreshRule::Kept);
    world.authority.answers(|_| Err(Error::new(ErrorKind::Config, "token", "invalid_client")));
    for _ in 0..60 {
        world.clock.advance(Duration::from_secs(12 * 3600));
        assert_eq!(world.token(None).await.expect_err("no").kind(), ErrorKind::Config);
    }
    let row = locked(&world.store.row).clone();
    assert_eq!((row.status, row.renewal.error_kind, world.sent().len()), (ConnectionStatus::Active, Some(ErrorKind::Config), 60));
}

#[tokio::test]
async fn who_asks_for_a_renewal_does_not_send_what_may_be_spent_while_the_access_token_lives() {
    let world = world(RefreshRule::Rotated);
    world.authority.answers(|_| Err(down().with_delivery(Delivery::Unknown)));
    world.authority.answers(|_| Err(gone()));
    let asked = async || world.services.renewed_token(&world.connection).await;
    assert_eq!(asked().await.expect_err("its answer was lost").kind(), ErrorKind::Transport);
    world.clock.advance(Duration::from_secs(60));
    let error = asked().await.expect_err("the refresh token may be spent");
    assert!(error.kind() == ErrorKind::Conflict && error.text().contains("may be spent"), "{error}");
    assert_eq!(world.sent().len(), 1);
    assert_eq!(world.token(None).await.expect("it lives").0, "old");
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(asked().await.expect_err("shown dead, tried once more").kind(), ErrorKind::AuthRevoked);
    assert_eq!(world.sent().len(), 2);
}

#[tokio::test]
async fn no_secret_is_in_an_error_the_log_or_debug() {
    let world = World::new(Some(Stored("SECRET-access", Some("SECRET-refresh"), 1, HOUR)), Some(RefreshRule::Kept));
    world.authority.answers(|_| Err(gone()));
    world.clock.advance(Duration::from_secs(3600));
    let error = world.token(None).await.expect_err("gone");
    let shown = format!("{error:?} {error} {:?} {:?} {:?}", world.services, locked(&world.store.log), locked(&world.store.row));
    assert!(!shown.contains("SECRET") && !shown.contains("client-secret"), "{shown}");
}
