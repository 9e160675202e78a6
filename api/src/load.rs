//! How much is in work at once. What comes beyond is told to come later, while there is still memory to say so.
//!
//! A request is in work while it holds a slot. While it only waits, for its body or for an order to change, it holds none: who
//! dawdles hinders nobody. What is in memory of bodies is counted apart, byte by byte.

use std::{cell::RefCell, sync::Arc};

use common::config;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    client::Client,
    problem::{Problem, kinds},
    shares::{Share, Shares},
};

/// Most bytes of bodies in memory, of all requests together.
const BODIES: usize = 64 * 1024 * 1024;

const LOAD: &str = "kassa_http_load";
const SHED: &str = "kassa_requests_shed_total";

/// Tells what the metrics mean.
pub(crate) fn describe() {
    metrics::describe_gauge!(LOAD, "What is open or in work now: connections, requests, bytes of bodies.");
    metrics::describe_counter!(
        SHED,
        "Requests and connections refused because there was no room for them, by what was full."
    );
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Load {
    /// Those that may be open at once.
    pub(crate) connections: Arc<Shares>,
    slots: Arc<Semaphore>,
    most_requests: usize,
    bodies: Arc<Shares>,
}

/// What a request holds.
struct Held {
    slot: RefCell<Option<OwnedSemaphorePermit>>,
    body: RefCell<Share>,
}

tokio::task_local! {
    static HELD: Held;
}

impl Load {
    pub(crate) fn new(http: &config::Http) -> Self {
        let most_requests = http.max_requests.min(Semaphore::MAX_PERMITS);
        Self {
            connections: Shares::new(http.max_connections),
            slots: Arc::new(Semaphore::new(most_requests)),
            most_requests,
            bodies: Shares::new(BODIES),
        }
    }

    /// Writes down how much there is of everything now.
    pub(crate) fn measure(&self) {
        let set = |what: &'static str, size: usize| metrics::gauge!(LOAD, "of" => what).set(size as f64);
        set("connections", self.connections.taken());
        set("requests", self.most_requests - self.slots.available_permits());
        set("body_bytes", self.bodies.taken());
    }
}

impl Load {
    /// Does the work of a request, if there is a slot for it.
    pub(crate) async fn in_slot<T>(&self, client: Client, work: impl Future<Output = T>) -> Result<T, Problem> {
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| shed("requests"))?;
        let held = Held { slot: RefCell::new(Some(slot)), body: RefCell::new(self.bodies.of(Some(client))) };
        Ok(HELD.scope(held, work).await)
    }
}

/// Waits without a slot; then waits for one, before anybody who is new.
pub(crate) async fn without_slot<T>(waiting: impl Future<Output = T>) -> T {
    let slots = HELD.try_with(|held| held.slot.take().map(|slot| slot.semaphore().clone())).ok().flatten();
    let found = waiting.await;
    if let Some(slots) = slots {
        let slot = slots.acquire_owned().await.ok(); // never closed
        HELD.with(|held| held.slot.replace(slot));
    }
    found
}

/// Counts so many more bytes of the request's body, until its end.
pub(crate) fn hold(bytes: usize) -> Result<(), Problem> {
    match HELD.try_with(|held| held.body.borrow_mut().grow(bytes)) {
        Ok(false) => Err(shed("bodies")),
        Ok(true) | Err(_) => Ok(()),
    }
}

/// 503 for somebody for whom there is no room; `full` says, for the metric, what there was too much of.
pub(crate) fn shed(full: &'static str) -> Problem {
    metrics::counter!(SHED, "full" => full).increment(1);
    Problem::of(kinds::UNAVAILABLE).retry_after(1)
}
