//! Whether a program can do its work: the look at the database that `/health/ready` of both programs begins with, and what is told to
//! Prometheus of its answer, for whoever is to be woken. The verdict is each program's own (docs/runbooks/not-ready.md).

use std::{error::Error, time::Duration};

use chrono::TimeDelta;
use metrics::{Unit, describe_gauge, gauge};
use sqlx::PgPool;

use crate::{clock::Clock, db, money::Currency};

/// Between two looks at it, whoever asks.
pub const EVERY: Duration = Duration::from_secs(5);
/// Longest wait for the database; probes give up soon, too.
const TIMEOUT: Duration = Duration::from_secs(2);

const READY: &str = "kassa_ready";
const CLOCK: &str = "kassa_clock_offset_seconds";

/// Tells what the metrics mean. Until it was looked, it isn't ready.
pub(crate) fn describe() {
    describe_gauge!(READY, "1 where the program can do its work, as its /health/ready says; 0 where it can't.");
    describe_gauge!(
        CLOCK,
        Unit::Seconds,
        "How far this machine's clock is from the database's, where that is 30 s or more; negative where it is late, 0 where it will do."
    );
    gauge!(READY).set(0);
    gauge!(CLOCK).set(0);
}

/// Looks at the database: whether it answers, with a schema that this program knows, in its currency. Tells how far `clock` is from the
/// database's, where that is too far.
///
/// # Errors
/// Why it can't be used, as a sentence for whoever asked.
pub async fn look(pool: &PgPool, currency: Currency, clock: Clock) -> Result<Option<TimeDelta>, &'static str> {
    let checked = async {
        db::check(pool, currency).await?;
        Ok::<_, db::SchemaError>(db::clock_error(pool, clock).await?)
    };
    match tokio::time::timeout(TIMEOUT, checked).await {
        Ok(Ok(off)) => {
            if let Some(off) = off {
                tracing::error!(seconds = off.num_seconds(), "this machine's clock is not the database's");
            }
            Ok(off)
        }
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn Error, "not ready");
            Err("The database can't be used now.")
        }
        Err(_) => Err("The database doesn't answer in time."),
    }
}

/// Writes down what was found; `clock_off` is what [`crate::db::clock_error`] says.
pub fn found(ready: bool, clock_off: Option<TimeDelta>) {
    gauge!(READY).set(u8::from(ready));
    gauge!(CLOCK).set(clock_off.map_or(0.0, TimeDelta::as_seconds_f64));
}
