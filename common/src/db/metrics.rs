//! What a program tells of its way to Postgres: how much of a pool is in use, how long a transaction waits to begin, what goes wrong.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use sqlx::PgPool;

const CONNECTIONS: &str = "kassa_db_pool_connections";
const CONNECTIONS_MAX: &str = "kassa_db_pool_connections_max";
const BEGIN: &str = "kassa_db_transaction_begin_seconds";
const RETRIES: &str = "kassa_db_transaction_retries_total";
const ERRORS: &str = "kassa_db_errors_total";

const ERROR_KINDS: [&str; 5] = ["constraint", "other", "pool_timed_out", "transaction", "unavailable"];

/// Tells what the metrics mean, and begins to count.
pub(crate) fn describe() {
    describe_gauge!(CONNECTIONS, "Connections of a pool to the database, by pool and state: idle or used.");
    describe_gauge!(CONNECTIONS_MAX, "Most connections that a pool makes, by pool.");
    describe_histogram!(
        BEGIN,
        Unit::Seconds,
        "Time until a transaction has begun: the wait for a free connection, then the database's answer."
    );
    describe_counter!(RETRIES, "Transactions that lost against another one and were run again.");
    describe_counter!(
        ERRORS,
        "Errors of the database that a request, a job or the queue met, by kind: unavailable, pool_timed_out (none was free, or could be made), transaction (lost \
         against another one), constraint or other."
    );
    counter!(RETRIES).increment(0);
    for kind in ERROR_KINDS {
        counter!(ERRORS, "kind" => kind).increment(0);
    }
}

/// Writes down how much of a pool is in use now.
pub(crate) fn measure(name: &'static str, pool: &PgPool) {
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    gauge!(CONNECTIONS, "pool" => name, "state" => "idle").set(idle);
    gauge!(CONNECTIONS, "pool" => name, "state" => "used").set(pool.size().saturating_sub(idle));
    gauge!(CONNECTIONS_MAX, "pool" => name).set(pool.options().get_max_connections());
}

pub(super) fn begun(took: Duration) {
    histogram!(BEGIN).record(took);
}

pub(super) fn retried() {
    counter!(RETRIES).increment(1);
}

/// Counts an error where somebody is told of it: once.
pub fn count_error(error: &sqlx::Error) {
    counter!(ERRORS, "kind" => kind(error)).increment(1);
}

fn kind(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::PoolTimedOut => "pool_timed_out",
        error if super::is_unavailable(error) => "unavailable",
        error if super::is_transient(error) => "transaction",
        sqlx::Error::Database(e) if e.code().is_some_and(|code| code.starts_with("23")) => "constraint",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_one_of_the_kinds_that_are_counted_from_the_start() {
        let errors = [sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed, sqlx::Error::RowNotFound];
        assert_eq!(errors.each_ref().map(kind), ["pool_timed_out", "unavailable", "other"]);
        assert!(errors.iter().all(|error| ERROR_KINDS.contains(&kind(error))));
    }
}
