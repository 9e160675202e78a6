//! Faults: each row of docs/faults.md that no other file proves. A fault is injected into real processes, the shop drains by itself,
//! and every invariant holds.

mod api;
mod clocks;
mod files;
mod matrix;
mod poison;
mod postgres;
mod replicas;
mod sale;
mod smtp;
mod step;
mod strike;
mod stripe;
mod wakeups;
mod worker;
