//! The shop itself: what its parts are, what may happen to them, and the SQL that makes it so.
//!
//! One folder per part. Operations own their transactions; store functions take a connection. Nothing here knows HTTP,
//! Stripe's client or SMTP: the API and the worker bring those, and hand in what they learnt as plain values. Only the bytes of images go
//! out of here, through `images::Storage`, which both programs need.

pub mod account;
pub mod actor;
pub mod audit;
pub mod cart;
pub mod catalog;
pub mod cause;
pub mod clock;
pub mod config;
pub mod db;
pub mod diagnosis;
pub mod health;
pub mod id;
pub mod idempotency;
pub mod images;
pub mod inventory;
pub mod jobs;
pub mod listen;
pub mod mail;
pub mod metrics;
pub mod money;
pub mod order;
pub mod page;
pub mod payment;
pub mod program;
pub mod prune;
pub mod reason;
pub mod reconciliation;
pub mod tables;
pub mod telemetry;
pub mod traceparent;
pub mod verify;
pub mod webhook;
