//! What opening a storage finds out and checks.

use sqlx::{Connection as _, Error as Sql, PgConnection, PgPool, Row as _, postgres::PgConnectOptions};
use sync_core::Error;

use crate::{
    error::{Db, Fault},
    schema,
    security::may_act_as,
    storage::{RowSecurity, Settings},
    tx::{raw, stalled},
};

/// Host and database, for texts; never the password.
pub(crate) fn place(options: &PgConnectOptions) -> String {
    format!("{}/{}", options.get_host(), options.get_database().unwrap_or_else(|| options.get_username()))
}

pub(crate) struct Opened {
    pub(crate) host_role: String,
    pub(crate) owner_role: Option<String>,
    pub(crate) search_path: String,
}

/// A connection that the pool is not given back, so that nobody is handed one that was dropped in the middle of a transaction.
pub(crate) async fn alone(pool: &PgPool) -> Db<PgConnection> {
    match pool.acquire().await {
        // Of its own attempts to connect the pool tells only that they took too long.
        Err(Sql::PoolTimedOut) if pool.size() == 0 => Err(Sql::Io(std::io::ErrorKind::ConnectionRefused.into()).into()),
        acquired => Ok(acquired?.detach()),
    }
}

/// Behind a pooler every transaction may be in another session, and a statement by itself in two of them: so all are in one.
pub(crate) async fn open(pool: &PgPool, settings: &Settings, migrate: bool) -> Db<Opened> {
    let mut connection = alone(pool).await?;
    let opened = within(settings, async {
        schema::begin(&mut connection, settings).await?;
        schema::check_server(&mut connection).await?;
        if migrate {
            raw(&mut connection, "COMMIT").await?;
            schema::migrate(&mut connection, settings).await?;
            schema::begin(&mut connection, settings).await?;
        }
        let present = schema::version(&mut connection, settings).await?;
        schema::check_version(present, settings)?;
        check_roles(&mut connection, settings).await?;
        let opened = look(&mut connection, settings).await?;
        raw(&mut connection, "COMMIT").await?;
        Ok(opened)
    });
    let opened = opened.await?;
    let _ = connection.close().await;
    Ok(opened)
}

/// Whose the schema is, and as whom and with which search path the host connects.
async fn look(connection: &mut PgConnection, settings: &Settings) -> Db<Opened> {
    let row = sqlx::query(concat!(
        "SELECT r.rolname::text, r.rolname = current_user, ",
        may_act_as!("r.oid"),
        ", current_setting('search_path'), CASE WHEN current_user = session_user THEN 'none' ELSE current_user::text END \
         FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = $1"
    ))
    .bind(&settings.schema)
    .persistent(false)
    .fetch_one(connection)
    .await?;
    let (owner, is_us, may_act): (String, bool, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let host_role: String = row.try_get(4)?;
    let owner_role = if is_us { Some(host_role.clone()) } else { may_act.then_some(owner) };
    Ok(Opened { host_role, owner_role, search_path: row.try_get(3)? })
}

/// Opening and migrating take a few statements, each of which the server stops at the deadline; a server that stalls is left.
pub(crate) async fn within<T>(settings: &Settings, work: impl Future<Output = Db<T>>) -> Db<T> {
    tokio::time::timeout(settings.deadline * 3, work).await.unwrap_or_else(|_| Err(stalled().into()))
}

/// Checks that the roles are there and ours to take, and that they cannot get past the policies.
async fn check_roles(connection: &mut PgConnection, settings: &Settings) -> Db<()> {
    let refuse = |text: String| Err(Fault::Ours(Error::config("open", text)));
    let RowSecurity::Roles { app, fleet } = &settings.row_security else {
        let on: bool = sqlx::query_scalar(
            "SELECT coalesce(bool_or(c.relrowsecurity), false) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = 'sync_runs'",
        )
        .bind(&settings.schema)
        .persistent(false)
        .fetch_one(connection)
        .await?;
        if on {
            return refuse(format!(
                "schema {:?} was made with row security, and cannot be used with it switched off; open it with its roles",
                settings.schema
            ));
        }
        return Ok(());
    };
    for role in [app, fleet] {
        let found = sqlx::query(concat!(
            "SELECT rolsuper OR rolbypassrls, ",
            may_act_as!("oid"),
            ", oid = (SELECT nspowner FROM pg_namespace WHERE nspname = $2), session_user::text FROM pg_roles WHERE rolname = $1"
        ))
        .bind(role)
        .bind(&settings.schema)
        .persistent(false)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(found) = found else {
            return refuse(format!(
                "there is no role {role:?}; run the migrations as a user that may make roles, or name the roles you have"
            ));
        };
        let (unbound, may_act, owns, us): (bool, bool, bool, String) =
            (found.try_get(0)?, found.try_get(1)?, found.try_get(2)?, found.try_get(3)?);
        if unbound || owns {
            return refuse(format!(
                "role {role:?} gets past row security (superuser, BYPASSRLS or owner of the schema); take one that does not"
            ));
        }
        if !may_act {
            return refuse(format!("user {us:?} may not act as role {role:?}; run: GRANT {role:?} TO {us:?}"));
        }
    }
    Ok(())
}
