//! The ground that the tests stand on: a cluster for the run, and for each test a shop of its own, made of real processes, with
//! a Stripe simulator and a mail catcher beside them. Nothing here waits for a fixed time: it waits for a condition, with a
//! deadline.

mod accounts;
mod alerts;
mod buying;
mod client;
mod database;
mod faults;
mod ground;
mod logs;
mod operating;
mod pictures;
mod program;
mod prometheus;
mod raw;
mod refunding;
mod replicas;
mod repository;
mod shape;
mod shop;
mod statements;
mod wait;

pub(crate) use alerts::{rules, text_of_rules};
pub(crate) use client::{Client, Reply, pages, text};
pub(crate) use database::{Database, Ended, url};
pub(crate) use ground::programs;
pub(crate) use logs::{in_span, lines};
pub(crate) use pictures::{encoded, file, form};
pub(crate) use program::Program;
pub(crate) use prometheus::{Alert, Prometheus, tool};
pub(crate) use raw::{Answer, ask, say};
pub(crate) use repository::{files, repository, yaml};
pub(crate) use shape::{id, time};
pub(crate) use shop::{JWT_SECRET, PASSWORD, Shop, WEBHOOK_SECRET, payment, send_form};
pub(crate) use statements::Speaker;
pub(crate) use wait::{eventually, with_defaults, within};
