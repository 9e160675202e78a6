//! What went wrong in other shops, by their public reports: the same sequence of events, played to this one. Each test names the report
//! that it was made of, and was seen to fail against a naive variant of the shop, which its commit names.

mod charges;
mod doubles;
mod events;
mod stock;

use serde_json::Value;

use crate::harness::{Client, Shop};

/// All of Stripe's payments that brought money.
async fn charged(shop: &Shop) -> Vec<Value> {
    let intents = all(shop, "/v1/payment_intents").await;
    intents.into_iter().filter(|intent| intent["status"] == "succeeded").collect()
}

/// The newest hundred of Stripe's objects.
async fn all(shop: &Shop, path: &str) -> Vec<Value> {
    let stripe = shop.stripe_api().with_token("sk_test_simulator");
    let join = if path.contains('?') { '&' } else { '?' };
    stripe.get(&format!("{path}{join}limit=100")).await.expect(200)["data"].as_array().expect("a list").clone()
}

/// How many orders a shopper has.
async fn orders(shopper: &Client) -> usize {
    shopper.get("/orders").await.expect(200)["items"].as_array().expect("a list").len()
}
