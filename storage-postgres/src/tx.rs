//! Transactions: whose rows they see, and that a connection never comes back from one that was not ended.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use sqlx::{AssertSqlSafe, Connection as _, Error as Sql, PgConnection, Row as _, raw_sql};
use sync_core::{Error, ErrorKind, Result, WorkspaceId};

use crate::{
    error::{Db, Fault, ends_the_connection, explain},
    name::{literal, quoted},
    session::Session,
    storage::{Inner, Settings},
};

/// Whose rows a transaction sees.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    /// One tenant's.
    Workspace(WorkspaceId),
    /// One tenant's, over one state of the database, and to look at alone.
    Reading(WorkspaceId),
    /// All tenants', in the tables that the fleet has policies on.
    Fleet,
}

/// Asks whether a transaction took effect, from what it answered.
pub(crate) type Ask<T> = Arc<dyn for<'t> Fn(&'t mut Tx, Arc<T>) -> BoxFuture<'t, Db<bool>> + Send + Sync>;

/// What may be done about a transaction whose end is unknown, since the connection was lost with the answer to its commit.
pub(crate) enum Repeat<T> {
    /// Doing it again changes nothing more: it is.
    Always,
    /// It might be done twice: the caller is told.
    UnlessCommitted,
    /// The database knows: it is asked, and the transaction is begun anew if it did not take effect.
    Ask(Door, Ask<T>),
}

/// How often a transaction that was rolled back by no fault of its own is begun anew.
const ATTEMPTS: u32 = 10;

/// The longest wait between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A transaction. Dropped before its end, it takes its connection with it: the server rolls back, and nobody is handed a connection in
/// the middle of somebody else's work (reliability: TN4).
pub(crate) struct Tx {
    connection: Option<Session>,
    pub(crate) inner: Arc<Inner>,
}

impl Deref for Tx {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.connection.as_ref().expect("a transaction has its connection until it ends")
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Session {
        self.connection.as_mut().expect("a transaction has its connection until it ends")
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.into_inner().detach());
        }
    }
}

/// Runs statements in one round trip, without parameters. `sql` is made of our own texts and of what [`quoted`] and [`literal`] made.
pub(crate) async fn raw(connection: &mut PgConnection, sql: impl Into<String>) -> Result<(), Sql> {
    raw_sql(AssertSqlSafe(sql.into())).execute(connection).await.map(drop)
}

/// Settings of the session that our statements rely on: values are rendered alike everywhere, and a plan made for an empty table or a small
/// batch stays good for a full one, since our look-ups are all by key.
const OURS: &[(&str, &str)] = &[
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "iso_8601"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

/// The settings every transaction of ours begins with, so that it does not depend on those of the server, the role or the host: rendered
/// values are the same everywhere, and nothing waits for ever.
fn settings(settings: &Settings, role: Option<&str>, workspace: Option<&WorkspaceId>) -> Result<String> {
    let mut sql = String::from("SELECT ");
    let mut set = |name: &str, value: &str| -> Result<()> {
        if !sql.ends_with(' ') {
            sql.push_str(", ");
        }
        sql.push_str(&format!("set_config('{name}', {}, true)", literal(value)?));
        Ok(())
    };
    set("app.workspace_id", workspace.map_or("", |workspace| workspace.as_str()))?;
    if let Some(role) = role {
        set("role", role)?;
    }
    set("search_path", &format!("{}, pg_temp", quoted(&settings.schema)))?;
    let deadline = settings.deadline.as_millis().max(1).to_string();
    set("statement_timeout", &deadline)?;
    set("lock_timeout", &deadline)?;
    set("idle_in_transaction_session_timeout", &deadline)?;
    for (name, value) in OURS {
        set(name, value)?;
    }
    Ok(sql)
}

/// What is said of a server that did not answer in time.
pub(crate) fn stalled() -> Sql {
    Sql::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the server did not answer before the deadline"))
}

impl Tx {
    /// Begins a transaction.
    pub(crate) async fn begin(inner: &Arc<Inner>, door: &Door) -> Db<Self> {
        let (role, workspace) = match door {
            Door::Workspace(workspace) | Door::Reading(workspace) => (inner.settings.app_role(), Some(workspace)),
            Door::Fleet => (inner.settings.fleet_role(), None),
        };
        let settings = settings(&inner.settings, role, workspace)?;
        let mut this =
            Self { connection: Some(Session::new(inner.pool.acquire().await?, !inner.settings.pooler)), inner: Arc::clone(inner) };
        if inner.foreign {
            // Whoever else uses the pool may have left a transaction open: then now() is older than this statement.
            // In one message, since each message of a longer talk counts as a statement begun later.
            let clean =
                raw_sql("SELECT now() = statement_timestamp()").fetch_one(&mut *this).await.and_then(|row| row.try_get::<bool, _>(0));
            if !matches!(clean, Ok(true)) {
                raw(&mut this, "ROLLBACK").await?;
            }
        }
        let begin = if matches!(door, Door::Reading(_)) { "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" } else { "BEGIN" };
        raw(&mut this, format!("{begin}; {settings}")).await?;
        Ok(this)
    }

    /// Commits. A transaction that failed and whose error somebody swallowed is refused, where a bare COMMIT would roll it back in silence.
    pub(crate) async fn commit(mut self) -> Db<()> {
        match raw(&mut self, "SELECT 1; COMMIT").await {
            Ok(()) => {
                self.connection = None;
                Ok(())
            }
            // The server answered and goes on, so it knows that there is no such transaction any more.
            Err(error) if !ends_the_connection(&error) => Err(Fault::Sql(error)),
            Err(error) => Err(Fault::Unknown(error)),
        }
    }

    /// Takes everything back.
    pub(crate) async fn rollback(mut self) -> Db<()> {
        raw(&mut self, "ROLLBACK").await?;
        self.connection = None;
        Ok(())
    }

    /// Sets a point to come back to.
    pub(crate) async fn savepoint(&mut self) -> Db<()> {
        Ok(raw(self, "SAVEPOINT syncline").await?)
    }

    /// Back to the savepoint, which stays.
    pub(crate) async fn back(&mut self) -> Db<()> {
        Ok(raw(self, "ROLLBACK TO SAVEPOINT syncline").await?)
    }

    /// Forgets the savepoint and keeps what was done since.
    pub(crate) async fn release(&mut self) -> Db<()> {
        Ok(raw(self, "RELEASE SAVEPOINT syncline").await?)
    }

    /// Goes on in the role that owns our schema, for making tables and columns; [`as_app`](Self::as_app) goes back.
    pub(crate) async fn as_owner(&mut self) -> Db<()> {
        let Some(owner) = self.inner.owner_role.clone() else {
            let text = format!(
                "a table or column of schema {:?} has to be made, and the user that connects may not act as the schema's owner; connect as \
                 the owner, or make that user a member of the owner's role",
                self.inner.settings.schema
            );
            return Err(Error::config("commit", text).into());
        };
        let sql = format!("SELECT set_config('role', {}, true)", literal(&owner)?);
        Ok(raw(self, sql).await?)
    }

    /// Goes on in the role that rows are written in, after [`as_owner`](Self::as_owner).
    pub(crate) async fn as_app(&mut self) -> Db<()> {
        let role = self.inner.settings.app_role().unwrap_or(&self.inner.host_role);
        let sql = format!("SELECT set_config('role', {}, true)", literal(role)?);
        Ok(raw(self, sql).await?)
    }

    /// Goes on as the host itself would: in the role it connected as, with the search path and settings it has. The workspace stays.
    pub(crate) async fn as_host(&mut self) -> Db<()> {
        let (role, path) = (literal(&self.inner.host_role)?, literal(&self.inner.search_path)?);
        let mut sql = format!("SELECT set_config('role', {role}, true), set_config('search_path', {path}, true)");
        for (name, _) in OURS {
            sql.push_str(&format!("; SET LOCAL {name} TO DEFAULT"));
        }
        Ok(raw(self, sql).await?)
    }

    /// Goes on as before [`as_host`](Self::as_host), whatever the host's statements have set.
    pub(crate) async fn as_ours(&mut self, workspace: &WorkspaceId) -> Db<()> {
        let sql = settings(&self.inner.settings, self.inner.settings.app_role(), Some(workspace))?;
        Ok(raw(self, sql).await?)
    }
}

impl Inner {
    /// Runs `work` in a transaction on a task of its own: it goes on to its end whether anybody waits for it or not. A transaction that
    /// was rolled back by no fault of its own (a deadlock, a lost connection, a server that starts anew) is begun anew, as long as nothing
    /// can be done twice.
    pub(crate) async fn run<T, F>(self: &Arc<Self>, operation: &'static str, door: Door, repeat: Repeat<T>, work: F) -> Result<T>
    where
        T: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Db<T>> + Send + Sync + 'static,
    {
        if let Door::Workspace(workspace) | Door::Reading(workspace) = &door {
            workspace.check(operation)?;
        }
        let this = Arc::clone(self);
        let task = tokio::spawn(async move {
            this.persist(operation, &door, repeat, work).await.map_err(|fault| explain(operation, &this.place, fault))
        });
        match task.await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Error::new(ErrorKind::Internal, operation, "the runtime is shutting down; nothing is known of this work")),
        }
    }

    async fn persist<T, F>(self: &Arc<Self>, operation: &'static str, door: &Door, repeat: Repeat<T>, work: F) -> Db<T>
    where
        T: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Db<T>> + Send + Sync + 'static,
    {
        let begun = Instant::now();
        let (mut attempt, mut asked) = (0, None);
        loop {
            // Once the end of an attempt is unknown, nothing is done before it is known.
            let fault = match (&repeat, asked.take()) {
                (Repeat::Ask(door, ask), Some(done)) => match self.ask(door, ask, done).await {
                    Ok((done, true)) => return Ok(done),
                    Ok((_, false)) => {
                        attempt = 0;
                        continue;
                    }
                    Err((fault, done)) => {
                        asked = Some(done);
                        fault
                    }
                },
                _ => match self.attempt(door, &work).await {
                    Ok(done) => return Ok(done),
                    Err((fault, None)) => fault,
                    Err((fault, Some(done))) => match repeat {
                        Repeat::Ask(..) => {
                            asked = Some(done);
                            continue;
                        }
                        Repeat::UnlessCommitted => return Err(fault),
                        Repeat::Always => match fault {
                            Fault::Unknown(error) => Fault::Sql(error),
                            fault => fault,
                        },
                    },
                },
            };
            attempt += 1;
            let spent = if fault.is_absence() { begun.elapsed() > self.settings.patience } else { attempt >= ATTEMPTS };
            if spent || !fault.is_passing() {
                return Err(match (asked.is_some(), fault) {
                    (true, Fault::Sql(error)) => Fault::Unknown(error),
                    (_, fault) => fault,
                });
            }
            tracing::debug!(operation, attempt, ?fault, "a transaction was rolled back and is begun anew");
            tokio::time::sleep(LONGEST_PAUSE.min(self.settings.pause * 2u32.saturating_pow(attempt - 1))).await;
        }
    }

    /// Asks whether a transaction took effect; hands back what it answered.
    async fn ask<T: Send + Sync + 'static>(self: &Arc<Self>, door: &Door, ask: &Ask<T>, done: T) -> Result<(T, bool), (Fault, T)> {
        let done = Arc::new(done);
        let (ask, about) = (Arc::clone(ask), Arc::clone(&done));
        let asked = self.attempt(door, &move |tx: &mut Tx| ask(tx, Arc::clone(&about))).await;
        let Some(done) = Arc::into_inner(done) else { unreachable!("the question is over, and nobody else has it") };
        match asked {
            Ok(took) => Ok((done, took)),
            Err((fault, _)) => Err((fault, done)),
        }
    }

    /// Runs reads of one workspace over one state of the database.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, operation: &'static str, workspace: &WorkspaceId, work: F) -> Result<T>
    where
        T: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Db<T>> + Send + Sync + 'static,
    {
        self.run(operation, Door::Reading(workspace.clone()), Repeat::Always, work).await
    }

    /// One attempt. A fault of its commit comes with what was done before, since that may stand.
    async fn attempt<'w, T, F>(self: &Arc<Self>, door: &Door, work: &'w F) -> Result<T, (Fault, Option<T>)>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Db<T>> + Send + Sync + 'w,
    {
        // The server stops statements at the deadline; a peer that stalls is given a little longer. Of a commit that was cut off so
        // nothing is known.
        let limit = self.settings.deadline + self.settings.deadline / 4;
        let worked = tokio::time::timeout(limit, async {
            let mut tx = Tx::begin(self, door).await?;
            match work(&mut tx).await {
                Ok(done) => Ok((tx, done)),
                Err(fault) => {
                    // Nothing of it stands either way; a connection that still answers is kept.
                    let _ = tx.rollback().await;
                    Err(fault)
                }
            }
        });
        let (tx, done) = worked.await.unwrap_or_else(|_| Err(Fault::Sql(stalled()))).map_err(|fault| (fault, None))?;
        match tokio::time::timeout(limit, tx.commit()).await.unwrap_or_else(|_| Err(Fault::Unknown(stalled()))) {
            Ok(()) => Ok(done),
            Err(fault @ Fault::Unknown(_)) => Err((fault, Some(done))),
            Err(fault) => Err((fault, None)),
        }
    }

    /// Runs `work` and takes back what it wrote.
    pub(crate) async fn try_out<T, F>(self: &Arc<Self>, operation: &'static str, workspace: &WorkspaceId, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Db<T>> + Send + Sync + 'static,
    {
        workspace.check(operation)?;
        let (this, door) = (Arc::clone(self), Door::Workspace(workspace.clone()));
        let task = tokio::spawn(async move {
            let limit = this.settings.deadline * 2;
            let tried = tokio::time::timeout(limit, async {
                let mut tx = Tx::begin(&this, &door).await?;
                let done = work(&mut tx).await;
                tx.rollback().await?;
                done
            });
            tried.await.unwrap_or_else(|_| Err(Fault::Sql(stalled()))).map_err(|fault| explain(operation, &this.place, fault))
        });
        match task.await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Error::new(ErrorKind::Internal, operation, "the runtime is shutting down")),
        }
    }

    /// Asks whether the server is there.
    pub(crate) async fn ping(&self) -> Db<()> {
        // Not the pool's while nothing is known of it: a pool waits for a connection that it is given back in the middle of a question.
        let mut session = Session::new(self.pool.acquire().await?, false);
        match tokio::time::timeout(self.settings.deadline, session.ping()).await {
            Ok(answered) => Ok(answered?),
            Err(_) => {
                drop(session.into_inner().detach());
                Err(stalled().into())
            }
        }
    }
}
