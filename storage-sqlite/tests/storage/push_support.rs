//! What the tests of pushes share.

use std::sync::Arc;

use storage_sqlite::SqliteStorage;
use sync_core::{
    Counts, Direction, HostTable, Marker, Operation, PushMode, RunId, Target,
    store::{
        Begin, ChangedQuery, ChangedRows, Feed, Intent, IntentFilter, IntentState, NewRun, PushCommit, PushLink, Settled, Storage as _,
        WorkspaceStore,
    },
};

use crate::support::*;

pub(crate) fn sends(target: Target, fields: &[&str]) -> Target {
    Target { pushes: fields.iter().map(|name| Box::from(*name)).collect(), ..target }
}

pub(crate) fn partners() -> HostTable {
    HostTable::new("partners").key("email").workspace_column("tenant")
}

/// A run to the service.
pub(crate) struct Push {
    pub(crate) store: Arc<dyn WorkspaceStore>,
    pub(crate) commit: PushCommit,
    pub(crate) target: Arc<Target>,
}

pub(crate) fn new_push(feed: &Feed, target: &Target) -> NewRun {
    NewRun { direction: Direction::ToExternal, job_type: "upsert", ..new_run(feed, target) }
}

pub(crate) async fn push(storage: &SqliteStorage, workspace: &str, feed: &Feed, target: &Target) -> Push {
    let store = storage.workspace(&workspace.into());
    let fence = match store.begin_run(new_push(feed, target)).await.expect("the run is answered") {
        Begin::Started(fence) => fence,
        Begin::Busy(run) => panic!("run {} is under way", run.id),
    };
    let commit = PushCommit {
        fence,
        feed: feed.clone(),
        begun: Vec::new(),
        settled: Vec::new(),
        counts: Counts::default(),
        failures: Vec::new(),
        events: Vec::new(),
        memory: None,
        at: at(1),
    };
    Push { store, commit, target: Arc::new(target.clone()) }
}

impl Push {
    pub(crate) fn query(&self) -> ChangedQuery {
        ChangedQuery {
            feed: self.commit.feed.clone(),
            target: Arc::clone(&self.target),
            keys: None,
            since: None,
            all: false,
            after: None,
            limit: 1000,
            trial: false,
        }
    }

    pub(crate) async fn changed(&self) -> ChangedRows {
        self.store.changed_rows(self.query()).await.expect("the table is read")
    }

    /// The keys of the changed rows.
    pub(crate) async fn keys(&self) -> Vec<String> {
        keys(&self.changed().await)
    }

    pub(crate) fn intent(&self, key: &str, state: IntentState) -> Intent {
        Intent { run: self.commit.fence.run, ..intent(key, state) }
    }

    pub(crate) async fn journal(&self, begun: Vec<Intent>, settled: Vec<Settled>) {
        let commit = PushCommit { begun, settled, ..self.commit.clone() };
        self.store.journal(commit).await.expect("the journal is written");
    }

    /// As if the service had taken every row that is to be sent.
    pub(crate) async fn accept_all(&self) -> ChangedRows {
        let changed = self.changed().await;
        let settled = changed.batch.records().iter().zip(&changed.hashes).map(|(record, hash)| {
            let link = PushLink { id: Some(format!("id {}", record.id).into()), hash: Some(*hash), version: None };
            Settled::Accepted { key: record.id.as_str().into(), link }
        });
        self.journal(Vec::new(), settled.collect()).await;
        changed
    }

    pub(crate) async fn link(&self, key: &str) -> Option<PushLink> {
        self.store.push_links(&self.commit.feed, &[key.into()]).await.expect("the link is read").pop().expect("one answer")
    }

    pub(crate) async fn intents(&self, filter: IntentFilter) -> Vec<Intent> {
        self.store.intents(filter).await.expect("the intents are read").into_iter().map(|(_, intent)| intent).collect()
    }
}

pub(crate) fn keys(changed: &ChangedRows) -> Vec<String> {
    changed.batch.records().iter().map(|record| record.id.to_string()).collect()
}

/// The changed rows as `key {fields}`.
pub(crate) fn lines(changed: &ChangedRows) -> Vec<String> {
    let batch = &changed.batch;
    let fields = |record| batch.cells(record).map(|(name, json)| format!("{}={json}", batch.names()[name])).collect::<Vec<_>>().join(" ");
    batch.records().iter().map(|record| format!("{} {}", record.id, fields(record))).collect()
}

pub(crate) fn intent(key: &str, state: IntentState) -> Intent {
    Intent {
        key: key.into(),
        marker: Marker::from(format!("marker of {key}")),
        operation: Operation::Upsert,
        mode: PushMode::Upsert,
        fields: r#"{"name":"A"}"#.into(),
        hash: u64::MAX - 7,
        id: None,
        version: None,
        state,
        attempts: 1,
        sent_at: at(3),
        looks: 0,
        looked_at: None,
        next_at: None,
        handle: None,
        error: None,
        run: RunId(1),
    }
}
