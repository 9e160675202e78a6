//! The token in a password reset's mail: the reset's id, a dot, and the HMAC-SHA256 of that id under JWT_SECRET, in base64url.
//! Whoever reads the database, its backups or its jobs learns none: only who has the secret can make one.
//!
//! A JWT is signed by the same secret, but over a text with a dot in it, and an id has none: neither passes for the other.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{config::Secret, id::PasswordResetId};

/// Makes the tokens of password resets and verifies them.
#[derive(Clone, Debug)]
pub struct ResetTokens(Vec<Secret>);

/// Forged, or no such token at all.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid token of a password reset")]
pub struct NotAResetToken;

impl ResetTokens {
    /// Signs with the first of `secrets`, verifies with all.
    ///
    /// # Panics
    /// When there are none.
    pub fn new(secrets: &[Secret]) -> Self {
        assert!(!secrets.is_empty(), "the configuration has at least one secret");
        Self(secrets.to_vec())
    }

    /// The token of a reset: always the same for the same secret. It is fit for a URL as it is.
    pub fn issue(&self, id: PasswordResetId) -> String {
        let signature = mac(&self.0[0], id).finalize().into_bytes();
        format!("{id}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The reset that a token is for, if one of the secrets signed it. Whether that one is still open is the database's to say.
    ///
    /// # Errors
    /// When it is no good, for whatever reason.
    pub fn verify(&self, token: &str) -> Result<PasswordResetId, NotAResetToken> {
        let (id, signature) = token.split_once('.').ok_or(NotAResetToken)?;
        let id: PasswordResetId = id.parse().map_err(|_| NotAResetToken)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| NotAResetToken)?;
        let signed = self.0.iter().any(|secret| mac(secret, id).verify_slice(&signature).is_ok()); // in constant time
        if signed { Ok(id) } else { Err(NotAResetToken) }
    }
}

fn mac(secret: &Secret, id: PasswordResetId) -> Hmac<Sha256> {
    let key = secret.expose().as_bytes();
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length").chain_update(id.to_string())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const OURS: &str = "0123456789abcdef0123456789abcdef";
    const OLD: &str = "fedcba9876543210fedcba9876543210";
    const ID: PasswordResetId = PasswordResetId(Uuid::from_u128(7));

    fn tokens(secrets: &[&str]) -> ResetTokens {
        ResetTokens::new(&secrets.iter().copied().map(Secret::new).collect::<Vec<_>>())
    }

    #[test]
    fn a_token_is_the_id_and_its_hmac() {
        // printf 00000000-0000-0000-0000-000000000007 | openssl dgst -sha256 -hmac $OURS -binary | basenc --base64url
        let token = "00000000-0000-0000-0000-000000000007.P3jVj5RajfpNZHeN-_3Mosuxa33ooEjztyeLK0B1ecY";
        assert_eq!(tokens(&[OURS]).issue(ID), token);
        assert_eq!(tokens(&[OURS]).verify(token), Ok(ID));
    }

    #[test]
    fn any_of_several_secrets_verifies_and_the_first_signs() {
        let token = tokens(&[OLD]).issue(ID);
        assert_eq!(tokens(&[OURS, OLD]).verify(&token), Ok(ID));
        assert_eq!(tokens(&[OURS]).verify(&token), Err(NotAResetToken));
        assert_eq!(tokens(&[OURS, OLD]).issue(ID), tokens(&[OURS]).issue(ID));
    }

    #[test]
    fn what_was_forged_or_tampered_with_is_refused() {
        let ours = tokens(&[OURS]);
        let token = ours.issue(ID);
        let (id, signature) = token.split_once('.').expect("two parts");
        let another = PasswordResetId::new();
        for forged in [
            String::new(),
            ".".into(),
            id.into(),
            format!("{id}."),
            format!("{another}.{signature}"),
            format!("{another}.{signature}.{signature}"),
            format!("{token}="),
            format!(" {token}"),
            token[..token.len() - 2].into(),
            format!("{id}.{}", "A".repeat(signature.len())),
        ] {
            assert_eq!(ours.verify(&forged), Err(NotAResetToken), "{forged}");
        }
    }
}
