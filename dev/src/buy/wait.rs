//! Waiting for what the worker does: the API holds the answer back until there is news of an order.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::Value;

use super::{tell, text};
use crate::client::Client;

/// For machines.
pub(super) const USUAL: Duration = Duration::from_secs(30);
/// For people who look for their phone.
pub(super) const FOR_PEOPLE: Duration = Duration::from_secs(300);

const LOOK: Duration = Duration::from_millis(50);

pub(super) async fn for_order(client: &Client, order: &Value, statuses: &[&str]) -> Result<Value> {
    for_order_within(client, order, statuses, USUAL).await
}

/// Waits until the order has one of these statuses, and shows each on the way.
pub(super) async fn for_order_within(
    client: &Client,
    order: &Value,
    statuses: &[&str],
    patience: Duration,
) -> Result<Value> {
    let began = Instant::now();
    let mut order = order.clone();
    while !statuses.contains(&text(&order["status"])) {
        if began.elapsed() > patience {
            let (number, status) = (&order["number"], text(&order["status"]));
            bail!("order {number} is still {status} after {patience:?}, not {}", statuses.join(" or "));
        }
        let path = format!("/orders/{}?status_not={}", text(&order["id"]), text(&order["status"]));
        let reply = client.call(Method::GET, &path, None, &[("prefer", "wait=10")]).await?.expect(&[200])?;
        if reply.body["status"] != order["status"] {
            tell(&reply, "waited", format_args!("order {} is {}", reply.body["number"], text(&reply.body["status"])));
        }
        order = reply.body;
        if matches!(text(&order["status"]), "canceled" | "payment_review" | "refunded")
            && !statuses.contains(&text(&order["status"]))
        {
            bail!("order {} became {}, not {}", order["number"], text(&order["status"]), statuses.join(" or "));
        }
    }
    Ok(order)
}

/// Waits until the product is as it should be.
pub(super) async fn for_product(client: &Client, product: &Value, is_right: impl Fn(&Value) -> bool) -> Result<Value> {
    let began = Instant::now();
    let path = format!("/products/{}", text(&product["id"]));
    loop {
        let now = client.get(&path).await?.expect(&[200])?.body;
        if is_right(&now) {
            return Ok(now);
        }
        if began.elapsed() > USUAL {
            let (name, stock, available) = (text(&now["name"]), &now["stock"], &now["available"]);
            bail!("{name} still has a stock of {stock}, {available} of it available, after {USUAL:?}");
        }
        tokio::time::sleep(LOOK).await;
    }
}
