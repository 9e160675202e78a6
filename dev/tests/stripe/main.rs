//! The Stripe simulator, asked over HTTP as the shop and its shoppers ask Stripe.

#![expect(clippy::unwrap_used, reason = "a test ends where its ground is not as expected")]

mod account;
mod faults;
mod harness;
mod idempotency;
mod lists;
mod payments;
mod refunds;
mod requests;
mod restart;
mod shapes;
mod webhooks;
