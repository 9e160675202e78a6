//! Where an operation works: the books, the time, the settings and the request that it serves. One desk exists at a time, so
//! what an operation does is seen whole or not at all, its events with it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    objects::{Event, RefundStatus, new_id},
    store::Books,
    webhooks::Plan,
};

/// What a test or a person can set while the simulator runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// How long a debit stays `processing`, in milliseconds.
    pub(crate) processing_ms: i64,
    /// How long a refund that doesn't settle at once takes, in milliseconds.
    pub(crate) refund_ms: i64,
    /// The status that new refunds begin with: `succeeded`, or `pending`, `requires_action`, `failed`. Other than for
    /// `pm_card_pendingRefund`, a pending one stays so until a control call settles it.
    pub(crate) refunds: RefundStatus,
    /// The `api_version` of events.
    pub(crate) api_version: String,
    /// How long an idempotency key is known, in seconds.
    pub(crate) idempotency_seconds: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            processing_ms: 2_000,
            refund_ms: 2_000,
            refunds: RefundStatus::Succeeded,
            api_version: API_VERSION.to_owned(),
            idempotency_seconds: 24 * 3600,
        }
    }
}

/// The version of Stripe's API whose shapes are shown.
pub(crate) const API_VERSION: &str = "2026-09-30.endive";

/// Whether and how a new event is going to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Nobody listens.
    None,
    /// It will be sent until it is taken.
    Pending,
    /// It will never be sent, and Stripe knows.
    Lost,
}

/// The request that an operation serves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    pub(crate) request_id: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

/// See the module.
pub(crate) struct Desk<'a> {
    pub(crate) books: &'a mut Books,
    pub(crate) now_ms: i64,
    pub(crate) settings: &'a Settings,
    pub(crate) base_url: &'a str,
    pub(crate) plan: &'a Plan,
    pub(crate) origin: Origin,
}

impl Desk<'_> {
    /// Seconds since the Unix epoch.
    pub(crate) fn now(&self) -> i64 {
        self.now_ms.div_euclid(1000)
    }

    /// Records an event about the object as it is now.
    pub(crate) fn emit(&mut self, kind: &str, object: Value) {
        self.emit_change(kind, object, None);
    }

    /// Records an event, with what the changed attributes were before.
    pub(crate) fn emit_change(&mut self, kind: &str, object: Value, previous_attributes: Option<Value>) {
        let delivery = self.plan.fate(kind);
        let event = Event {
            id: new_id("evt"),
            kind: kind.to_owned(),
            created: self.now(),
            api_version: self.settings.api_version.clone(),
            object,
            previous_attributes,
            request_id: self.origin.request_id.clone(),
            idempotency_key: self.origin.idempotency_key.clone(),
            pending_webhooks: u32::from(delivery != Delivery::None),
            lost: delivery == Delivery::Lost,
            attempts: 0,
        };
        if delivery == Delivery::Pending {
            self.books.fresh.push(event.id.clone());
        }
        self.books.events.put(event);
    }
}
