//! Where a job may run: in one of its queue's slots, beside others or alone in the process.
//!
//! A job that took down its process twice is suspect. It runs alone, so that it harms no other: whoever wants to run one
//! waits until the process is empty, and nothing is fetched meanwhile.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock, Semaphore};

/// The room of the whole process: shared by ordinary jobs, kept to itself by a suspect one.
#[derive(Clone, Default)]
pub(super) struct Room(Arc<RwLock<()>>);

/// The slots of one queue.
#[derive(Clone)]
pub(super) struct Slots {
    semaphore: Arc<Semaphore>,
    count: u32,
    room: Room,
}

/// What a running job occupies; free again when this is dropped.
pub(super) struct Place {
    _slot: OwnedSemaphorePermit,
    _share: Share,
}

#[expect(dead_code, reason = "held, not read")]
enum Share {
    Some(Arc<OwnedRwLockReadGuard<()>>),
    All(OwnedRwLockWriteGuard<()>),
}

impl Slots {
    /// As many slots in this room.
    pub(super) fn new(count: u32, room: Room) -> Self {
        Self { semaphore: Arc::new(Semaphore::new(count as usize)), count, room }
    }

    /// All places that are free, at least one, waiting for it if need be.
    pub(super) async fn free(&self) -> Vec<Place> {
        let mut slots = vec![self.slot().await];
        while let Ok(slot) = Arc::clone(&self.semaphore).try_acquire_owned() {
            slots.push(slot);
        }
        // After the slots, so that whoever waits for the whole room doesn't wait for a slot of this queue as well.
        let share = Arc::new(Arc::clone(&self.room.0).read_owned().await);
        slots.into_iter().map(|slot| Place { _slot: slot, _share: Share::Some(Arc::clone(&share)) }).collect()
    }

    /// One place with nobody else in the process.
    pub(super) async fn alone(&self) -> Place {
        let share = Share::All(Arc::clone(&self.room.0).write_owned().await);
        Place { _slot: self.slot().await, _share: share }
    }

    /// Waits until no job of this queue runs or is being fetched.
    pub(super) async fn all_free(&self) {
        drop(self.semaphore.acquire_many(self.count).await.expect("the semaphore is never closed"));
    }

    async fn slot(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.semaphore).acquire_owned().await.expect("the semaphore is never closed")
    }
}
