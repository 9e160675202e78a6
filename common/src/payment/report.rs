//! What Stripe says of a PaymentIntent, in an answer or in an event.

use serde_json::Value;

use crate::{id::OrderId, money::Money};

/// The state of a PaymentIntent at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntentReport {
    /// `pi_…`
    pub stripe_id: String,
    /// Where it stands.
    pub status: IntentStatus,
    /// What is to be charged, in minor units.
    pub amount: Money,
    /// What was charged.
    pub amount_received: Money,
    /// Lower-case ISO 4217 code.
    pub currency: String,
    /// What a browser confirms it with; not every report holds it.
    pub client_secret: Option<String>,
    /// Why its last payment was declined.
    pub last_error: Option<LastPaymentError>,
    /// `metadata.generation`, as it was sent to Stripe.
    pub generation: Option<i32>,
    /// `metadata.order_id`.
    pub order: NamedOrder,
}

/// The order that an object's metadata name. They are no proof: whoever may use our account at Stripe can change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedOrder {
    /// None is named: the object is not of this shop.
    None,
    /// Something that is the id of no order.
    Unreadable,
    /// This one, if there is one.
    Id(OrderId),
}

impl NamedOrder {
    /// From the value of `metadata.order_id`.
    pub fn read(value: Option<&str>) -> Self {
        match value {
            None => Self::None,
            Some(named) => named.parse().map_or(Self::Unreadable, Self::Id),
        }
    }
}

/// Stripe's `status` of an intent (<https://docs.stripe.com/payments/paymentintents/lifecycle>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntentStatus {
    /// Nobody has paid yet, or the last payment was declined.
    RequiresPaymentMethod,
    /// The bank's answer is awaited.
    Processing,
    /// The money is there.
    Succeeded,
    /// It can't be paid any more.
    Canceled,
    /// Any other: the shopper's step, or one that we have never heard of.
    Other(String),
}

/// Why a payment was declined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastPaymentError {
    /// Stripe's decline code where there is one, else its error code.
    pub code: String,
    /// What the shopper may be told.
    pub message: String,
}

impl LastPaymentError {
    /// From what Stripe says; both parts may be missing, and it is a decline all the same.
    pub fn new(code: Option<String>, message: Option<String>) -> Self {
        Self {
            code: code.unwrap_or_else(|| "declined".into()),
            message: message.unwrap_or_else(|| "The payment was declined.".into()),
        }
    }
}

impl IntentStatus {
    /// Whether nothing ever follows upon it.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Canceled)
    }

    /// Stripe's own word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for IntentStatus {
    fn from(name: &str) -> Self {
        match name {
            "requires_payment_method" => Self::RequiresPaymentMethod,
            "processing" => Self::Processing,
            "succeeded" => Self::Succeeded,
            "canceled" => Self::Canceled,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl IntentReport {
    /// Reads an event's `data.object`, whatever API version wrote it: only the fields that we use, none but `id`, `status`,
    /// `amount`, `amount_received` and `currency` required.
    pub fn from_event_object(object: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let metadata = &object["metadata"];
        let error = &object["last_payment_error"];
        Some(Self {
            stripe_id: text(&object["id"])?,
            status: object["status"].as_str()?.into(),
            amount: Money(object["amount"].as_i64()?),
            amount_received: Money(object["amount_received"].as_i64().filter(|amount| *amount >= 0)?),
            currency: text(&object["currency"])?.to_lowercase(),
            client_secret: text(&object["client_secret"]),
            last_error: error.is_object().then(|| {
                let code = ["decline_code", "code", "type"].into_iter().find_map(|name| text(&error[name]));
                LastPaymentError::new(code, text(&error["message"]))
            }),
            generation: metadata["generation"].as_str().and_then(|g| g.parse().ok()),
            order: NamedOrder::read(metadata["order_id"].as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_of_an_unknown_api_version_is_read_by_the_fields_that_we_use() {
        let object = json!({
            "id": "pi_1", "status": "requires_teleport", "amount": 1200, "amount_received": 0, "currency": "usd", "novelty": {"a": [1]},
            "metadata": {"order_id": "o-1", "generation": "2"},
            "last_payment_error": {"code": "card_declined", "decline_code": "insufficient_funds", "message": "No."}
        });
        let report = IntentReport::from_event_object(&object).expect("has all that is required");
        assert_eq!(report.status, IntentStatus::Other("requires_teleport".into()));
        assert_eq!(report.last_error.map(|e| e.code).as_deref(), Some("insufficient_funds"));
        assert_eq!(report.generation, Some(2));
        assert_eq!(report.amount_received, Money::ZERO);
    }

    #[test]
    fn a_decline_without_a_code_is_a_decline() {
        let mut object = json!({ "id": "pi_1", "status": "requires_payment_method", "amount": 1, "amount_received": 0, "currency": "usd" });
        for (error, code) in [(json!({}), "declined"), (json!({ "type": "card_error" }), "card_error")] {
            object["last_payment_error"] = error;
            let report = IntentReport::from_event_object(&object).expect("has all that is required");
            assert_eq!(report.last_error.map(|e| e.code).as_deref(), Some(code));
        }
        object["last_payment_error"] = json!(null);
        let report = IntentReport::from_event_object(&object).expect("has all that is required");
        assert_eq!(report.last_error, None);
    }

    #[test]
    fn an_order_is_named_by_an_id_or_not_at_all() {
        let order = OrderId::new();
        assert_eq!(NamedOrder::read(Some(&order.to_string())), NamedOrder::Id(order));
        for (named, order) in
            [(None, NamedOrder::None), (Some("order 7"), NamedOrder::Unreadable), (Some(""), NamedOrder::Unreadable)]
        {
            assert_eq!(NamedOrder::read(named), order, "{named:?}");
        }
    }

    #[test]
    fn an_object_without_what_we_need_is_no_report() {
        let whole =
            json!({ "id": "pi_1", "status": "succeeded", "amount": 1, "amount_received": 1, "currency": "usd" });
        assert!(IntentReport::from_event_object(&whole).is_some());
        for member in ["id", "status", "amount", "amount_received", "currency"] {
            let mut object = whole.clone();
            object[member] = json!(null);
            assert_eq!(IntentReport::from_event_object(&object), None, "without {member}");
        }
        assert_eq!(IntentReport::from_event_object(&json!(null)), None);
    }
}
