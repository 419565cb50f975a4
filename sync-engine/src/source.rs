//! Data sources: an account, and which of its tabs are read through which mappings; stored, versioned, and run by name.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sync_core::{
    ConnectionId, Direction, Error, ErrorKind, Result, RunId, SyncResult,
    mapping::Mapping,
    store::{ConfigVersion, NewConfig, PlanItem},
};

use crate::{Connection, ForceOverwrite, Pull, Workspace, explain::MappingVersion};

/// The kinds of their versions.
const SOURCE: &str = "data_source";
const TAB: &str = "tab_mapping";
/// Tabs of a source that are read side by side.
const SIDE_BY_SIDE: usize = 4;
/// Versions of a tab mapping that are looked at for the one a run had.
const VERSIONS: u32 = 1_000;
/// Rows of a plan that travel with its result.
const CHANGES_SHOWN: u32 = 1_000;

/// Whether something is run with its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceStatus {
    /// It is.
    #[default]
    Active,
    /// It is kept, and run only when it is named.
    Paused,
}

/// An account that is read, as people configure it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSource {
    /// Its id, chosen by the host.
    pub id: Box<str>,
    /// `google_sheet`, `api`, …
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// As people know it.
    pub name: Box<str>,
    /// The connection it is read with.
    pub connection_id: ConnectionId,
    /// Whatever the host wants to keep with it.
    #[serde(default)]
    pub connector_config: Value,
    /// How often it is to be read, in the host's own words until there are schedules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Box<str>>,
    /// Whether it is in use.
    #[serde(default)]
    pub status: SourceStatus,
}

/// One tab (a stream) of a source, and the mapping it is read through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TabMapping {
    /// Its id, chosen by the host.
    pub id: Box<str>,
    /// The source it belongs to.
    pub data_source_id: Box<str>,
    /// Whether it is read with its source.
    #[serde(default)]
    pub status: SourceStatus,
    /// What becomes of its records.
    pub mapping: Mapping,
}

/// What is asked of a tab or a source.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SyncOptions {
    /// Only plans: nothing is written.
    pub dry_run: bool,
    /// Overwrites what is not the source's to write.
    pub force_overwrite: Option<ForceOverwrite>,
    /// At most so many rows are read; deletes nothing.
    pub row_limit: Option<u64>,
}

/// What became of a tab.
#[derive(Clone, Debug)]
pub struct TabSynced {
    /// The tab mapping's id.
    pub tab: Box<str>,
    /// How it went; of a dry run what would have become of the records.
    pub result: SyncResult,
    /// Of a dry run its plan, to be applied.
    pub plan: Option<RunId>,
    /// Of a dry run the first rows that would change.
    pub changes: Vec<Value>,
}

impl TabSynced {
    /// The documented body: `success, sync_run_id, stats, changes`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut body = self.result.to_json();
        body["changes"] = self.changes.clone().into();
        body["plan"] = self.plan.map(|plan| plan.0).into();
        body
    }
}

impl Workspace {
    /// Stores a data source, or the next version of it.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is no such connection; [`Conflict`](ErrorKind::Conflict) when somebody else changes it at
    /// the same time.
    pub async fn put_data_source(&self, source: &DataSource) -> Result<ConfigVersion> {
        self.connection(source.connection_id.clone()).await?;
        self.put(SOURCE, &source.id, json(source)?, None).await
    }

    /// A data source.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn data_source(&self, id: &str) -> Result<DataSource> {
        self.latest(SOURCE, id).await
    }

    /// The data sources, in the order of their ids.
    pub async fn data_sources(&self) -> Result<Vec<DataSource>> {
        self.store.configs(SOURCE).await?.iter().map(read).collect()
    }

    /// Stores a tab mapping, or the next version of it. Every problem of the mapping is told at once.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the mapping cannot be used; [`NotFound`](ErrorKind::NotFound) when there is no such source;
    /// [`Conflict`](ErrorKind::Conflict) when somebody else changes it at the same time.
    pub async fn put_tab_mapping(&self, tab: &TabMapping) -> Result<ConfigVersion> {
        self.data_source(&tab.data_source_id).await?;
        let compiled = tab.mapping.compile(&self.engine.transforms)?;
        let mut body = json(tab)?;
        body["tab_name"] = tab.mapping.stream.as_str().into();
        body["primary_entity"] = compiled.entity().as_str().into();
        self.put(TAB, &tab.id, body, None).await
    }

    /// A tab mapping.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn tab_mapping(&self, id: &str) -> Result<TabMapping> {
        self.latest(TAB, id).await
    }

    /// The tab mappings of a source, in the order of their ids.
    pub async fn tab_mappings(&self, source: &str) -> Result<Vec<TabMapping>> {
        let all = self.store.configs(TAB).await?;
        let all: Vec<TabMapping> = all.iter().map(read).collect::<Result<_>>()?;
        Ok(all.into_iter().filter(|tab| *tab.data_source_id == *source).collect())
    }

    /// The versions of a tab mapping, the newest first: who changed it, and when.
    pub async fn tab_mapping_versions(&self, id: &str, limit: u32) -> Result<Vec<ConfigVersion>> {
        self.store.config_versions(TAB, id, limit).await
    }

    /// Puts an earlier version of a tab mapping in force again, which makes a new version.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is no such version; [`Config`](ErrorKind::Config) when that mapping can no longer be used.
    pub async fn restore_tab_mapping(&self, id: &str, version: u64) -> Result<ConfigVersion> {
        let found = self.store.config_version(TAB, id, version).await?;
        let body = found.as_ref().and_then(|found| found.body.clone());
        let (Some(found), Some(body)) = (found, body) else {
            let text = format!("there is no version {version} of the tab mapping {id:?} to go back to");
            return Err(Error::new(ErrorKind::NotFound, "restore", text));
        };
        read::<TabMapping>(&found)?.mapping.compile(&self.engine.transforms)?;
        self.put(TAB, id, body, Some(version)).await
    }

    /// Takes a tab mapping away. Its versions and its rows stay.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn remove_tab_mapping(&self, id: &str) -> Result<ConfigVersion> {
        self.tab_mapping(id).await?;
        self.put(TAB, id, Value::Null, None).await
    }

    /// Reads one tab through its mapping, whatever its status.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is no such tab mapping; as of [`Connection::sync_from_external`].
    pub async fn sync_tab(&self, id: &str, options: &SyncOptions) -> Result<TabSynced> {
        let tab = self.tab_mapping(id).await?;
        let source = self.data_source(&tab.data_source_id).await?;
        let connection = self.connection(source.connection_id).await?;
        self.read_tab(&connection, tab, options).await
    }

    /// Reads all active tabs of a source, four at once. A tab that cannot be read does not keep the others from it: its result says why.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is no such source; [`Config`](ErrorKind::Config) when it is paused.
    pub async fn sync_data_source(&self, id: &str, options: &SyncOptions) -> Result<Vec<TabSynced>> {
        let source = self.data_source(id).await?;
        if source.status == SourceStatus::Paused {
            return Err(Error::config("sync", format!("the data source {id:?} is paused; make it active first")));
        }
        let connection = self.connection(source.connection_id).await?;
        let active: Vec<TabMapping> = self.tab_mappings(id).await?.into_iter().filter(|tab| tab.status == SourceStatus::Active).collect();
        let read = active.into_iter().map(|tab| {
            let (this, connection, options) = (self.clone(), connection.clone(), options.clone());
            async move {
                let (id, started) = (tab.id.clone(), this.engine.shared.clock.now());
                this.read_tab(&connection, tab, &options).await.unwrap_or_else(|error| {
                    let result = SyncResult::failed(Direction::FromExternal, &error, started, this.engine.shared.clock.now());
                    TabSynced { tab: id, result, plan: None, changes: Vec::new() }
                })
            }
        });
        let mut done: Vec<TabSynced> = stream::iter(read).buffer_unordered(SIDE_BY_SIDE).collect().await;
        done.sort_by(|one, other| one.tab.cmp(&other.tab));
        Ok(done)
    }

    async fn read_tab(&self, connection: &Connection, tab: TabMapping, options: &SyncOptions) -> Result<TabSynced> {
        let mut pull = Pull::mapped(Arc::new(tab.mapping));
        if let Some(rows) = options.row_limit {
            pull = pull.limit(rows);
        }
        if let Some(capability) = &options.force_overwrite {
            pull = pull.force_overwrite(capability);
        }
        if !options.dry_run {
            let result = connection.sync_from_external(pull).await?;
            return Ok(TabSynced { tab: tab.id, result, plan: None, changes: Vec::new() });
        }
        let plan = connection.plan(pull).await?;
        let run = plan.plan.run;
        let items: Vec<PlanItem> = self.store.plan_items(run, 0, CHANGES_SHOWN).await?;
        let ended = self.engine.shared.clock.now();
        let mut result = SyncResult::completed(Direction::FromExternal, run, plan.plan.counts, plan.plan.made_at, ended);
        (result.errors, result.failures) = (plan.plan.errors.clone(), plan.plan.failures.clone());
        let changes = items.iter().map(|item| item.to_json(&plan.plan.entity, &plan.plan.key)).collect();
        Ok(TabSynced { tab: tab.id, result, plan: Some(run), changes })
    }

    /// The version of a stored tab mapping that was in force at a time and says just this, if one is stored.
    pub(crate) async fn version_of(&self, mapping: &Mapping, at: DateTime<Utc>) -> Result<Option<MappingVersion>> {
        if !self.store.keeps_config() {
            return Ok(None);
        }
        for tab in self.store.configs(TAB).await? {
            let versions = self.store.config_versions(TAB, &tab.id, VERSIONS).await?;
            let then = versions.into_iter().find(|version| version.changed_at <= at);
            if let Some(version) = then
                && read::<TabMapping>(&version).is_ok_and(|tab| tab.mapping == *mapping)
            {
                let ConfigVersion { version, changed_by, changed_at, .. } = version;
                return Ok(Some(MappingVersion { tab: tab.id, version, changed_by, changed_at }));
            }
        }
        Ok(None)
    }

    /// Makes the next version; null deletes.
    async fn put(&self, kind: &str, id: &str, body: Value, restores: Option<u64>) -> Result<ConfigVersion> {
        let latest = self.store.config_versions(kind, id, 1).await?.pop();
        if let Some(latest) = &latest
            && restores.is_none()
            && latest.body.as_ref() == Some(&body)
        {
            return Ok(latest.clone());
        }
        let new = NewConfig {
            kind: kind.into(),
            id: id.into(),
            body: (!body.is_null()).then_some(body),
            expected: latest.map_or(0, |latest| latest.version),
            restores,
            by: self.actor(),
            at: self.engine.shared.clock.now(),
        };
        self.store.put_config(new).await
    }

    async fn latest<T: DeserializeOwned>(&self, kind: &'static str, id: &str) -> Result<T> {
        let latest = self.store.config_versions(kind, id, 1).await?.pop().filter(|latest| latest.body.is_some());
        let what = if kind == SOURCE { "data source" } else { "tab mapping" };
        let missing = || Error::new(ErrorKind::NotFound, "sync", format!("there is no {what} {id:?} in this workspace"));
        read(&latest.ok_or_else(missing)?)
    }
}

fn json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::new(ErrorKind::Internal, "put", "a configuration is not JSON").because(e))
}

fn read<T: DeserializeOwned>(version: &ConfigVersion) -> Result<T> {
    let body = version.body.clone().unwrap_or_default();
    serde_json::from_value(body).map_err(|e| {
        let text = format!("version {} of the {} {:?} cannot be read: {e}", version.version, version.kind, version.id);
        Error::new(ErrorKind::Storage, "config", text).because(e)
    })
}
