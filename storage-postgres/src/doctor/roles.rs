//! Who connects, as which roles it may act, and that these cannot get past the policies.

use sqlx::{Row as _, query};

use super::Probe;
use crate::{security::may_act_as, storage::RowSecurity};

pub(super) async fn look(probe: &mut Probe<'_>) {
    owner(probe).await;
    let RowSecurity::Roles { app, fleet } = probe.settings.row_security.clone() else {
        probe.report.warn(
            "roles",
            "row security is switched off: tenants are kept apart by our statements alone",
            "where roles can be made, make a schema with row security and move the data there",
        );
        return;
    };
    let mut sound = true;
    for role in [&app, &fleet] {
        sound &= one(probe, role).await;
    }
    sound &= apart(probe, &app, &fleet).await;
    if sound {
        probe
            .report
            .ok("roles", format!("this login may act as {app:?} (one workspace) and {fleet:?} (all); neither gets past the policies"));
    }
}

/// Whether tables and columns can be made.
async fn owner(probe: &mut Probe<'_>) {
    let schema = probe.settings.schema.clone();
    let asked = query(concat!(
        "SELECT r.rolname::text, r.rolname = current_user OR ",
        may_act_as!("r.oid"),
        " FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = $1"
    ))
    .bind(schema.clone());
    let Some(rows) = probe.rows("owner", "who owns the schema", asked).await else { return };
    // That there is no schema is told with the migrations.
    let Some(row) = rows.first() else { return };
    let (owner, ours): (String, bool) = (row.get(0), row.get(1));
    if ours {
        probe.report.ok("owner", format!("schema {schema:?} belongs to {owner:?}, as which this login may make tables and columns"));
    } else {
        probe.report.warn(
            "owner",
            format!("schema {schema:?} belongs to {owner:?}, as which this login may not act: a new stream or field stops its run"),
            format!("GRANT {owner:?} TO this login, or make the tables by a first pull as {owner:?}"),
        );
    }
}

async fn one(probe: &mut Probe<'_>, role: &str) -> bool {
    let asked = query(concat!(
        "SELECT rolsuper OR rolbypassrls, ",
        may_act_as!("oid"),
        ", coalesce(oid = (SELECT nspowner FROM pg_namespace WHERE nspname = $2), false), rolcanlogin, session_user::text \
         FROM pg_roles WHERE rolname = $1"
    ))
    .bind(role.to_owned())
    .bind(probe.settings.schema.clone());
    let Some(rows) = probe.rows("roles", &format!("role {role:?}"), asked).await else { return false };
    let report = &mut probe.report;
    let Some(row) = rows.first() else {
        let to_do =
            "run the migrations as a user that may make roles (`syncline migrate --print` shows the SQL), or name the roles you have";
        report.error("roles", format!("there is no role {role:?}"), to_do);
        return false;
    };
    let (unbound, may_act, owns, logs_in): (bool, bool, bool, bool) = (row.get(0), row.get(1), row.get(2), row.get(3));
    let user: String = row.get(4);
    if unbound {
        let to_do = format!("ALTER ROLE {role:?} NOSUPERUSER NOBYPASSRLS");
        report.error("roles", format!("role {role:?} gets past row security (superuser or BYPASSRLS)"), to_do);
    }
    if owns {
        report.error("roles", format!("role {role:?} owns the schema"), "let another role own the schema and its tables");
    }
    if !may_act {
        report.error("roles", format!("user {user:?} may not act as role {role:?}"), format!("GRANT {role:?} TO {user:?}"));
    }
    if logs_in {
        report.warn("roles", format!("role {role:?} can log in by itself"), format!("ALTER ROLE {role:?} NOLOGIN"));
    }
    may_act && !unbound && !owns
}

/// Policies hold for members too: an app role with the fleet's rights would see every tenant.
async fn apart(probe: &mut Probe<'_>, app: &str, fleet: &str) -> bool {
    let asked = query("SELECT pg_has_role(a.oid, f.oid, 'USAGE') FROM pg_roles a, pg_roles f WHERE a.rolname = $1 AND f.rolname = $2")
        .bind(app.to_owned())
        .bind(fleet.to_owned());
    let Some(rows) = probe.rows("roles", "whether the two roles are apart", asked).await else { return false };
    if rows.first().is_some_and(|row| row.get(0)) {
        let text = format!("role {app:?} has the rights of {fleet:?}, so that a workspace sees every tenant");
        probe.report.error("roles", text, format!("REVOKE {fleet:?} FROM {app:?}"));
        return false;
    }
    true
}
