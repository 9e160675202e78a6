//! The way to Postgres: the pool, the migrations, and which database errors are worth another try.

pub(crate) mod metrics;
pub(crate) mod migrations;

use std::{
    error::Error,
    io,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use sqlx::{
    Connection as _, PgPool, Postgres, Transaction,
    migrate::MigrateError,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

pub use self::metrics::count_error;
use crate::{clock::Clock, money::Currency};

/// How long a caller waits for a free connection before it is told that the shop is busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// What holds for each session. A process that froze, or whose host is gone, must not keep its locks: nothing that we do in a
/// transaction waits for anything but the database.
pub const SESSION: [(&str, &str); 7] = [
    ("timezone", "UTC"),
    // A statement is planned once, not for each of its first five executions on each connection (PREPARE, "Notes"). Those that are to be
    // planned for what is asked say so: `begin_list`.
    ("plan_cache_mode", "force_generic_plan"),
    ("pg_trgm.word_similarity_threshold", "0.3"), // what `<%` takes for alike: catalog/search.rs
    ("idle_in_transaction_session_timeout", "15s"),
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];
/// How long a connection is trusted after it was asked, as it was given back, whether it is alive. After that it is asked again before it is
/// given out, so that one that broke unnoticed costs nobody an error. What sqlx (0.8.6, `spawn_maintenance_tasks`) takes out and puts back
/// every ten minutes counts as given back.
const TRUSTED: Duration = Duration::from_millis(100);
/// A connection that says nothing for so long is given up, so that its place in the pool is free again. Those who use it have limits of their
/// own.
const SILENCE: Duration = Duration::from_secs(5);
/// Pause between two looks at a database that can't be used yet.
const RETRY: Duration = Duration::from_millis(200);

/// A pool that connects when it is first used, so that a process can start, and tell that it isn't ready, without its
/// database.
pub fn pool(options: PgConnectOptions, max_connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| {
            Box::pin(async move {
                if metadata.idle_for > TRUSTED {
                    connection.ping().await?; // not `false`, which would part politely, and wait for a server that is gone
                }
                Ok(true)
            })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                // sqlx asks as well (0.8.6, `return_to_pool`), but waits for as long as the system does.
                timeout(SILENCE, connection.ping()).await.unwrap_or_else(|_| Err(silent()))?;
                Ok(true)
            })
        })
        .connect_lazy_with(options.options(SESSION))
}

fn silent() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::TimedOut.into())
}

/// How many connections an API has for what anybody may see of the catalogue, and as many for Stripe's events, beside `max_connections` for
/// all else: neither queues behind all who buy. What is asked often of the catalogue is kept, and asked once for all who want it; an event is
/// two rows: a quarter is enough.
pub fn connections_apart(max_connections: u32) -> u32 {
    max_connections.div_ceil(4).max(2)
}

/// Begins a transaction, as every one has to begin. A request may be given up while it waits for `BEGIN` to be answered: its client has
/// gone, or its time is over. sqlx (0.8.6, `PgTransactionManager::begin`) does not know of the transaction then, and puts the connection
/// back as if it were free: whoever gets it next works in somebody else's transaction, and what they write is never committed. Here
/// the beginning comes to its end whoever waits, and what nobody waits for is rolled back.
///
/// # Errors
/// The database's.
pub async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    begin_as(pool, "BEGIN").await
}

/// Begins a transaction that only reads, and sees all of it as it was at one moment; see [`begin`].
///
/// # Errors
/// The database's.
pub async fn begin_snapshot(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    begin_as(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
}

/// Begins a transaction as [`begin_snapshot`] does, for a list with filters of which any may be missing: each query is planned for those
/// that are there. A plan for all of them (which is what our sessions ask for) would use no index of any. See [`begin`].
///
/// # Errors
/// The database's.
pub async fn begin_list(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    begin_as(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan")
        .await
}

async fn begin_as(pool: &PgPool, statement: &'static str) -> sqlx::Result<Transaction<'static, Postgres>> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move {
        let asked = Instant::now();
        let begun = begin_on_any(&pool, statement).await;
        metrics::begun(asked.elapsed());
        begun
    });
    begun.await.map_err(|_| sqlx::Error::WorkerCrashed)?
}

/// Passes over connections that broke unnoticed, of which there may be as many as are idle: nothing was done yet. None is tried
/// after [`ACQUIRE_TIMEOUT`], and each of them has that long to be free and [`SILENCE`] to answer.
#[expect(clippy::disallowed_methods, reason = "in a task of its own, which nobody gives up")]
async fn begin_on_any(pool: &PgPool, statement: &'static str) -> sqlx::Result<Transaction<'static, Postgres>> {
    let began = Instant::now();
    loop {
        let may_have_broken = pool.num_idle() > 0;
        let begun = timeout(ACQUIRE_TIMEOUT + SILENCE, pool.begin_with(statement)).await;
        match begun.unwrap_or_else(|_| Err(silent())) {
            Err(error) if may_have_broken && is_unavailable(&error) && began.elapsed() < ACQUIRE_TIMEOUT => {}
            begun => return begun,
        }
    }
}

/// Why a database can't be used as it is.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The migrations failed, or the database holds some that this program doesn't know.
    #[error("the database could not be migrated")]
    Migrate(#[from] MigrateError),
    /// The database refused us, or did not answer.
    #[error("the database refused, or did not answer")]
    Database(#[from] sqlx::Error),
    /// The shop in this database sells in another currency than the configuration says.
    #[error("the shop in this database sells in {found}, but STORE_CURRENCY is {configured}")]
    OtherCurrency {
        /// What the database says.
        found: String,
        /// What the configuration says.
        configured: Currency,
    },
    /// The database has not been migrated yet.
    #[error("the database has not been migrated; run `kassa migrate`")]
    NotMigrated,
}

impl SchemaError {
    /// Whether it may well be gone when one looks again.
    fn may_pass(&self) -> bool {
        match self {
            Self::Database(error)
            | Self::Migrate(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                is_unavailable(error)
            }
            Self::NotMigrated => true,
            Self::Migrate(_) | Self::OtherCurrency { .. } => false,
        }
    }
}

/// Brings the schema up to date and writes the shop's currency if this is the first time. Processes that do this at once
/// take turns, and nobody who uses the tables waits longer than a second for it.
///
/// # Errors
/// See [`SchemaError`].
pub async fn migrate(pool: &PgPool, currency: Currency) -> Result<(), SchemaError> {
    migrations::run(pool).await?;
    sqlx::query!("INSERT INTO shop (currency) VALUES ($1) ON CONFLICT DO NOTHING", currency.code())
        .execute(pool)
        .await?;
    check(pool, currency).await
}

/// Waits until the database can be used: until it answers, and is migrated, by us if `migrate` says so, else by somebody else.
///
/// # Errors
/// What waiting doesn't mend: a wrong password, no such database, another currency, a migration that fails.
pub async fn wait_until_usable(pool: &PgPool, currency: Currency, migrate: bool) -> Result<(), SchemaError> {
    let mut told = String::new();
    loop {
        let outcome = if migrate { self::migrate(pool, currency).await } else { check(pool, currency).await };
        match outcome {
            Err(error) if error.may_pass() => {
                let what = error.to_string();
                if what != told {
                    tracing::warn!(error = &error as &dyn Error, "waiting for the database");
                    told = what;
                }
                tokio::time::sleep(RETRY).await;
            }
            outcome => return outcome,
        }
    }
}

/// Checks that the schema is at least as new as this program and that the shop's currency is the configured one. A newer
/// schema is fine: migrations expand before they contract.
///
/// # Errors
/// See [`SchemaError`].
pub async fn check(pool: &PgPool, currency: Currency) -> Result<(), SchemaError> {
    let newest = migrations::MIGRATIONS.iter().map(|m| m.version).max().unwrap_or_default();
    let applied: bool =
        match sqlx::query_scalar("SELECT EXISTS (SELECT FROM _sqlx_migrations WHERE version = $1 AND success)")
            .bind(newest)
            .fetch_one(pool)
            .await
        {
            Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("42P01") => {
                return Err(SchemaError::NotMigrated);
            }
            other => other?,
        };
    if !applied {
        return Err(SchemaError::NotMigrated);
    }
    let found = sqlx::query_scalar!("SELECT currency FROM shop").fetch_optional(pool).await?;
    match found {
        Some(found) if found == currency.code() => Ok(()),
        Some(found) => Err(SchemaError::OtherCurrency { found, configured: currency }),
        None => Err(SchemaError::NotMigrated),
    }
}

/// From how far on a clock is wrong enough to be told of: the ages of tokens and signatures are judged by it.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

/// How far a clock is from the database's, by which all due times go, if that is too far; negative where it is late.
///
/// # Errors
/// The database's.
pub async fn clock_error(pool: &PgPool, clock: Clock) -> sqlx::Result<Option<TimeDelta>> {
    let before = clock.now();
    let theirs = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(pool).await?;
    let after = clock.now();
    let off = if theirs < before {
        before - theirs
    } else if theirs > after {
        after - theirs
    } else {
        TimeDelta::zero()
    };
    Ok((off.abs().to_std().unwrap_or_default() >= CLOCK_TOLERANCE).then_some(off))
}

/// Whether the same transaction may well succeed when it is run again: a deadlock or a serialization failure.
pub fn is_transient(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(e) if matches!(e.code().as_deref(), Some("40001" | "40P01")))
}

/// Whether the database could not be reached or had no room, as opposed to refusing what it was asked.
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        // A connection that ends while it is made or used comes as any of these, the last for one that ended within an answer.
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Protocol(_) => true,
        // Connection exceptions, out of resources, an operator's shutdown, and a session that was ended because we were silent for too long in
        // a transaction: classes 08, 53 and 57P, and 25P03, of Postgres' appendix A.
        sqlx::Error::Database(e) => {
            let is_of = |code: &str| ["08", "53", "57P", "25P03"].iter().any(|class| code.starts_with(class));
            e.code().is_some_and(|code| is_of(&code))
        }
        _ => false,
    }
}

/// Runs an operation again, at most twice, where its transaction lost against another one.
///
/// # Errors
/// The operation's own: the last try's.
pub async fn retrying<T, E, F>(mut operation: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: AsDatabaseError,
{
    for _ in 0..2 {
        match operation().await {
            Err(error) if error.as_database_error().is_some_and(is_transient) => metrics::retried(),
            outcome => return outcome,
        }
    }
    operation().await
}

/// An operation's error that may be the database's.
pub trait AsDatabaseError {
    /// The database's error, where this is one.
    fn as_database_error(&self) -> Option<&sqlx::Error>;
}

impl AsDatabaseError for sqlx::Error {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use sqlx::ConnectOptions as _;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// The error of a connection to a server that answers this, and hangs up.
    async fn refused_with(answer: &'static [u8]) -> sqlx::Error {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = server.local_addr().expect("it is bound").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                let _asked = stream.read(&mut [0; 64]).await;
                let _answered = stream.write_all(answer).await;
            }
        });
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).username("nobody");
        options.connect().await.expect_err("it is no server")
    }

    #[tokio::test]
    async fn a_server_that_goes_away_while_it_is_connected_to_is_unavailable() {
        for answer in [&b""[..], b"N", b"\0", b"NR\0\0\0\x08\0\0"] {
            let error = refused_with(answer).await;
            assert!(is_unavailable(&error), "{answer:?}: {error:?}");
        }
    }
}
