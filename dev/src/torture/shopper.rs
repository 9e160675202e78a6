//! A shopper: fills a cart, checks out, and then pays, or doesn't. Does what a good client does (asks again under the same key),
//! and complains of answers that no fault excuses.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, bail};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    insist::Insistent,
    tally::Tally,
    wish::{Way, Wish},
};
use crate::client::{Client, Reply};

/// How long a shopper waits for news of an order before going on to other things.
const CURIOSITY: u32 = 4;

/// See the module.
pub(super) struct Shopper {
    pub(super) number: usize,
    pub(super) seed: u64,
    pub(super) shop: Insistent,
    /// What the shopper's browser talks to, and what stands for the bank.
    pub(super) stripe: Client,
    pub(super) bank: Client,
    pub(super) products: Arc<Vec<String>>,
    pub(super) tally: Arc<Tally>,
    /// Who hears of orders that were paid.
    pub(super) paid: mpsc::UnboundedSender<String>,
}

impl Shopper {
    /// Buys until the end; what is under way then is finished.
    pub(super) async fn run(self, end: CancellationToken) -> Result<()> {
        for nth in 0.. {
            let wish = Wish::of(self.seed, self.number, nth, self.products.len());
            if let Some(order) = self.order(&wish).await? {
                self.tally.seen().orders.insert(text(&order["id"]).to_owned());
                if !end.is_cancelled() {
                    self.go_on(order, wish.way, &end).await?;
                }
            }
            tokio::select! {
                () = end.cancelled() => break,
                () = tokio::time::sleep(Duration::from_millis(wish.pause_ms)) => {}
            }
        }
        Ok(())
    }

    /// What the checkout gave, if it gave an order.
    async fn order(&self, wish: &Wish) -> Result<Option<Value>> {
        self.fill_cart(wish).await?;
        let key = Uuid::new_v4().to_string();
        let clicks = join_all((0..wish.clicks).map(|_| self.check_out(&key))).await;
        let mut replies = clicks.into_iter().collect::<Result<Vec<Reply>>>()?;
        let (orders, refusals): (Vec<_>, Vec<_>) = replies.drain(..).partition(|reply| reply.status.is_success());
        let Some(first) = orders.first() else {
            for refusal in &refusals {
                self.tally.count(match refusal.code() {
                    "insufficient_stock" => "checkout: sold out",
                    "cart_empty" => "checkout: nothing in the cart",
                    "too_many_open_orders" => "checkout: too many unpaid orders",
                    _ => bail!("{refusal}"),
                });
            }
            return Ok(None);
        };
        // One may have been refused before another found stock again; but none can find the cart empty that made the order.
        let late = refusals.iter().any(|refusal| refusal.code() == "cart_empty");
        if late || orders.iter().any(|other| other.body["id"] != first.body["id"]) {
            self.tally.complain(format!("clicks under the key {key} got different answers: {orders:?} {refusals:?}"));
        }
        Ok(Some(first.body.clone()))
    }

    async fn fill_cart(&self, wish: &Wish) -> Result<()> {
        let cart = self.shop.get("/cart").await?.expect(&[200])?.body;
        // What a canceled order has put back is not wanted any more.
        for item in cart["items"].as_array().into_iter().flatten() {
            let path = format!("/cart/items/{}", text(&item["id"]));
            self.shop.call(Method::DELETE, &path, None, &[]).await?.expect(&[204, 404])?;
        }
        for (product, quantity) in &wish.lines {
            let line = json!({ "product_id": self.products[*product], "quantity": quantity });
            let key = Uuid::new_v4().to_string();
            let headers = [("idempotency-key", key.as_str())];
            let reply =
                self.shop.call(Method::POST, "/cart/items", Some(&line), &headers).await?.expect(&[201, 409])?;
            if reply.status == 409 {
                self.tally.count("cart: sold out");
            }
        }
        Ok(())
    }

    async fn check_out(&self, key: &str) -> Result<Reply> {
        let headers = [("prefer", "wait=5"), ("idempotency-key", key)];
        self.shop.call(Method::POST, "/checkout", None, &headers).await?.expect(&[201, 202, 409])
    }

    async fn go_on(&self, order: Value, way: Way, end: &CancellationToken) -> Result<()> {
        match way {
            Way::Leave => return Ok(()),
            Way::Cancel => return self.cancel(&order).await,
            _ => {}
        }
        let order = self.wait(order, &["pending"], end).await?;
        if text(&order["payment"]["client_secret"]).is_empty() {
            self.tally.count("could not be paid in time");
            return Ok(());
        }
        match way {
            Way::Pay(method) => self.confirm(&order, method).await?,
            Way::DeclinedThenPay => {
                self.confirm(&order, "pm_card_visa_chargeDeclined").await?;
                self.wait(order.clone(), &["awaiting_payment"], end).await?;
                self.confirm(&order, "pm_card_mastercard").await?;
            }
            Way::Declined => self.confirm(&order, "pm_card_chargeDeclinedInsufficientFunds").await?,
            Way::Authenticate(succeeds) => {
                self.confirm(&order, "pm_card_authenticationRequired").await?;
                let outcome = json!({ "outcome": if succeeds { "succeeded" } else { "failed" } });
                let path = format!("/payment_intents/{}/authenticate", text(&order["payment"]["intent_id"]));
                self.bank.post(&path, &outcome).await?.expect(&[200, 409])?; // canceled meanwhile
            }
            Way::Debit(true) => self.confirm(&order, "pm_usBankAccount_success").await?,
            Way::Debit(false) => self.confirm(&order, "pm_usBankAccount_insufficientFunds").await?,
            Way::PayAndCancel => {
                let (paid, canceled) = tokio::join!(self.confirm(&order, "pm_card_visa"), self.cancel(&order));
                paid?;
                canceled?;
            }
            Way::Leave | Way::Cancel => {}
        }
        let open = ["awaiting_payment", "processing", "payment_failed", "canceling"];
        let order = self.wait(order, &open, end).await?;
        if order["status"] == "paid" {
            let id = text(&order["id"]).to_owned();
            self.tally.seen().paid.insert(id.clone());
            let _nobody_listens_at_the_end = self.paid.send(id);
        }
        Ok(())
    }

    /// Looks at the order until it has none of these statuses, for a while.
    async fn wait(&self, mut order: Value, statuses: &[&str], end: &CancellationToken) -> Result<Value> {
        for _ in 0..CURIOSITY {
            if !statuses.contains(&text(&order["status"])) || end.is_cancelled() {
                break;
            }
            let path = format!("/orders/{}?status_not={}", text(&order["id"]), text(&order["status"]));
            let reply = self.shop.call(Method::GET, &path, None, &[("prefer", "wait=2")]).await?;
            order = reply.expect(&[200])?.body; // an order that was told of is there
        }
        Ok(order)
    }

    /// As the browser does it. The bank may refuse, and an order that is over can't be paid.
    async fn confirm(&self, order: &Value, method: &str) -> Result<()> {
        let payment = &order["payment"];
        let form = [
            ("payment_method", method),
            ("client_secret", text(&payment["client_secret"])),
            ("key", text(&payment["publishable_key"])),
            ("return_url", "https://shop.example/back"),
        ];
        let path = format!("/v1/payment_intents/{}/confirm", text(&payment["intent_id"]));
        self.stripe.post_form(&path, &form).await?.expect(&[200, 400, 402])?;
        Ok(())
    }

    async fn cancel(&self, order: &Value) -> Result<()> {
        let path = format!("/orders/{}/cancel", text(&order["id"]));
        self.shop.call(Method::POST, &path, None, &[]).await?.expect(&[202, 409])?; // paid meanwhile
        Ok(())
    }
}

/// A string of an answer; empty if it is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
