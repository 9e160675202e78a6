//! PaymentMethods: a test name such as `pm_card_visa` becomes one of these each time that it is used, as at Stripe.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::{
    cards::{self, Instrument, TestMethod},
    store::Record,
};

/// What the simulator keeps of a PaymentMethod.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Method {
    pub(crate) id: String,
    /// The test name that says what it is and does.
    pub(crate) name: String,
    pub(crate) created: i64,
}

impl Record for Method {
    const KIND: &'static str = "payment_method";

    fn id(&self) -> &str {
        &self.id
    }
}

/// The year in which every test card expires.
const EXPIRY_YEAR: i64 = 2034;

impl Method {
    /// What the test name stands for; a visa card where a newer simulator wrote a name that this one doesn't know.
    pub(crate) fn test(&self) -> &'static TestMethod {
        cards::find(&self.name).unwrap_or(&cards::METHODS[0])
    }

    /// Stripe's shape.
    pub(crate) fn show(&self) -> Value {
        let instrument = self.test().instrument;
        let mut shown = json!({
            "id": self.id,
            "object": "payment_method",
            "allow_redisplay": "unspecified",
            "billing_details": billing_details(),
            "created": self.created,
            "customer": null,
            "customer_account": null,
            "livemode": false,
            "metadata": {},
            "type": instrument.kind(),
        });
        shown[instrument.kind()] = match instrument {
            Instrument::Card { brand, last4, funding } => json!({
                "brand": brand,
                "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
                "country": "US",
                "display_brand": brand,
                "exp_month": 12,
                "exp_year": EXPIRY_YEAR,
                "fingerprint": fingerprint(brand, last4),
                "funding": funding,
                "generated_from": null,
                "last4": last4,
                "networks": { "available": [brand], "preferred": null },
                "regulated_status": "unregulated",
                "three_d_secure_usage": { "supported": true },
                "wallet": null,
            }),
            Instrument::UsBankAccount { last4 } => json!({
                "account_holder_type": "individual",
                "account_type": "checking",
                "bank_name": "STRIPE TEST BANK",
                "financial_connections_account": null,
                "fingerprint": fingerprint("bank", last4),
                "last4": last4,
                "networks": { "preferred": "ach", "supported": ["ach"] },
                "routing_number": "110000000",
                "status_details": {},
            }),
            Instrument::SepaDebit { last4 } => json!({
                "bank_code": "19043",
                "branch_code": "",
                "country": "AT",
                "fingerprint": fingerprint("sepa", last4),
                "generated_from": { "charge": null, "setup_attempt": null },
                "last4": last4,
            }),
        };
        shown
    }

    /// `payment_method_details` of a charge with it.
    pub(crate) fn show_details(&self, amount: i64, authenticated: bool) -> Value {
        let instrument = self.test().instrument;
        let details = match instrument {
            Instrument::Card { brand, last4, funding } => json!({
                "amount_authorized": amount,
                "authorization_code": null,
                "brand": brand,
                "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
                "country": "US",
                "exp_month": 12,
                "exp_year": EXPIRY_YEAR,
                "extended_authorization": { "status": "disabled" },
                "fingerprint": fingerprint(brand, last4),
                "funding": funding,
                "incremental_authorization": { "status": "unavailable" },
                "installments": null,
                "last4": last4,
                "mandate": null,
                "multicapture": { "status": "unavailable" },
                "network": brand,
                "network_token": { "used": false },
                "network_transaction_id": null,
                "overcapture": { "maximum_amount_capturable": amount, "status": "unavailable" },
                "regulated_status": "unregulated",
                "three_d_secure": authenticated.then(three_d_secure),
                "transaction_link_id": null,
                "wallet": null,
            }),
            Instrument::UsBankAccount { last4 } => json!({
                "account_holder_type": "individual",
                "account_type": "checking",
                "bank_name": "STRIPE TEST BANK",
                "expected_debit_date": null,
                "fingerprint": fingerprint("bank", last4),
                "last4": last4,
                "mandate": null,
                "payment_reference": null,
                "routing_number": "110000000",
            }),
            Instrument::SepaDebit { last4 } => json!({
                "bank_code": "19043",
                "branch_code": "",
                "country": "AT",
                "expected_debit_date": null,
                "fingerprint": fingerprint("sepa", last4),
                "last4": last4,
                "mandate": null,
            }),
        };
        let kind = instrument.kind();
        json!({ "type": kind, kind: details })
    }
}

/// Billing details that nobody gave.
pub(crate) fn billing_details() -> Value {
    json!({
        "address": {
            "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null,
        },
        "email": null,
        "name": null,
        "phone": null,
        "tax_id": null,
    })
}

fn three_d_secure() -> Value {
    json!({
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": null,
        "result": "authenticated",
        "result_reason": null,
        "transaction_id": "00000000-0000-0000-0000-000000000000",
        "version": "2.2.0",
    })
}

/// The same for the same card, as Stripe's fingerprints are.
fn fingerprint(brand: &str, last4: &str) -> String {
    format!("{:0<8}{last4:0>8}", brand.chars().take(8).collect::<String>())
}
