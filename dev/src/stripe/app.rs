//! The running simulator: its books under one lock, and what goes on beside them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    auth::ApiKeys,
    clock::Clock,
    desk::{Desk, Origin, Settings},
    faults::Faults,
    idempotency::Keys,
    journal::Journal,
    requests::Requests,
    store::Books,
    webhooks::{self, Webhooks},
};

/// Changes are written together, this long after the first of them.
const SAVE_AFTER: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) keys: ApiKeys,
    pub(crate) base_url: String,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) webhooks: Webhooks,
    pub(crate) requests: Mutex<Requests>,
    pub(crate) state: Mutex<State>,
    /// As they were at the start.
    pub(crate) first_settings: Settings,
    pub(crate) journal: Option<Journal>,
    /// Wakes what settles by itself.
    pub(crate) due: Notify,
    /// Wakes the writer of the state file.
    pub(crate) changed: Notify,
    pub(crate) stop: CancellationToken,
}

/// What is under the lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) books: Books,
    pub(crate) running: Keys,
    pub(crate) settings: Settings,
}

impl App {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the books.
    pub(crate) fn books<T>(&self, read: impl FnOnce(&Books) -> T) -> T {
        read(&self.state().books)
    }

    /// Changes the books without an event.
    pub(crate) fn change_books<T>(&self, change: impl FnOnce(&mut Books) -> T) -> T {
        let changed = change(&mut self.state().books);
        self.changed.notify_one();
        changed
    }

    /// Carries out an operation and sets its events on their way.
    pub(crate) fn at_desk<T>(self: &Arc<Self>, origin: Origin, work: impl FnOnce(&mut Desk<'_>) -> T) -> T {
        self.at_desk_with_keys(origin, |desk, _| work(desk))
    }

    /// The same, for an operation under an idempotency key, which is given back with it.
    pub(crate) fn at_desk_with_keys<T>(
        self: &Arc<Self>,
        origin: Origin,
        work: impl FnOnce(&mut Desk<'_>, &mut Keys) -> T,
    ) -> T {
        let mut state = self.state();
        let State { books, running, settings } = &mut *state;
        let plan = self.webhooks.plan.borrow().clone();
        let mut desk =
            Desk { books, now_ms: self.clock.now_ms(), settings, base_url: &self.base_url, plan: &plan, origin };
        let done = work(&mut desk, running);
        let fresh = std::mem::take(&mut state.books.fresh);
        drop(state);
        for id in fresh {
            tokio::spawn(webhooks::deliver(Arc::clone(self), id));
        }
        self.due.notify_one();
        self.changed.notify_one();
        done
    }

    /// Goes on delivering what was pending when the simulator last stopped.
    pub(crate) fn resume_deliveries(self: &Arc<Self>) {
        let pending: Vec<String> = self.books(|books| {
            let waiting = books.events.all().iter().filter(|event| event.pending_webhooks > 0 && !event.lost);
            waiting.map(|event| event.id.clone()).collect()
        });
        for id in pending {
            tokio::spawn(webhooks::deliver(Arc::clone(self), id));
        }
    }

    /// Forgets everything but the target and the secrets of webhooks.
    pub(crate) fn reset(&self) -> std::io::Result<()> {
        self.faults.remove(None);
        self.clock.reset();
        self.requests().clear();
        self.keys.forget_restricted();
        self.webhooks.plan.send_modify(|plan| {
            plan.mode = webhooks::Mode::Deliver;
            plan.delay_ms = 0;
            plan.status = webhooks::Status::Enabled;
            plan.enabled_events = vec!["*".into()];
        });
        {
            let mut state = self.state();
            state.books = Books::default();
            state.running = Keys::default();
            state.settings = self.first_settings.clone();
        }
        self.journal.as_ref().map_or(Ok(()), |journal| journal.restart(|| self.state().books.take_all()))
    }

    /// Writes what has changed to the state file, if there is one.
    pub(crate) fn save(&self) {
        if let Some(journal) = &self.journal
            && let Err(error) = journal.append(|| self.state().books.take_changes())
        {
            tracing::error!(%error, "the simulator's state file could not be written");
        }
    }

    /// Writes changes soon after they happen, until the simulator stops.
    pub(crate) async fn keep_saving(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.changed.notified() => {}
            }
            tokio::time::sleep(SAVE_AFTER).await;
            self.save();
        }
    }
}
