//! The steps of a purchase.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    client::{Client, Reply, text},
    shop::{Shop, payment, send_form},
    wait::eventually,
};

impl Shop {
    /// A product of this price and stock, made by an admin.
    pub(crate) async fn product(&self, price: i64, stock: i64) -> Value {
        let name = format!("Product {}", Uuid::new_v4().simple());
        let product = json!({ "name": name, "price": price, "stock": stock });
        self.admin().await.post("/products", &product).await.expect(201)
    }

    /// The product as it is now: what anybody sees may be a moment old, so it is asked for until it is the row's version.
    pub(crate) async fn look_at(&self, product: &Value) -> Value {
        let id: Uuid = text(&product["id"]).parse().expect("an id");
        let version = sqlx::query_scalar("SELECT version FROM products WHERE id = $1").bind(id);
        let version: i64 = version.fetch_one(&self.pool).await.expect("it is there");
        let path = format!("/products/{id}");
        eventually("the product is shown as it is", async || {
            let seen = self.visitor().get(&path).await.expect(200);
            (seen["version"].as_i64() >= Some(version)).then_some(seen)
        })
        .await
    }

    /// What is in stock of a product, and what of that is available.
    pub(crate) async fn stock(&self, product: &Value) -> (i64, i64) {
        let now = self.look_at(product).await;
        let figure = |name: &str| now[name].as_i64().expect("a number");
        (figure("stock"), figure("available"))
    }

    /// An order with its intent: one product goes into the cart, and out with the cart.
    pub(crate) async fn order(&self, shopper: &Client, product: &Value, quantity: i64) -> Value {
        shopper.put_in_cart(product, quantity).await.expect(201);
        shopper.check_out().await.expect(201)
    }

    /// Confirms an order's payment as the shopper's browser does: by publishable key and client secret.
    pub(crate) async fn confirm(&self, order: &Value, method: &str) -> Reply {
        let form = [
            ("payment_method", method),
            ("client_secret", payment(order, "client_secret")),
            ("key", payment(order, "publishable_key")),
            ("return_url", "https://shop.example/back"),
        ];
        let path = format!("/v1/payment_intents/{}/confirm", payment(order, "intent_id"));
        send_form(&self.stripe_api(), &path, &form).await
    }

    /// Pays an order, and gives it as it is then.
    pub(crate) async fn pay(&self, shopper: &Client, order: &Value) -> Value {
        self.confirm(order, "pm_card_visa").await.expect(200);
        shopper.wait_for(order, "paid").await
    }

    /// Another intent of an order, made at Stripe as by a try of which the shop has heard nothing.
    pub(crate) async fn make_intent(&self, order: &Value, generation: u32) -> Value {
        let form = [
            ("amount", order["total"].to_string()),
            ("currency", text(&order["currency"]).to_owned()),
            ("automatic_payment_methods[enabled]", "true".to_owned()),
            ("metadata[order_id]", text(&order["id"]).to_owned()),
            ("metadata[generation]", generation.to_string()),
        ];
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        let stripe = self.stripe_api().with_token("sk_test_simulator");
        send_form(&stripe, "/v1/payment_intents", &form).await.expect(200)
    }

    /// Confirms an intent with the shop's own key.
    pub(crate) async fn confirm_intent(&self, intent: &Value, method: &str) -> Reply {
        let stripe = self.stripe_api().with_token("sk_test_simulator");
        let path = format!("/v1/payment_intents/{}/confirm", text(&intent["id"]));
        let form = [("payment_method", method), ("return_url", "https://shop.example/back")];
        send_form(&stripe, &path, &form).await
    }

    /// Lets the simulator do something with the order's intent.
    pub(crate) async fn steer(&self, order: &Value, act: &str, body: &Value) {
        let path = format!("/payment_intents/{}/{act}", payment(order, "intent_id"));
        self.control().post(&path, body).await.expect(200);
    }

    /// Lets the order's time be over, at a moment that the test chooses.
    pub(crate) async fn expire(&self, order: &Value) {
        let id = text(&order["id"]);
        let due = format!(
            "UPDATE orders SET expires_at = now() WHERE id = '{id}';
             UPDATE jobs SET run_at = now() WHERE job_type = 'order.expire' AND dedupe_key = '{id}' AND done_at IS NULL"
        );
        self.database.run(&due).await;
    }

    /// The latest event of a type about the order's intent.
    pub(crate) async fn event(&self, order: &Value, kind: &str) -> Value {
        let stripe = self.stripe_api().with_token("sk_test_simulator");
        let events = stripe.get(&format!("/v1/events?type={kind}&limit=100")).await.expect(200);
        let intent = &order["payment"]["intent_id"];
        let found =
            events["data"].as_array().into_iter().flatten().find(|event| &event["data"]["object"]["id"] == intent);
        found.expect("Stripe has told of it").clone()
    }

    /// Waits until so many mails have come for somebody, and gives them, oldest first.
    pub(crate) async fn mails(&self, to: &str, count: usize) -> Vec<(String, String)> {
        eventually(&format!("{count} mails for {to}"), async || {
            let found = self.mail.messages();
            let to_them = found.iter().rev().filter(|mail| mail.went_to(to));
            let mails: Vec<_> = to_them.map(|m| (m.subject.clone(), m.text.clone().unwrap_or_default())).collect();
            (mails.len() >= count).then_some(mails)
        })
        .await
    }

    /// What the order's timeline tells, oldest first.
    pub(crate) async fn timeline(&self, order: &Value) -> Vec<String> {
        let id: Uuid = text(&order["id"]).parse().expect("an id");
        let kinds = sqlx::query_scalar("SELECT kind FROM order_events WHERE order_id = $1 ORDER BY id").bind(id);
        kinds.fetch_all(&self.pool).await.expect("the timeline can be read")
    }
}

impl Client {
    pub(crate) async fn put_in_cart(&self, product: &Value, quantity: i64) -> Reply {
        self.post("/cart/items", &json!({ "product_id": product["id"], "quantity": quantity })).await
    }

    /// Checks out and waits for the intent.
    pub(crate) async fn check_out(&self) -> Reply {
        self.call(Method::POST, "/checkout", None, &[("prefer", "wait=10")]).await
    }

    /// Checks out under a key, and waits for the intent.
    pub(crate) async fn check_out_under(&self, key: &str) -> Reply {
        let headers = [("prefer", "wait=10"), ("idempotency-key", key)];
        self.call(Method::POST, "/checkout", None, &headers).await
    }

    /// The order as it is now.
    pub(crate) async fn see(&self, order: &Value) -> Value {
        self.get(&format!("/orders/{}", text(&order["id"]))).await.expect(200)
    }

    pub(crate) async fn cancel(&self, order: &Value) -> Reply {
        self.call(Method::POST, &format!("/orders/{}/cancel", text(&order["id"])), None, &[]).await
    }

    /// Waits until the order has this status, and gives it.
    pub(crate) async fn wait_for(&self, order: &Value, status: &str) -> Value {
        let mut last = self.see(order).await;
        eventually(&format!("the order is {status}"), async || {
            if last["status"] != status {
                let path = format!("/orders/{}?status_not={}", text(&last["id"]), text(&last["status"]));
                last = self.call(Method::GET, &path, None, &[("prefer", "wait=5")]).await.expect(200);
            }
            (last["status"] == status).then(|| last.clone())
        })
        .await
    }
}
