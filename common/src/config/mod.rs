//! Configuration: what each program reads from its environment (and from `.env` in the working folder), checked as a
//! whole before anything starts. Problems are told by name, all at once, and never with the value.

mod http;
mod images;
mod inspection;
mod programs;
mod reader;
mod values;
mod variables;

pub use http::{ADDRESS_FACTOR, Http, RateLimits, Tls};
pub use images::{Images, ObjectStore, S3, Uploads};
pub use inspection::Inspection;
pub use programs::{Api, Database, JobLimits, MailTransport, Operator, Reconciliation, Stripe, Worker};
pub use reader::{Environment, Problems};
pub use variables::{Program, VARIABLES, Variable, help};

use std::fmt;

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one who needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
