//! Faults: each row of docs/faults.md that no other file proves. A fault is injected into real processes, the shop drains by itself,
//! and every invariant holds.

mod api;
mod clocks;
mod files;
mod matrix;
mod place;
mod poison;
mod postgres;
mod replicas;
mod sale;
mod step;
mod wakeups;
mod worker;
