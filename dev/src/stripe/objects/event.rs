//! Events: what happened, with the object as it stood then.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::store::Record;

/// What the simulator keeps of an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) created: i64,
    pub(crate) api_version: String,
    /// The object as it stood, never changed afterwards.
    pub(crate) object: Value,
    pub(crate) previous_attributes: Option<Value>,
    /// The request that caused it; none for what happens by itself.
    pub(crate) request_id: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    /// Deliveries that have not been answered with a 2xx.
    pub(crate) pending_webhooks: u32,
    /// Lost on purpose: never sent, and never tried again.
    pub(crate) lost: bool,
    /// Deliveries tried so far.
    pub(crate) attempts: u32,
}

impl Record for Event {
    const KIND: &'static str = "event";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Event {
    /// Stripe's shape.
    pub(crate) fn show(&self) -> Value {
        let mut data = json!({ "object": self.object });
        if let Some(previous) = &self.previous_attributes {
            data["previous_attributes"] = previous.clone();
        }
        json!({
            "id": self.id,
            "object": "event",
            "api_version": self.api_version,
            "created": self.created,
            "data": data,
            "livemode": false,
            "pending_webhooks": self.pending_webhooks,
            "request": { "id": self.request_id, "idempotency_key": self.idempotency_key },
            "type": self.kind,
        })
    }
}
