//! What can go wrong with a call to Stripe, and what it means for the job (<https://docs.stripe.com/error-low-level>).

use std::{fmt, time::Duration};

use serde::Deserialize;

/// A call that brought no object.
#[derive(Debug)]
pub enum StripeError {
    /// Stripe answered, with an error.
    Refused(Box<Refusal>),
    /// No usable answer came. Whether the call had its effect is not known: only the same idempotency key makes another try safe.
    Unanswered(String),
    /// Stripe did what it was asked, and told of it in a way that this version does not understand.
    Unreadable,
}

/// Stripe's error answer (<https://docs.stripe.com/api/errors>), as far as it was readable.
#[derive(Debug, Default)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// `card_error`, `invalid_request_error`, …
    pub kind: Option<String>,
    /// `payment_intent_unexpected_state`, …
    pub code: Option<String>,
    /// The issuer's reason.
    pub decline_code: Option<String>,
    /// Stripe's sentence. It may quote what was sent: for the order's own log only.
    pub message: Option<String>,
    /// `req_…`
    pub request_id: Option<String>,
    /// How long Stripe wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether this was the saved answer to an earlier try under the same idempotency key.
    pub replayed: bool,
}

/// What a failed call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The same call may work later.
    Later,
    /// The key or the account is not right: nothing about this order is wrong.
    OurConfiguration,
    /// The same idempotency key will never give another answer than this one.
    KeySpent,
    /// Stripe will never do this, whenever it is asked.
    Never,
}

/// The body of an error answer.
#[derive(Deserialize)]
pub(super) struct ErrorBody {
    error: ErrorFields,
}

#[derive(Deserialize)]
struct ErrorFields {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
}

impl Refusal {
    pub(super) fn with_body(mut self, body: &[u8]) -> Self {
        if let Ok(ErrorBody { error }) = serde_json::from_slice(body) {
            self.kind = error.kind;
            self.code = error.code;
            self.decline_code = error.decline_code;
            self.message = error.message;
        }
        self
    }
}

impl StripeError {
    /// What this means for the job.
    pub fn failure(&self) -> Failure {
        let Self::Refused(refusal) = self else { return Failure::Later };
        match refusal.status {
            // The first try under this key still runs (`idempotency_key_in_use`): another key would make a second object.
            409 | 429 => Failure::Later,
            _ if refusal.kind.as_deref() == Some("idempotency_error") => Failure::KeySpent,
            500.. if refusal.replayed => Failure::KeySpent,
            401 | 403 => Failure::OurConfiguration,
            // A proxy's 4xx without Stripe's error object says nothing about the order.
            400 | 402 if refusal.kind.is_some() => Failure::Never,
            _ => Failure::Later,
        }
    }

    /// How long Stripe wants to be left alone, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Refused(refusal) = self { refusal.retry_after } else { None }
    }

    /// Whether Stripe answered with this error code.
    pub fn is_code(&self, code: &str) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code.as_deref() == Some(code))
    }

    /// Stripe's error type, or ours for a call that brought no answer.
    pub fn kind(&self) -> &str {
        match self {
            Self::Refused(refusal) => refusal.kind.as_deref().unwrap_or("unreadable"),
            Self::Unanswered(_) => "unanswered",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for StripeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => {
                write!(f, "Stripe answered {} {}", refusal.status, self.kind())?;
                for detail in [&refusal.code, &refusal.decline_code, &refusal.request_id].into_iter().flatten() {
                    write!(f, " {detail}")?;
                }
                Ok(())
            }
            Self::Unanswered(what) => write!(f, "Stripe did not answer: {what}"),
            Self::Unreadable => f.write_str("Stripe's answer is not what its API says"),
        }
    }
}

impl std::error::Error for StripeError {}

impl stripe_client_core::StripeClientErr for StripeError {
    /// The text may quote the answer, client secret and all: it isn't kept.
    fn deserialize_err(_: impl fmt::Display) -> Self {
        Self::Unreadable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, kind: Option<&str>, replayed: bool) -> Failure {
        let refusal = Refusal { status, kind: kind.map(str::to_owned), replayed, ..Refusal::default() };
        StripeError::Refused(Box::new(refusal)).failure()
    }

    #[test]
    fn only_a_refusal_of_this_very_request_is_final() {
        assert_eq!(refused(400, Some("invalid_request_error"), false), Failure::Never);
        assert_eq!(refused(402, Some("card_error"), false), Failure::Never);
        assert_eq!(refused(401, Some("invalid_request_error"), false), Failure::OurConfiguration);
        assert_eq!(refused(403, None, false), Failure::OurConfiguration);
        assert_eq!(refused(400, Some("idempotency_error"), false), Failure::KeySpent);
        assert_eq!(refused(500, Some("api_error"), true), Failure::KeySpent);
        for (status, kind) in [
            (500, Some("api_error")),
            (429, Some("invalid_request_error")),
            (409, Some("idempotency_error")),
            (400, None),
            (404, Some("invalid_request_error")),
            (502, None),
        ] {
            assert_eq!(refused(status, kind, false), Failure::Later, "{status}");
        }
        assert_eq!(StripeError::Unanswered("timeout".into()).failure(), Failure::Later);
        assert_eq!(StripeError::Unreadable.failure(), Failure::Later);
    }
}
