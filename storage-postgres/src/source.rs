//! Single connections for those who do not need the pool: they say at once why there is none, where a pool waits for one.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{ConnectOptions as _, PgConnection, PgPool, pool::PoolConnection, postgres::PgConnectOptions};

use crate::{error::Db, storage::From};

/// Where they come from.
pub(crate) enum Source {
    Pool(PgPool),
    Url(Box<PgConnectOptions>),
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

impl Source {
    pub(crate) fn of(from: &From, name: &str) -> Db<Self> {
        Ok(match from {
            From::Pool(pool) => Self::Pool(pool.clone()),
            From::Url(url) => {
                let options: PgConnectOptions = url.parse()?;
                Self::Url(Box::new(options.application_name(name).statement_cache_capacity(0).disable_statement_logging()))
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
                let stalled = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
                Ok(Opened::Own(Box::new(opened.map_err(stalled)??)))
            }
        }
    }
}
