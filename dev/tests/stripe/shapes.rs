//! Everything that the simulator shows has the shape that Stripe gives it: `src/stripe/shapes.json` says which fields each
//! object has, and of which types, and no field is missing or unheard of.
//!
//! How to read that file: a field whose name ends in `?` may be absent, one whose name ends in `|null` may be null though it has
//! members. A type is `string`, `integer`, `boolean`, `array`, `object`, `null`, `texts` (an object of strings), `id:pi` (an id
//! with that prefix), `=word` (that very word), `@name` (that shape), `@` (the shape that the value's own `object` names),
//! `[@name]` (a list of them), or several of these with `|` between.

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::harness::{Stripe, send};

struct Shapes(Value);

impl Shapes {
    fn read() -> Self {
        Self(serde_json::from_str(include_str!("../../src/stripe/shapes.json")).unwrap())
    }

    /// Every way in which the value differs from its shape.
    fn faults(&self, name: &str, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check_members(name, self.0[name].as_object().unwrap(), value, &mut faults);
        faults
    }

    fn check_members(&self, path: &str, shape: &Map<String, Value>, value: &Value, faults: &mut Vec<String>) {
        let Some(members) = value.as_object() else {
            faults.push(format!("{path} is no object: {value}"));
            return;
        };
        let bare = |field: &str| field.trim_end_matches('?').trim_end_matches("|null").to_owned();
        for field in members.keys().filter(|name| !shape.keys().any(|field| bare(field) == **name)) {
            faults.push(format!("{path}.{field} is unheard of"));
        }
        for (field, kind) in shape {
            let path = format!("{path}.{}", bare(field));
            match members.get(&bare(field)) {
                None if field.ends_with('?') => {}
                None => faults.push(format!("{path} is missing")),
                Some(Value::Null) if field.ends_with("|null") => {}
                Some(value) => match kind {
                    Value::Object(shape) => self.check_members(&path, shape, value, faults),
                    kind => self.check_value(&path, kind.as_str().unwrap(), value, faults),
                },
            }
        }
    }

    fn check_value(&self, path: &str, kinds: &str, value: &Value, faults: &mut Vec<String>) {
        let mut nearest = vec![format!("{path} is not {kinds}: {value}")];
        for kind in kinds.split('|') {
            match self.fits(path, kind, value) {
                Ok(()) => return,
                Err(found) => nearest.extend(found),
            }
        }
        faults.extend(nearest);
    }

    fn fits(&self, path: &str, kind: &str, value: &Value) -> Result<(), Vec<String>> {
        let good = match kind {
            "string" => value.is_string(),
            "integer" => value.is_i64(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "null" => value.is_null(),
            "texts" => value.as_object().is_some_and(|texts| texts.values().all(Value::is_string)),
            "@" => return self.of_shape(value["object"].as_str().unwrap_or_default(), value),
            _ if kind.starts_with("[@") => {
                let name = kind.trim_start_matches("[@").trim_end_matches(']');
                return value.as_array().ok_or(Vec::new())?.iter().try_for_each(|item| self.of_shape(name, item));
            }
            _ => {
                let (name, rest) = kind.split_at(1);
                let text = value.as_str().unwrap_or_default();
                match (name, kind.strip_prefix("id:")) {
                    ("@", _) => return if value.is_object() { self.of_shape(rest, value) } else { Err(Vec::new()) },
                    ("=", _) => text == rest,
                    (_, Some(prefix)) => text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('_')),
                    _ => panic!("{path}: shapes.json knows no type {kind}"),
                }
            }
        };
        if good { Ok(()) } else { Err(Vec::new()) }
    }

    fn of_shape(&self, name: &str, value: &Value) -> Result<(), Vec<String>> {
        let faults = self.faults(name, value);
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

/// Each way that a payment can go, and what follows from it.
async fn play(stripe: &Stripe) {
    stripe.control(Method::PUT, "/settings", &json!({ "processing_ms": 0, "refund_ms": 0 })).await;
    let methods = [
        "pm_card_visa",
        "pm_card_amex",
        "pm_card_chargeDeclined",
        "pm_card_createDispute",
        "pm_card_createDisputeInquiry",
        "pm_card_pendingRefund",
        "pm_card_refundFail",
        "pm_card_threeDSecure2Required",
        "pm_usBankAccount_success",
        "pm_usBankAccount_noAccount",
    ];
    for method in methods {
        let answer = stripe.pay(method).await;
        if answer.status != 200 {
            continue;
        }
        let id = answer.id();
        if answer.body["status"] == "requires_action" {
            let page = answer.body["next_action"]["redirect_to_url"]["url"].as_str().unwrap();
            send(stripe.client.post(page).form(&[("outcome", "succeeded")])).await;
        }
        if method == "pm_usBankAccount_success" {
            stripe.until_status(&id, "succeeded").await;
        }
        let params = [("payment_intent", id.as_str()), ("amount", "500"), ("reason", "requested_by_customer")];
        stripe.post("/v1/refunds", &params).await;
    }
    let sepa = [
        ("amount", "500"),
        ("currency", "eur"),
        ("confirm", "true"),
        ("payment_method", "pm_sepaDebit_success_at"),
        ("return_url", "https://shop.example"),
        ("shipping[name]", "A. Shopper"),
        ("shipping[address][line1]", "1 High Street"),
        ("metadata[order_id]", "o-2"),
    ];
    let id = stripe.post("/v1/payment_intents", &sepa).await.id();
    stripe.until_status(&id, "succeeded").await;
    stripe.post("/v1/refunds", &[("payment_intent", &id)]).await;
    let sdk = [("payment_method", "pm_card_threeDSecureRequired"), ("use_stripe_sdk", "true")];
    let waiting = stripe.intent().await.id();
    stripe.post(&format!("/v1/payment_intents/{waiting}/confirm"), &sdk).await;
    let unpaid = stripe.intent().await.id();
    stripe.post(&format!("/v1/payment_intents/{unpaid}/cancel"), &[]).await;
    let disputes = stripe.get("/v1/disputes").await.body;
    for (dispute, status) in disputes["data"].as_array().unwrap().iter().zip(["warning_closed", "lost"]) {
        let path = format!("/disputes/{}", dispute["id"].as_str().unwrap());
        stripe.control(Method::POST, &path, &json!({ "status": status })).await;
    }
}

#[tokio::test]
async fn all_that_is_shown_has_stripes_shape() {
    let stripe = Stripe::start().await;
    play(&stripe).await;
    let shapes = Shapes::read();
    let mut faults = Vec::new();
    let lists = [
        ("payment_intents", "payment_intent", "&expand[]=data.latest_charge&expand[]=data.payment_method"),
        ("charges", "charge", ""),
        ("refunds", "refund", "&expand[]=data.charge"),
        ("disputes", "dispute", "&expand[]=data.payment_intent"),
        ("events", "event", ""),
    ];
    for (path, name, expand) in lists {
        for query in ["", expand] {
            let list = stripe.get(&format!("/v1/{path}?limit=100{query}")).await.body;
            let items = list["data"].as_array().unwrap();
            assert!(items.len() > 1, "{path}: too little was played");
            faults.extend(items.iter().flat_map(|item| shapes.faults(name, item)));
        }
    }
    faults.extend(shapes.faults("account", &stripe.get("/v1/account").await.body));
    stripe.simulator.set_webhook_target(Some("http://127.0.0.1:9/nobody".parse().unwrap()));
    let endpoints = stripe.get("/v1/webhook_endpoints").await.body;
    faults.extend(shapes.faults("webhook_endpoint", &endpoints["data"][0]));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn errors_have_stripes_shape() {
    let stripe = Stripe::start().await;
    let shapes = Shapes::read();
    let paid = stripe.pay("pm_card_visa").await.id();
    let answers = [
        stripe.pay("pm_card_chargeDeclined").await,
        stripe.post("/v1/payment_intents", &[("amount", "1")]).await,
        stripe.get("/v1/payment_intents/pi_x").await,
        stripe.post(&format!("/v1/payment_intents/{paid}/cancel"), &[]).await,
        stripe.post("/v1/refunds", &[("payment_intent", &paid), ("amount", "5000")]).await,
        send(stripe.client.get(format!("{}/v1/events", stripe.simulator.base_url()))).await,
    ];
    for answer in answers {
        assert!(answer.status >= 400);
        assert_eq!(shapes.faults("error", &answer.body["error"]), [""; 0], "{:?}", answer.body);
    }
}
