//! That every table of tenants is walled off, and every key begins with the workspace.

use sqlx::{Row as _, query};

use super::Probe;
use crate::{security, storage::RowSecurity};

/// The policy that shows a transaction its own workspace.
const TENANT: &str = "syncline_tenant";
/// The policy that shows the fleet all of them.
const FLEET: &str = "syncline_fleet";

pub(super) async fn look(probe: &mut Probe<'_>) {
    if probe.report.version.is_none_or(|version| version == 0) {
        return;
    }
    let before = probe.report.findings.len();
    if probe.settings.row_security != RowSecurity::Off {
        switched_on(probe);
        policies(probe).await;
        views(probe).await;
    }
    keys(probe).await;
    let tenants = probe.report.tables.iter().filter(|table| table.of_tenants).count();
    if probe.report.findings.len() > before {
        return;
    }
    let found = match probe.settings.row_security {
        RowSecurity::Off => format!("every key of the {tenants} tables of tenants begins with the workspace"),
        RowSecurity::Roles { .. } => {
            format!("{tenants} tables of tenants: row security on and forced, its policies there, every key begins with the workspace")
        }
    };
    probe.report.ok("row_security", found);
}

fn switched_on(probe: &mut Probe<'_>) {
    let schema = probe.settings.schema.clone();
    let mut problems = Vec::new();
    for table in probe.report.tables.iter().filter(|table| table.of_tenants) {
        let name = format!("{schema:?}.{:?}", table.table);
        let mut alter = |found: String, what: &str| problems.push((found, format!("ALTER TABLE {name} {what}")));
        if !table.row_security {
            alter(format!("table {:?}: row security is not switched on", table.table), "ENABLE ROW LEVEL SECURITY");
        }
        if !table.forced {
            alter(format!("table {:?}: row security does not hold for its owner", table.table), "FORCE ROW LEVEL SECURITY");
        }
        let wanted = [TENANT].into_iter().chain(security::FLEET.contains(&table.table.as_str()).then_some(FLEET));
        for policy in wanted.filter(|policy| !table.policies.iter().any(|there| there == policy)) {
            let to_do = format!("take the CREATE POLICY {policy} of this table from `syncline migrate --print` and run it");
            problems.push((format!("table {:?}: policy {policy} is missing", table.table), to_do));
        }
        for policy in table.policies.iter().filter(|policy| ![TENANT, FLEET].contains(&policy.as_str())) {
            let to_do = format!("DROP POLICY {policy:?} ON {name}, unless it is restrictive and meant to be there");
            problems.push((
                format!("table {:?}: policy {policy:?} is not ours; a permissive one shows rows of other tenants", table.table),
                to_do,
            ));
        }
    }
    for (found, to_do) in problems {
        probe.report.error("row_security", found, to_do);
    }
}

/// Policies of ours that say something else than they were made to.
async fn policies(probe: &mut Probe<'_>) {
    let asked = query(
        "SELECT c.relname::text, p.polname::text, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid), \
         p.polcmd::text, p.polpermissive, coalesce((SELECT array_agg(rolname::text) FROM pg_roles WHERE oid = ANY (p.polroles)), '{}') \
         FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND p.polname IN ('syncline_tenant', 'syncline_fleet') ORDER BY 1, 2",
    )
    .bind(probe.settings.schema.clone());
    let Some(rows) = probe.rows("row_security", "what the policies say", asked).await else { return };
    let fleet = probe.settings.fleet_role().unwrap_or_default().to_owned();
    for row in rows {
        let (table, policy): (String, String) = (row.get(0), row.get(1));
        let (using, check): (Option<String>, Option<String>) = (row.get(2), row.get(3));
        let (command, permissive, roles): (String, bool, Vec<String>) = (row.get(4), row.get(5), row.get(6));
        let own = |said: &Option<String>| said.as_deref() == Some(security::OWN_ROWS);
        let open = |said: &Option<String>| said.as_deref() == Some("true");
        let sound = command == "*"
            && permissive
            && if policy == TENANT {
                roles.is_empty() && own(&using) && own(&check)
            } else {
                roles == [fleet.clone()] && open(&using) && open(&check)
            };
        if !sound {
            probe.report.error(
                "row_security",
                format!("table {table:?}: policy {policy} does not say what it was made to"),
                "drop it and make it anew, as `syncline migrate --print` shows it",
            );
        }
    }
}

/// Views run with the rights of who asks.
async fn views(probe: &mut Probe<'_>) {
    let asked = query(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'v' \
         AND NOT coalesce(c.reloptions && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false) ORDER BY 1",
    )
    .bind(probe.settings.schema.clone());
    let Some(rows) = probe.rows("row_security", "the views", asked).await else { return };
    for row in rows {
        let view: String = row.get(0);
        let to_do = format!("ALTER VIEW {:?}.{view:?} SET (security_invoker = true)", probe.settings.schema);
        probe.report.error("row_security", format!("view {view:?} reads with its owner's rights, past row security"), to_do);
    }
}

/// Unique and foreign keys are checked past row security, so all of them begin with the workspace.
async fn keys(probe: &mut Probe<'_>) {
    let asked = query(
        "SELECT c.relname::text, i.relname::text FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid \
         JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0] \
         WHERE n.nspname = $1 AND x.indisunique AND a.attname IS DISTINCT FROM 'workspace_id' \
         UNION ALL \
         SELECT c.relname::text, k.conname::text FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1] \
         WHERE n.nspname = $1 AND k.contype = 'f' AND a.attname IS DISTINCT FROM 'workspace_id' ORDER BY 1, 2",
    )
    .bind(probe.settings.schema.clone());
    let Some(rows) = probe.rows("row_security", "the keys", asked).await else { return };
    for row in rows {
        let (table, key): (String, String) = (row.get(0), row.get(1));
        if !security::SHARED.contains(&table.as_str()) {
            let text =
                format!("table {table:?}: key {key:?} does not begin with workspace_id, so that one tenant can meet another's rows in it");
            probe.report.error("row_security", text, "if it was made by hand, make it anew with workspace_id first; else report this");
        }
    }
}
