//! Stripe's events: checked, stored before Stripe is answered, and applied by a job.

mod classify;
mod inbox;
mod list;
mod process;
mod replay;
mod signature;

pub use classify::{Class, IntentEvent, USED};
pub(crate) use inbox::names;
pub use inbox::{
    Inbound, InvalidEvent, Parsed, Received, begin_attempt, is_about_to_be_told, is_stored, parse, receive,
};
pub use list::{EventStatus, Filter, Listed, Shown, UnknownEventStatus, find, page, payload, show};
pub use process::{apply, ignore, park};
pub(crate) use process::{dismiss, failed, wait_again};
pub use replay::{Replay, ReplayError, replay};
pub use signature::{InvalidSignature, TOLERANCE, verify};
