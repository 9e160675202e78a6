//! PaymentIntents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::store::Record;

/// Stripe's statuses of an intent, but `requires_capture`: manual capture is not simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    Succeeded,
    Canceled,
}

impl IntentStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

/// The authentication that an intent waits for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Challenge {
    /// Makes the page's address unguessable.
    pub(crate) token: String,
    /// The page on the simulator that ends it.
    pub(crate) url: String,
    /// Where the shopper goes afterwards; without one, Stripe.js handles it.
    pub(crate) return_url: Option<String>,
}

/// What the simulator keeps of a PaymentIntent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) client_secret: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) status: IntentStatus,
    pub(crate) created: i64,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    pub(crate) receipt_email: Option<String>,
    pub(crate) statement_descriptor: Option<String>,
    pub(crate) statement_descriptor_suffix: Option<String>,
    pub(crate) setup_future_usage: Option<String>,
    pub(crate) transfer_group: Option<String>,
    pub(crate) shipping: Option<Value>,
    pub(crate) capture_method: String,
    pub(crate) confirmation_method: String,
    /// `allow_redirects` of automatic payment methods, when they are on.
    pub(crate) automatic: Option<String>,
    pub(crate) payment_method_types: Vec<String>,
    /// The id of a [`super::Method`].
    pub(crate) payment_method: Option<String>,
    pub(crate) last_payment_error: Option<Value>,
    pub(crate) latest_charge: Option<String>,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) canceled_at: Option<i64>,
    pub(crate) cancellation_reason: Option<String>,
    /// When processing ends by itself, in milliseconds.
    pub(crate) settles_at: Option<i64>,
}

impl Record for Intent {
    const KIND: &'static str = "payment_intent";

    fn id(&self) -> &str {
        &self.id
    }
}

/// What a browser, which has a publishable key only, is not shown.
const HIDDEN_FROM_BROWSERS: &[&str] = &[
    "amount_capturable",
    "amount_received",
    "application",
    "application_fee_amount",
    "customer",
    "customer_account",
    "excluded_payment_method_types",
    "latest_charge",
    "managed_payments",
    "metadata",
    "on_behalf_of",
    "payment_method_options",
    "review",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_data",
    "transfer_group",
];

impl Intent {
    /// Stripe's shape.
    pub(crate) fn show(&self) -> Value {
        let received = if self.status == IntentStatus::Succeeded { self.amount } else { 0 };
        let types: &[String] = &self.payment_method_types;
        let mut shown = json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": 0,
            "amount_details": { "tip": {} },
            "amount_received": received,
            "application": null,
            "application_fee_amount": null,
            "canceled_at": self.canceled_at,
            "cancellation_reason": self.cancellation_reason,
            "capture_method": self.capture_method,
            "client_secret": self.client_secret,
            "confirmation_method": self.confirmation_method,
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "customer_account": null,
            "description": self.description,
            "excluded_payment_method_types": null,
            "last_payment_error": self.last_payment_error,
            "latest_charge": self.latest_charge,
            "livemode": false,
            "managed_payments": { "enabled": false },
            "metadata": self.metadata,
            "on_behalf_of": null,
            "payment_method": self.payment_method,
            "payment_method_types": types,
            "processing": null,
            "receipt_email": self.receipt_email,
            "review": null,
            "setup_future_usage": self.setup_future_usage,
            "shipping": self.shipping,
            "source": null,
            "statement_descriptor": self.statement_descriptor,
            "statement_descriptor_suffix": self.statement_descriptor_suffix,
            "status": self.status,
            "transfer_data": null,
            "transfer_group": self.transfer_group,
        });
        let automatic = self.automatic.as_ref();
        shown["automatic_payment_methods"] =
            json!(automatic.map(|allow| json!({ "allow_redirects": allow, "enabled": true })));
        shown["payment_method_configuration_details"] =
            json!(automatic.map(|_| json!({ "id": "pmc_1SimulatedConfiguration", "parent": null })));
        shown["payment_method_options"] = options(types);
        shown["next_action"] = self.next_action();
        shown
    }

    /// The shape that a publishable key gets.
    pub(crate) fn show_to_browser(&self) -> Value {
        let mut shown = self.show();
        if let Value::Object(members) = &mut shown {
            members.retain(|name, _| !HIDDEN_FROM_BROWSERS.contains(&name.as_str()));
        }
        shown
    }

    fn next_action(&self) -> Value {
        let Some(challenge) = &self.challenge else { return Value::Null };
        match &challenge.return_url {
            Some(return_url) => json!({
                "type": "redirect_to_url",
                "redirect_to_url": { "return_url": return_url, "url": challenge.url },
            }),
            None => json!({
                "type": "use_stripe_sdk",
                "use_stripe_sdk": {
                    "type": "three_d_secure_redirect",
                    "source": format!("payatt_{}", challenge.token),
                    "stripe_js": challenge.url,
                },
            }),
        }
    }
}

fn options(types: &[String]) -> Value {
    let mut options = Map::new();
    for kind in types {
        let option = match kind.as_str() {
            "card" => json!({
                "installments": null,
                "mandate_options": null,
                "network": null,
                "request_three_d_secure": "automatic",
            }),
            "us_bank_account" => json!({ "verification_method": "automatic" }),
            _ => json!({}),
        };
        options.insert(kind.clone(), option);
    }
    Value::Object(options)
}
