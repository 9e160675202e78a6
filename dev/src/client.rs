//! A client of the shop's API, as any other: JSON over HTTP, a token, problems told in the API's own words.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use reqwest::{
    Method, StatusCode,
    header::{HeaderName, HeaderValue},
};
use serde_json::Value;

/// Longer than the longest wait that the API offers.
const PATIENCE: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    call: String,
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    pub(crate) took: Duration,
}

/// The client of HTTP that all of `cargo dev` calls with.
pub(crate) fn http() -> reqwest::Client {
    http_within(PATIENCE)
}

/// One that waits so long for an answer.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn http_within(patience: Duration) -> reqwest::Client {
    reqwest::Client::builder().timeout(patience).build().expect("TLS is set up when the program starts")
}

impl Client {
    pub(crate) fn new(base: &str) -> Self {
        Self { http: http(), base: base.to_owned(), token: None }
    }

    /// One that calls with `http`.
    pub(crate) fn over(http: &reqwest::Client, base: &str) -> Self {
        Self { http: http.clone(), base: base.to_owned(), token: None }
    }

    /// The same, on behalf of whoever has this token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same, on behalf of whoever this session is of.
    pub(crate) fn with_session(&self, session: &Value) -> Result<Self> {
        let token = session["access_token"].as_str().context("the session has no access_token")?;
        Ok(self.with_token(token))
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Reply> {
        self.call(Method::GET, path, None, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.call(Method::POST, path, Some(body), &[]).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Reply> {
        self.call(Method::PUT, path, Some(body), &[]).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Reply> {
        self.call(Method::DELETE, path, None, &[]).await
    }

    /// A form, as browsers and clients of Stripe send it.
    pub(crate) async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Result<Reply> {
        let mut request = self.http.post(format!("{}{path}", self.base)).form(form);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        send(format!("POST {path}"), request).await
    }

    /// Any call, with headers of its own.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, &str)],
    ) -> Result<Reply> {
        let call = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).with_context(|| format!("{name} of {call}"))?;
            request = request.header(HeaderName::from_static(name), value);
        }
        send(call, request).await
    }
}

async fn send(call: String, request: reqwest::RequestBuilder) -> Result<Reply> {
    let began = Instant::now();
    let answer = request.send().await.with_context(|| format!("{call}: no answer"))?;
    let status = answer.status();
    let text = answer.text().await.with_context(|| format!("{call}: the answer breaks off"))?;
    let took = began.elapsed();
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
    Ok(Reply::new(call, status, body, took))
}

impl Reply {
    pub(crate) fn new(call: String, status: StatusCode, body: Value, took: Duration) -> Self {
        Self { call, status, body, took }
    }

    /// The answer, if it has one of these statuses.
    pub(crate) fn expect(self, statuses: &[u16]) -> Result<Self> {
        if !statuses.contains(&self.status.as_u16()) {
            bail!("{self}");
        }
        Ok(self)
    }

    /// The stable code of a problem.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// What was answered, in the words of the problem if it is one.
impl fmt::Display for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} answered {}", self.call, self.status)?;
        let error = &self.body["error"]["message"]; // Stripe's
        match (self.code(), self.body["detail"].as_str().or(error.as_str())) {
            ("", None) => Ok(()),
            (code, Some(detail)) if !code.is_empty() => write!(out, " {code}: {detail}"),
            (code, detail) => write!(out, ": {}", detail.unwrap_or(code)),
        }?;
        if let Some(errors) = self.body.get("errors") {
            write!(out, " {errors}")?;
        }
        Ok(())
    }
}
