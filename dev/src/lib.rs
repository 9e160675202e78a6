//! Stand-ins for a machine with nothing on it: a private Postgres, a Stripe simulator, a mail catcher, a store of objects. `cargo dev` runs the
//! shop on them and the tests use the same ones. They speak to the shop over the network only and know none of its crates.

pub mod cargo;
pub mod files;
pub mod mail;
pub mod objects;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod random;
pub mod stripe;
