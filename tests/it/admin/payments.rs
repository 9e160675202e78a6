//! The payment log.

use serde_json::{Value, json};

use super::{all, members};
use crate::harness::{Shop, text};

#[tokio::test]
async fn payments_are_found_by_order_operation_outcome_and_error() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 5).await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.confirm(&order, "pm_card_chargeDeclined").await;
    shopper.wait_for(&order, "payment_failed").await;
    shop.pay(&shopper, &order).await;
    let fault = json!({ "method": "POST", "path": "/v1/payment_intents", "times": 1, "answer": { "kind": "status", "status": 500 } });
    shop.inject(&fault).await;
    let other = shop.paid_order(&shopper, &product, 1).await;
    shop.settle().await;

    let found = async |query: &str| all(&admin, &format!("/admin/payments?{query}"), 1).await;
    let of_order = found(&format!("order={}", text(&order["id"]))).await;
    for called in [order["number"].to_string(), format!("%23{}", order["number"])] {
        assert_eq!(found(&format!("order={called}")).await, of_order, "{called}");
    }
    assert!(of_order.iter().all(|row| row["order_id"] == order["id"] && row["order_number"] == order["number"]));
    let operations = members(&of_order, "operation");
    assert!(
        operations.contains(&"create_intent") && operations.contains(&"event:payment_intent.succeeded"),
        "{operations:?}"
    );
    let paid = &found(&format!("order={}&operation=event:payment_intent.succeeded", order["number"])).await[0];
    assert_eq!((&paid["amount"], &paid["currency"]), (&json!(500), &json!("usd")));
    let failed = found("outcome=error").await;
    assert_eq!(members(&failed, "operation"), ["create_intent"]);
    assert_eq!(failed[0]["order_id"], other["id"]);
    assert_eq!(found(&format!("error_type={}", text(&failed[0]["error_type"]))).await, failed);
    let declined = found("operation=event:payment_intent.payment_failed").await;
    assert_eq!(declined[0]["decline_code"], "generic_decline");
    assert_eq!(found(&format!("order={}&outcome=error", order["number"])).await, Vec::<Value>::new());
    assert_eq!(found(&format!("order={}&outcome=error", other["number"])).await, failed);
    let whole = admin.get("/admin/payments?limit=100").await;
    assert!(!whole.raw.contains("_secret_") && !whole.raw.contains("sk_test"), "{}", whole.raw);
    shop.finish().await;
}
