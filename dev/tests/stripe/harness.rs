//! A simulator, a client for it, and a target for its webhooks.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use dev::stripe::{Simulator, SimulatorOptions};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::watch;
use url::Url;

pub(crate) const RETURN_URL: &str = "https://shop.example/done";

/// A simulator of the test's own.
pub(crate) struct Stripe {
    pub(crate) simulator: Simulator,
    pub(crate) client: Client,
}

/// An answer, read.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Value,
}

impl Answer {
    /// The error's member of this name.
    pub(crate) fn error(&self, name: &str) -> &str {
        self.body["error"][name].as_str().unwrap_or_default()
    }

    pub(crate) fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("an object was expected: {self:?}")).to_owned()
    }
}

pub(crate) type Params<'a> = &'a [(&'a str, &'a str)];

impl Stripe {
    pub(crate) async fn start() -> Self {
        Self::start_with(SimulatorOptions::default()).await
    }

    #[expect(clippy::disallowed_methods, reason = "a test that hangs is seen to hang")]
    pub(crate) async fn start_with(options: SimulatorOptions) -> Self {
        let simulator = Simulator::start(options).await.unwrap();
        Self {
            simulator,
            client: Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.simulator.base_url())).bearer_auth("sk_test_simulator")
    }

    pub(crate) async fn post(&self, path: &str, params: Params<'_>) -> Answer {
        send(self.request(Method::POST, path).form(params)).await
    }

    pub(crate) async fn post_under(&self, key: &str, path: &str, params: Params<'_>) -> Answer {
        send(self.request(Method::POST, path).header("Idempotency-Key", key).form(params)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn control(&self, method: Method, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.simulator.control_url());
        let answer = send(self.client.request(method, url).json(body)).await;
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
        answer.body
    }

    /// An intent over 19.99 dollars.
    pub(crate) async fn intent(&self) -> Answer {
        let params = [("amount", "1999"), ("currency", "usd"), ("metadata[order_id]", "o-1")];
        let answer = self.post("/v1/payment_intents", &params).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        answer
    }

    pub(crate) async fn confirm(&self, id: &str, method: &str) -> Answer {
        let params = [("payment_method", method), ("return_url", RETURN_URL)];
        self.post(&format!("/v1/payment_intents/{id}/confirm"), &params).await
    }

    /// A new intent, confirmed with this payment method.
    pub(crate) async fn pay(&self, method: &str) -> Answer {
        let id = self.intent().await.id();
        self.confirm(&id, method).await
    }

    /// Puts a fault in force and gives its id.
    pub(crate) async fn fault(&self, fault: Value) -> String {
        self.control(Method::POST, "/faults", &fault).await["id"].as_str().unwrap().to_owned()
    }

    /// The types of all events, oldest first.
    pub(crate) async fn event_types(&self) -> Vec<String> {
        let events = self.get("/v1/events?limit=100").await.body;
        events["data"]
            .as_array()
            .unwrap()
            .iter()
            .rev()
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Asks again until the intent has the status.
    pub(crate) async fn until_status(&self, id: &str, status: &str) -> Answer {
        let seen = until(async || {
            let answer = self.get(&format!("/v1/payment_intents/{id}")).await;
            (answer.body["status"] == status).then_some(answer)
        });
        seen.await
    }
}

/// Asks again, up to ten seconds, until there is an answer.
pub(crate) async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asking).await.expect("it happens within ten seconds")
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let bytes = response.bytes().await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
    Answer { status, headers, body }
}

/// Takes webhooks: refuses the first ones with 500, as many as it was told to, and keeps every one.
pub(crate) struct Target {
    pub(crate) url: Url,
    inbox: Arc<Inbox>,
}

struct Inbox {
    refuse: Mutex<u32>,
    received: watch::Sender<Vec<Received>>,
}

/// A webhook as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) signature: String,
    pub(crate) body: String,
    pub(crate) taken: bool,
}

impl Received {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The signature's time, if one of its `v1` fits the body under the secret.
    pub(crate) fn verified(&self, secret: &str) -> Option<i64> {
        let parts: Vec<(&str, &str)> = self.signature.split(',').filter_map(|part| part.split_once('=')).collect();
        let (_, time) = parts.iter().find(|(name, _)| *name == "t")?;
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{time}.{}", self.body).as_bytes());
        let expected = hex::encode(mac.finalize().into_bytes());
        parts.iter().any(|(name, value)| *name == "v1" && *value == expected).then(|| time.parse().unwrap())
    }
}

impl Target {
    pub(crate) async fn start(refuse: u32) -> Self {
        let inbox = Arc::new(Inbox { refuse: Mutex::new(refuse), received: watch::Sender::new(Vec::new()) });
        let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let url = format!("http://{}/webhooks/stripe", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().route("/webhooks/stripe", post(take)).with_state(Arc::clone(&inbox));
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { url, inbox }
    }

    /// Waits until so many were received, and gives all.
    pub(crate) async fn received(&self, count: usize) -> Vec<Received> {
        let mut received = self.inbox.received.subscribe();
        let waiting = received.wait_for(|received| received.len() >= count);
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("webhooks arrive").unwrap().clone()
    }

    pub(crate) fn so_far(&self) -> Vec<Received> {
        self.inbox.received.borrow().clone()
    }
}

async fn take(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let taken = {
        let mut refuse = inbox.refuse.lock().unwrap();
        let taken = *refuse == 0;
        *refuse = refuse.saturating_sub(1);
        taken
    };
    let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
    let body = String::from_utf8(body.to_vec()).unwrap();
    inbox.received.send_modify(|received| received.push(Received { signature, body, taken }));
    if taken { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }
}
