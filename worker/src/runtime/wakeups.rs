//! Tells the queues that something was enqueued: one LISTEN connection for the whole process.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use common::{
    jobs::CHANNEL,
    listen::{Heard, listen},
};
use tokio::sync::Notify;

use super::database::Database;

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
        let hear = |heard: Heard<'_>| {
            self.listening.set(!matches!(heard, Heard::Lost(_)));
            match heard {
                Heard::Connected => self.bells.values().for_each(|bell| bell.notify_one()),
                Heard::Notified { payload: queue, .. } => {
                    self.bells.get(queue).into_iter().for_each(|bell| bell.notify_one());
                }
                Heard::Lost(error) => tracing::warn!(%error, "can't listen for new jobs; polling for them"),
            }
        };
        listen(database.pool(), &[CHANNEL], hear).await;
    }
}
