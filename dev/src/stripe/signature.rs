//! `Stripe-Signature`: HMAC-SHA256 over `timestamp.payload`, one `v1` for each secret, as while a secret is being rolled.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The value of the header (<https://docs.stripe.com/webhooks#verify-manually>); `timestamp` is in seconds since 1970.
pub fn sign(payload: &str, timestamp: i64, secrets: &[String]) -> String {
    let mut header = format!("t={timestamp}");
    for secret in secrets {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(timestamp.to_string().as_bytes());
        mac.update(b".");
        mac.update(payload.as_bytes());
        header.push_str(",v1=");
        header.push_str(&hex::encode(mac.finalize().into_bytes()));
    }
    header
}
