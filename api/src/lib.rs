//! The HTTP API of Kassa: extractors that parse requests into the shop's own types, one handler per endpoint, problems
//! (RFC 9457) for whatever goes wrong.
//!
//! It holds no SQL, calls nothing outside but the database and the store of images, and keeps nothing that a second replica would need.

mod access;
mod cache;
mod cause;
mod client;
mod cors;
mod encoding;
mod extract;
mod gate;
mod head;
mod headers;
mod limits;
mod load;
mod news;
pub mod openapi;
mod ops;
mod problem;
mod respond;
mod routes;
mod serve;
pub mod server;
mod shares;
mod slots;
mod startup;
pub mod state;
mod stream;
mod tls;
mod unread;
mod wait;

pub use startup::run;
