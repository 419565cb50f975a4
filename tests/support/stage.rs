//! The stage of tests about mappings: one engine, and a scripted service whose streams say what the test has them say.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};
use syncline::{
    Connection, Credentials, EntityQuery, PlanItem, Pull, RunId, SyncResult, Syncline, Workspace,
    core::{PullPage, Stream},
};

use super::{
    Fuse, On, World,
    scripted::{Scripted, last, page, then},
};

/// What a service has, or a table: fields by record or key.
pub(crate) type Rows = BTreeMap<String, Map<String, Value>>;

/// How many records are on a page, and rows in a commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) page: usize,
    pub(crate) commit: usize,
}

/// Everything at once.
pub(crate) const WHOLE: Cut = Cut { page: 100, commit: 100 };

/// The workspace `acme` with a connection to the service `crm`.
pub(crate) struct Stage {
    pub(crate) provider: Scripted,
    pub(crate) syncline: Syncline,
    pub(crate) connection: Connection,
    pub(crate) world: World,
}

impl Stage {
    /// A service with these streams, which are read in full.
    pub(crate) async fn full(on: On, streams: &[&str]) -> Self {
        Self::of(World::on(on).await, streams.iter().map(|name| Stream::full(*name)).collect(), None).await
    }

    /// A service with these streams on a world that is there; a fuse blows in the storage.
    pub(crate) async fn of(world: World, streams: Vec<Stream>, fuse: Option<&Fuse>) -> Self {
        let provider = Scripted::new("crm").streams(streams);
        let storage = world.place().open().await;
        if let Some(fuse) = fuse.cloned() {
            storage.on_crash_point(move |point| fuse.at(point));
        }
        let syncline = world.builder().storage(storage).provider(provider.clone()).build().await.expect("an engine");
        let connection = syncline.workspace("acme").connect("crm", Credentials::api_key("good")).await.expect("it connects");
        Self { provider, syncline, connection, world }
    }

    pub(crate) fn acme(&self) -> Workspace {
        self.syncline.workspace("acme")
    }

    /// From now on the service shows these records, cut into pages, as all there are.
    pub(crate) fn shows(&self, records: &Rows, per_page: usize) {
        self.provider.pages(pages(records.iter().map(|(id, fields)| (id.as_str(), fields)), per_page));
    }

    /// A pull in which the service shows these records; it has to go through.
    pub(crate) async fn pull(&self, pull: Pull, records: &Rows, cut: Cut) -> SyncResult {
        self.shows(records, cut.page);
        let pull = pull.safety_lag(Duration::ZERO).commit_rows(cut.commit);
        let result = self.connection.sync_from_external(pull).await.expect("it runs");
        assert!(result.success() && result.counts.balanced(), "{:?} {:?}", result.errors, result.counts);
        result
    }

    /// All rows of an entity type; none of one that is unknown so far.
    pub(crate) async fn rows(&self, entity: &str) -> Rows {
        rows_of(&self.acme(), entity).await
    }

    pub(crate) async fn items(&self, plan: RunId) -> Vec<PlanItem> {
        self.acme().plan_items(plan, 0, 10_000).await.expect("items")
    }
}

/// All rows of an entity type of a workspace.
pub(crate) async fn rows_of(workspace: &Workspace, entity: &str) -> Rows {
    if workspace.count(entity).await.expect("a count") == 0 {
        return Rows::new();
    }
    let all = workspace.entities(entity, EntityQuery { limit: 1000, ..EntityQuery::default() }).await.expect("rows");
    all.into_iter().map(|row| (row.key.to_string(), row.fields)).collect()
}

/// Records in their order, cut into pages, the last of which says that this is all.
pub(crate) fn pages<'r>(records: impl IntoIterator<Item = (&'r str, &'r Map<String, Value>)>, per_page: usize) -> Vec<PullPage> {
    let all: Vec<(&str, Value)> = records.into_iter().map(|(id, fields)| (id, Value::Object(fields.clone()))).collect();
    let parts: Vec<&[(&str, Value)]> = if all.is_empty() { vec![&[]] } else { all.chunks(per_page).collect() };
    let end = parts.len() - 1;
    let cut = |part: &[(&str, Value)]| page(part.iter().map(|(id, fields)| (*id, fields.clone())));
    parts.iter().enumerate().map(|(n, part)| if n == end { last(cut(part)) } else { then(cut(part), format!("{n}")) }).collect()
}

/// The fields of a record or row.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}
