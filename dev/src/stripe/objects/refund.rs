//! Refunds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::store::{Books, Record};

/// Stripe's statuses of a refund that the simulator can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundStatus {
    Pending,
    RequiresAction,
    Succeeded,
    Failed,
    Canceled,
}

/// What the simulator keeps of a refund.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) charge: String,
    pub(crate) intent: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) status: RefundStatus,
    pub(crate) reason: Option<String>,
    pub(crate) created: i64,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) failure_reason: Option<String>,
    pub(crate) balance_transaction: Option<String>,
    /// When its status changes by itself, in milliseconds, and to what.
    pub(crate) settles_at: Option<i64>,
    pub(crate) settles_as: RefundStatus,
}

impl Record for Refund {
    const KIND: &'static str = "refund";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Refund {
    /// Stripe's shape; what it goes back to is looked up in the books.
    pub(crate) fn show(&self, books: &Books) -> Value {
        let method = books.charges.get(&self.charge).and_then(|charge| books.methods.get(&charge.method));
        let destination = match method.map_or("card", |method| method.test().instrument.kind()) {
            "card" => json!({
                "type": "card",
                "card": {
                    "reference_status": "pending",
                    "reference_type": "acquirer_reference_number",
                    "type": "refund",
                },
            }),
            "us_bank_account" => json!({
                "type": "us_bank_transfer",
                "us_bank_transfer": { "reference": null, "reference_status": null },
            }),
            _ => json!({
                "type": "eu_bank_transfer",
                "eu_bank_transfer": { "reference": null, "reference_status": null },
            }),
        };
        let mut shown = json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "customer_account": null,
            "destination_details": destination,
            "metadata": self.metadata,
            "payment_intent": self.intent,
            "payment_method": method.map(|method| &method.id),
            "reason": self.reason,
            "receipt_number": null,
            "source_transfer_reversal": null,
            "status": self.status,
            "transfer_reversal": null,
        });
        // Stripe leaves these out unless they apply.
        if let Some(reason) = &self.failure_reason {
            shown["failure_reason"] = json!(reason);
        }
        if self.status == RefundStatus::Pending {
            shown["pending_reason"] = json!("processing");
        }
        shown
    }
}
