//! Until the database has been migrated, or found to be, nothing is let through to it: a half-made schema would turn into
//! errors that nobody can explain.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::problem::{Problem, kinds};

/// Closed at first; once open, open for good.
#[derive(Debug, Default)]
pub struct Gate(AtomicBool);

impl Gate {
    /// Lets requests through from now on.
    pub fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Refuses a request while it is closed.
    pub(crate) fn pass(&self) -> Result<(), Problem> {
        if self.is_open() {
            Ok(())
        } else {
            Err(Problem::new(kinds::UNAVAILABLE, "The shop is starting.").retry_after(1))
        }
    }

    /// Whether requests are let through.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
