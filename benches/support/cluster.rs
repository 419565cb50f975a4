//! The PostgreSQL server the benches use: the one that `DATABASE_URL` names, or a private one that lives as long as the bench.

use std::env;

use sqlx::{AssertSqlSafe, PgConnection};

#[expect(dead_code, reason = "the benches never restart it")]
#[path = "../../tests/support/cluster.rs"]
mod private;

use self::private::Cluster;
use super::server::connect;

/// A server, and the databases the contestants get on it.
#[derive(Debug)]
pub(crate) struct Databases {
    runtime: tokio::runtime::Runtime,
    /// Stops with this value.
    own: Option<Cluster>,
    url: String,
    prefix: String,
    made: Vec<String>,
}

impl Databases {
    /// `None` where there is no server and no program to start one; says so.
    pub(crate) fn find() -> Option<Self> {
        let named = env::var("DATABASE_URL").ok();
        let own = match named {
            Some(_) => None,
            None => match Cluster::start(&[]) {
                Ok(cluster) => Some(cluster),
                Err(why) => {
                    println!("\nPostgreSQL is left out: {why}; name a server in DATABASE_URL");
                    return None;
                }
            },
        };
        let url = named.or_else(|| own.as_ref().map(Cluster::url))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let this = Self { runtime, own, url, prefix: format!("bench_{}", std::process::id()), made: Vec::new() };
        let about: Vec<String> = ["server_version", "fsync", "synchronous_commit", "shared_buffers"]
            .iter()
            .map(|name| format!("{name} {}", this.ask(&format!("SHOW {name}"))))
            .collect();
        println!("\nPostgreSQL: {}{}", about.join(", "), if this.own.is_some() { ", a private server" } else { "" });
        Some(this)
    }

    fn name(&self, name: &str) -> String {
        format!("{}_{}", self.prefix, name.replace('-', "_"))
    }

    fn url_of(&self, database: &str) -> String {
        let mut url: url::Url = self.url.parse().expect("DATABASE_URL is a URL");
        url.set_path(database);
        url.to_string()
    }

    /// An empty database; answers its URL.
    pub(crate) fn fresh(&mut self, name: &str) -> String {
        self.make(name, "template0")
    }

    /// A copy of a database made before, with its statistics; answers its URL.
    pub(crate) fn copy(&mut self, from: &str, to: &str) -> String {
        let template = self.name(from);
        self.make(to, &template)
    }

    fn make(&mut self, name: &str, template: &str) -> String {
        let name = self.name(name);
        self.on_server(&format!("CREATE DATABASE {name} TEMPLATE {template}"));
        self.made.push(name.clone());
        // Nobody pays for the pages another left behind.
        self.on_server("CHECKPOINT");
        self.url_of(&name)
    }

    /// Tidies a database up after it was filled, so that its copies begin alike.
    pub(crate) fn settle(&self, name: &str) {
        let url = self.url_of(&self.name(name));
        self.on(&url, "VACUUM ANALYZE");
    }

    pub(crate) fn drop(&mut self, name: &str) {
        let name = self.name(name);
        self.on_server(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        self.made.retain(|made| *made != name);
    }

    fn on_server(&self, sql: &str) {
        self.on(&self.url, sql);
    }

    /// One whole number that a database tells.
    pub(crate) fn number(&self, url: &str, sql: &str) -> i64 {
        self.runtime.block_on(async {
            let mut connection: PgConnection = connect(url).await;
            sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.expect("the server answers")
        })
    }

    pub(crate) fn on(&self, url: &str, sql: &str) {
        self.runtime.block_on(async {
            let mut connection: PgConnection = connect(url).await;
            sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("the server does as it is told");
            let _ = sqlx::Connection::close(connection).await;
        });
    }

    fn ask(&self, sql: &str) -> String {
        self.runtime.block_on(async {
            let mut connection: PgConnection = connect(&self.url).await;
            sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.expect("the server answers")
        })
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        // A private server goes away as a whole.
        if self.own.is_none() {
            for name in std::mem::take(&mut self.made) {
                self.on_server(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            }
        }
    }
}
