//! The runtime of the jobs: fetches them from Postgres, runs each under a lease, and books what became of it.
//!
//! apalis drives it; the rules are ours (docs/adr/0002). An attempt is counted and leased when it is fetched. Its outcome is
//! booked only while the lease is its own. What goes wrong in a job, a panic or a passed time limit included, costs that job an
//! attempt and no other job anything. Nothing here knows what the jobs do.

mod attempt;
mod backend;
mod backoff;
mod booking;
mod database;
mod fetch;
mod in_flight;
mod leases;
mod metrics;
mod outcome;
mod run;
mod schedule;
mod series;
mod slots;
mod wakeups;

pub use attempt::Job;
pub(crate) use outcome::OUTCOMES;
pub use outcome::{JobError, Reason};
pub use run::Runtime;
pub use wakeups::Listening;
