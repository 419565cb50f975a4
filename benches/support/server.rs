//! What the database server did while something was measured.

use std::{fs, time::Duration};

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};

use super::measure::{PARENT, Sample, Server, Stopwatch, UTIME, stat_fields};

/// A [`Stopwatch`] that also looks at the server, through a connection of its own.
#[derive(Debug)]
pub(crate) struct ServerStopwatch {
    connection: PgConnection,
    /// The server's first process, when it runs on this machine.
    postmaster: Option<i64>,
    cpu: Option<f64>,
    wal: i64,
    watch: Stopwatch,
}

impl ServerStopwatch {
    pub(crate) async fn start(url: &str) -> Self {
        let mut connection = connect(url).await;
        let backend: i32 = ask(&mut connection, "SELECT pg_backend_pid()").await;
        let postmaster = fs::read_to_string(format!("/proc/{backend}/stat"))
            .ok()
            .filter(|stat| stat.contains("(postgres)"))
            .map(|stat| stat_fields(&stat)[PARENT]);
        let wal = wal(&mut connection).await;
        Self { connection, postmaster, cpu: postmaster.map(cpu_of_server), wal, watch: Stopwatch::start() }
    }

    /// Stops it; the rows are for the caller to count.
    pub(crate) async fn stop(mut self, records: u64) -> Sample {
        let mut sample = self.watch.stop(records, || 0);
        // A server that has given its answer writes down its CPU time within a tick of the kernel.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let cpu = self.postmaster.zip(self.cpu).map(|(postmaster, before)| cpu_of_server(postmaster) - before);
        let wal = wal(&mut self.connection).await - self.wal;
        sample.server = Some(Server { cpu, wal: u64::try_from(wal).expect("the log only grows") });
        sample
    }
}

/// A connection for the yardsticks, which leave no trace in the server's or this program's log.
pub(crate) async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a URL of PostgreSQL");
    PgConnection::connect_with(&options.disable_statement_logging()).await.expect("the server takes connections")
}

async fn wal(connection: &mut PgConnection) -> i64 {
    ask(connection, "SELECT (pg_current_wal_insert_lsn() - '0/0')::int8").await
}

async fn ask<T>(connection: &mut PgConnection, sql: &'static str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(sql).fetch_one(connection).await.expect("the server answers")
}

/// CPU seconds of the server's processes since it began: those that live, and those the first of them has outlived.
fn cpu_of_server(postmaster: i64) -> f64 {
    let mut ticks = 0;
    for process in fs::read_dir("/proc").expect("the benches need Linux: /proc").flatten() {
        let Ok(stat) = fs::read_to_string(process.path().join("stat")) else { continue };
        if !stat.contains("(postgres)") {
            continue;
        }
        let fields = stat_fields(&stat);
        let own = fields[UTIME] + fields[UTIME + 1];
        if process.file_name().to_str() == Some(&postmaster.to_string()) {
            ticks += own + fields[UTIME + 2] + fields[UTIME + 3];
        } else if fields[PARENT] == postmaster {
            ticks += own;
        }
    }
    ticks as f64 / 100.0
}
