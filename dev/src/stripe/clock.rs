//! The simulator's time: the machine's clock plus an offset that the control endpoints can shift, so that a test can let a
//! day pass. Everything that is dated or comes due goes by it; it never runs backwards by itself.

use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that can be shifted.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_ms: AtomicI64,
}

impl Clock {
    /// Milliseconds since the Unix epoch.
    pub(crate) fn now_ms(&self) -> i64 {
        chrono::Utc::now().timestamp_millis().saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    /// Seconds since the Unix epoch, as Stripe dates its objects.
    pub(crate) fn now(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// Moves the clock on by so many milliseconds (back, if negative).
    pub(crate) fn shift(&self, by_ms: i64) {
        self.offset_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// Goes by the machine's clock again.
    pub(crate) fn reset(&self) {
        self.offset_ms.store(0, Ordering::Relaxed);
    }
}
