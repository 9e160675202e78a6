//! The job worker: carries out what the shop enqueued.

pub mod runtime;
