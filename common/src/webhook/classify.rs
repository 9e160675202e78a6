//! What an event is to us, by what it says itself.

use super::Inbound;
use crate::payment::{IntentReport, NamedOrder};

/// The types of events that the shop has a use for: what an endpoint at Stripe has to be sent.
pub const USED: [&str; 9] = [
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.canceled",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.closed",
];

/// What is to be done about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one is made for each event, and most are of the large variant")]
pub enum Class<'a> {
    /// Nothing: money of the other mode, test or live, than our key's.
    OtherMode,
    /// Nothing: we have no use for events of its type.
    Unused,
    /// Something happened to an intent.
    Intent(IntentEvent<'a>),
    /// Something happened to the refund of this id (`re_…`). What the event says of it proves nothing, for no status of a refund is for
    /// ever: Stripe has to be asked.
    Refund(Option<&'a str>),
    /// Something happened to the dispute of this id (`dp_…`). Stripe has to be asked.
    Dispute(Option<&'a str>),
}

/// What an event says of an intent. All of it may be missing or unreadable: no event is refused, whatever API version wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntentEvent<'a> {
    /// `pi_…`
    pub stripe_id: Option<&'a str>,
    /// The order that its metadata name.
    pub order: NamedOrder,
    /// How the intent stands, where the event proves that: a success is final, and applied as it comes. The order in which the
    /// others arrive proves nothing: for them, and for a success that can't be read, Stripe has to be asked.
    pub proof: Option<IntentReport>,
}

impl Inbound {
    /// What is to be done about this event, by a worker whose key is of this mode.
    pub fn classify(&self, livemode: bool) -> Class<'_> {
        if self.livemode != livemode {
            return Class::OtherMode;
        }
        let proves = match self.kind.as_str() {
            "payment_intent.succeeded" => true,
            "payment_intent.payment_failed" | "payment_intent.processing" | "payment_intent.canceled" => false,
            "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
                return Class::Refund(self.object["id"].as_str());
            }
            kind if kind.starts_with("charge.dispute.") => return Class::Dispute(self.object["id"].as_str()),
            _ => return Class::Unused,
        };
        Class::Intent(IntentEvent {
            stripe_id: self.object["id"].as_str(),
            order: NamedOrder::read(self.object["metadata"]["order_id"].as_str()),
            proof: if proves { IntentReport::from_event_object(&self.object) } else { None },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::id::{OrderId, WebhookLogId};

    fn event(kind: &str, object: Value) -> Inbound {
        Inbound {
            id: WebhookLogId::new(),
            kind: kind.into(),
            livemode: false,
            object,
            age_seconds: 0.0,
            created_seconds_ago: None,
        }
    }

    fn intent(order: &Value) -> Value {
        json!({ "id": "pi_1", "status": "succeeded", "amount": 500, "amount_received": 500, "currency": "usd",
                "metadata": { "order_id": order } })
    }

    #[test]
    fn only_a_success_that_can_be_read_needs_no_question() {
        let order = OrderId::new();
        for (kind, proves) in [
            ("payment_intent.succeeded", true),
            ("payment_intent.payment_failed", false),
            ("payment_intent.processing", false),
            ("payment_intent.canceled", false),
        ] {
            let whole = event(kind, intent(&json!(order)));
            let Class::Intent(found) = whole.classify(false) else { panic!("{kind} is of an intent") };
            assert_eq!((found.stripe_id, found.order), (Some("pi_1"), NamedOrder::Id(order)), "{kind}");
            assert_eq!(found.proof.is_some(), proves, "{kind}");
        }
        let mut object = intent(&json!(order));
        object["amount_received"] = json!("500");
        let unreadable = event("payment_intent.succeeded", object);
        let Class::Intent(found) = unreadable.classify(false) else { panic!("it is of an intent") };
        assert_eq!((found.stripe_id, found.order, found.proof), (Some("pi_1"), NamedOrder::Id(order), None));
    }

    #[test]
    fn refunds_and_disputes_are_asked_about() {
        let refund = event("refund.updated", json!({ "id": "re_1", "status": "succeeded" }));
        assert_eq!(refund.classify(false), Class::Refund(Some("re_1")));
        assert_eq!(event("refund.failed", json!({})).classify(false), Class::Refund(None));
        let dispute = event("charge.dispute.closed", json!({ "id": "dp_1", "status": "lost" }));
        assert_eq!(dispute.classify(false), Class::Dispute(Some("dp_1")));
    }

    #[test]
    fn what_an_endpoint_has_to_be_sent_is_used() {
        for kind in USED {
            assert_ne!(event(kind, Value::Null).classify(false), Class::Unused, "{kind}");
        }
    }

    #[test]
    fn other_types_and_the_other_mode_are_not_for_us() {
        let order = json!(OrderId::new());
        assert_eq!(event("payment_intent.created", intent(&order)).classify(false), Class::Unused);
        assert_eq!(
            event("charge.refunded", json!({ "id": "ch_1" })).classify(false),
            Class::Unused,
            "it names no refund"
        );
        assert_eq!(event("tomorrow.invented", Value::Null).classify(false), Class::Unused);
        assert_eq!(event("payment_intent.succeeded", intent(&order)).classify(true), Class::OtherMode);
    }
}
