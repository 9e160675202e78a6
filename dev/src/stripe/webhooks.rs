//! Webhooks: each event is sent to the target by itself, beside the API's answers, until it is taken with a 2xx. Can be held,
//! lost or slowed by the control endpoints. Every try is signed anew, as at Stripe.

use std::{sync::Arc, time::Duration};

use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use url::Url;

use super::{App, desk::Delivery, signature::sign};

/// Stripe waits minutes to hours; here somebody is watching.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// How long the target may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Deliveries under way at once.
const AT_ONCE: usize = 64;

/// What happens to events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// They are sent.
    Deliver,
    /// They wait; the control endpoint can send single ones.
    Hold,
    /// They are never sent, and stay undelivered in the books.
    Drop,
    /// They are never sent, though the books say that they were.
    Pretend,
}

/// Whether the account's endpoint takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// It does.
    Enabled,
    /// Its owner, or Stripe after days of failures, has switched it off.
    Disabled,
}

/// Where and how events are sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) target: Option<Url>,
    pub(crate) mode: Mode,
    /// Each signs: two, while a secret is rolled.
    #[serde(skip_serializing)]
    pub(crate) secrets: Vec<String>,
    /// How long an event waits before it is sent first, in milliseconds.
    pub(crate) delay_ms: u64,
    /// What happens while it is disabled is not sent.
    pub(crate) status: Status,
    /// The types that it takes; `*` is every one.
    pub(crate) enabled_events: Vec<String>,
}

impl Plan {
    /// What is to become of an event of this type that happens now.
    pub(crate) fn fate(&self, kind: &str) -> Delivery {
        let takes = self.status == Status::Enabled && self.enabled_events.iter().any(|one| one == "*" || one == kind);
        match self.mode {
            Mode::Drop => Delivery::Lost,
            Mode::Deliver | Mode::Hold if self.target.is_some() && takes => Delivery::Pending,
            Mode::Deliver | Mode::Hold | Mode::Pretend => Delivery::None,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Webhooks {
    client: reqwest::Client,
    pub(crate) plan: watch::Sender<Plan>,
    at_once: Semaphore,
}

/// What became of one try.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Tried {
    /// The target's status.
    Answered(u16),
    /// Why there was none.
    Failed(String),
}

impl Tried {
    fn is_taken(&self) -> bool {
        matches!(self, Self::Answered(200..=299))
    }
}

impl Webhooks {
    #[expect(clippy::disallowed_methods, reason = "the one place of the simulator, with its time limit")]
    pub(crate) fn new(plan: Plan) -> Result<Self, reqwest::Error> {
        // Targets are on this machine and speak plain HTTP; reqwest asks for a provider all the same.
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(ANSWER_LIMIT).no_proxy().build()?;
        Ok(Self { client, plan: watch::Sender::new(plan), at_once: Semaphore::new(AT_ONCE) })
    }

    /// Sends a payload once, with the given signature or a genuine one.
    pub(crate) async fn send(&self, target: &Url, payload: String, signature: String) -> Tried {
        let request = self
            .client
            .post(target.clone())
            .header("content-type", "application/json; charset=utf-8")
            .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
            .header("stripe-signature", signature)
            .body(payload);
        match request.send().await {
            Ok(answer) => Tried::Answered(answer.status().as_u16()),
            Err(error) => Tried::Failed(error.without_url().to_string()),
        }
    }
}

/// An event as it is sent.
pub(crate) fn payload(event: &Value) -> String {
    serde_json::to_string_pretty(event).expect("JSON values have string keys and are written to memory")
}

/// Tries to deliver an event once, whatever the mode. `None` if there is no such event or nowhere to send it.
pub(crate) async fn try_once(app: &App, id: &str) -> Option<Tried> {
    let shown = app.books(|books| books.events.get(id).map(super::objects::Event::show))?;
    let (target, secrets) = {
        let plan = app.webhooks.plan.borrow();
        (plan.target.clone()?, plan.secrets.clone())
    };
    let payload = payload(&shown);
    let signature = sign(&payload, app.clock.now(), &secrets);
    let tried = app.webhooks.send(&target, payload, signature).await;
    tracing::debug!(event = id, kind = %shown["type"], outcome = ?tried, "webhook");
    app.change_books(|books| {
        if let Some(event) = books.events.get_mut(id) {
            event.attempts += 1;
            if tried.is_taken() {
                event.pending_webhooks = 0;
            }
        }
    });
    Some(tried)
}

/// Delivers an event, however long it takes.
pub(crate) async fn deliver(app: Arc<App>, id: String) {
    tokio::select! {
        () = app.stop.cancelled() => {}
        () = keep_trying(&app, &id) => {}
    }
}

async fn keep_trying(app: &App, id: &str) {
    let mut plan = app.webhooks.plan.subscribe();
    let delay = Duration::from_millis(plan.borrow().delay_ms);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let mut wait = FIRST_WAIT;
    loop {
        // The plan outlives this task, so waiting for it can't fail.
        let ready = plan.wait_for(|plan| plan.mode == Mode::Deliver && plan.target.is_some()).await.is_ok();
        let pending = app.books(|books| books.events.get(id).is_some_and(|event| event.pending_webhooks > 0));
        if !ready || !pending {
            return;
        }
        let permit = app.webhooks.at_once.acquire().await;
        let tried = try_once(app, id).await;
        drop(permit);
        if tried.is_some_and(|tried| tried.is_taken()) {
            return;
        }
        let jitter = rand::rng().random_range(0.8..1.2);
        tokio::select! {
            () = tokio::time::sleep(wait.mul_f64(jitter)) => {}
            // A new target is tried at once.
            _ = plan.changed() => {}
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
