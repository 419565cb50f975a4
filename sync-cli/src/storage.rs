//! Opening the database, whichever it is.

use std::{path::Path, sync::Arc};

use syncline::{SqliteStorage, core::store::Storage};

use crate::{
    config::Config,
    database::Database,
    exit::{Done, Failure},
};

/// Whether a database is made that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is.
    Make,
    /// It is not: there is nothing to look at.
    Refuse,
}

/// The configured database as storage.
pub(crate) async fn open(config: &Config, missing: Missing) -> Done<Arc<dyn Storage>> {
    match &config.database {
        Database::Sqlite(file) => Ok(Arc::new(sqlite(file, missing).await?)),
        #[cfg(feature = "postgres")]
        Database::Postgres(url) => Ok(Arc::new(postgres::open(config, url, missing).await?)),
        #[cfg(not(feature = "postgres"))]
        Database::Postgres(_) => unreachable!("no URL is read without the feature"),
    }
}

/// A SQLite file as storage.
pub(crate) async fn sqlite(file: &Path, missing: Missing) -> Done<SqliteStorage> {
    if missing == Missing::Refuse {
        must_be_there(file)?;
    }
    Ok(SqliteStorage::open(file).await?)
}

/// Refuses a file that is not there.
pub(crate) fn must_be_there(file: &Path) -> Done<()> {
    if file.exists() {
        return Ok(());
    }
    Err(Failure::usage(
        format!("there is no database {}", file.display()),
        "database",
        "connect an account first (`syncline connect --help`), or name another one with --database",
    ))
}

#[cfg(feature = "postgres")]
pub(crate) mod postgres {
    //! The same for a server.

    use std::time::Duration;

    use syncline::{
        Error, ErrorKind, PostgresStorage,
        storage::postgres::{PostgresBuilder, RowSecurity},
    };

    use super::{Config, Done, Failure, Missing};
    use crate::database::ServerUrl;

    /// A person waits: a server that is there answers sooner.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// The settings of the configuration.
    pub(crate) fn builder(config: &Config, url: &ServerUrl) -> PostgresBuilder {
        let settings = &config.postgres;
        let mut builder = PostgresStorage::builder(url.secret())
            .acquire_timeout(PATIENCE)
            .patience(PATIENCE)
            .max_connections(settings.max_connections.max(2))
            .schema(settings.schema.as_str())
            .row_security(if settings.row_security {
                RowSecurity::Roles { app: settings.app_role.clone(), fleet: settings.fleet_role.clone() }
            } else {
                RowSecurity::Off
            });
        if settings.pooler {
            builder = builder.behind_transaction_pooler();
        }
        builder
    }

    pub(super) async fn open(config: &Config, url: &ServerUrl, missing: Missing) -> Done<PostgresStorage> {
        let shown = config.database.to_string();
        let schema = &config.postgres.schema;
        // One connection more than needed: a pool waits for a server that is not there, where this says at once what is wrong.
        let pending = builder(config, url).pending().await.map_err(|error| advised(&error))?;
        if pending.present == 0 && (missing == Missing::Refuse || !config.postgres.migrate) {
            return Err(Failure::usage(
                format!("schema {schema:?} of {shown} has no tables of Syncline yet"),
                "database",
                "run `syncline migrate`, or connect an account first (`syncline connect --help`)",
            ));
        }
        let opened = builder(config, url).migrate_on_open(config.postgres.migrate).open().await;
        opened.map_err(|error| advised(&error))
    }

    /// An error of the database with what its user can do on the command line.
    pub(crate) fn advised(error: &Error) -> Failure {
        let text = error.text();
        let failure = Failure::of(error);
        let says = |part: &str| text.contains(part);
        match error.kind() {
            ErrorKind::Storage if says("cannot be reached") => {
                failure.hint("start the server, or correct host and port of the URL; `pg_isready -d URL` asks the same")
            }
            ErrorKind::Config if says("user or password") => {
                failure.hint("put the password into SYNCLINE_DATABASE (as part of the URL), PGPASSWORD or ~/.pgpass, and see that the user may log in")
            }
            ErrorKind::Config if says("lacks a privilege") || says("no role") || says("may not act") => {
                failure.hint("have somebody with the rights run what `syncline migrate --print` prints, and see `syncline doctor`")
            }
            ErrorKind::Config if says("of its migrations") => failure.hint("run `syncline migrate`, or leave --no-migrate out"),
            ErrorKind::Config if says("row security") => failure.hint("name the roles in syncline.toml ([postgres] app_role, fleet_role), or leave --no-row-security as the schema was made; see `syncline doctor`"),
            _ => failure,
        }
    }
}
