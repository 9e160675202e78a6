//! How full the queues are, for the dashboards.

use std::{collections::HashSet, time::Duration};

use common::jobs::{Queue, State, Tally, tally};

use super::database::Database;
use crate::metrics::{JOBS, JOBS_OLDEST_DUE_AGE};

const EVERY: Duration = Duration::from_secs(5);

/// Samples for ever. Each process tells the same, as the queues are shared: take the maximum over processes.
pub(super) async fn sample(database: Database) {
    let mut ticks = tokio::time::interval(EVERY);
    let mut known: HashSet<String> = Queue::ALL.iter().map(|queue| queue.name().to_owned()).collect();
    loop {
        ticks.tick().await;
        // A failure is the others' to tell.
        if let Ok(tallies) = database.run(async |conn| tally(conn).await).await {
            known.extend(tallies.iter().map(|tally| tally.queue.clone()));
            known.iter().for_each(|queue| show(queue, &tallies));
        }
    }
}

/// Sets the gauges of a queue, to 0 where nothing is there any more.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and no queue is 2⁵³ jobs long")]
fn show(queue: &str, tallies: &[Tally]) {
    let of_queue = || tallies.iter().filter(|tally| tally.queue == queue);
    for state in [State::Pending, State::Retrying, State::Running, State::Dead] {
        let count = of_queue().find(|tally| tally.state == state).map_or(0, |tally| tally.count);
        metrics::gauge!(JOBS, "queue" => queue.to_owned(), "state" => state.as_str()).set(count as f64);
    }
    let oldest = of_queue().map(|tally| tally.oldest_due).fold(0.0, f64::max);
    metrics::gauge!(JOBS_OLDEST_DUE_AGE, "queue" => queue.to_owned()).set(oldest);
}
