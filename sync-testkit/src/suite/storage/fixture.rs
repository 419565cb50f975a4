//! What a suite is told about a storage.

use std::{fmt, sync::Arc};

use serde_json::{Map, Value};
use sync_core::{Error, Result, async_trait, store::Storage};

/// What not every storage offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Rows are written into tables of the host.
    HostTables,
    /// Several handles may be open at once, each an owner of its own runs, as another process would be.
    Owners,
    /// What was written is there when the last handle was closed and another one opened.
    Reopen,
    /// Logs are pruned.
    Retention,
    /// Grants and their renewal, authorizations, clients and named leases are kept.
    OAuth,
    /// Reference values, and what loses to a source of higher priority, are kept beside fields.
    Conflicts,
    /// Every table can be searched for what was written.
    Search,
    /// Clients and their accounts are kept.
    Clients,
    /// How far users have come is kept.
    Onboarding,
    /// Versions of what people configure are kept.
    Config,
    /// Plans are kept.
    Plans,
    /// Rows are changed by hand, changes of others written down, and the histories of runs told.
    Edits,
    /// Values of sensitive fields are hidden in lineage, and entities erased.
    Privacy,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostTables => "tables of the host",
            Self::Owners => "several owners at once",
            Self::Reopen => "reopening",
            Self::Retention => "pruning of logs",
            Self::OAuth => "grants, authorizations and leases",
            Self::Conflicts => "what is kept beside fields",
            Self::Search => "searching in every table",
            Self::Clients => "clients",
            Self::Onboarding => "onboarding",
            Self::Config => "versions of the configuration",
            Self::Plans => "plans",
            Self::Edits => "edits by hand",
            Self::Privacy => "hiding and erasing",
        })
    }
}

/// Makes storages to be looked at.
#[async_trait]
pub trait StorageFixture: Send + Sync {
    /// What the storage is called in reports.
    fn name(&self) -> &str;

    /// What the storage offers; checks that need more are skipped.
    fn offers(&self) -> &[Capability];

    /// A database with nothing in it, of its own.
    async fn fresh(&self) -> Result<Box<dyn Database>>;
}

/// The name of the table [`Database::make_host_table`] makes.
pub const HOST_TABLE: &str = "partners";

/// A database that was empty when the check began. It goes away when it is dropped.
#[async_trait]
pub trait Database: Send + Sync {
    /// Opens a handle to it; with [`Capability::Owners`] also beside others. Its runs have no owner any more when it and every store made
    /// from it are dropped.
    async fn open(&self) -> Result<Arc<dyn Storage>>;

    /// Waits until what handles that were dropped still do in the background is over, for storages that need a moment to give up their
    /// runs.
    async fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Makes the host's table [`HOST_TABLE`]: texts `tenant`, `email` and `name`, integers `age` (a number below 0 is refused) and
    /// `changed`; unique by `tenant` and `email`, which are never null. Only asked for with [`Capability::HostTables`].
    async fn make_host_table(&self) -> Result<()> {
        Err(Error::unsupported("make_host_table"))
    }

    /// As the host would: inserts the row with this `tenant` and `email`, or sets these columns of it.
    async fn write_host_row(&self, row: &Map<String, Value>) -> Result<()> {
        let _ = row;
        Err(Error::unsupported("write_host_row"))
    }

    /// All rows of the host's table, whatever their tenant, by tenant and email; a column that is null is left out.
    async fn host_rows(&self) -> Result<Vec<Map<String, Value>>> {
        Err(Error::unsupported("host_rows"))
    }

    /// The names of the tables in which these bytes stand, as a part of any text or of any bytes, whatever the tenant. Only asked for with
    /// [`Capability::Search`].
    async fn search(&self, bytes: &[u8]) -> Result<Vec<String>> {
        let _ = bytes;
        Err(Error::unsupported("search"))
    }
}
