//! One file for each job. Each reloads what it is about, returns early when its effect is there, and completes itself in the
//! transaction of its effect.

pub mod cancel_intent;
mod context;
pub mod create_intent;
pub mod decrement;
pub mod expire;
pub mod process_image;
pub mod process_webhook;
pub mod prune;
pub mod reconcile;
pub mod refund;
pub mod remove_image;
pub mod send_email;
pub mod sweep_images;

pub use context::Context;
