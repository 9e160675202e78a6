//! Tests through the front door: real processes, a real Postgres, a Stripe that answers over the network. Each file mirrors a
//! part of the shop; `harness` is the ground that they stand on.

mod harness;

mod auth;
mod cache;
mod cart;
mod checkout;
mod cli;
mod faults;
mod given_up;
mod headers;
mod idempotency;
mod images;
mod intents;
mod limits;
mod load;
mod mails;
mod metrics;
mod misfits;
mod openapi;
mod orders;
mod password_reset;
mod peers;
mod plans;
mod problems;
mod products;
mod purchase;
mod races;
mod reconciliation;
mod refunds;
mod reviews;
mod round_trips;
mod samples;
mod search;
mod sessions;
mod signals;
mod startup;
mod stuck;
mod tls;
mod tokens;
mod verify;
mod webhooks;
