//! What holds vacuum back, so that tables and indexes grow.

use sqlx::{Row as _, query};

use super::Probe;

pub(super) async fn look(probe: &mut Probe<'_>) {
    let before = probe.report.findings.len();
    sessions(probe).await;
    prepared(probe).await;
    slots(probe).await;
    dead_rows(probe).await;
    age(probe).await;
    if probe.report.findings.len() == before {
        probe.report.ok("vacuum", "nothing holds it back");
    }
}

async fn sessions(probe: &mut Probe<'_>) {
    let asked = query(
        "SELECT count(*) FILTER (WHERE xact_start < now() - interval '10 minutes')::int, \
         coalesce(extract(epoch FROM now() - min(xact_start)) / 60, 0)::int, \
         count(*) FILTER (WHERE xact_start < now() - interval '10 minutes' AND state LIKE 'idle in transaction%')::int, \
         (SELECT pg_has_role(current_user, oid, 'USAGE') FROM pg_roles WHERE rolname = 'pg_read_all_stats') \
         FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let Some(row) = probe.row("vacuum", "other sessions", asked).await else { return };
    let (long, minutes, idle): (i32, i32, i32) = (row.get(0), row.get(1), row.get(2));
    let all: Option<bool> = row.get(3);
    if long > 0 {
        let idle = if idle > 0 { format!(", {idle} of them idle") } else { String::new() };
        let is = if long == 1 { "transaction is" } else { "transactions are" };
        probe.report.warn(
            "vacuum",
            format!("{long} {is} open for more than ten minutes{idle}; the oldest for {minutes} minutes. Rows deleted since are kept"),
            "end them: SELECT pid, usename, state, xact_start FROM pg_stat_activity ORDER BY xact_start; pg_terminate_backend(pid)",
        );
    }
    if all != Some(true) {
        probe.report.unseen("vacuum", "transactions of other users could not be looked at; a member of pg_read_all_stats can");
    }
}

async fn prepared(probe: &mut Probe<'_>) {
    let asked = query("SELECT count(*)::int FROM pg_prepared_xacts WHERE prepared < now() - interval '10 minutes'");
    let Some(row) = probe.row("vacuum", "prepared transactions", asked).await else { return };
    let count: i32 = row.get(0);
    if count > 0 {
        let to_do = "look at pg_prepared_xacts and COMMIT PREPARED or ROLLBACK PREPARED what nobody finishes";
        probe.report.warn("vacuum", format!("{count} prepared transactions wait for more than ten minutes"), to_do);
    }
}

async fn slots(probe: &mut Probe<'_>) {
    let asked =
        query("SELECT slot_name::text FROM pg_replication_slots WHERE NOT active AND (xmin IS NOT NULL OR catalog_xmin IS NOT NULL)");
    let Some(rows) = probe.rows("vacuum", "replication slots", asked).await else { return };
    for row in rows {
        let slot: String = row.get(0);
        let to_do = format!("connect its reader again, or drop it: SELECT pg_drop_replication_slot('{slot}')");
        probe.report.warn("vacuum", format!("replication slot {slot:?} is read by nobody and keeps deleted rows"), to_do);
    }
}

async fn dead_rows(probe: &mut Probe<'_>) {
    let asked = query(
        "SELECT relname::text, n_dead_tup, n_live_tup FROM pg_stat_user_tables \
         WHERE schemaname = $1 AND n_dead_tup > 50000 AND n_dead_tup > n_live_tup ORDER BY n_dead_tup DESC LIMIT 5",
    )
    .bind(probe.settings.schema.clone());
    let Some(rows) = probe.rows("vacuum", "dead rows", asked).await else { return };
    for row in rows {
        let (table, dead, live): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let to_do = format!(
            "VACUUM {:?}.{table:?}; if it comes back, see what holds vacuum back and lower autovacuum_vacuum_scale_factor",
            probe.settings.schema
        );
        probe.report.warn("vacuum", format!("table {table:?} has {dead} dead rows beside {live} live ones"), to_do);
    }
}

async fn age(probe: &mut Probe<'_>) {
    let asked = query("SELECT age(datfrozenxid)::bigint FROM pg_database WHERE datname = current_database()");
    let Some(row) = probe.row("vacuum", "the age of the oldest transaction", asked).await else { return };
    let age: i64 = row.get(0);
    if age > 1_000_000_000 {
        let to_do = "run VACUUM (FREEZE) in this database soon: the server stops taking writes at two thousand million";
        probe.report.warn("vacuum", format!("the oldest row not frozen is {} million transactions old", age / 1_000_000), to_do);
    }
}
