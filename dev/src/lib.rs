//! stub
pub mod stripe;
