//! A client of the shop, and what it is answered.

use std::{net::SocketAddr, time::Duration};

use reqwest::{Body, Certificate, Method, Request, RequestBuilder, header::HeaderMap, tls::Version};
use serde_json::Value;
use uuid::Uuid;

use super::program::Program;

/// Who calls: somebody with a token, or nobody in particular.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    /// The access token.
    pub(crate) token: Option<String>,
    /// The user's id; nil for nobody.
    pub(crate) user: Uuid,
    /// Where the user's mails go.
    pub(crate) email: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The question, for who reads of a failure.
    asked: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Null if the answer's body is no JSON.
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) raw: String,
}

/// One client for all, so that no test runs out of ports; with a time limit.
#[expect(clippy::disallowed_methods, reason = "the one place of this program")]
pub(super) fn http() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_secs(60)).build().expect("TLS has been chosen")
}

impl Client {
    /// Somebody without an account who speaks HTTPS with an API, believes this authority alone, and keeps no connection.
    pub(crate) fn over_tls(api: &Program, authority: &str, version: Version) -> Self {
        Self::over_tls_at(api.api, authority, version)
    }

    /// The same, with whoever is at this address: a proxy, say.
    #[expect(clippy::disallowed_methods, reason = "each believes somebody else; with a time limit, too")]
    pub(crate) fn over_tls_at(address: SocketAddr, authority: &str, version: Version) -> Self {
        let authority = Certificate::from_pem(authority.as_bytes()).expect("a certificate");
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).pool_max_idle_per_host(0);
        let http = http.tls_certs_only([authority]).tls_version_min(version).tls_version_max(version);
        Self::new(http.build().expect("TLS has been chosen"), format!("https://{address}"))
    }

    pub(super) fn new(http: reqwest::Client, base: String) -> Self {
        Self { http, base, token: None, user: Uuid::nil(), email: String::new() }
    }

    /// The same caller as another user.
    pub(super) fn known_as(&self, token: String, user: Uuid, email: String) -> Self {
        Self { token: Some(token), user, email, ..self.clone() }
    }

    /// The same caller, of another API of the shop's.
    pub(crate) fn at(&self, api: &Program) -> Self {
        Self { base: format!("http://{}", api.api), ..self.clone() }
    }

    /// Another caller, by the way of this one.
    pub(crate) fn by_the_way_of(&self, other: &Self) -> Self {
        Self { http: other.http.clone(), base: other.base.clone(), ..self.clone() }
    }

    /// The same caller with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, None, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::POST, path, Some(body), &[]).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::PUT, path, Some(body), &[]).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path, None, &[]).await
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = self.request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Reply::read(request).await
    }

    /// Sends a body that need not be what its headers say.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Body>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = self.request(method, path).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::read(request).await
    }

    /// A request with the caller's token, to be filled in by hand and sent by [`Reply::read`].
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

impl Reply {
    /// Sends a request and reads all of its answer.
    pub(crate) async fn read(request: RequestBuilder) -> Self {
        let (http, request) = request.build_split();
        let request = request.expect("a request that can be sent");
        let asked = describe(&request);
        let answer = http.execute(request).await.expect("the server answers");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let raw = answer.text().await.expect("the answer comes wholly");
        let body = serde_json::from_str(&raw).unwrap_or_default();
        Self { asked, status, headers, body, raw }
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}\n{}", self.asked, self.raw);
        self.body
    }

    /// The body of a refusal, which must be a problem of this status and code.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Value {
        let told = (self.status, text(&self.body["code"]));
        assert_eq!(told, (status, code), "{}\n{}", self.asked, self.raw);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["request_id"], self.header("x-request-id"));
        for member in ["type", "title", "detail"] {
            assert!(!text(&self.body[member]).is_empty(), "no {member}: {}", self.raw);
        }
        self.body
    }

    /// A refusal for what is wrong with one of the fields, and nothing else.
    #[track_caller]
    pub(crate) fn invalid(self, pointer: &str) {
        let asked = self.asked.clone();
        let errors = self.problem(422, "validation_failed")["errors"].take();
        assert_eq!(errors.as_array().map(Vec::len), Some(1), "{asked}\n{errors}");
        assert_eq!(errors[0]["pointer"], pointer, "{asked}\n{errors}");
        assert!(!text(&errors[0]["detail"]).is_empty(), "{asked}\n{errors}");
    }

    /// A header's value, empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// All pages of a list of products, one after the other.
pub(crate) async fn pages(client: &Client, query: &str) -> Vec<Value> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/products?{query}{cursor}")).await.expect(200);
        seen.extend(page["items"].as_array().expect("a list").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

/// A string of an answer; empty if it is none.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A question in short.
fn describe(request: &Request) -> String {
    let body = request.body().and_then(Body::as_bytes).unwrap_or_default();
    let body = String::from_utf8_lossy(&body[..body.len().min(300)]);
    format!("{} {:.300} {:?} {body}", request.method(), request.url().as_str(), request.headers())
}
