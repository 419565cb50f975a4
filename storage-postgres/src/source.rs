//! Single connections for those who do not need the pool: they say at once why there is none, where a pool waits for one.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{ConnectOptions as _, Error as Sql, PgConnection, PgPool, pool::PoolConnection, postgres::PgConnectOptions};

use crate::{builder::From, error::Db, tx::stalled};

/// Where they come from.
pub(crate) enum Source {
    Pool(PgPool),
    Url(Box<PgConnectOptions>),
}

/// Reads a URL. The driver takes one of any other database for one of its own.
pub(crate) fn parse(url: &str) -> Result<PgConnectOptions, Sql> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("postgres" | "postgresql")) {
        return Err(Sql::Configuration("this is not the URL of a PostgreSQL database".into()));
    }
    url.parse()
}

/// One of them.
pub(crate) enum Opened {
    Lent(PoolConnection<sqlx::Postgres>),
    Own(Box<PgConnection>),
}

impl Deref for Opened {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Lent(lent) => lent,
            Self::Own(own) => own,
        }
    }
}

impl DerefMut for Opened {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Lent(lent) => lent,
            Self::Own(own) => own,
        }
    }
}

impl Opened {
    /// Leaves a connection that may be in the middle of something: a pool is not given it back.
    pub(crate) fn leave(self) {
        if let Self::Lent(lent) = self {
            drop(lent.detach());
        }
    }
}

impl Source {
    pub(crate) fn of(from: &From, name: &str) -> Db<Self> {
        Ok(match from {
            From::Pool(pool) => Self::Pool(pool.clone()),
            From::Url(url) => {
                Self::Url(Box::new(parse(url)?.application_name(name).statement_cache_capacity(0).disable_statement_logging()))
            }
        })
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        match self {
            Self::Pool(pool) => (*pool.connect_options()).clone(),
            Self::Url(options) => (**options).clone(),
        }
    }

    pub(crate) async fn open(&self, patience: Duration) -> Db<Opened> {
        match self {
            Self::Pool(pool) => Ok(Opened::Lent(pool.acquire().await?)),
            Self::Url(options) => {
                let opened = tokio::time::timeout(patience, options.connect()).await;
                Ok(Opened::Own(Box::new(opened.map_err(|_| stalled())??)))
            }
        }
    }
}
