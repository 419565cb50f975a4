//! The server, the way to it, and its clock.

use chrono::{DateTime, Utc};
use sqlx::{
    Row as _,
    postgres::{PgConnectOptions, PgSslMode},
    query,
};

use super::Probe;
use crate::schema::OLDEST_SERVER;

/// A difference of clocks that people notice in times, in seconds.
const NOTICED: f64 = 5.0;

pub(super) async fn look(probe: &mut Probe<'_>, options: &PgConnectOptions) {
    server(probe).await;
    login(probe, options).await;
    tls(probe, options).await;
    clock(probe).await;
}

async fn server(probe: &mut Probe<'_>) {
    let asked = query(
        "SELECT current_setting('server_version'), current_setting('server_version_num')::int, pg_is_in_recovery(), \
         current_setting('server_encoding'), current_setting('default_transaction_read_only') = 'on'",
    );
    let Some(row) = probe.row("server", "the server's version", asked).await else { return };
    let (version, number): (String, i32) = (row.get(0), row.get(1));
    let (replica, encoding, read_only): (bool, String, bool) = (row.get(2), row.get(3), row.get(4));
    let report = &mut probe.report;
    if number < OLDEST_SERVER {
        report.error("server", format!("PostgreSQL {version} is too old"), "move to PostgreSQL 15 or newer");
    } else {
        report.ok("server", format!("PostgreSQL {version}"));
    }
    report.server = Some(version);
    if replica {
        let to_do = "connect to the primary, by naming its host in the URL";
        report.error("server", "this server is a replica: it can only be read", to_do);
    } else if read_only {
        let to_do = "switch default_transaction_read_only off for this user or database";
        report.error("server", "transactions are read-only by default", to_do);
    }
    if encoding != "UTF8" {
        let to_do = "make a database with ENCODING 'UTF8' and use that one";
        report.error("server", format!("the database's encoding is {encoding}, which cannot hold every text"), to_do);
    }
}

async fn login(probe: &mut Probe<'_>, options: &PgConnectOptions) {
    let asked = query("SELECT session_user::text, current_database()::text, rolsuper FROM pg_roles WHERE rolname = session_user");
    let Some(row) = probe.row("connection", "who connects", asked).await else { return };
    let (user, database, superuser): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
    let via =
        options.get_socket().map_or_else(|| format!("{}:{}", options.get_host(), options.get_port()), |path| path.display().to_string());
    probe.report.ok("connection", format!("user {user:?} in database {database:?} at {via}"));
    if superuser {
        probe.report.warn(
            "login",
            format!("user {user:?} is a superuser: our transactions give that up, hooks of the host do not"),
            "connect as a user of its own that is a member of the two roles",
        );
    }
}

async fn tls(probe: &mut Probe<'_>, options: &PgConnectOptions) {
    let asked = query("SELECT coalesce(ssl, false), version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    let Some(row) = probe.row("tls", "whether the connection is encrypted", asked).await else { return };
    let (on, version, cipher): (bool, Option<String>, Option<String>) = (row.get(0), row.get(1), row.get(2));
    let local = is_local(options);
    let report = &mut probe.report;
    match (on, local) {
        (true, _) => {
            let with = format!("encrypted, {} {}", version.unwrap_or_default(), cipher.unwrap_or_default());
            if local || matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull) {
                report.ok("tls", with.trim());
            } else {
                let to_do = "add sslmode=verify-full and, for a private authority, sslrootcert=FILE to the URL";
                report.warn("tls", format!("{}, but the server's certificate is not checked", with.trim()), to_do);
            }
        }
        (false, true) => report.ok("tls", "not encrypted, and does not leave this machine"),
        (false, false) => {
            report.warn("tls", "not encrypted: passwords and rows can be read on the way", "add sslmode=verify-full to the URL");
        }
    }
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[expect(clippy::cast_precision_loss, reason = "a difference of clocks is told to the tenth of a second")]
async fn clock(probe: &mut Probe<'_>) {
    let before = Utc::now();
    let Some(row) = probe.row("clock", "the server's clock", query("SELECT clock_timestamp()")).await else { return };
    let after = Utc::now();
    let there: DateTime<Utc> = row.get(0);
    let here = before + (after - before) / 2;
    let ahead = (there - here).num_milliseconds() as f64 / 1000.0;
    // Less than half of the way there and back cannot be told from no difference.
    let way = (after - before).num_milliseconds() as f64 / 2000.0;
    probe.report.clock_ahead = Some(ahead);
    if ahead.abs() - way > NOTICED {
        let side = if ahead > 0.0 { "ahead of" } else { "behind" };
        probe.report.warn(
            "clock",
            format!("the server's clock is {:.1} s {side} this machine's", ahead.abs()),
            "set both by NTP; leases go by the server's clock alone, times in rows by this machine's",
        );
    } else {
        probe.report.ok("clock", format!("the server's clock is within {:.1} s of this machine's", ahead.abs().max(0.1)));
    }
}
