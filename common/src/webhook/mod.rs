//! Stripe's events: checked, stored before Stripe is answered, and applied by a job.

mod inbox;
mod process;
mod signature;

pub use inbox::{Inbound, InvalidEvent, Parsed, Received, begin_attempt, parse, receive};
pub(crate) use process::failed;
pub use process::{apply_intent, ignore, park};
pub use signature::{InvalidSignature, TOLERANCE, verify};
