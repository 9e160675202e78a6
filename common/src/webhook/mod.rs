//! Stripe's events: checked, stored before Stripe is answered, and applied by a job.

mod classify;
mod inbox;
mod process;
mod signature;

pub use classify::{Class, IntentEvent};
pub use inbox::{Inbound, InvalidEvent, Parsed, Received, begin_attempt, parse, receive};
pub(crate) use process::failed;
pub use process::{apply, ignore, park};
pub use signature::{InvalidSignature, TOLERANCE, verify};
