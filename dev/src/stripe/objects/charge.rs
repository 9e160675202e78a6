//! Charges: one for each attempt that reached the bank.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    super::store::{Books, Record},
    method::billing_details,
};

/// Stripe's statuses of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChargeStatus {
    Pending,
    Succeeded,
    Failed,
}

/// What the simulator keeps of a charge.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) id: String,
    pub(crate) intent: String,
    pub(crate) method: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) status: ChargeStatus,
    pub(crate) created: i64,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    pub(crate) receipt_email: Option<String>,
    pub(crate) statement_descriptor: Option<String>,
    pub(crate) statement_descriptor_suffix: Option<String>,
    pub(crate) transfer_group: Option<String>,
    pub(crate) shipping: Option<Value>,
    pub(crate) authenticated: bool,
    /// Of refunds that are pending or succeeded, in minor units.
    pub(crate) amount_refunded: i64,
    pub(crate) disputed: bool,
    /// `code`, `decline_code` and message of a failure.
    pub(crate) failure: Option<(String, String, String)>,
    pub(crate) balance_transaction: Option<String>,
}

impl Record for Charge {
    const KIND: &'static str = "charge";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Charge {
    /// What can still be refunded, in minor units.
    pub(crate) fn refundable(&self) -> i64 {
        if self.status == ChargeStatus::Succeeded { self.amount - self.amount_refunded } else { 0 }
    }

    /// Stripe's shape; its method and its refunds are looked up in the books.
    pub(crate) fn show(&self, books: &Books) -> Value {
        // Most charges have none, and are spared the search.
        let refunds = if self.amount_refunded > 0 { books.refunds.all() } else { &[] };
        let own = refunds.iter().rev().filter(|refund| refund.charge == self.id);
        let refunds: Vec<Value> = own.take(10).map(|refund| refund.show(books)).collect();
        let mut shown = self.show_plain();
        shown["payment_method_details"] = books
            .methods
            .get(&self.method)
            .map_or(Value::Null, |method| method.show_details(self.amount, self.authenticated));
        shown["refunds"] = json!({
            "object": "list",
            "data": refunds,
            "has_more": false,
            "url": format!("/v1/charges/{}/refunds", self.id),
        });
        shown["outcome"] = self.outcome();
        shown["billing_details"] = billing_details();
        shown["shipping"] = json!(self.shipping);
        shown["metadata"] = json!(self.metadata);
        shown
    }

    fn show_plain(&self) -> Value {
        let good = self.status != ChargeStatus::Failed;
        let captured = if self.status == ChargeStatus::Succeeded { self.amount } else { 0 };
        json!({
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": captured,
            "amount_refunded": self.amount_refunded,
            "application": null,
            "application_fee": null,
            "application_fee_amount": null,
            "balance_transaction": self.balance_transaction,
            "calculated_statement_descriptor": "KASSA",
            "captured": good,
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "description": self.description,
            "disputed": self.disputed,
            "failure_balance_transaction": null,
            "failure_code": self.failure.as_ref().map(|(code, ..)| code),
            "failure_message": self.failure.as_ref().map(|(.., message)| message),
            "fraud_details": {},
            "livemode": false,
            "on_behalf_of": null,
            "paid": good,
            "payment_intent": self.intent,
            "payment_method": self.method,
            "receipt_email": self.receipt_email,
            "receipt_number": null,
            "receipt_url": good.then(|| format!("https://pay.stripe.com/receipts/payment/{}", self.id)),
            "refunded": self.amount_refunded == self.amount,
            "review": null,
            "source": null,
            "source_transfer": null,
            "statement_descriptor": self.statement_descriptor,
            "statement_descriptor_suffix": self.statement_descriptor_suffix,
            "status": self.status,
            "transfer_data": null,
            "transfer_group": self.transfer_group,
        })
    }

    fn outcome(&self) -> Value {
        let (status, reason, message, kind) = match &self.failure {
            None => ("approved_by_network", None, "Payment complete.", "authorized"),
            Some((_, decline_code, _)) => (
                "declined_by_network",
                Some(decline_code.as_str()),
                "The bank did not return any further details with this decline.",
                "issuer_declined",
            ),
        };
        json!({
            "advice_code": null,
            "network_advice_code": null,
            "network_decline_code": null,
            "network_status": status,
            "reason": reason,
            "risk_level": "normal",
            "risk_score": 20,
            "seller_message": message,
            "type": kind,
        })
    }
}
