//! Tells the queues that something was enqueued: one LISTEN connection for the whole process.

use std::{collections::HashMap, sync::Arc, time::Duration};

use common::jobs::CHANNEL;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;

use super::database::Database;

/// Pause before the listener is set up again.
const PAUSE: Duration = Duration::from_secs(1);

/// A bell for each queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Wakeups(HashMap<&'static str, Arc<Notify>>);

impl Wakeups {
    /// The bell of a queue; a ring while nobody waits is kept.
    pub(super) fn bell(&mut self, queue: &'static str) -> Arc<Notify> {
        Arc::clone(self.0.entry(queue).or_default())
    }

    /// Listens for ever. While it can't, the queues live on their polling.
    pub(super) async fn listen(self, database: Database) {
        loop {
            if let Err(error) = self.listen_until_lost(&database).await {
                tracing::warn!(error = %error, "can't listen for new jobs; polling for them");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn listen_until_lost(&self, database: &Database) -> sqlx::Result<()> {
        let mut listener = PgListener::connect_with(database.pool()).await?;
        listener.listen(CHANNEL).await?;
        self.ring_all(); // for what was missed
        while let Some(notification) = listener.try_recv().await? {
            if let Some(bell) = self.0.get(notification.payload()) {
                bell.notify_one();
            }
        }
        Ok(())
    }

    fn ring_all(&self) {
        self.0.values().for_each(|bell| bell.notify_one());
    }
}
