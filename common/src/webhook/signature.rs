//! Stripe's signature scheme (<https://docs.stripe.com/webhooks#verify-manually>): an HMAC-SHA256 over `t.body`, checked over the
//! raw bytes, before anything is parsed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::config::Secret;

/// How far a signature's time may lie from ours, either way: Stripe's own default.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// Why a signature is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSignature {
    /// No time, or no signature that could be read.
    #[error("the Stripe-Signature header is malformed")]
    Malformed,
    /// Signed by somebody else, or the body was changed.
    #[error("no v1 signature matches")]
    Mismatch,
    /// Genuine, but too old (or too new) to be taken: it may have been replayed.
    #[error("the signature's time is outside the tolerance")]
    OutsideTolerance,
}

/// Checks that one of the `v1` signatures in `header` was made of `body` with one of the secrets, not long before or after `now`.
///
/// # Errors
/// See [`InvalidSignature`].
pub fn verify(body: &[u8], header: &str, secrets: &[Secret], now: DateTime<Utc>) -> Result<(), InvalidSignature> {
    let mut time = None;
    let mut signatures = vec![];
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => time = Some(value),
            Some(("v1", value)) => signatures.extend(hex::decode(value)),
            _ => {} // other schemes, of today or tomorrow
        }
    }
    let time = time.ok_or(InvalidSignature::Malformed)?;
    let signed_at: i64 = time.parse().map_err(|_| InvalidSignature::Malformed)?;
    if signatures.is_empty() {
        return Err(InvalidSignature::Malformed);
    }
    let genuine = secrets.iter().any(|secret| {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(body);
        signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok()) // in constant time
    });
    if !genuine {
        return Err(InvalidSignature::Mismatch);
    }
    if now.timestamp().abs_diff(signed_at) > TOLERANCE.as_secs() {
        return Err(InvalidSignature::OutsideTolerance);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    fn sign(secret: &str, time: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
        mac.update(format!("{time}.").as_bytes());
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    #[test]
    fn any_v1_signature_by_any_secret_is_taken() {
        let secrets = [Secret::new("whsec_new"), Secret::new("whsec_old")];
        let header = format!("t=1000,v1={},v1={},v0=x", "00".repeat(32), sign("whsec_old", 1000, BODY));
        assert_eq!(verify(BODY, &header, &secrets, at(1000)), Ok(()));
    }

    #[test]
    fn forged_tampered_and_stale_ones_are_refused() {
        let secrets = [Secret::new("whsec_a")];
        let header = format!("t=1000,v1={}", sign("whsec_a", 1000, BODY));
        assert_eq!(verify(BODY, &header, &secrets, at(1300)), Ok(()));
        assert_eq!(verify(BODY, &header, &secrets, at(1301)), Err(InvalidSignature::OutsideTolerance));
        assert_eq!(verify(BODY, &header, &secrets, at(699)), Err(InvalidSignature::OutsideTolerance));
        assert_eq!(verify(b"{}", &header, &secrets, at(1000)), Err(InvalidSignature::Mismatch));
        let later = header.replace("t=1000", "t=1200");
        assert_eq!(verify(BODY, &later, &secrets, at(1200)), Err(InvalidSignature::Mismatch));
        let forged = format!("t=1000,v1={}", sign("whsec_b", 1000, BODY));
        assert_eq!(verify(BODY, &forged, &secrets, at(1000)), Err(InvalidSignature::Mismatch));
    }

    #[test]
    fn headers_that_are_none_are_malformed() {
        for header in ["", "t=1000", "v1=00", "t=x,v1=00", "t=99999999999999999999,v1=00", "t=1,v1=zz", ",,,=,="] {
            assert_eq!(
                verify(BODY, header, &[Secret::new("whsec_a")], at(1000)),
                Err(InvalidSignature::Malformed),
                "{header}"
            );
        }
    }
}
