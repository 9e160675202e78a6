//! What a program tells Prometheus of its health: what its `/health/ready` answers, for whoever is to be woken.

use chrono::TimeDelta;
use metrics::{Unit, describe_gauge, gauge};

/// Seconds between two looks at it, whoever asks.
pub const EVERY: std::time::Duration = std::time::Duration::from_secs(5);

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

/// Writes down what was found; `clock_off` is what [`crate::db::clock_error`] says.
pub fn found(ready: bool, clock_off: Option<TimeDelta>) {
    gauge!(READY).set(u8::from(ready));
    gauge!(CLOCK).set(clock_off.map_or(0.0, TimeDelta::as_seconds_f64));
}
