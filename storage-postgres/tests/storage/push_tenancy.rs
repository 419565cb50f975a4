//! What pushes of one workspace can see and touch of another's: nothing.

use serde_json::json;
use sync_core::{
    ErrorKind,
    store::{Begin, ChangedQuery, IntentFilter, IntentState, NewRun, PushCommit, PushLink, PushMemory, Settled},
};

use crate::push_support::*;

fn link(id: &str) -> PushLink {
    PushLink { id: Some(id.into()), hash: Some(1), version: None }
}

#[tokio::test]
async fn equal_feeds_and_keys_of_two_workspaces_never_meet() {
    let site = Site::new().await;
    let (feed, target) = (mapped_feed("c1", "s", "m"), sends(managed("people", &["email"]), &["email", "v"]));
    for workspace in ["one", "two"] {
        let run = begin(&site.storage, workspace, &feed, &managed("people", &["email"])).await;
        run.commit(&[up("r", json!({"email": "a@x", "v": workspace}))]).await;
        run.end().await;
    }
    let one = push(&site.storage, "one", &feed, &target).await;
    let two = push(&site.storage, "two", &feed, &target).await;
    let memory = PushMemory { shape: None, version: Some("1".into()) };
    let settled = vec![Settled::Accepted { key: "a@x".into(), link: link("1") }];
    let step =
        PushCommit { begun: vec![one.intent("k", IntentState::Unknown)], settled, memory: Some(memory.clone()), ..one.commit.clone() };
    one.store.journal(step).await.expect("written");
    // Reading: each method, the same arguments.
    assert_eq!(two.link("a@x").await, None);
    assert_eq!(two.store.linked_keys(&feed, &["1".into()]).await.expect("read"), [None]);
    assert_eq!(two.store.push_memory(&feed).await.expect("read"), PushMemory::default());
    for filter in [
        IntentFilter::default(),
        IntentFilter { feed: Some(feed.clone()), ..IntentFilter::default() },
        IntentFilter { connection: Some("c1".into()), keys: vec!["k".into()], ..IntentFilter::default() },
    ] {
        assert_eq!(two.intents(filter.clone()).await, []);
        assert_eq!(one.intents(filter).await.len(), 1);
    }
    assert_eq!(lines(&two.changed().await), [r#"a@x email="a@x" v="two""#]);
    assert_eq!(two.changed().await.links, [None]);
    let query = ChangedQuery { keys: Some(vec!["a@x".into()]), ..two.query() };
    assert_eq!(two.store.changed_rows(query).await.expect("read").links, [None]);
    // Writing: the other's stay as they are.
    let settled = vec![Settled::Accepted { key: "a@x".into(), link: link("2") }, Settled::Deleted { key: "k".into() }];
    let step = PushCommit { settled, memory: Some(PushMemory::default()), ..two.commit.clone() };
    two.store.journal(step).await.expect("written");
    assert_eq!((one.link("a@x").await, two.link("a@x").await), (Some(link("1")), Some(link("2"))));
    assert_eq!(one.store.linked_keys(&feed, &["1".into(), "2".into()]).await.expect("read"), [Some("a@x".into()), None]);
    assert_eq!(one.store.push_memory(&feed).await.expect("read"), memory);
    assert_eq!(one.intents(IntentFilter::default()).await.len(), 1);
    two.journal(Vec::new(), vec![Settled::Deleted { key: "a@x".into() }, Settled::Dropped { key: "k".into() }]).await;
    assert_eq!((one.link("a@x").await, one.intents(IntentFilter::default()).await.len()), (Some(link("1")), 1));
    // A fence opens the door of its own workspace alone.
    let before = site.dump().await;
    let error = two.store.journal(PushCommit { fence: one.commit.fence, ..two.commit.clone() }).await.expect_err("not its run");
    assert_eq!(error.kind(), ErrorKind::LeaseLost);
    assert_eq!(site.dump().await, before);
}

#[tokio::test]
async fn a_pull_that_takes_a_row_away_takes_the_link_of_its_own_workspace() {
    let site = Site::new().await;
    let (feed, target) = (mapped_feed("c1", "s", "m"), sends(managed("people", &["email"]), &["v"]));
    let mut runs = Vec::new();
    for workspace in ["one", "two"] {
        let run = begin(&site.storage, workspace, &feed, &target).await;
        run.scan("", 1, &[up("r", json!({"email": "a@x", "v": 1}))]).await;
        runs.push(run);
    }
    runs[0].commit(&[gone("r")]).await;
    let left = async |run: &Run| run.store.push_links(&feed, &["a@x".into()]).await.expect("read").remove(0).is_some();
    assert_eq!((left(&runs[0]).await, left(&runs[1]).await), (false, true));
}

#[tokio::test]
async fn exclusive_runs_of_two_workspaces_run_side_by_side() {
    let site = Site::new().await;
    for workspace in ["one", "two"] {
        let store = sync_core::store::Storage::workspace(&site.storage, &workspace.into());
        let new = NewRun { exclusive: true, ..new_push(&feed("c1", "s"), &target("x_s")) };
        assert!(matches!(store.begin_run(new).await.expect("answered"), Begin::Started(_)));
    }
}
