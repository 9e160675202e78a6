//! Access tokens (JWT, RFC 7519) and refresh tokens.
//!
//! HS256 is the only algorithm: what a token's header says of keys and algorithms is never acted on.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{clock::Clock, config::Secret, db::CLOCK_TOLERANCE, id::UserId};

const ISSUER: &str = "kassa";
const AUDIENCE: &str = "kassa-api";

/// Signs access tokens and verifies them.
pub struct AccessTokens {
    signing: EncodingKey,
    verifying: Vec<DecodingKey>,
    validation: Validation,
    lifetime: Duration,
    clock: Clock,
}

/// What a verified token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whose it is.
    pub user: UserId,
    /// The user's `token_version` when it was made.
    pub version: i32,
}

/// Forged, expired, for somebody else, or no token at all: its bearer learns no more than that.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid access token")]
pub struct NotAnAccessToken;

#[derive(Serialize, Deserialize)]
struct Payload {
    iss: String,
    aud: String,
    sub: Uuid,
    exp: i64,
    iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    ver: i32,
}

impl AccessTokens {
    /// Signs with the first of `secrets`, verifies with all.
    ///
    /// # Panics
    /// When there are none.
    pub fn new(secrets: &[Secret], lifetime: Duration, clock: Clock) -> Self {
        let first = secrets.first().expect("the configuration has at least one secret");
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_exp = false; // `verify` does that, by a clock that a test can set
        Self {
            signing: EncodingKey::from_secret(first.expose().as_bytes()),
            verifying: secrets.iter().map(|s| DecodingKey::from_secret(s.expose().as_bytes())).collect(),
            validation,
            lifetime,
            clock,
        }
    }

    /// How long a token is good for.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A new token.
    pub fn issue(&self, claims: Claims) -> String {
        let now = self.clock.now();
        let payload = Payload {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: claims.user.0,
            exp: (now + self.lifetime).timestamp(),
            iat: now.timestamp(),
            nbf: None,
            ver: claims.version,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &payload, &self.signing)
            .expect("plain claims are JSON, and an HMAC key signs anything")
    }

    /// What a token says, if one of the secrets signed it, it is for us and it is good now. No leeway is given: the clock
    /// that made it is ours. One that was made later than now is no good either, but for what two clocks of ours may differ by.
    ///
    /// # Errors
    /// When it is no good, for whatever reason.
    pub fn verify(&self, token: &str) -> Result<Claims, NotAnAccessToken> {
        let token = self
            .verifying
            .iter()
            .find_map(|key| jsonwebtoken::decode::<Payload>(token, key, &self.validation).ok())
            .ok_or(NotAnAccessToken)?;
        let now = self.clock.now().timestamp();
        let newest = (self.clock.now() + CLOCK_TOLERANCE).timestamp();
        let has_begun = token.claims.nbf.is_none_or(|start| start <= now) && token.claims.iat <= newest;
        let in_time = has_begun && token.claims.exp > now;
        let understood = token.header.crit.is_none(); // RFC 7515, section 4.1.11: extensions that we don't know
        if !(in_time && understood) {
            return Err(NotAnAccessToken);
        }
        Ok(Claims { user: UserId(token.claims.sub), version: token.claims.ver })
    }
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokens").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// A refresh token: 256 random bits, of which only the hash is kept.
pub(super) struct RefreshToken(String);

impl RefreshToken {
    pub(super) fn new() -> Self {
        Self(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
    }

    /// What the database keeps. The token is random enough that no slow hash is needed.
    pub(super) fn hash(&self) -> Vec<u8> {
        Self::hash_of(&self.0)
    }

    /// The same of a token as somebody sent it.
    pub(super) fn hash_of(token: &str) -> Vec<u8> {
        Sha256::digest(token).to_vec()
    }

    pub(super) fn reveal(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use jsonwebtoken::encode;
    use serde_json::{Value, json};

    use super::*;

    const OURS: &str = "0123456789abcdef0123456789abcdef";
    const OLD: &str = "fedcba9876543210fedcba9876543210";
    const CLAIMS: Claims = Claims { user: UserId(Uuid::from_u128(7)), version: 3 };

    fn moment() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).expect("a moment")
    }

    fn tokens(secrets: &[&str], now: DateTime<Utc>) -> AccessTokens {
        let secrets: Vec<Secret> = secrets.iter().copied().map(Secret::new).collect();
        AccessTokens::new(&secrets, Duration::from_secs(900), Clock::Fixed(now))
    }

    /// A good token's claims, with one of them changed.
    fn signed_with(name: &str, value: Value) -> String {
        let now = moment().timestamp();
        let mut claims =
            json!({"iss": ISSUER, "aud": AUDIENCE, "sub": CLAIMS.user, "exp": now + 900, "iat": now, "ver": 3});
        claims[name] = value;
        encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(OURS.as_bytes())).expect("a token")
    }

    fn forged(header: &Value, claims: &str) -> String {
        format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(header.to_string()))
    }

    #[test]
    fn a_token_is_good_until_its_last_second() {
        let token = tokens(&[OURS], moment()).issue(CLAIMS);
        let later = |seconds| moment() + TimeDelta::seconds(seconds);
        assert_eq!(tokens(&[OURS], moment()).verify(&token), Ok(CLAIMS));
        assert_eq!(tokens(&[OURS], later(899)).verify(&token), Ok(CLAIMS));
        assert_eq!(tokens(&[OURS], later(900)).verify(&token), Err(NotAnAccessToken));
    }

    #[test]
    fn any_of_several_secrets_verifies_and_a_stranger_doesnt() {
        let old = tokens(&[OLD], moment()).issue(CLAIMS);
        assert_eq!(tokens(&[OURS, OLD], moment()).verify(&old), Ok(CLAIMS));
        assert_eq!(tokens(&[OURS], moment()).verify(&old), Err(NotAnAccessToken));
    }

    #[test]
    fn wrong_missing_and_early_claims_are_refused() {
        let ours = tokens(&[OURS], moment());
        assert_eq!(ours.verify(&signed_with("ver", json!(3))), Ok(CLAIMS));
        let soon = moment().timestamp() + 1;
        assert_eq!(ours.verify(&signed_with("iat", json!(soon))), Ok(CLAIMS), "two clocks of ours may differ a little");
        for (claim, value) in [
            ("iss", json!("somebody")),
            ("iss", Value::Null),
            ("aud", json!("something")),
            ("aud", json!([])),
            ("aud", Value::Null),
            ("sub", json!("not an id")),
            ("sub", Value::Null),
            ("exp", Value::Null),
            ("exp", json!("never")),
            ("exp", json!(-1)),
            ("nbf", json!(soon)),
            ("iat", json!(soon + 30)),
            ("iat", Value::Null),
            ("ver", Value::Null),
            ("ver", json!("3")),
        ] {
            let token = signed_with(claim, value.clone());
            assert_eq!(ours.verify(&token), Err(NotAnAccessToken), "{claim}: {value}");
        }
    }

    #[test]
    fn other_algorithms_and_tampering_are_refused() {
        let ours = tokens(&[OURS], moment());
        let token = ours.issue(CLAIMS);
        let parts: Vec<&str> = token.split('.').collect();
        for alg in ["none", "None", "NONE", "nOnE", "", "HS512", "RS256", "HS256"] {
            let token = forged(&json!({"alg": alg, "typ": "JWT"}), parts[1]);
            assert_eq!(ours.verify(&token), Err(NotAnAccessToken), "{alg}");
        }
        let other_payload = tokens(&[OLD], moment()).issue(Claims { version: 4, ..CLAIMS });
        let swapped = format!("{}.{}.{}", parts[0], other_payload.split('.').nth(1).expect("a payload"), parts[2]);
        assert_eq!(ours.verify(&swapped), Err(NotAnAccessToken));
        for junk in ["", ".", "..", "a.b.c", parts[0], &token[..token.len() - 2]] {
            assert_eq!(ours.verify(junk), Err(NotAnAccessToken), "{junk}");
        }
    }

    #[test]
    fn what_a_header_says_of_keys_is_ignored_and_unknown_extensions_are_refused() {
        let ours = tokens(&[OURS], moment());
        let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": CLAIMS.user, "exp": moment().timestamp() + 9, "iat": 0, "ver": 3});
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("../../dev/null".into());
        header.jku = Some("https://evil.example/keys".into());
        let by_stranger = encode(&header, &claims, &EncodingKey::from_secret(OLD.as_bytes())).expect("a token");
        assert_eq!(ours.verify(&by_stranger), Err(NotAnAccessToken));
        header.crit = Some(vec!["x".into()]);
        let extended = encode(&header, &claims, &EncodingKey::from_secret(OURS.as_bytes())).expect("a token");
        assert_eq!(ours.verify(&extended), Err(NotAnAccessToken));
    }
}
