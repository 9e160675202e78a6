//! The objects: what the simulator keeps of each (a record), and how it shows it (Stripe's shape, held to `shapes.json` by a
//! test). Nothing here decides; `intents`, `refunds` and the others do.

mod charge;
mod dispute;
mod event;
mod intent;
mod method;
mod refund;

use crate::random::alphanumeric;
pub(crate) use charge::{Charge, ChargeStatus};
pub(crate) use dispute::{Dispute, DisputeStatus};
pub(crate) use event::Event;
pub(crate) use intent::{Challenge, Intent, IntentStatus};
pub(crate) use method::Method;
pub(crate) use refund::{Refund, RefundStatus};

/// A new id such as `pi_3…`, in Stripe's form.
pub(crate) fn new_id(prefix: &str) -> String {
    format!("{prefix}_3{}", alphanumeric(23))
}
