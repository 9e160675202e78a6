//! Payments: what we know of an order's intents at Stripe, and the log of what was asked and told.
//!
//! Stripe's own types stop in the worker; what it says of an intent comes in here as an [`IntentReport`].

mod intents;
mod log;
mod report;

pub use intents::{
    IntentToCancel, IntentToCreate, current_intent, intent_to_cancel, intent_to_create, order_of, raise_generation,
};
pub(crate) use intents::{cancelable, store};
pub use log::{LogEntry, log};
pub use report::{IntentReport, IntentStatus, LastPaymentError};
