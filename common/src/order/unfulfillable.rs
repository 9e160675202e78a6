//! What becomes of money that came for an order which can't be completed by itself.

use std::str::FromStr;

/// `UNFULFILLABLE_POLICY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unfulfillable {
    /// It goes back in full, once, at once.
    #[default]
    Refund,
    /// It waits for an operator.
    Manual,
}

/// Not a policy.
#[derive(Debug, thiserror::Error)]
#[error("must be refund or manual")]
pub struct UnknownPolicy;

impl FromStr for Unfulfillable {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        match name {
            "refund" => Ok(Self::Refund),
            "manual" => Ok(Self::Manual),
            _ => Err(UnknownPolicy),
        }
    }
}
