//! Row security: every table of tenants shows a transaction the rows of its workspace alone (reliability: TN1, TN2).

use std::fmt::Write as _;

use crate::{name::quoted, storage::RowSecurity};

/// Whether whoever connected may act as a role. From version 16 on one may be a member without that right, as whoever made the role is;
/// before there was no such difference. What counts is who connected, whatever role was taken since.
macro_rules! may_act_as {
    ($role:literal) => {
        concat!(
            "pg_catalog.pg_has_role(session_user, ",
            $role,
            ", CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)"
        )
    };
}
pub(crate) use may_act_as;

/// What the policy of tenants shows and takes, as PostgreSQL prints it.
pub(crate) const OWN_ROWS: &str = "(workspace_id = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))";

/// Tables of tenants that the fleet has to see whole: it ends runs, rotates keys, prunes logs, and knows whose a table of the host is.
pub(crate) const FLEET: &[&str] = &[
    "integration_connections",
    "oauth_clients",
    "oauth_states",
    "sync_runs",
    "sync_failures",
    "sync_events",
    "integration_activity",
    "lineage_entries",
    "host_tables",
    "plans",
];

/// Tables of ours that belong to no tenant: their rows name tables, columns and versions, never a tenant's data.
pub(crate) const SHARED: &[&str] = &["migrations", "entity_types", "entity_columns", "retention_marks", "key_ring"];

/// Makes the roles unless they are there, and lets the present user act as both.
pub(crate) fn roles(security: &RowSecurity) -> String {
    let RowSecurity::Roles { app, fleet } = security else { return String::new() };
    let mut sql = String::new();
    for role in [app, fleet] {
        let name = role.replace('\'', "''");
        let may_act = format!(may_act_as!("'{name}'"), name = name);
        let _ = writeln!(
            sql,
            "DO $syncline$ BEGIN\n    IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = '{name}') THEN\n        \
             CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS;\n    END IF;\n\
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- somebody else made it just now\nEND $syncline$;\n\
             DO $syncline$ BEGIN\n    IF NOT {may_act} THEN GRANT {role} TO CURRENT_USER; END IF;\n\
             EXCEPTION WHEN unique_violation THEN NULL; -- somebody else did it just now, in another database of this server\n\
             END $syncline$;",
            role = quoted(role),
        );
    }
    sql
}

/// Lets the roles into the schema and its shared tables.
pub(crate) fn doors(schema: &str, security: &RowSecurity) -> String {
    let RowSecurity::Roles { app, fleet } = security else { return String::new() };
    let (schema, app, fleet) = (quoted(schema), quoted(app), quoted(fleet));
    let mut sql = format!("GRANT USAGE ON SCHEMA {schema} TO {app}, {fleet};\n");
    for table in SHARED {
        let _ = writeln!(sql, "GRANT SELECT ON {schema}.{} TO {app}, {fleet};", quoted(table));
    }
    let _ = writeln!(sql, "GRANT INSERT, UPDATE ON {schema}.retention_marks, {schema}.key_ring TO {fleet};");
    sql
}

/// Walls off one table of tenants. May be repeated.
pub(crate) fn wall(schema: &str, table: &str, security: &RowSecurity) -> String {
    let RowSecurity::Roles { app, fleet } = security else { return String::new() };
    let whole = format!("{}.{}", quoted(schema), quoted(table));
    let (app, fleet_role) = (quoted(app), quoted(fleet));
    // Where no workspace was set the setting is NULL, or '' on a connection that had one: neither equals anything.
    let own = "workspace_id = NULLIF(current_setting('app.workspace_id', true), '')";
    let mut sql = format!(
        "ALTER TABLE {whole} ENABLE ROW LEVEL SECURITY;\nALTER TABLE {whole} FORCE ROW LEVEL SECURITY;\n\
         DROP POLICY IF EXISTS syncline_tenant ON {whole};\n\
         CREATE POLICY syncline_tenant ON {whole} USING ({own}) WITH CHECK ({own});\n\
         GRANT SELECT, INSERT, UPDATE, DELETE ON {whole} TO {app};\n"
    );
    if FLEET.contains(&table) {
        let _ = write!(
            sql,
            "DROP POLICY IF EXISTS syncline_fleet ON {whole};\n\
             CREATE POLICY syncline_fleet ON {whole} TO {fleet_role} USING (true) WITH CHECK (true);\n\
             GRANT SELECT, INSERT, UPDATE, DELETE ON {whole} TO {fleet_role};\n"
        );
    }
    sql
}

/// Lets the app role read a view; the tables under it decide about rows.
pub(crate) fn view(schema: &str, view: &str, security: &RowSecurity) -> String {
    let RowSecurity::Roles { app, .. } = security else { return String::new() };
    format!("GRANT SELECT ON {}.{} TO {};\n", quoted(schema), quoted(view), quoted(app))
}
