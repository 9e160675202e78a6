//! What an operator may have at hand of an order: its number, or the id of anything that belongs to it.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::traceparent::TraceId;

/// What leads to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clue {
    /// What people call it: `1002` or `#1002`.
    Number(i64),
    /// An id of ours: of the order, or of a payment, refund, dispute, event, mail or job of it.
    Id(Uuid),
    /// Stripe's id of something of it: `pi_…`, `ch_…`, `re_…`, `dp_…`, `evt_…`, or of a request about it, `req_…`.
    Stripe(String),
    /// A trace that it is a part of.
    Trace(TraceId),
}

/// Nothing that could lead to an order.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a number such as 1002, an id of the shop's, Stripe's id of a payment, charge, refund, dispute, event or request (pi_…, ch_…, \
     re_…, dp_…, evt_…, req_…), or a trace's id (32 digits in lower-case hex)"
)]
pub struct NotAClue;

/// How Stripe's ids begin that are kept. `py_` is a charge, `pyr_` a refund of money that a bank moves; `du_` is a dispute as newer
/// accounts have it.
const PREFIXES: [&str; 9] = ["pi_", "ch_", "py_", "re_", "pyr_", "dp_", "du_", "evt_", "req_"];

impl FromStr for Clue {
    type Err = NotAClue;

    fn from_str(raw: &str) -> Result<Self, NotAClue> {
        if let Ok(super::OrderRef::Number(number)) = raw.parse() {
            return Ok(Self::Number(number));
        }
        // A UUID may be written without its hyphens, too; the shop never does.
        if let Ok(trace) = raw.parse() {
            return Ok(Self::Trace(trace));
        }
        if let Ok(id) = raw.parse() {
            return Ok(Self::Id(id));
        }
        let is_stripes = PREFIXES.iter().any(|prefix| raw.len() > prefix.len() && raw.starts_with(prefix))
            && raw.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if is_stripes { Ok(Self::Stripe(raw.to_owned())) } else { Err(NotAClue) }
    }
}

impl fmt::Display for Clue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Id(id) => id.fmt(f),
            Self::Stripe(id) => id.fmt(f),
            Self::Trace(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_hand_is_taken_for_what_it_looks_like() {
        let id = Uuid::now_v7();
        assert_eq!(id.to_string().parse(), Ok(Clue::Id(id)));
        for number in ["1002", "#1002"] {
            assert_eq!(number.parse(), Ok(Clue::Number(1002)));
        }
        for trace in ["4bf92f3577b34da6a3ce929d0e0e4736", "12345678901234567890123456789012"] {
            assert_eq!(trace.parse(), trace.parse().map(Clue::Trace).map_err(|_| NotAClue), "{trace}");
        }
        for stripes in ["pi_3Afox", "ch_1", "py_1", "re_1", "pyr_1", "dp_1", "du_1", "evt_test_1", "req_1"] {
            assert_eq!(stripes.parse(), Ok(Clue::Stripe(stripes.to_owned())));
        }
        for nothing in ["", "#", "-1", "1.0", "pi_", "cus_1", "pi_1 OR 1", "pi_1\0", "ada@example.com", "PI_1"] {
            assert_eq!(nothing.parse::<Clue>(), Err(NotAClue), "{nothing}");
        }
    }
}
