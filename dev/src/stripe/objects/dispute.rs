//! Disputes and inquiries.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::{
    cards::Instrument,
    store::{Books, Record},
};

/// Stripe's statuses of a dispute; those that begin with `warning` are an inquiry's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DisputeStatus {
    WarningNeedsResponse,
    WarningUnderReview,
    WarningClosed,
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
}

impl DisputeStatus {
    /// Whether nothing follows it.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::WarningClosed | Self::Won | Self::Lost)
    }

    /// Whether it is an inquiry: no money has moved and the charge can be refunded.
    pub(crate) fn is_inquiry(self) -> bool {
        matches!(self, Self::WarningNeedsResponse | Self::WarningUnderReview | Self::WarningClosed)
    }
}

/// What the simulator keeps of a dispute.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Dispute {
    pub(crate) id: String,
    pub(crate) charge: String,
    pub(crate) intent: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) reason: String,
    pub(crate) status: DisputeStatus,
    pub(crate) created: i64,
}

impl Record for Dispute {
    const KIND: &'static str = "dispute";

    fn id(&self) -> &str {
        &self.id
    }
}

/// The evidence that a shop may give; none is given here.
const EVIDENCE: &[&str] = &[
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
];

/// How long a shop has to answer.
const RESPONSE_SECONDS: i64 = 7 * 24 * 3600;

impl Dispute {
    /// Stripe's shape; the card is looked up in the books.
    pub(crate) fn show(&self, books: &Books) -> Value {
        let method = books.charges.get(&self.charge).and_then(|charge| books.methods.get(&charge.method));
        let brand = match method.map(|method| method.test().instrument) {
            Some(Instrument::Card { brand, .. }) => brand,
            _ => "visa",
        };
        let inquiry = self.status.is_inquiry();
        let mut evidence: Map<String, Value> = EVIDENCE.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        evidence.insert("enhanced_evidence".into(), json!({}));
        json!({
            "id": self.id,
            "object": "dispute",
            "amount": self.amount,
            "balance_transactions": [],
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "enhanced_eligibility_types": [],
            "evidence": evidence,
            "evidence_details": {
                "due_by": self.created + RESPONSE_SECONDS,
                "enhanced_eligibility": {},
                "has_evidence": false,
                "past_due": false,
                "submission_count": 0,
            },
            "is_charge_refundable": inquiry,
            "livemode": false,
            "metadata": {},
            "payment_intent": self.intent,
            "payment_method_details": {
                "type": "card",
                "card": {
                    "brand": brand,
                    "case_type": if inquiry { "inquiry" } else { "chargeback" },
                    "network": brand,
                    "network_reason_code": "10.4",
                },
            },
            "reason": self.reason,
            "status": self.status,
        })
    }
}
