//! What one workspace sees and touches of another: nothing. Two tables hold every method of every store; those that not every storage
//! offers are looked at beside them.

use std::{fmt::Debug, sync::Arc};

use chrono::Utc;
use serde_json::json;
use sync_core::{
    ConnectionId, ErrorKind, RecordFailure,
    store::{
        ChangedQuery, ChangedRows, ConnectionPatch, EntityQuery, IntentFilter, Look, NewActivity, PageCommit, PushCommit, RunEnd,
        RunFilter, RunStatus, Sweep, WorkspaceStore,
    },
};

use super::{
    Check,
    check::Looked,
    connections::sealed,
    intents::steps,
    scene::{Pull, Scene, at, begin, connection, ending, feed, gone, mapped, moved, new_run, people, plain, texts, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(another_workspace_sees_nothing, "Every method that reads answers another workspace's ids as it answers unknown ones"),
    check!(another_workspace_changes_nothing, "Every method that writes leaves another workspace's rows as they are"),
    check!(
        equal_keys_of_two_workspaces_are_two_rows,
        "Equal connections, records and keys of two workspaces have nothing to do with each other"
    ),
];

fn activity() -> NewActivity {
    NewActivity {
        integration: "slack".into(),
        connection: Some("c1".into()),
        action: "connected".into(),
        success: true,
        records_affected: 1,
        error: None,
        metadata: json!({}),
        at: at(1),
    }
}

/// A workspace with something of everything in it, and ids to ask for.
async fn filled(scene: &Scene) -> Result<Pull, Finding> {
    let store = scene.acme();
    store.connect(connection("c1", "acc")).await?;
    store.replace_credentials(&"c1".into(), 0, sealed(1), at(1)).await?;
    store.log_activity(activity()).await?;
    let target = sync_core::Target { pushes: texts(&["email"]), ..people() };
    let earlier = begin(Arc::clone(&store), &mapped("c1"), &target).await?;
    let look = Look { records: Some(3), ..Look::default() };
    store.end_run(earlier.fence, RunEnd { look: Some(look), ..ending(RunStatus::Completed) }).await?;
    let run = begin(store, &mapped("c1"), &target).await?;
    let page = PageCommit {
        expects: None,
        cursors: vec![moved("", "5", 1)],
        failures: vec![RecordFailure::warning("odd")],
        events: vec!["{}".into()],
        scan: Some(1),
        ..run.rows_page(&[up("r1", json!({"email": "a", "name": "secret of acme"}))])
    };
    run.store.commit(page).await?;
    run.store.journal(steps(&run)).await?;
    Ok(run)
}

/// What every method that reads answers, by its name. Errors count by their kind.
async fn reads(store: &dyn WorkspaceStore, of: &Pull) -> Vec<(&'static str, String)> {
    fn told<T: Debug>(answer: sync_core::Result<T>) -> String {
        answer.map_or_else(|error| format!("refused as {}", error.kind().as_str()), |answer| format!("{answer:?}"))
    }
    let id = ConnectionId::from("c1");
    let run = of.fence.run;
    let (feed, entity) = (&of.feed, &of.target.entity);
    let filter = IntentFilter { feed: Some(feed.clone()), ..IntentFilter::default() };
    let changed = ChangedQuery {
        feed: feed.clone(),
        target: Arc::clone(&of.target),
        keys: None,
        since: None,
        all: true,
        after: None,
        limit: 9,
        trial: false,
    };
    // A table without rows of this workspace may be unknown to it, or empty.
    let none = |rows: &ChangedRows| rows.batch.is_empty() && rows.missing.is_empty() && rows.unchanged == 0;
    let changed = match store.changed_rows(changed).await {
        Ok(rows) if none(&rows) => Err(sync_core::Error::config("changed_rows", "there is no such table")),
        found => found,
    };
    let runs = RunFilter { connection: Some(id.clone()), ..RunFilter::default() };
    let preview = of.rows_page(&[up("r1", json!({"email": "a", "name": "another"}))]);
    vec![
        ("connection", told(store.connection(&id).await)),
        ("connections", told(store.connections().await)),
        ("account", told(store.account("slack", "acc").await)),
        ("credentials", told(store.credentials(&id).await)),
        ("run", told(store.run(run).await)),
        ("runs", told(store.runs(runs).await)),
        ("failures", told(store.failures(run, 9).await)),
        ("partition_states", told(store.partition_states(feed).await)),
        ("last_look", told(store.last_look(feed).await)),
        ("events", told(store.events(0, 9).await)),
        ("entity_types", told(store.entity_types().await)),
        ("count_entities", told(store.count_entities(entity).await)),
        ("entities", told(store.entities(entity, EntityQuery::default()).await)),
        ("preview", told(store.preview(preview.into()).await)),
        ("lineage", told(store.lineage(entity, "a", None).await)),
        ("changed_rows", told(changed)),
        ("push_links", told(store.push_links(feed, &["a".into(), "done".into()]).await)),
        ("linked_keys", told(store.linked_keys(feed, &["r1".into(), "id-done".into()]).await)),
        ("push_memory", told(store.push_memory(feed).await)),
        ("intents", told(store.intents(filter).await)),
        ("activities", told(store.activities(9).await)),
    ]
}

async fn another_workspace_sees_nothing(scene: Scene) -> Looked {
    let nobody = reads(&*scene.globex(), &unknown(&scene)).await;
    let of_acme = filled(&scene).await?;
    let own = reads(&*of_acme.store, &of_acme).await;
    let others = reads(&*scene.globex(), &of_acme).await;
    for (((method, own), (_, others)), (_, nobody)) in own.iter().zip(&others).zip(&nobody) {
        same!(others, nobody, "what {method} answers another workspace, and an unknown one before anything was written");
        holds!(
            own != nobody || *method == "preview",
            "{method} answers the workspace itself nothing either, so the check proves nothing: {own}"
        );
    }
    let unknown = scene.globex().entities(&"people".into(), EntityQuery::default()).await;
    holds!(unknown.as_ref().is_err_and(|error| !error.to_string().contains("acme")), "the refusal tells too much: {unknown:?}");
    Ok(())
}

/// A run that nobody began, in a workspace with nothing in it.
fn unknown(scene: &Scene) -> Pull {
    Pull {
        store: scene.globex(),
        fence: sync_core::store::Fence { run: sync_core::RunId(1), token: 1 },
        feed: mapped("c1"),
        target: Arc::new(sync_core::Target { pushes: texts(&["email"]), ..people() }),
    }
}

/// Calls every method that writes with the ids of another workspace. Answers what went through that must not.
async fn writes(store: &dyn WorkspaceStore, of: &Pull) -> Vec<String> {
    let id = ConnectionId::from("c1");
    let now = Utc::now();
    let patch = ConnectionPatch { account_name: Some("stolen".into()), ..ConnectionPatch::default() };
    let page = of.rows_page(&[up("r1", json!({"email": "a", "name": "stolen"})), gone("r1")]);
    let sweep = Sweep { confirmed: true, ..of.sweep_of(&[("", 2)]) };
    fn kind<T>(answer: sync_core::Result<T>) -> Option<ErrorKind> {
        answer.err().map(|error| error.kind())
    }
    let answers = [
        ("update_connection", kind(store.update_connection(&id, patch, now).await), ErrorKind::NotFound),
        ("replace_credentials", kind(store.replace_credentials(&id, 1, sealed(2), now).await), ErrorKind::NotFound),
        ("commit", kind(store.commit(page).await), ErrorKind::LeaseLost),
        ("sweep", kind(store.sweep(sweep).await), ErrorKind::LeaseLost),
        ("end_run", kind(store.end_run(of.fence, ending(RunStatus::Failed)).await), ErrorKind::LeaseLost),
        ("journal", kind(store.journal(steps(of)).await), ErrorKind::LeaseLost),
    ];
    let through = answers.into_iter().filter(|(_, found, expected)| *found != Some(*expected));
    through.map(|(method, found, expected)| format!("{method}: expected {expected:?}, found {found:?}")).collect()
}

async fn another_workspace_changes_nothing(scene: Scene) -> Looked {
    let of_acme = filled(&scene).await?;
    let before = reads(&*of_acme.store, &of_acme).await;
    let globex = scene.globex();
    same!(writes(&*globex, &of_acme).await, [""; 0], "what is refused to another workspace");
    // These go through: they are about its own connection and feed, of which there were none.
    if let Err(error) = globex.connect(connection("c1", "theirs")).await {
        same!(error.kind(), ErrorKind::Conflict, "the refusal of an id that another workspace uses");
    }
    globex.reset_cursors(&of_acme.feed).await?;
    globex.log_activity(activity()).await?;
    let begun = begin(Arc::clone(&globex), &of_acme.feed, &of_acme.target).await?;
    begun.store.journal(PushCommit { begun: Vec::new(), ..steps(&begun) }).await?;
    begun.commit(&[gone("r1")]).await?;
    begun.end().await?;
    let after = reads(&*of_acme.store, &of_acme).await;
    for ((method, before), (_, after)) in before.iter().zip(&after) {
        same!(after, before, "what {method} answers the workspace itself");
    }
    let run = of_acme.store.begin_run(new_run(&of_acme.feed, &of_acme.target)).await?;
    holds!(matches!(run, sync_core::store::Begin::Busy(_)), "the run that was under way is not any more");
    Ok(())
}

async fn equal_keys_of_two_workspaces_are_two_rows(scene: Scene) -> Looked {
    for (feed, target) in [(feed("c1", "own"), plain("x_own")), (mapped("c1"), people())] {
        let one = begin(scene.acme(), &feed, &target).await?;
        let two = begin(scene.globex(), &feed, &target).await?;
        one.scan("", 1, &[up("a", json!({"email": "a", "v": "one", "only_one": 1}))]).await?;
        two.scan("", 1, &[up("a", json!({"email": "a", "v": "two"}))]).await?;
        same!(one.row("a").await?["v"], json!("one"), "the row of the first");
        same!(two.row("a").await?, json!({"email": "a", "v": "two"}), "the row of the second, without fields of the first");
        two.scan("", 2, &[]).await?;
        two.sweep(&[("", 2)]).await?;
        same!(one.table().await?.len(), 1, "rows of the first when those of the second were swept");
        let history = two.store.lineage(&target.entity, "a", None).await?;
        holds!(history.iter().all(|entry| entry.sync_run_id == two.fence.run), "lineage of the other workspace: {history:?}");
        same!(one.history("a").await?.len(), 3, "entries of lineage of the first");
        one.end().await?;
        two.end().await?;
    }
    Ok(())
}
