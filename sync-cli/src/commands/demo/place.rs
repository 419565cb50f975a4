//! Where the demo plays: a file of its own, or a schema of its own on a server.

use syncline::Keyring;

use super::file;
use crate::{args::Global, config::Config, database::Database, exit::Done};

/// The configuration as the demo uses it: what is not named by a flag is the demo's own.
pub(super) fn of_demo(config: &Config, flags: &Global) -> Config {
    let mut config = config.clone();
    if flags.database.is_none() {
        config.database = Database::Sqlite("demo.db".into());
    }
    if flags.schema.is_none() {
        config.postgres.schema = "syncline_demo".into();
    }
    config.keys_file = None;
    config
}

/// Makes way for the demo and writes its key.
#[cfg_attr(not(feature = "postgres"), expect(clippy::unused_async, reason = "a file is looked at without waiting"))]
pub(super) async fn prepare(config: &Config, force: bool) -> Done<Keyring> {
    match &config.database {
        Database::Sqlite(file) => file::prepare(file, force),
        #[cfg(feature = "postgres")]
        Database::Postgres(url) => super::schema::prepare(config, url, force).await,
        #[cfg(not(feature = "postgres"))]
        Database::Postgres(_) => unreachable!("no URL is read without the feature"),
    }
}
