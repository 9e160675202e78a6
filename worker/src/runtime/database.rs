//! The runtime's own few connections, so that handlers that use up the others can't starve leases and bookings.

use std::{io, time::Duration};

use common::db;
use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};

/// To fetch, to book and to renew; the listener has one of its own.
const CONNECTIONS: u32 = 3;
/// Longest wait for a connection, and for what is done with it. A database that hangs is given up on as one that is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way of the runtime to its table.
#[derive(Clone, Debug)]
pub(super) struct Database(PgPool);

impl Database {
    /// To the same database as `pool`.
    pub(super) fn beside(pool: &PgPool) -> Self {
        let options = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .max_lifetime(None)
            .test_before_acquire(false); // all that runs here is repeated when it fails
        Self(options.connect_lazy_with((*pool.connect_options()).clone()))
    }

    /// The pool: where the database is, for the listener, and how much of it is in use.
    pub(super) fn pool(&self) -> &PgPool {
        &self.0
    }

    /// Does something with a connection, within [`PATIENCE`].
    pub(super) async fn run<T>(
        &self,
        operation: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        self.attempt(operation).await.inspect_err(db::count_error)
    }

    async fn attempt<T>(&self, operation: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>) -> sqlx::Result<T> {
        let mut connection = self.0.acquire().await?;
        match tokio::time::timeout(PATIENCE, operation(&mut connection)).await {
            Ok(result) => result,
            Err(_) => {
                // Closed hard: given back, it would hold its place in the pool until the answer comes.
                drop(connection.detach());
                Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}
