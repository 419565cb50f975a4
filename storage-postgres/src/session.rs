//! A connection whose statements have names, or none behind a pooler.

use std::ops::{Deref, DerefMut};

use futures_util::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    Either, Error as Sql, Execute, Executor, PgConnection, Postgres, SqlStr,
    error::BoxDynError,
    pool::PoolConnection,
    postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

/// A connection. Behind a transaction pooler no statement has a name: a later transaction would meet the names of others in the session it
/// is lent. The driver gives names wherever a query does not forbid it, whether it keeps the statement or not.
#[derive(Debug)]
pub(crate) struct Session {
    connection: PoolConnection<Postgres>,
    named: bool,
}

impl Session {
    pub(crate) fn new(connection: PoolConnection<Postgres>, named: bool) -> Self {
        Self { connection, named }
    }

    pub(crate) fn into_inner(self) -> PoolConnection<Postgres> {
        self.connection
    }
}

impl Deref for Session {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

/// A query that may be forbidden a name.
struct Asked<E> {
    query: E,
    named: bool,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Asked<E> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.named && self.query.persistent()
    }
}

impl<'c> Executor<'c> for &'c mut Session {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Sql>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let named = self.named;
        (&mut *self.connection).fetch_many(Asked { query, named })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Sql>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let named = self.named;
        (&mut *self.connection).fetch_optional(Asked { query, named })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement, Sql>>
    where
        'c: 'e,
    {
        (&mut *self.connection).prepare_with(sql, parameters)
    }
}
