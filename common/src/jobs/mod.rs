//! The queue as the shop sees it: which jobs there are, and how one is enqueued, completed and listed.
//!
//! A job is a row of `jobs`, written in the transaction of what it follows from: both are there, or neither. Nothing here
//! runs jobs; that is the worker's runtime.
//!
//! # A live job in SQL
//!
//! A job is live until it is done or dead: `done_at IS NULL`. Its dedupe key is the id of the object that it is about, so
//! "this order has a live create_intent" is, by the unique index `jobs_one_live`,
//!
//! ```sql
//! EXISTS (SELECT FROM jobs
//!         WHERE job_type = 'payment.create_intent' AND dedupe_key = orders.id::text AND done_at IS NULL)
//! ```

mod death;
mod enqueue;
mod lease;
mod list;
mod payload;
mod queue;
mod retry;
mod schedule;

pub use death::on_death;
pub use enqueue::{CHANNEL, enqueue, enqueue_in};
pub(crate) use enqueue::{NewJob, enqueue_all, enqueue_or_hasten, hasten, is_running, wake};
pub use lease::{CompleteError, Lease};
pub use list::{Attempt, Filter, Listed, Shown, State, Tally, UnknownState, page, show, tally};
pub(crate) use payload::object;
pub use payload::{
    CancelIntent, CreateIntent, DecrementInventory, ExpireOrder, Payload, ProcessImage, ProcessWebhook, Prune,
    Reconcile, RefundPayment, RemoveImage, SendEmail, SweepImages,
};
pub use queue::{GivesUp, Queue};
pub(crate) use retry::supersede;
pub use retry::{Batch, DismissError, Retried, RetriedJob, RetryError, Which, dismiss, retry, retry_some};
pub use schedule::enqueue_on_schedule;
