//! The steps of a refund.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    client::{Client, Reply, text},
    shop::{Shop, payment, send_form},
    wait::eventually,
};

impl Client {
    /// Asks, as an admin, for a refund under a key of its own.
    pub(crate) async fn refund(&self, order: &Value, body: &Value) -> Reply {
        self.refund_under(&Uuid::new_v4().to_string(), order, body).await
    }

    /// Asks, as an admin, for a refund under a key.
    pub(crate) async fn refund_under(&self, key: &str, order: &Value, body: &Value) -> Reply {
        let path = format!("/admin/orders/{}/refund", text(&order["id"]));
        self.call(Method::POST, &path, Some(body), &[("idempotency-key", key)]).await
    }

    /// Takes, as an admin, the money of an order in review as it is.
    pub(crate) async fn accept(&self, order: &Value) -> Reply {
        self.post(&format!("/admin/orders/{}/accept", text(&order["id"])), &json!({})).await
    }

    /// The order as an admin sees it.
    pub(crate) async fn inspect(&self, order: &Value) -> Value {
        self.get(&format!("/admin/orders/{}", text(&order["id"]))).await.expect(200)
    }

    /// Waits, as an admin, until the statuses of the order's refunds are these, the oldest first.
    pub(crate) async fn wait_for_refunds(&self, order: &Value, statuses: &[&str]) -> Value {
        eventually(&format!("the refunds are {statuses:?}"), async || {
            let order = self.inspect(order).await;
            let now: Vec<_> = order["refunds"].as_array().expect("a list").iter().map(|r| &r["status"]).collect();
            (now == statuses).then_some(order)
        })
        .await
    }
}

impl Shop {
    /// What Stripe knows of the refunds of an order's payment, the newest first.
    pub(crate) async fn refunds_at_stripe(&self, order: &Value) -> Vec<Value> {
        let stripe = self.stripe_api().with_token("sk_test_simulator");
        let path = format!("/v1/refunds?limit=100&payment_intent={}", payment(order, "intent_id"));
        stripe.get(&path).await.expect(200)["data"].as_array().expect("a list").clone()
    }

    /// A refund that somebody makes in Stripe's dashboard.
    pub(crate) async fn refund_at_stripe(&self, order: &Value, amount: i64) -> Value {
        let stripe = self.stripe_api().with_token("sk_test_simulator");
        let form = [("payment_intent", payment(order, "intent_id")), ("amount", &amount.to_string())];
        send_form(&stripe, "/v1/refunds", &form).await.expect(200)
    }

    /// Gives back, as an admin, all that an order received, and has the bank send it back: the order waits for somebody's word.
    pub(crate) async fn refund_in_vain(&self, admin: &Client, shopper: &Client, order: &Value) {
        admin.refund(order, &json!({})).await.expect(202);
        shopper.wait_for(order, "refunded").await;
        let refund = admin.inspect(order).await["refunds"][0]["stripe_refund_id"].clone();
        self.control().post(&format!("/refunds/{}", text(&refund)), &json!({ "status": "failed" })).await.expect(200);
        shopper.wait_for(order, "payment_review").await;
    }

    /// An order that is paid.
    pub(crate) async fn paid_order(&self, shopper: &Client, product: &Value, quantity: i64) -> Value {
        let order = self.order(shopper, product, quantity).await;
        self.pay(shopper, &order).await
    }
}
