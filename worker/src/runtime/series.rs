//! What is counted of each attempt of a queue. Looked up by their labels for each one, these would cost more than what they count.

use common::jobs::Queue;
use metrics::{Counter, Histogram, counter, histogram};

use super::outcome::Verdict;
use crate::metrics::{JOB_DURATION, JOB_START_DELAY, JOBS_ENDED};

/// See the module.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) start_delay: Histogram,
    pub(super) duration: Histogram,
    pub(super) done: Counter,
}

impl Series {
    /// To be made once metrics are exposed: made before, it counts nothing.
    pub(super) fn of(queue: Queue) -> Self {
        let queue = queue.name();
        Self {
            start_delay: histogram!(JOB_START_DELAY, "queue" => queue),
            duration: histogram!(JOB_DURATION, "queue" => queue),
            done: counter!(JOBS_ENDED, "queue" => queue, "outcome" => Verdict::Done.name()),
        }
    }
}
