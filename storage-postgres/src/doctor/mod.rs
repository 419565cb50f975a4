//! A look at a database before, or while, it is used: what is in order, what is not, and what to do about it.

mod activity;
mod connection;
mod pooler;
mod probe;
mod report;
mod roles;
mod settings;
mod tables;
mod walls;

use sync_core::Result;

use self::probe::Probe;
pub use self::report::{Finding, Level, Report, TableFacts};
use crate::{
    builder::PostgresBuilder,
    error::{Fault, explain},
    open::place,
    source::Source,
};

impl PostgresBuilder {
    /// Looks at the server and at our schema, and says what is in order and what is not. It changes nothing and makes nothing, needs no
    /// more rights than the login has, and names what it could not look at. The settings of this builder are what the database is held
    /// against.
    ///
    /// # Errors
    /// [`Config`](sync_core::ErrorKind::Config) and [`Storage`](sync_core::ErrorKind::Storage) when the database cannot be reached at
    /// all; everything else is a finding.
    pub async fn doctor(self) -> Result<Report> {
        // No named statements: whether a pooler stands before the server is one of the questions.
        let source = Source::of(&self.from, "syncline doctor").map_err(|fault| explain("doctor", "PostgreSQL", fault))?;
        let options = source.options();
        let place = place(&options);
        let pool = match &source {
            Source::Pool(pool) => pool.options().get_max_connections(),
            Source::Url(_) => self.max_connections.max(2),
        };
        let looked = async {
            let mut opened = source.open(self.acquire_timeout).await?;
            let mut probe = Probe::new(&mut opened, &self.settings, Report::new(&place, &self.settings));
            connection::look(&mut probe, &options).await;
            roles::look(&mut probe).await;
            tables::look(&mut probe).await;
            walls::look(&mut probe).await;
            settings::look(&mut probe, pool).await;
            activity::look(&mut probe).await;
            let mut report = probe.report;
            match source.open(self.acquire_timeout).await {
                Ok(mut second) => pooler::look(&mut report, &self.settings, &mut opened, &mut second).await,
                Err(_) => report.unseen("pooler", "a second connection could not be had, so it is not known whether a pooler lends them"),
            }
            Ok(report)
        };
        looked.await.map_err(|fault: Fault| explain("doctor", &place, fault))
    }
}
