//! Payments: what we know of an order's intents at Stripe, and the log of what was asked and told.
//!
//! Stripe's own types stop in the worker; what it says of an intent comes in here as an [`IntentReport`].

mod intents;
mod log;
mod report;

pub use intents::{
    IntentToCreate, KnownIntent, Seen, intent_to_cancel, intent_to_create, intent_under_way, known_intent,
    raise_generation,
};
pub(crate) use intents::{Stored, open_intents, store};
pub use log::{LogEntry, log};
pub use report::{IntentReport, IntentStatus, LastPaymentError};
