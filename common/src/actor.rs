//! Who did something, for the timelines and the ledger.

use std::fmt;

use crate::id::UserId;

/// Who did something. Its text is what is kept: `user:…`, `operator:…`, `stripe`, `system`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person: a shopper, or an administrator.
    User(UserId),
    /// A person at the command line, by the name that the system has for them.
    Operator(&'static str),
    /// Stripe, by an answer or an event.
    Stripe,
    /// A job of ours.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Stripe => f.write_str("stripe"),
            Self::System => f.write_str("system"),
        }
    }
}
