//! Stripe, as the jobs see it: a few calls with our own types on both sides. async-stripe builds the requests and reads the
//! answers; how they travel is ours, because we want connections kept alive, request ids, and `Retry-After`.

mod error;
mod intents;
mod transport;

pub use error::{Failure, StripeError};
pub use intents::Answer;
pub use transport::Stripe;
