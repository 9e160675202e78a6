//! Payments: what we know of an order's intents, refunds and disputes at Stripe, and the log of what was asked and told.
//!
//! Stripe's own types stop in the worker; what it says comes in here as an [`IntentReport`], [`RefundReport`] or
//! [`DisputeReport`].

mod disputes;
mod given_up;
mod intents;
mod list;
mod log;
mod refunds;
mod report;

pub use disputes::{DisputeReport, DisputeStatus, KnownDispute, known_dispute};
pub(crate) use disputes::{StoredDispute, is_blocked, store_dispute};

pub(crate) use given_up::{dismiss_refund, give_up_refund, lock_refund, order_of_refund, refund_again};
pub use intents::{
    IntentToCreate, KnownIntent, Seen, intent_to_create, intent_under_way, known_intent, raise_generation,
};
pub(crate) use intents::{Stored, StoredIntent, intent_of, intent_to_cancel, open_intents, order_of_intent, store};
pub use list::{Filter, LoggedPayment, page};
pub use log::{LogEntry, log};
pub use refunds::{
    KnownRefund, RefundOrigin, RefundReport, RefundStatus, RefundToMake, UnknownRefundStatus, known_refund,
    raise_refund_generation, refund_to_make,
};
pub(crate) use refunds::{StoredRefund, ask_for_refund, balance, intent_to_refund, refundable, store_refund};
pub use report::{IntentReport, IntentStatus, LastPaymentError, NamedOrder};
