//! The demo's schema on a server: only a demo's own is ever replaced.

use std::fs;

use syncline::{
    Keyring,
    storage::postgres::sqlx::{self, Connection as _},
};

use super::file::KEY;
use crate::{
    config::Config,
    database::ServerUrl,
    exit::{Done, Failure},
    keys,
    storage::postgres::{advised, builder},
};

/// Makes way for the schema and writes its key.
pub(super) async fn prepare(config: &Config, url: &ServerUrl, force: bool) -> Done<Keyring> {
    let schema = &config.postgres.schema;
    let keys_file = config.keys_file();
    let of_a_demo = fs::read_to_string(&keys_file).is_ok_and(|text| text.starts_with(&format!("{KEY}:")));
    let there = builder(config, url).pending().await.map_err(|error| advised(&error))?.present > 0;
    if there && !force {
        return Err(Failure::usage(
            format!("schema {schema:?} of {} exists already", config.database),
            "demo",
            "add --force to replace the schema of an earlier demo, or name another one with --schema",
        ));
    }
    if !of_a_demo && (there || keys_file.exists()) {
        return Err(Failure::usage(
            format!("schema {schema:?} of {} was not made by a demo in this folder ({} would tell)", config.database, keys_file.display()),
            "demo",
            "name another schema with --schema",
        ));
    }
    if there {
        drop_schema(url, schema).await?;
    }
    if of_a_demo {
        fs::remove_file(&keys_file).map_err(|problem| {
            Failure::failed(format!("{} cannot be removed: {problem}", keys_file.display()), "demo", "remove it, or work in another folder")
        })?;
    }
    let text = Keyring::generate(KEY);
    keys::write(&keys_file, &text)?;
    Ok(Keyring::parse(&text)?)
}

async fn drop_schema(url: &ServerUrl, schema: &str) -> Done<()> {
    let dropped = async {
        let mut connection = sqlx::PgConnection::connect(url.secret()).await?;
        let sql = format!("DROP SCHEMA \"{}\" CASCADE", schema.replace('"', "\"\""));
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await?;
        connection.close().await
    };
    dropped.await.map_err(|_: sqlx::Error| {
        Failure::failed(
            format!("schema {schema:?} of an earlier demo could not be dropped"),
            "demo",
            "drop it as its owner, or name another one with --schema",
        )
    })
}
