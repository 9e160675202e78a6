//! The queue and its runtime against a real Postgres: what is promised to jobs, whatever happens to them.

mod ends;
mod enqueueing;
mod leases;
mod listening;
mod postgres;
mod running;
mod support;
