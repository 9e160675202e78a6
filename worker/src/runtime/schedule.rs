//! Jobs that are enqueued once each so often, whichever worker does it.

use std::time::Duration;

use common::jobs::{self, Payload};
use sqlx::Connection as _;

use super::database::Database;

/// Between two looks at the clock, which is the database's: short against the interval, but no burden.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// Enqueues the job each time that it is due, for ever.
pub(super) async fn keep<P: Payload>(database: Database, payload: P, every: Duration) {
    let mut looks = tokio::time::interval((every / 10).clamp(Duration::from_millis(50), LONGEST_LOOK));
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let enqueued = database
            .run(async |conn| {
                let mut tx = conn.begin().await?;
                jobs::enqueue_on_schedule(&mut tx, &payload, every).await?;
                tx.commit().await
            })
            .await;
        if let Err(error) = enqueued {
            tracing::warn!(queue = P::QUEUE.name(), error = %error, "the schedule could not be kept; trying again");
        }
    }
}
