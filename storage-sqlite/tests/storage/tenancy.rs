//! What one workspace can see and touch of another: nothing.

use serde_json::json;
use storage_sqlite::SqliteStorage;
use sync_core::{
    ErrorKind,
    store::{ConnectionPatch, EntityQuery, RunFilter, RunStatus, Storage as _},
};

use crate::{runs::connection, support::*};

#[tokio::test]
async fn equal_keys_of_two_workspaces_are_two_rows() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    for (mapping, target) in [("", target("x_s")), ("m", managed("people", &["id"]))] {
        let one = begin(&storage, "one", &mapped_feed("c", "s", mapping), &target).await;
        let two = begin(&storage, "two", &mapped_feed("c", "s", mapping), &target).await;
        one.scan("", 1, &[up("a", json!({"id": "a", "v": "one", "only_one": 1}))]).await;
        two.scan("", 1, &[up("a", json!({"id": "a", "v": "two"}))]).await;
        assert_eq!(one.table().await["a"]["v"], json!("one"));
        assert_eq!(two.table().await["a"], json!({"id": "a", "v": "two"}), "not even a field's name of the other's");
        assert_eq!(counts(&two.scan("", 2, &[gone("a")]).await.counts), [0, 0, 0, 0, 0, 1]);
        two.sweep(&[("", 2)], true).await;
        assert_eq!(one.table().await.len(), 1);
        let history = two.store.lineage(&target.entity, "a", None).await.expect("lineage");
        assert!(!history.is_empty() && history.iter().all(|entry| entry.sync_run_id == two.fence.run));
        one.end().await;
        two.end().await;
    }
}

#[tokio::test]
async fn ids_of_another_workspace_are_unknown_ones() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "first-tenant", &feed("c1", "s"), &target("x_s")).await;
    run.store.connect(connection("c1", "acc")).await.expect("connects");
    let page = sync_core::store::PageCommit {
        expects: None,
        failures: vec![sync_core::RecordFailure::warning("w")],
        events: vec!["{}".into()],
        cursors: vec![cursor("", "1", 0)],
        ..run.page(vec![part("", batch(&[up("a", json!({"v": 1}))]))])
    };
    run.store.commit(page.clone()).await.expect("commits");
    let before = dump(&folder.db());
    let two = storage.workspace(&"two".into());
    let id = "c1".into();
    assert!(two.connection(&id).await.expect("read").is_none());
    assert!(two.credentials(&id).await.expect("read").is_none());
    assert!(two.connections().await.expect("read").is_empty());
    assert!(two.run(run.fence.run).await.expect("read").is_none());
    assert!(two.runs(RunFilter { connection: Some(id.clone()), ..RunFilter::default() }).await.expect("read").is_empty());
    assert!(two.failures(run.fence.run, 9).await.expect("read").is_empty());
    assert!(two.events(0, 9).await.expect("read").is_empty());
    assert!(two.partition_states(&run.feed).await.expect("read").is_empty());
    assert!(two.lineage(&entity("x_s"), "a", None).await.expect("read").is_empty());
    assert!(two.entity_types().await.expect("read").is_empty());
    assert_eq!(two.count_entities(&entity("x_s")).await.expect("read"), 0);
    assert!(two.activities(9).await.expect("read").is_empty());
    let error = two.entities(&entity("x_s"), EntityQuery::default()).await.expect_err("unknown");
    assert!(error.kind() == ErrorKind::NotFound && error.text().ends_with("none yet"), "{error}");
    let error = two.update_connection(&id, ConnectionPatch::default(), at(1)).await.expect_err("unknown");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(two.commit(page).await.expect_err("not its run").kind(), ErrorKind::LeaseLost);
    assert_eq!(two.sweep(run.sweep_of(&[("", 1)])).await.expect_err("not its run").kind(), ErrorKind::LeaseLost);
    assert_eq!(two.end_run(run.fence, run_end(RunStatus::Failed)).await.expect_err("not its run").kind(), ErrorKind::LeaseLost);
    two.reset_cursors(&run.feed).await.expect("resets its own, of which there are none");
    // The same id again: refused without a word about whose it is.
    let error = two.connect(connection("c1", "acc")).await.expect_err("taken");
    assert!(error.kind() == ErrorKind::Conflict && !error.to_string().contains("first-tenant"), "{error}");
    assert_eq!(dump(&folder.db()), before);
    assert_eq!(run.store.entity_types().await.expect("read"), [entity("x_s")]);
}
