//! Waiting until nothing moves any more: events are delivered, jobs are done, and no order is on its way.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use sqlx::{Connection, PgConnection};

use super::{
    ground::{Ground, RESERVATION},
    tally::Tally,
};

/// What the queues have to drain in after the last fault, beside the time in which orders expire: see docs/faults.md.
const LIMIT: Duration = Duration::from_secs(120 + RESERVATION);
const LOOK: Duration = Duration::from_millis(250);

/// What has not come to its end.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Events that Stripe has still to deliver.
    events: u64,
    /// Queue, status, how many, and the last error of one of them.
    jobs: Vec<(String, String, i64, Option<String>)>,
    /// Status, and how many.
    orders: Vec<(String, i64)>,
}

impl Left {
    pub(super) fn is_nothing(&self) -> bool {
        self.events == 0 && self.jobs.is_empty() && self.orders.is_empty()
    }

    pub(super) fn jobs(&self) -> i64 {
        self.jobs.iter().map(|(_, _, count, _)| count).sum()
    }

    async fn read(ground: &Ground, database: &mut PgConnection) -> Result<Self> {
        let plan = ground.control().get("/webhooks").await?.expect(&[200])?.body;
        let jobs = "SELECT job_type, status, count(*), max(last_error) FROM jobs
                    WHERE done_at IS NULL AND job_type NOT LIKE 'maintenance.%' GROUP BY 1, 2 ORDER BY 1, 2";
        let orders = "SELECT status, count(*) FROM orders
                      WHERE status IN ('pending', 'awaiting_payment', 'processing', 'payment_failed', 'canceling')
                      GROUP BY 1 ORDER BY 1";
        Ok(Self {
            events: plan["waiting"].as_u64().unwrap_or_default(),
            jobs: sqlx::query_as(jobs).fetch_all(&mut *database).await.context("looking for jobs")?,
            orders: sqlx::query_as(orders).fetch_all(&mut *database).await.context("looking for orders")?,
        })
    }
}

impl fmt::Display for Left {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.events > 0 {
            parts.push(format!("{} events at Stripe that were not delivered", self.events));
        }
        for (queue, status, count, error) in &self.jobs {
            let error = error.as_ref().map(|error| format!(", last error: {error}")).unwrap_or_default();
            parts.push(format!("{count} jobs of {queue} ({status}{error})"));
        }
        for (status, count) in &self.orders {
            parts.push(format!("{count} orders that are {status}"));
        }
        if parts.is_empty() { out.write_str("nothing") } else { out.write_str(&parts.join("; ")) }
    }
}

/// Waits until nothing is left, or for as long as it may take; gives what is left then.
pub(super) async fn drain(ground: &Ground, tally: &Tally) -> Result<Left> {
    let mut database = PgConnection::connect_with(&ground.database).await.context("connecting to the database")?;
    let began = Instant::now();
    loop {
        for member in ground.members() {
            if let Some(told) = member.look_after().await? {
                tally.complain(told);
            }
        }
        let left = Left::read(ground, &mut database).await?;
        if left.is_nothing() || began.elapsed() > LIMIT {
            return Ok(left);
        }
        tokio::time::sleep(LOOK).await;
    }
}
