//! The worker: it carries out what the API has recorded. Jobs only; it serves nobody but its operators.

pub mod jobs;
pub mod metrics;
pub mod ops;
mod owner;
pub mod picture;
pub mod reconcile;
pub mod runtime;
pub mod smtp;
mod startup;
pub mod stripe;

pub use startup::run;
