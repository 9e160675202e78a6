//! Stripe, as the jobs see it: a few calls with our own types on both sides. async-stripe builds the requests and reads the
//! answers; how they travel is ours, because we want connections kept alive, request ids, and `Retry-After`.

mod disputes;
mod error;
mod intents;
mod refunds;
mod transport;

pub use error::{Failure, StripeError};
pub use transport::Stripe;

/// What Stripe says, and under which `req_…` it said so.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// The object as it is now.
    pub report: T,
    /// To look the call up in Stripe's dashboard.
    pub request_id: Option<String>,
}

/// The largest page that Stripe gives.
const PAGE: i64 = 100;
