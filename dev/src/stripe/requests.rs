//! What was asked of the API, for tests and people to look at: the newest ten thousand requests, without secrets.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::dispatch::Call;

const KEPT: usize = 10_000;

/// A request as the control endpoint shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Seen {
    pub(crate) request_id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Parameters by name; a client secret is shown as `[hidden]`.
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) idempotency_key: Option<String>,
    /// The caller's (W3C Trace Context), as it came.
    pub(crate) traceparent: Option<String>,
    /// Whether the answer was one kept under the key.
    pub(crate) replayed: bool,
    /// None while it is running, and where no answer was given.
    pub(crate) status: Option<u16>,
    /// Milliseconds since the Unix epoch, by the simulator's clock.
    pub(crate) received_at: i64,
    /// The fault that acted on it.
    pub(crate) fault: bool,
}

/// What the head of a request tells of it.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) idempotency_key: Option<String>,
    pub(crate) traceparent: Option<String>,
}

/// The log, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    seen: VecDeque<Seen>,
}

impl Requests {
    /// Notes a request that has arrived.
    pub(crate) fn arrived(&mut self, request_id: &str, call: &Call, head: Head, fault: bool, now_ms: i64) {
        if self.seen.len() == KEPT {
            self.seen.pop_front();
        }
        let hide = |(name, value): &(String, String)| {
            let secret = matches!(name.as_str(), "client_secret" | "key");
            (name.clone(), if secret { "[hidden]".to_owned() } else { value.clone() })
        };
        self.seen.push_back(Seen {
            request_id: request_id.to_owned(),
            method: call.method.clone(),
            path: call.path.clone(),
            params: call.form.pairs.iter().map(hide).collect(),
            idempotency_key: head.idempotency_key,
            traceparent: head.traceparent,
            replayed: false,
            status: None,
            received_at: now_ms,
            fault,
        });
    }

    /// Notes what it was answered.
    pub(crate) fn answered(&mut self, request_id: &str, status: u16, replayed: bool) {
        if let Some(seen) = self.seen.iter_mut().rev().find(|seen| seen.request_id == request_id) {
            seen.status = Some(status);
            seen.replayed = replayed;
        }
    }

    /// Those whose method and start of path fit.
    pub(crate) fn list(&self, method: Option<&str>, path: Option<&str>) -> Vec<Seen> {
        let fits = |seen: &&Seen| {
            method.is_none_or(|method| seen.method.eq_ignore_ascii_case(method))
                && path.is_none_or(|path| seen.path.starts_with(path))
        };
        self.seen.iter().filter(fits).cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.seen.clear();
    }
}
