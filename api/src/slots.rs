//! Slots for what is in work at once. A part of them is reserved for each lane (a bulkhead), so that a rush in one leaves room in the
//! others: while all the world checks out, Stripe's events and whoever only looks still get in.

use std::sync::Arc;

use http::Method;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::routes;

/// An eighth of all slots is reserved for each lane.
const RESERVED_PART: usize = 8;

/// What comes at once for the same reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// What only looks.
    Reads,
    /// Stripe's events: who is put off here comes again in minutes or hours, and an order waits for it.
    Webhooks,
    /// All else: what changes something.
    Writes,
}

impl Lane {
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => Self::Reads,
            _ if path == routes::WEBHOOKS => Self::Webhooks,
            _ => Self::Writes,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Slots {
    most: usize,
    /// By lane.
    reserved: [Arc<Semaphore>; 3],
    shared: Arc<Semaphore>,
}

impl Slots {
    /// So many; what is too little to be parted is for all lanes.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        let reserved = [most / RESERVED_PART; 3];
        let shared = Arc::new(Semaphore::new(most - reserved.iter().sum::<usize>()));
        Self { most, reserved: reserved.map(|reserved| Arc::new(Semaphore::new(reserved))), shared }
    }

    /// How many there are.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        let free = self.reserved.iter().chain([&self.shared]).map(|slots| slots.available_permits());
        self.most - free.sum::<usize>()
    }

    /// One that is free now: of the lane's own, or of those that are for all.
    pub(crate) fn try_take(&self, lane: Lane) -> Option<OwnedSemaphorePermit> {
        let of = |slots: &Arc<Semaphore>| slots.clone().try_acquire_owned().ok();
        of(self.reserved(lane)).or_else(|| of(&self.shared))
    }

    /// The next one that is free, before anybody who comes later and doesn't wait.
    pub(crate) async fn take(&self, lane: Lane) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            slot = self.reserved(lane).clone().acquire_owned() => slot.ok(), // never closed
            slot = self.shared.clone().acquire_owned() => slot.ok(),
        }
    }

    fn reserved(&self, lane: Lane) -> &Arc<Semaphore> {
        &self.reserved[lane as usize]
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// How many more can be taken of a lane.
    fn fill(slots: &Slots, lane: Lane) -> Vec<OwnedSemaphorePermit> {
        std::iter::from_fn(|| slots.try_take(lane)).collect()
    }

    #[test]
    fn each_lane_has_slots_that_no_other_takes() {
        let slots = Slots::new(16);
        let writes = fill(&slots, Lane::Writes);
        let reads = fill(&slots, Lane::Reads);
        let events = fill(&slots, Lane::Webhooks);
        assert_eq!([writes.len(), reads.len(), events.len(), slots.taken()], [12, 2, 2, 16]);
        drop(writes);
        let more = fill(&slots, Lane::Reads);
        assert_eq!([more.len(), slots.taken()], [10, 14], "what is for all is free again, and for whoever comes");
    }

    #[test]
    fn what_can_not_be_parted_is_for_any_lane() {
        let slots = Slots::new(3);
        let events = fill(&slots, Lane::Webhooks);
        assert_eq!([events.len(), slots.taken(), slots.most()], [3, 3, 3]);
    }

    #[test]
    fn who_waits_gets_whichever_is_free_first() {
        for give_back in [0, 11] {
            let slots = Slots::new(16);
            let mut writes = fill(&slots, Lane::Writes);
            let mut waiting = Box::pin(slots.take(Lane::Writes));
            assert!(waiting.as_mut().now_or_never().is_none());
            drop(writes.remove(give_back)); // the first are the lane's own, the last are for all
            assert!(slots.try_take(Lane::Writes).is_none(), "it is for who has waited");
            assert!(waiting.now_or_never().flatten().is_some());
        }
    }

    #[test]
    fn lanes_are_told_by_method_and_path() {
        let lane = |method, path| Lane::of(&method, path);
        assert_eq!(lane(Method::GET, "/products"), Lane::Reads);
        assert_eq!(lane(Method::HEAD, "/orders"), Lane::Reads);
        assert_eq!(lane(Method::POST, routes::WEBHOOKS), Lane::Webhooks);
        assert_eq!(lane(Method::POST, "/checkout"), Lane::Writes);
    }
}
