//! An administrator who gives money back: partly or all of it, with or without the goods, sometimes twice at once, and sometimes
//! past the shop in Stripe's dashboard.

use std::sync::Arc;

use anyhow::{Result, bail};
use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{insist::Insistent, shopper::text, tally::Tally, wish::mix};
use crate::client::Client;

/// The place of the administrator among those who draw from the seed.
const PLACE: u64 = u64::MAX;

/// What is given back of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Nothing,
    /// With all units, or none.
    All(bool),
    /// A part, with a unit of the first line or none.
    Part(bool),
    /// All of it, by two people at once.
    AllTwice,
    /// A part, in Stripe's dashboard.
    Dashboard,
}

impl Act {
    /// For the `nth` order that was paid.
    fn of(seed: u64, nth: u64) -> Self {
        match StdRng::seed_from_u64(mix(&[seed, PLACE, nth])).random_range(0..100) {
            0..6 => Self::All(false),
            6..12 => Self::All(true),
            12..17 => Self::Part(false),
            17..22 => Self::Part(true),
            22..26 => Self::AllTwice,
            26..29 => Self::Dashboard,
            _ => Self::Nothing,
        }
    }
}

/// See the module.
pub(super) struct Admin {
    pub(super) seed: u64,
    pub(super) shop: Insistent,
    /// The dashboard.
    pub(super) stripe: Client,
    pub(super) tally: Arc<Tally>,
}

impl Admin {
    /// Gives back until the end.
    pub(super) async fn run(self, mut paid: mpsc::UnboundedReceiver<String>, end: CancellationToken) -> Result<()> {
        for nth in 0.. {
            let order = tokio::select! {
                () = end.cancelled() => return Ok(()),
                order = paid.recv() => order,
            };
            let Some(order) = order else { return Ok(()) };
            let act = Act::of(self.seed, nth);
            if act != Act::Nothing {
                self.give_back(&order, act).await?;
            }
        }
        Ok(())
    }

    async fn give_back(&self, id: &str, act: Act) -> Result<()> {
        let order = self.shop.get(&format!("/admin/orders/{id}")).await?.expect(&[200])?.body;
        let total = order["total"].as_i64().unwrap_or_default();
        match act {
            Act::Nothing => Ok(()),
            Act::All(with_goods) => self.refund(&order, &json!({ "restock": lines(&order, with_goods, None) })).await,
            Act::Part(with_goods) => {
                let body = json!({ "amount": total / 3, "restock": lines(&order, with_goods, Some(1)) });
                self.refund(&order, &body).await
            }
            Act::AllTwice => {
                let body = json!({ "amount": total });
                let (one, other) = tokio::join!(self.refund(&order, &body), self.refund(&order, &body));
                one.and(other)
            }
            Act::Dashboard => {
                let (intent, part) = (text(&order["payment"]["intent_id"]), (total / 4).to_string());
                let form = [("payment_intent", intent), ("amount", part.as_str())];
                // Whoever sees the dashboard fail leaves it at that: what Stripe has made of it, the shop has to find out.
                let made = self.stripe.post_form("/v1/refunds", &form).await.is_ok_and(|reply| reply.status == 200);
                self.tally.count(if made { "refund: in the dashboard" } else { "refund: in the dashboard, failed" });
                Ok(())
            }
        }
    }

    async fn refund(&self, order: &Value, body: &Value) -> Result<()> {
        let path = format!("/admin/orders/{}/refund", text(&order["id"]));
        let key = Uuid::new_v4().to_string();
        let headers = [("idempotency-key", key.as_str())];
        let reply = self.shop.call(Method::POST, &path, Some(body), &headers).await?.expect(&[202, 409])?;
        self.tally.count(match (reply.status.as_u16(), reply.code()) {
            (202, _) => "refund: asked for",
            (_, "refund_too_large") => "refund: too large, refused",
            _ => bail!("{reply}"),
        });
        Ok(())
    }
}

/// Lines that come back: all of them with all or at most so many units, or none.
fn lines(order: &Value, any: bool, at_most: Option<i64>) -> Vec<Value> {
    let items = order["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |item: &Value| {
        let quantity = item["quantity"].as_i64().unwrap_or_default().min(at_most.unwrap_or(i64::MAX));
        json!({ "order_item_id": item["id"], "quantity": quantity })
    };
    items.iter().filter(|_| any).map(line).collect()
}
