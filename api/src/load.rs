//! How much is in work at once. What comes beyond is told to come later, while there is still memory to say so.
//!
//! A request is in work while it holds a slot. While it only waits, for its body or for an order to change, it holds none: who
//! dawdles hinders nobody. What is in memory of bodies is counted apart, byte by byte.

use std::{cell::RefCell, sync::Arc};

use common::config;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    client::Client,
    problem::{Problem, kinds},
    shares::{Share, Shares},
    slots::{Lane, Slots},
};

/// Most bytes of bodies in memory, of all requests together.
const BODIES: usize = 64 * 1024 * 1024;

const CONNECTIONS: &str = "kassa_http_connections";
const CONNECTIONS_MAX: &str = "kassa_http_connections_max";
const REQUESTS: &str = "kassa_http_requests_in_flight";
const REQUESTS_MAX: &str = "kassa_http_requests_in_flight_max";
const BODY_BYTES: &str = "kassa_http_request_body_bytes";
const BODY_BYTES_MAX: &str = "kassa_http_request_body_bytes_max";
const SHED: &str = "kassa_requests_shed_total";

/// Tells what the metrics mean, and begins to count.
pub(crate) fn describe() {
    metrics::describe_gauge!(CONNECTIONS, "Connections of clients that are open.");
    metrics::describe_gauge!(CONNECTIONS_MAX, "Connections of clients that may be open: API_MAX_CONNECTIONS.");
    metrics::describe_gauge!(REQUESTS, "Requests in work; those that wait for their body or for an order are not.");
    metrics::describe_gauge!(REQUESTS_MAX, "Requests that may be in work: API_MAX_REQUESTS.");
    metrics::describe_gauge!(BODY_BYTES, metrics::Unit::Bytes, "Bodies of requests in memory.");
    metrics::describe_gauge!(BODY_BYTES_MAX, metrics::Unit::Bytes, "Bodies of requests that may be in memory.");
    metrics::describe_counter!(
        SHED,
        "Requests and connections refused because there was no room for them, by what was full: connections, requests, webhooks, bodies or hashes."
    );
    for full in ["bodies", "connections", "hashes", "requests", "webhooks"] {
        metrics::counter!(SHED, "full" => full).increment(0);
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Load {
    /// Those that may be open at once.
    pub(crate) connections: Arc<Shares>,
    slots: Arc<Slots>,
    bodies: Arc<Shares>,
}

/// What a request holds.
struct Held {
    slots: Arc<Slots>,
    lane: Lane,
    slot: RefCell<Option<OwnedSemaphorePermit>>,
    body: RefCell<Share>,
}

tokio::task_local! {
    static HELD: Held;
}

impl Load {
    pub(crate) fn new(http: &config::Http) -> Self {
        Self {
            connections: Shares::new(http.max_connections),
            slots: Arc::new(Slots::new(http.max_requests)),
            bodies: Shares::new(BODIES),
        }
    }

    /// Writes down how much there is of everything now.
    pub(crate) fn measure(&self) {
        let set = |name: &'static str, size: usize| metrics::gauge!(name).set(size as f64);
        set(CONNECTIONS, self.connections.taken());
        set(CONNECTIONS_MAX, self.connections.most());
        set(REQUESTS, self.slots.taken());
        set(REQUESTS_MAX, self.slots.most());
        set(BODY_BYTES, self.bodies.taken());
        set(BODY_BYTES_MAX, BODIES);
    }
}

impl Load {
    /// Does the work of a request, if there is a slot for it.
    pub(crate) async fn in_slot<T>(
        &self,
        lane: Lane,
        client: Client,
        work: impl Future<Output = T>,
    ) -> Result<T, Problem> {
        let full = if lane == Lane::Webhooks { "webhooks" } else { "requests" };
        let slot = RefCell::new(Some(self.slots.try_take(lane).ok_or_else(|| shed(full))?));
        let body = RefCell::new(self.bodies.of(Some(client)));
        Ok(HELD.scope(Held { slots: self.slots.clone(), lane, slot, body }, work).await)
    }
}

/// Waits without a slot; then waits for one, before anybody who is new.
pub(crate) async fn without_slot<T>(waiting: impl Future<Output = T>) -> T {
    let given_back = HELD.try_with(|held| held.slot.take().map(|_slot| (held.slots.clone(), held.lane))).ok().flatten();
    let found = waiting.await;
    if let Some((slots, lane)) = given_back {
        let slot = slots.take(lane).await;
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
