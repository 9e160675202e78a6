//! Stripe, as the jobs see it: a few calls with our own types on both sides. async-stripe builds the requests and reads the
//! answers; how they travel is ours, because we want connections kept alive, request ids, and `Retry-After`.

mod account;
mod disputes;
mod error;
mod events;
mod intents;
mod refunds;
mod transport;

pub use account::{Account, Endpoint, NEEDED, Permission};
pub use error::{Failure, StripeError};
pub use events::EventPage;
pub use transport::Stripe;

/// The calls, as the metrics name them.
pub(crate) const OPERATIONS: [&str; 11] = [
    "cancel_intent",
    "create_intent",
    "create_refund",
    "list_disputes",
    "list_events",
    "list_intents",
    "list_refunds",
    "retrieve_charge",
    "retrieve_dispute",
    "retrieve_intent",
    "retrieve_refund",
];

/// Chooses how TLS is spoken, for Stripe and for mail, before the first connection is made.
pub fn set_up_tls() {
    let _by_an_earlier_call = rustls::crypto::ring::default_provider().install_default();
}

/// What Stripe says, and under which `req_…` it said so.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// The object as it is now.
    pub report: T,
    /// To look the call up in Stripe's dashboard.
    pub request_id: Option<String>,
}

/// A page of a list, the newest first.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What was created since the time asked for.
    pub items: Vec<T>,
    /// After which object (its id) the next page begins; `None` where this is the last one.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// From Stripe's list of `O`s.
    fn of<O>(list: stripe_types::List<O>, id: impl Fn(&O) -> String, report: impl Fn(O) -> T) -> Self {
        let next = list.data.last().map(id).filter(|_| list.has_more);
        Self { items: list.data.into_iter().map(report).collect(), next }
    }
}

/// The largest page that Stripe gives.
const PAGE: i64 = 100;
