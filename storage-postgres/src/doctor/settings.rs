//! Settings of the server that decide what a commit is worth, and how many connections there are.

use sqlx::{Row as _, query};

use super::Probe;

pub(super) async fn look(probe: &mut Probe<'_>, pool: u32) {
    durability(probe).await;
    connections(probe, pool).await;
}

/// (name, the value that is trouble, whether it is an error, what it means).
const TROUBLE: &[(&str, &str, bool, &str)] = &[
    ("fsync", "off", true, "a crash of the machine can destroy the whole database"),
    ("full_page_writes", "off", true, "a crash of the machine can leave torn pages"),
    (
        "synchronous_commit",
        "off",
        false,
        "a crash of the server can take commits that were reported as done, also of writes that were already sent",
    ),
    ("autovacuum", "off", false, "tables and indexes grow without end"),
    ("track_counts", "off", false, "autovacuum does not know which tables changed"),
];

async fn durability(probe: &mut Probe<'_>) {
    let asked = query(
        "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum', 'track_counts')",
    );
    let Some(rows) = probe.rows("settings", "the server's settings", asked).await else { return };
    let mut sound = true;
    for row in rows {
        let (name, setting): (String, String) = (row.get(0), row.get(1));
        let Some((_, _, error, means)) = TROUBLE.iter().find(|(known, bad, ..)| *known == name && *bad == setting) else { continue };
        sound = false;
        let found = format!("{name} is off: {means}");
        let to_do = format!("switch {name} on (ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf())");
        if *error { probe.report.error("settings", found, to_do) } else { probe.report.warn("settings", found, to_do) }
    }
    if sound {
        probe.report.ok("settings", "commits are durable (fsync, full_page_writes, synchronous_commit), autovacuum runs");
    }
}

async fn connections(probe: &mut Probe<'_>, pool: u32) {
    let asked = query(
        "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int, \
         (SELECT datconnlimit FROM pg_database WHERE datname = current_database()), \
         (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user), \
         (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' OR backend_type IS NULL)::int",
    );
    let Some(row) = probe.row("connections", "how many connections there may be", asked).await else { return };
    let (of_server, of_database, of_user, open): (i32, i32, i32, i32) = (row.get(0), row.get(1), row.get(2), row.get(3));
    let least = [of_server, of_database, of_user].into_iter().filter(|limit| *limit >= 0).min().unwrap_or(of_server);
    let (room, pool) = (i64::from(least), i64::from(pool));
    let report = &mut probe.report;
    let limit = if least == of_server { "the server takes" } else { "this database or user may have" };
    if pool > room {
        let to_do = format!("lower max_connections of the pool below {room}, or raise the limit");
        report.error("connections", format!("a pool of up to {pool} connections, and {limit} {room} at most"), to_do);
    } else if pool * 2 > room || i64::from(open) + pool > room {
        report.warn(
            "connections",
            format!("a pool of up to {pool} connections, and {limit} {room} at most, of which {open} are open now"),
            "count the processes that share it: each has a pool of its own",
        );
    } else {
        report.ok("connections", format!("a pool of up to {pool} of {room} connections; {open} are open on the server now"));
    }
}
