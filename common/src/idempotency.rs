//! Idempotency keys: the row of a key is inserted in the transaction of the request's effect, and inserting it is the lock.
//! A repeat that comes at the same time, on any replica, waits for that transaction; after an error nothing is kept.

use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::id::UserId;

/// Longest key, in bytes, as at Stripe (<https://docs.stripe.com/api/idempotent_requests>).
pub const MAX_KEY_LEN: usize = 255;

/// One request under a client's key.
#[derive(Clone, Debug)]
pub struct KeyedRequest {
    endpoint: String,
    key: String,
    request_hash: Vec<u8>,
}

/// What a request under a key may do.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// Go on, and [`keep`](KeyedRequest::keep) what it made, in the same transaction, unless it was claimed
    /// [for that](KeyedRequest::claim_for).
    Fresh,
    /// It was done already, and made this.
    Replay(Uuid),
}

/// Why a request under a key may not go on.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The key was used for another body.
    #[error("the key was used with another body")]
    Reused,
    /// The first request with this key still runs.
    #[error("the first request with this key is still running")]
    InProgress,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl KeyedRequest {
    /// A request to `endpoint` (method and path) with this key and body, compared byte by byte.
    pub fn new(endpoint: impl Into<String>, key: impl Into<String>, body: &[u8]) -> Self {
        Self { endpoint: endpoint.into(), key: key.into(), request_hash: Sha256::digest(body).to_vec() }
    }

    /// Takes the key for 24 hours in the caller's transaction, or tells what its first request made. Waits up to five
    /// seconds for a first request that is still running.
    ///
    /// # Errors
    /// After any error the transaction is to be rolled back.
    pub async fn claim(&self, tx: &mut PgConnection, user: UserId) -> Result<Claim, ClaimError> {
        self.take(tx, user, None).await
    }

    /// Takes the key as [`claim`](Self::claim) does, where it is known already what the request will make: nothing is left to
    /// [`keep`](Self::keep).
    ///
    /// # Errors
    /// After any error the transaction is to be rolled back.
    pub async fn claim_for(&self, tx: &mut PgConnection, user: UserId, resource: Uuid) -> Result<Claim, ClaimError> {
        self.take(tx, user, Some(resource)).await
    }

    /// The limit on waiting for locks is set and taken back by the one statement that it is for: it is read when a wait begins.
    async fn take(&self, tx: &mut PgConnection, user: UserId, resource: Option<Uuid>) -> Result<Claim, ClaimError> {
        let taken = sqlx::query_scalar!(
            r#"INSERT INTO idempotency_keys AS k (user_id, endpoint, key, request_hash, resource_id, expires_at)
               SELECT $1, $2, $3, $4, $5, now() + interval '24 hours' FROM set_config('lock_timeout', '5s', true)
               ON CONFLICT (user_id, endpoint, key) DO UPDATE
                 SET request_hash = excluded.request_hash, resource_id = excluded.resource_id,
                     created_at = excluded.created_at, expires_at = excluded.expires_at
                 WHERE k.expires_at <= now()
               RETURNING set_config('lock_timeout', '0', true) AS "taken!""#,
            user.0,
            self.endpoint,
            self.key,
            self.request_hash,
            resource,
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(|error| match &error {
            sqlx::Error::Database(e) if e.code().as_deref() == Some("55P03") => ClaimError::InProgress,
            _ => error.into(),
        })?;
        if taken.is_some() {
            return Ok(Claim::Fresh);
        }
        let first = sqlx::query!(
            "SELECT request_hash, resource_id, set_config('lock_timeout', '0', true) FROM idempotency_keys
             WHERE user_id = $1 AND endpoint = $2 AND key = $3",
            user.0,
            self.endpoint,
            self.key,
        )
        .fetch_one(&mut *tx)
        .await?;
        match first.resource_id {
            _ if first.request_hash != self.request_hash => Err(ClaimError::Reused),
            Some(resource) => Ok(Claim::Replay(resource)),
            None => Err(ClaimError::InProgress),
        }
    }

    /// Keeps what the request made, so that a repeat gets it back.
    ///
    /// # Errors
    /// The database's.
    pub async fn keep(&self, tx: &mut PgConnection, user: UserId, resource: Uuid) -> sqlx::Result<()> {
        sqlx::query!(
            "UPDATE idempotency_keys SET resource_id = $4 WHERE user_id = $1 AND endpoint = $2 AND key = $3",
            user.0,
            self.endpoint,
            self.key,
            resource,
        )
        .execute(tx)
        .await
        .map(|_| ())
    }
}
