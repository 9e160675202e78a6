//! Errors as Stripe words them: `{"error": {type, code, message, …}}` with the status that Stripe gives them.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

/// An answer that says no.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    message: String,
    param: Option<String>,
    /// Further members of the error: `decline_code`, `payment_intent`, `charge` and so on.
    more: Map<String, Value>,
    /// Whether the endpoint began its work. Stripe keeps the answer under the idempotency key only then.
    pub(crate) executed: bool,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status, kind, code, message: message.into(), param: None, more: Map::new(), executed: false }
    }

    /// 400: a parameter is wrong. The endpoint never began.
    pub(crate) fn parameter(
        code: impl Into<Option<&'static str>>,
        param: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", code.into(), message);
        Self { param: Some(param.into()), ..error }
    }

    /// 400: the request as a whole can't be read.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", None, message)
    }

    /// 400: the object's state forbids it.
    pub(crate) fn state(code: &'static str, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", Some(code), message);
        Self { executed: true, ..error }
    }

    /// 404: nothing has this id.
    pub(crate) fn missing(what: &str, id: &str, param: &str) -> Self {
        let message = format!("No such {what}: '{id}'");
        let error = Self::new(StatusCode::NOT_FOUND, "invalid_request_error", Some("resource_missing"), message);
        Self { param: Some(param.to_owned()), executed: true, ..error }
    }

    /// 402: the bank said no.
    pub(crate) fn card(code: &'static str, decline_code: &str, message: &str) -> Self {
        let mut error = Self::new(StatusCode::PAYMENT_REQUIRED, "card_error", Some(code), message);
        error.executed = true;
        error.with("decline_code", json!(decline_code))
    }

    /// 401: no key, or a wrong one.
    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", None, message)
    }

    /// 403: a publishable key where a secret one is needed.
    pub(crate) fn secret_key_required() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "invalid_request_error",
            Some("secret_key_required"),
            "This API call cannot be made with a publishable API key. Please use a secret API key. You can find a list of \
             your API keys at https://dashboard.stripe.com/account/apikeys.",
        )
    }

    /// 403: a restricted key without the permission for this.
    pub(crate) fn permission_required(key: &str, account: &str, permission: &str) -> Self {
        let message = format!(
            "The provided key '{key}' does not have the required permissions for this endpoint on account '{account}'. \
             Having the '{permission}' permission would allow this request to continue."
        );
        Self::new(StatusCode::FORBIDDEN, "invalid_request_error", None, message)
    }

    /// 404: no such endpoint.
    pub(crate) fn unknown_url(method: &str, path: &str) -> Self {
        let message = format!(
            "Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at \
             https://support.stripe.com/."
        );
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", None, message)
    }

    /// 400 or 409: the idempotency key is taken.
    pub(crate) fn idempotency(status: StatusCode, code: Option<&'static str>, message: String) -> Self {
        Self::new(status, "idempotency_error", code, message)
    }

    /// What a fault answers: the type and code that Stripe gives such a status.
    pub(crate) fn fault(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::unauthorized("Invalid API Key provided."),
            429 => Self::new(
                status,
                "invalid_request_error",
                Some("rate_limit"),
                "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
            ),
            400..=499 => Self::new(status, "invalid_request_error", None, "The request was refused."),
            _ => Self::new(
                status,
                "api_error",
                None,
                "An unknown error occurred. Please try again, or contact support if it persists.",
            ),
        }
    }

    /// Changes what the error is about.
    pub(crate) fn about(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    /// Adds a member to the error.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// Whether the error carries such a member.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.more.contains_key(name)
    }

    /// Marks that the endpoint had begun.
    pub(crate) fn after_start(mut self) -> Self {
        self.executed = true;
        self
    }

    /// The error as an intent keeps it in `last_payment_error`: without what belongs to the request.
    pub(crate) fn kept(&self) -> Value {
        let mut error = self.more.clone();
        error.remove("payment_intent");
        error.insert("type".into(), json!(self.kind));
        error.insert("message".into(), json!(self.message));
        if let Some(code) = self.code {
            error.insert("code".into(), json!(code));
            error.insert("doc_url".into(), json!(doc_url(code)));
        }
        if let Some(param) = &self.param {
            error.insert("param".into(), json!(param));
        }
        Value::Object(error)
    }

    /// The body of the answer.
    pub(crate) fn body(&self, request_id: &str, now: i64) -> Value {
        let mut error = self.kept();
        if let Some(intent) = self.more.get("payment_intent") {
            error["payment_intent"] = intent.clone();
        }
        error["request_log_url"] = json!(format!("https://dashboard.stripe.com/test/logs/{request_id}?t={now}"));
        json!({ "error": error })
    }
}

fn doc_url(code: &str) -> String {
    format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-"))
}
