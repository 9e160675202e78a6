//! Tells the queues that something was enqueued: one LISTEN connection for the whole process.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::jobs::CHANNEL;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;

use super::database::Database;

/// Pause before the listener is set up again.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether the process hears of new jobs as they come.
#[derive(Clone, Debug, Default)]
pub struct Listening(Arc<AtomicBool>);

impl Listening {
    /// If not, jobs start up to a second late.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, on: bool) {
        self.0.store(on, Ordering::Release);
    }
}

/// A bell for each queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Wakeups {
    bells: HashMap<&'static str, Arc<Notify>>,
    listening: Listening,
}

impl Wakeups {
    /// The bell of a queue; a ring while nobody waits is kept.
    pub(super) fn bell(&mut self, queue: &'static str) -> Arc<Notify> {
        Arc::clone(self.bells.entry(queue).or_default())
    }

    /// Tells whether [`listen`](Self::listen) hears something.
    pub(super) fn listening(&self) -> Listening {
        self.listening.clone()
    }

    /// Listens for ever. While it can't, the queues live on their polling.
    pub(super) async fn listen(self, database: Database) {
        loop {
            let lost = self.listen_until_lost(&database).await;
            self.listening.set(false);
            if let Err(error) = lost {
                tracing::warn!(error = %error, "can't listen for new jobs; polling for them");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn listen_until_lost(&self, database: &Database) -> sqlx::Result<()> {
        let mut listener = PgListener::connect_with(database.pool()).await?;
        listener.listen(CHANNEL).await?;
        self.listening.set(true);
        self.ring_all(); // for what was missed
        while let Some(notification) = listener.try_recv().await? {
            if let Some(bell) = self.bells.get(notification.payload()) {
                bell.notify_one();
            }
        }
        Ok(())
    }

    fn ring_all(&self) {
        self.bells.values().for_each(|bell| bell.notify_one());
    }
}
