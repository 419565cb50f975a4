//! Runs, who owns them, and what their ends mean for the connection.

use serde_json::json;
use storage_sqlite::SqliteStorage;
use sync_core::{
    ConnectionId, ErrorKind, Outcome, RecordFailure, RunError,
    store::{
        Begin, Connection, ConnectionPatch, ConnectionStatus, NewActivity, NewConnection, NewRun, RunEnd, RunFilter, RunStatus,
        SealedCredentials, Storage as _,
    },
};

use crate::support::*;

pub(crate) fn connection(id: &str, account: &str) -> NewConnection {
    NewConnection {
        id: id.into(),
        provider: "slack".into(),
        subject_id: Some("client".into()),
        account_id: account.into(),
        account_name: Some("Account".into()),
        connected_by: Some("someone".into()),
        oauth_provider: Some("slack".into()),
        settings: json!({"channels": ["a"]}),
        sync_frequency_minutes: 60,
        credentials: None,
        over: None,
        at: at(0),
    }
}

fn sealed(version: u64) -> SealedCredentials {
    SealedCredentials {
        access: vec![1, version as u8],
        refresh: Some(vec![2]),
        grant: None,
        scopes: None,
        client_id: None,
        issued_at: None,
        expires_at: Some(at(30)),
        version,
    }
}

#[tokio::test]
async fn one_stream_has_one_run_at_a_time_and_other_streams_go_on() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let again = SqliteStorage::open(folder.db()).await.expect("opens twice");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    for other in [&storage, &again] {
        let new = new_run(&mapped_feed("c1", "s", "another"), &target("x_s"));
        let Begin::Busy(busy) = other.workspace(&"acme".into()).begin_run(new).await.expect("answered") else {
            panic!("two runs of one stream")
        };
        assert_eq!((busy.id, busy.status), (run.fence.run, RunStatus::Running));
        assert_eq!(other.fleet().reap().await.expect("reaps"), 0);
    }
    begin(&again, "acme", &feed("c1", "t"), &target("x_t")).await;
    begin(&again, "acme", &feed("c2", "s"), &target("x_s")).await;
    begin(&again, "other", &feed("c1", "s"), &target("x_s")).await;
    run.end().await;
    begin(&again, "acme", &feed("c1", "s"), &target("x_s")).await;
}

#[tokio::test]
async fn sixty_four_at_once_start_one_run() {
    let folder = Folder::new();
    let storages = [SqliteStorage::open(folder.db()).await.expect("opens"), SqliteStorage::open(folder.db()).await.expect("opens")];
    let race = (0..64).map(|n| {
        let store = storages[n % 2].workspace(&"acme".into());
        tokio::spawn(async move { store.begin_run(new_run(&feed("c1", "s"), &target("x_s"))).await.expect("answered") })
    });
    let mut started = 0;
    for begun in race.collect::<Vec<_>>() {
        started += u32::from(matches!(begun.await.expect("no panic"), Begin::Started(_)));
    }
    assert_eq!(started, 1);
}

fn exclusive(stream: &str) -> NewRun {
    NewRun { exclusive: true, ..new_run(&feed("c1", stream), &target("x_s")) }
}

#[tokio::test]
async fn of_the_exclusive_runs_of_a_connection_one_runs_at_a_time() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let again = SqliteStorage::open(folder.db()).await.expect("opens twice");
    let (store, other) = (storage.workspace(&"acme".into()), again.workspace(&"acme".into()));
    // Runs that are not exclusive are nobody's concern.
    let pull = begin(&storage, "acme", &feed("c1", "pulled"), &target("x_s")).await;
    let Begin::Started(fence) = store.begin_run(exclusive("s")).await.expect("answered") else { panic!("nothing is in its way") };
    begin(&again, "acme", &feed("c1", "pulled too"), &target("x_s")).await;
    for (store, new) in [
        (&store, exclusive("t")),
        (&other, exclusive("t")),
        (&other, exclusive("s")),
        (&other, NewRun { exclusive: false, ..exclusive("s") }),
    ] {
        let Begin::Busy(busy) = store.begin_run(new).await.expect("answered") else { panic!("two exclusive runs of one connection") };
        assert_eq!((busy.id, busy.feed.stream.as_str()), (fence.run, "s"));
    }
    let Begin::Busy(busy) = other.begin_run(exclusive("pulled")).await.expect("answered") else { panic!("two runs of one stream") };
    assert_eq!(busy.id, pull.fence.run);
    let elsewhere = NewRun { exclusive: true, ..new_run(&feed("c2", "t"), &target("x_s")) };
    assert!(matches!(other.begin_run(elsewhere).await.expect("answered"), Begin::Started(_)));
    store.end_run(fence, run_end(RunStatus::Completed)).await.expect("ends");
    assert!(matches!(other.begin_run(exclusive("t")).await.expect("answered"), Begin::Started(_)));
}

#[tokio::test]
async fn sixty_four_exclusive_runs_of_different_streams_at_once_start_one() {
    let folder = Folder::new();
    let storages = [SqliteStorage::open(folder.db()).await.expect("opens"), SqliteStorage::open(folder.db()).await.expect("opens")];
    let race = (0..64).map(|n| {
        let store = storages[n % 2].workspace(&"acme".into());
        tokio::spawn(async move { store.begin_run(exclusive(&format!("stream {n}"))).await.expect("answered") })
    });
    let mut started = 0;
    for begun in race.collect::<Vec<_>>() {
        started += u32::from(matches!(begun.await.expect("no panic"), Begin::Started(_)));
    }
    assert_eq!(started, 1);
}

#[tokio::test]
async fn exclusive_runs_of_the_dead_are_in_nobodys_way() {
    let folder = Folder::new();
    let dead = {
        let storage = SqliteStorage::open(folder.db()).await.expect("opens");
        let store = storage.workspace(&"acme".into());
        // One of the same stream, and an exclusive one of another.
        begin(&storage, "acme", &feed("c1", "t"), &target("x_s")).await;
        let Begin::Started(fence) = store.begin_run(exclusive("s")).await.expect("answered") else { panic!("nothing is in its way") };
        fence.run
    };
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let store = storage.workspace(&"acme".into());
    assert!(matches!(store.begin_run(exclusive("t")).await.expect("answered"), Begin::Started(_)));
    assert_eq!(store.run(dead).await.expect("read").expect("there").status, RunStatus::Failed);
    assert_eq!(sql::<i64>(&folder.db(), "SELECT count(*) FROM syncline_sync_runs WHERE status = 'running'"), 1);
}

#[tokio::test]
async fn a_run_whose_storage_was_closed_is_taken_over_at_once() {
    let folder = Folder::new();
    let run = {
        let storage = SqliteStorage::open(folder.db()).await.expect("opens");
        let store = storage.workspace(&"acme".into());
        store.connect(connection("c1", "acc")).await.expect("connects");
        begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await.fence.run
    };
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let next = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let ended = next.store.run(run).await.expect("read").expect("there");
    assert_eq!((ended.status, ended.outcome), (RunStatus::Failed, Some(Outcome::Failed)));
    assert!(ended.errors[0].message.contains("process ended"), "{:?}", ended.errors);
    let connection = next.store.connection(&"c1".into()).await.expect("read").expect("there");
    assert_eq!(connection.error_count, 0, "a process that ends says nothing about the account");
}

#[tokio::test]
async fn the_reaper_ends_the_runs_of_the_dead_alone() {
    let folder = Folder::new();
    let living = SqliteStorage::open(folder.db()).await.expect("opens");
    let alive = begin(&living, "acme", &feed("c1", "s"), &target("x_s")).await;
    {
        let dead = SqliteStorage::open(folder.db()).await.expect("opens");
        begin(&dead, "acme", &feed("c2", "s"), &target("x_s")).await;
        begin(&dead, "other", &feed("c3", "s"), &target("x_s")).await;
    }
    assert_eq!(living.fleet().reap().await.expect("reaps"), 2);
    assert_eq!(living.fleet().reap().await.expect("reaps"), 0);
    assert_eq!(alive.end().await.status, RunStatus::Completed);
}

#[tokio::test]
async fn an_ended_run_is_ended_for_good() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    for fence in [
        sync_core::store::Fence { token: run.fence.token + 1, ..run.fence },
        sync_core::store::Fence { run: sync_core::RunId(99), ..run.fence },
    ] {
        let error = run.store.end_run(fence, run_end(RunStatus::Completed)).await.expect_err("not its fence");
        assert_eq!(error.kind(), ErrorKind::LeaseLost);
    }
    let end =
        RunEnd { failures: vec![RecordFailure::warning("odd").in_column("c")], gone: vec!["p9".into()], ..run_end(RunStatus::Completed) };
    let stored = run.store.end_run(run.fence, end).await.expect("ends");
    assert_eq!((stored.status, stored.outcome, stored.completed_at), (RunStatus::Completed, Some(Outcome::Ok), Some(at(59))));
    assert_eq!(run.store.run(run.fence.run).await.expect("read"), Some(stored));
    assert_eq!(run.store.failures(run.fence.run, 9).await.expect("read"), [RecordFailure::warning("odd").in_column("c")]);
    assert!(run.store.partition_states(&run.feed).await.expect("read")[0].gone);
    let error = run.store.end_run(run.fence, run_end(RunStatus::Failed)).await.expect_err("ended before");
    assert_eq!(error.kind(), ErrorKind::LeaseLost);
    run.store.reset_cursors(&run.feed).await.expect("resets");
    assert!(run.store.partition_states(&run.feed).await.expect("read").is_empty());
}

#[tokio::test]
async fn runs_are_listed_newest_first_and_by_connection() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let store = storage.workspace(&"acme".into());
    let mut ids = Vec::new();
    for n in 0..6 {
        let run = begin(&storage, "acme", &feed(["c1", "c2"][n % 2], "s"), &target("x_s")).await;
        ids.insert(0, run.fence.run);
        run.end().await;
    }
    let list = async |filter| store.runs(filter).await.expect("runs").iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(list(RunFilter::default()).await, ids);
    assert_eq!(list(RunFilter { limit: 2, before: Some(ids[1]), ..RunFilter::default() }).await, ids[2..4]);
    assert_eq!(list(RunFilter { connection: Some("c1".into()), ..RunFilter::default() }).await, [ids[1], ids[3], ids[5]]);
}

/// Runs once with this end and answers the connection afterwards.
async fn after(storage: &SqliteStorage, end: RunEnd) -> Connection {
    let run = begin(storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    assert_eq!(run.store.connection(&"c1".into()).await.expect("read").expect("there").sync_status.as_deref(), Some("running"));
    run.store.end_run(run.fence, end).await.expect("ends");
    run.store.connection(&"c1".into()).await.expect("read").expect("there")
}

#[tokio::test]
async fn three_failures_in_a_row_or_a_revoked_grant_put_a_connection_into_error() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let store = storage.workspace(&"acme".into());
    store.connect(connection("c1", "acc")).await.expect("connects");
    let failed = |counts: bool, revoked: bool| RunEnd {
        errors: vec![RunError { kind: ErrorKind::Transport, message: "é".repeat(2000).into(), hint: "".into(), partition: None }],
        counts_against_connection: counts,
        revoked,
        ..run_end(RunStatus::Failed)
    };
    let state = |c: &Connection| (c.status, c.error_count, c.sync_status.clone());
    use ConnectionStatus::{Active, Error, Paused};
    assert_eq!(state(&after(&storage, failed(true, false)).await), (Active, 1, Some("failed".into())));
    let second = after(&storage, failed(true, false)).await;
    assert_eq!(second.error_message.as_ref().map(|m| m.len()), Some(2048));
    assert_eq!(second.last_sync_at, None);
    assert_eq!(state(&after(&storage, failed(false, false)).await), (Active, 2, Some("failed".into())), "this one does not count");
    assert_eq!(state(&after(&storage, run_end(RunStatus::Cancelled)).await), (Active, 2, Some("cancelled".into())));
    assert_eq!(state(&after(&storage, failed(true, false)).await), (Error, 3, Some("failed".into())));
    let healed = after(&storage, run_end(RunStatus::Completed)).await;
    assert_eq!((state(&healed), healed.error_message, healed.last_sync_at), ((Active, 0, Some("completed".into())), None, Some(at(59))));
    assert_eq!(state(&after(&storage, failed(true, true)).await).0, Error);
    // What the host switched off stays off, whatever runs do.
    let patch = ConnectionPatch { status: Some(Paused), clear_errors: true, ..ConnectionPatch::default() };
    store.update_connection(&"c1".into(), patch, at(5)).await.expect("patched");
    for end in [failed(true, true), failed(true, false), failed(true, false), run_end(RunStatus::Completed)] {
        assert_eq!(after(&storage, end).await.status, Paused);
    }
}

#[tokio::test]
async fn connecting_again_heals_the_connection_there_is() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let store = storage.workspace(&"acme".into());
    let first = store.connect(connection("c1", "acc")).await.expect("connects");
    assert_eq!(
        (first.status, first.token_version, first.sync_enabled, &first.settings),
        (ConnectionStatus::Active, 0, true, &json!({"channels": ["a"]}))
    );
    assert!(store.replace_credentials(&"c1".into(), 0, sealed(1), at(1)).await.expect("stored"));
    let patch = ConnectionPatch { status: Some(ConnectionStatus::Error), sync_enabled: Some(false), ..ConnectionPatch::default() };
    store.update_connection(&"c1".into(), patch, at(2)).await.expect("patched");
    let again =
        NewConnection { settings: json!({}), account_name: None, subject_id: Some("new".into()), at: at(3), ..connection("c9", "acc") };
    let healed = store.connect(again).await.expect("heals");
    assert_eq!((healed.id.as_str(), healed.status, healed.subject_id.as_deref()), ("c1", ConnectionStatus::Active, Some("new")));
    assert_eq!(
        (healed.account_name.as_deref(), healed.token_version, healed.created_at, healed.updated_at),
        (Some("Account"), 1, at(0), at(3))
    );
    assert_eq!(healed.expires_at, Some(at(30)));
    store.connect(connection("c2", "other")).await.expect("another account");
    let all = store.connections().await.expect("list");
    assert_eq!(all.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["c1", "c2"]);
}

#[tokio::test]
async fn credentials_are_replaced_only_over_the_version_that_was_read() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let store = storage.workspace(&"acme".into());
    let id = ConnectionId::from("c1");
    store.connect(connection("c1", "acc")).await.expect("connects");
    assert!(store.credentials(&id).await.expect("read").is_none());
    assert!(store.replace_credentials(&id, 0, sealed(1), at(1)).await.expect("stored"));
    assert!(!store.replace_credentials(&id, 0, sealed(2), at(2)).await.expect("answered"), "somebody was faster");
    assert!(store.replace_credentials(&id, 1, sealed(2), at(2)).await.expect("stored"));
    let stored = store.credentials(&id).await.expect("read").expect("there");
    assert_eq!((stored.access, stored.refresh, stored.expires_at, stored.version), (vec![1, 2], Some(vec![2]), Some(at(30)), 2));
    let error = store.replace_credentials(&"nope".into(), 0, sealed(1), at(1)).await.expect_err("unknown");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_activity_log_shows_the_newest_first() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let store = storage.workspace(&"acme".into());
    for n in 0..4 {
        let activity = NewActivity {
            integration: "slack".into(),
            connection: Some("c1".into()),
            action: format!("action {n}").into(),
            success: n % 2 == 0,
            records_affected: n,
            error: None,
            metadata: json!({"n": n}),
            at: at(n as u32),
        };
        store.log_activity(activity).await.expect("logged");
    }
    let seen = store.activities(2).await.expect("read");
    assert_eq!(
        seen.iter().map(|a| (&*a.action, a.success, a.records_affected)).collect::<Vec<_>>(),
        [("action 3", false, 3), ("action 2", true, 2)]
    );
    assert_eq!(seen[0].metadata, json!({"n": 3}));
}

#[tokio::test]
async fn a_workspace_without_a_name_is_refused_before_anything_is_written() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let nobody = storage.workspace(&"".into());
    let refused = [
        nobody.connect(connection("c1", "acc")).await.map(drop),
        nobody.begin_run(new_run(&feed("c1", "s"), &target("x_s"))).await.map(drop),
    ];
    for refused in refused {
        let error = refused.expect_err("it has no name");
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("workspace id is empty"), "{error}");
    }
    assert!(nobody.connections().await.expect("a list").is_empty());
}
