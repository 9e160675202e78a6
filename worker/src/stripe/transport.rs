//! How calls travel: one HTTP client with kept-alive connections, a time limit for each call, and no retries of its own, for
//! those are the queue's.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use bytes::Bytes;
use common::{
    cause,
    config::{self, Secret},
};
use reqwest::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use stripe_client_core::{
    CustomizedStripeRequest, IdempotencyKey, RequestBuilder, StripeClient, StripeMethod, VERSION,
};

use super::{
    Answer,
    error::{Refusal, StripeError},
};
use crate::metrics::{STRIPE_REQUEST_DURATION, STRIPE_REQUESTS};

/// The way to Stripe.
#[derive(Clone, Debug)]
pub struct Stripe {
    client: reqwest::Client,
    key: Secret,
    base: String,
}

impl Stripe {
    /// A client for the configured account.
    ///
    /// # Errors
    /// When this machine has no TLS roots.
    pub fn new(config: &config::Stripe) -> reqwest::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "this is the one client that speaks to Stripe")]
        let client = reqwest::Client::builder()
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(Duration::from_secs(10)))
            .user_agent(concat!("kassa/", env!("CARGO_PKG_VERSION")))
            .tcp_nodelay(true)
            .build()?;
        let base = config.api_base.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client, key: config.secret_key.clone(), base })
    }

    /// Starts a call; `operation` is what metrics name it by.
    pub(super) fn call(&self, operation: &'static str) -> Call<'_> {
        Call { stripe: self, operation, request_id: OnceLock::new() }
    }
}

/// One call: what async-stripe's requests are sent through.
pub(super) struct Call<'a> {
    stripe: &'a Stripe,
    operation: &'static str,
    request_id: OnceLock<String>,
}

impl Call<'_> {
    /// What the call brought.
    pub(super) fn answered<T>(&self, report: T) -> Answer<T> {
        Answer { report, request_id: self.request_id.get().cloned() }
    }

    /// Asks for something as it is: what async-stripe's types could not hold is not lost. `path` begins after `/v1`.
    pub(super) async fn get(&self, path: &str, query: String) -> Result<Bytes, StripeError> {
        let mut request = RequestBuilder::new(StripeMethod::Get, path);
        request.query = Some(query);
        self.measured(request, None).await
    }

    /// Asks for an object to be made of nothing.
    pub(super) async fn post_nothing(&self, path: &str) -> Result<Bytes, StripeError> {
        self.measured(RequestBuilder::new(StripeMethod::Post, path), None).await
    }

    async fn measured(&self, request: RequestBuilder, key: Option<IdempotencyKey>) -> Result<Bytes, StripeError> {
        let started = Instant::now();
        let answer = self.send(request, key).await;
        let outcome = match &answer {
            Ok(_) => "ok".to_owned(),
            Err(StripeError::Refused(refusal)) => refusal.status.to_string(),
            Err(StripeError::Unanswered(_) | StripeError::Unreadable) => "unanswered".to_owned(),
        };
        metrics::counter!(STRIPE_REQUESTS, "operation" => self.operation, "outcome" => outcome).increment(1);
        metrics::histogram!(STRIPE_REQUEST_DURATION, "operation" => self.operation)
            .record(started.elapsed().as_secs_f64());
        answer
    }

    async fn send(&self, request: RequestBuilder, key: Option<IdempotencyKey>) -> Result<Bytes, StripeError> {
        let method = match request.method {
            StripeMethod::Get => Method::GET,
            StripeMethod::Post => Method::POST,
            StripeMethod::Delete => Method::DELETE,
        };
        let query = request.query.map(|q| format!("?{q}")).unwrap_or_default();
        let mut http = self
            .stripe
            .client
            .request(method, format!("{}/v1{}{query}", self.stripe.base, request.path))
            .bearer_auth(self.stripe.key.expose())
            .header("Stripe-Version", VERSION.as_str());
        if let Some(trace) = cause::trace() {
            http = http.header("traceparent", trace.to_string());
        }
        if let Some(key) = key {
            http = http.header("Idempotency-Key", key.as_str());
        }
        if let Some(body) = request.body {
            http = http.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        let answer = http.send().await.map_err(|e| unanswered(&e))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if let Some(id) = text(&headers, "request-id") {
            let _ = self.request_id.set(id); // set once: a call is sent once
        }
        let body = answer.bytes().await.map_err(|e| unanswered(&e))?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(StripeError::Refused(Box::new(refusal(status, &headers, &body))))
        }
    }
}

impl StripeClient for Call<'_> {
    type Err = StripeError;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, StripeError> {
        let (request, overrides) = request.into_pieces();
        self.measured(request, overrides.request_strategy.and_then(|strategy| strategy.get_key())).await
    }
}

/// Longest wait that is granted: a job that is put off for a day is as good as lost.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(10 * 60);

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Refusal {
    let retry_after = text(headers, RETRY_AFTER.as_str()).and_then(|s| s.parse().ok());
    Refusal {
        status: status.as_u16(),
        request_id: text(headers, "request-id"),
        replayed: text(headers, "idempotent-replayed").as_deref() == Some("true"),
        retry_after: retry_after.map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER)),
        ..Refusal::default()
    }
    .with_body(body)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Says what kind of failure it was; the error itself holds the URL, which is of no use to a reader of the log.
fn unanswered(error: &reqwest::Error) -> StripeError {
    StripeError::Unanswered(
        match error {
            e if e.is_timeout() => "timeout",
            e if e.is_connect() => "no connection",
            e if e.is_body() || e.is_decode() => "its answer broke off",
            _ => "the connection broke",
        }
        .into(),
    )
}
