//! Idempotency keys as Stripe documents them (docs.stripe.com/api/idempotent_requests): the first answer under a key is kept
//! and replayed, a 500 too; the same key with other parameters is an error; a key in use is a conflict; a key is forgotten after
//! 24 hours. An answer is not kept when the call was refused before its endpoint began.

use std::collections::HashSet;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    errors::ApiError,
    form::Form,
    store::{Books, Record},
};

/// The answer kept under a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SavedAnswer {
    pub(crate) key: String,
    path: String,
    /// Of method, path and parameters.
    fingerprint: String,
    pub(crate) status: u16,
    pub(crate) body: Value,
    /// The request that got it first.
    pub(crate) request_id: String,
    /// Milliseconds.
    saved_at: i64,
    /// Forgotten on purpose, before its time.
    forgotten: bool,
}

impl Record for SavedAnswer {
    const KIND: &'static str = "idempotent_answer";

    fn id(&self) -> &str {
        &self.key
    }
}

/// A request under a key, before it is known what becomes of it.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) key: String,
    path: String,
    fingerprint: String,
}

impl Claim {
    pub(crate) fn new(key: &str, path: &str, form: &Form) -> Self {
        let mut digest = Sha256::new();
        for text in
            std::iter::once(path).chain(form.pairs.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]))
        {
            digest.update(text.len().to_be_bytes());
            digest.update(text.as_bytes());
        }
        Self { key: key.to_owned(), path: path.to_owned(), fingerprint: hex::encode(digest.finalize()) }
    }
}

/// What a claim meets.
pub(crate) enum Found {
    /// Nobody had the key: it is taken now, until [`Keys::finish`].
    Fresh,
    /// The first answer, to be given again.
    Replay(SavedAnswer),
}

/// The keys of requests that are still running. They die with the process, as the requests do.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    running: HashSet<String>,
}

impl Keys {
    /// Takes the key or finds what was answered under it.
    ///
    /// # Errors
    /// 400 for other parameters or another endpoint, 409 while the first request is running.
    pub(crate) fn claim(&mut self, books: &Books, claim: &Claim, oldest_ms: i64) -> Result<Found, ApiError> {
        let key = &claim.key;
        let known = books.answers.get(key).filter(|answer| !answer.forgotten && answer.saved_at >= oldest_ms);
        match known {
            Some(answer) if answer.path != claim.path => Err(ApiError::idempotency(
                StatusCode::BAD_REQUEST,
                None,
                format!(
                    "Keys for idempotent requests can only be used for the same endpoint they were first used for ('{}' vs \
                     '{}'). Try using a key other than '{key}' if you meant to execute a different request.",
                    claim.path, answer.path
                ),
            )),
            Some(answer) if answer.fingerprint != claim.fingerprint => Err(ApiError::idempotency(
                StatusCode::BAD_REQUEST,
                None,
                format!(
                    "Keys for idempotent requests can only be used with the same parameters they were first used with. Try \
                     using a key other than '{key}' if you meant to execute a different request."
                ),
            )),
            Some(answer) => Ok(Found::Replay(answer.clone())),
            None if self.running.insert(key.clone()) => Ok(Found::Fresh),
            None => Err(ApiError::idempotency(
                StatusCode::CONFLICT,
                Some("idempotency_key_in_use"),
                format!(
                    "There is currently another in-progress request using this Idempotent Key (that probably means you \
                     submitted twice, and the other request is still going through): {key}. Please try again later."
                ),
            )),
        }
    }

    /// Gives the key back, with the answer if it is to be kept.
    pub(crate) fn finish(&mut self, books: &mut Books, claim: &Claim, kept: Option<(u16, Value, String)>, now_ms: i64) {
        self.running.remove(&claim.key);
        if let Some((status, body, request_id)) = kept {
            books.answers.put(SavedAnswer {
                key: claim.key.clone(),
                path: claim.path.clone(),
                fingerprint: claim.fingerprint.clone(),
                status,
                body,
                request_id,
                saved_at: now_ms,
                forgotten: false,
            });
        }
    }
}

/// Forgets every key, as Stripe does after 24 hours.
pub(crate) fn forget_all(books: &mut Books) {
    let keys: Vec<String> = books.answers.all().iter().map(|answer| answer.key.clone()).collect();
    for key in keys {
        if let Some(answer) = books.answers.get_mut(&key) {
            answer.forgotten = true;
        }
    }
}

/// # Errors
/// 400 for a key above 255 characters.
pub(crate) fn check_length(key: &str) -> Result<(), ApiError> {
    if key.chars().count() <= 255 {
        return Ok(());
    }
    Err(ApiError::invalid("Idempotency keys can be at most 255 characters long."))
}
