//! A purchase from the cart to the mail, and the ways in which it goes otherwise.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Shop, eventually, text};

#[tokio::test]
async fn a_purchase_ends_paid_with_one_unit_less_and_one_mail() {
    let shop = Shop::start().await;
    let product = shop.product(1999, 5).await;
    let shopper = shop.shopper().await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let placed = shopper.check_out_under("buy-once").await;
    let location = placed.header("location").to_owned();
    let order = placed.expect(201);
    assert_eq!(location, format!("/orders/{}", text(&order["id"])));
    assert_eq!((&order["status"], &order["total"]), (&json!("awaiting_payment"), &json!(1999)));
    assert_eq!(shop.stock(&product).await, (5, 4));
    assert_eq!(shopper.get("/cart").await.expect(200)["items"], json!([]));

    let paid = shop.pay(&shopper, &order).await;
    assert!(paid["payment"]["client_secret"].is_null(), "{paid}");
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (4, 4));
    let mails = shop.mails(&shopper.email, 1).await;
    assert_eq!(mails.len(), 1, "{mails:?}");
    let (subject, body) = &mails[0];
    let number = match &paid["number"] {
        Value::String(number) => number.clone(),
        number => number.to_string(),
    };
    assert!(subject.contains(&number) || body.contains(&number), "{subject}: {body}");
    assert!(body.contains(text(&product["name"])) && body.contains("19.99"), "{body}");
    let timeline = shop.timeline(&order).await;
    assert_eq!(timeline.first().map(String::as_str), Some("order.placed"), "{timeline:?}");
    assert!(timeline.contains(&"order.paid".to_owned()), "{timeline:?}");

    let again = shopper.check_out_under("buy-once").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    let again = again.expect(201);
    assert_eq!(
        (&again["id"], &again["status"]),
        (&order["id"], &json!("paid")),
        "a replay shows the order as it is now"
    );
    shop.finish().await;
}

#[tokio::test]
async fn a_declined_card_leaves_the_order_to_be_paid_with_another() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.confirm(&order, "pm_card_visa_chargeDeclinedInsufficientFunds").await.expect(402);
    let declined = shopper.wait_for(&order, "payment_failed").await;
    assert!(!text(&declined["payment"]["last_error"]["message"]).is_empty(), "{declined}");
    assert_eq!(declined["payment"]["client_secret"], order["payment"]["client_secret"]);
    assert_eq!(shop.stock(&product).await, (1, 0), "a decline keeps the reservation");

    shop.pay(&shopper, &declined).await;
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (0, 0));
    assert_eq!(shop.mails(&shopper.email, 2).await.len(), 2, "one of the decline, one of the success");
    shop.finish().await;
}

#[tokio::test]
async fn a_payment_with_3d_secure_is_paid_once_the_shopper_has_authenticated() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    let intent = shop.confirm(&order, "pm_card_authenticationRequired").await.expect(200);
    assert_eq!(intent["status"], "requires_action");
    assert_eq!(shopper.see(&order).await["status"], "awaiting_payment");
    shop.steer(&order, "authenticate", &json!({ "outcome": "succeeded" })).await;
    shopper.wait_for(&order, "paid").await;
    shop.finish().await;
}

#[tokio::test]
async fn a_failed_3d_secure_is_a_decline() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.confirm(&order, "pm_card_authenticationRequired").await.expect(200);
    shop.steer(&order, "authenticate", &json!({ "outcome": "failed" })).await;
    shopper.wait_for(&order, "payment_failed").await;
    shop.finish().await;
}

#[tokio::test]
async fn a_debit_is_processing_until_the_bank_has_decided() {
    let shop = Shop::start().await;
    let product = shop.product(500, 2).await;
    for (outcome, status) in [("succeeded", "paid"), ("failed", "payment_failed")] {
        let shopper = shop.shopper().await;
        let order = shop.order(&shopper, &product, 1).await;
        shop.confirm(&order, "pm_usBankAccount_processing").await.expect(200);
        shopper.wait_for(&order, "processing").await;
        shopper.cancel(&order).await.problem(409, "not_cancelable");
        shop.steer(&order, "settle", &json!({ "outcome": outcome })).await;
        shopper.wait_for(&order, status).await;
    }
    shop.finish().await;
}

#[tokio::test]
async fn a_canceled_order_gives_back_its_stock_and_its_lines() {
    let shop = Shop::start().await;
    let product = shop.product(500, 3).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 2).await;
    let canceling = shopper.cancel(&order).await.expect(202);
    assert!(["canceling", "canceled"].contains(&text(&canceling["status"])), "{canceling}");
    shopper.cancel(&order).await.expect(202);
    let canceled = shopper.wait_for(&order, "canceled").await;
    assert!(canceled["payment"]["client_secret"].is_null(), "{canceled}");
    assert_eq!(shop.stock(&product).await, (3, 3));
    let cart = shopper.get("/cart").await.expect(200);
    assert_eq!((&cart["items"][0]["product"]["id"], &cart["items"][0]["quantity"]), (&product["id"], &json!(2)));
    let mails = shop.mails(&shopper.email, 1).await;
    assert!(mails[0].0.to_lowercase().contains("cancel"), "{mails:?}");
    shop.confirm(&order, "pm_card_visa").await.expect(400);
    shopper.cancel(&order).await.expect(202);
    let cart = shopper.get("/cart").await.expect(200);
    assert_eq!(cart["items"][0]["quantity"], 2, "the lines come back once");
    shop.finish().await;
}

#[tokio::test]
async fn a_paid_order_is_not_canceled() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.pay(&shopper, &order).await;
    shopper.cancel(&order).await.problem(409, "not_cancelable");
    shop.finish().await;
}

#[tokio::test]
async fn an_order_that_nobody_pays_expires_and_gives_back_its_stock() {
    let shop = Shop::with(&[("RESERVATION_MINUTES", "0.05")]).await; // an intent is there by then
    let product = shop.product(500, 2).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 2).await;
    shopper.wait_for(&order, "canceled").await;
    assert_eq!(shop.stock(&product).await, (2, 2));
    assert_eq!(shopper.get("/cart").await.expect(200)["items"], json!([]), "an expired order's lines stay out");
    shop.mails(&shopper.email, 1).await;
    shop.finish().await;
}

#[tokio::test]
async fn a_client_secret_is_there_soon_after_checkout() {
    const WARM_UP: usize = 3;
    const TIMES: usize = 20;
    const LIMIT: Duration = Duration::from_millis(50);
    /// Other tests run beside this one: it is their load that a slow round measures, so another is made.
    const ROUNDS: usize = 15;
    let shop = Shop::with(&[("MAX_UNPAID_ORDERS", "1000")]).await;
    let product = shop.product(500, 1000).await;
    let shopper = shop.shopper().await;
    for _ in 0..WARM_UP {
        shop.order(&shopper, &product, 1).await;
    }
    let mut medians = Vec::new();
    while medians.iter().all(|median| *median >= LIMIT) {
        assert!(medians.len() < ROUNDS, "checkout to client secret takes {LIMIT:?} or more: {medians:?}");
        let mut took = Vec::new();
        for _ in 0..TIMES {
            shopper.put_in_cart(&product, 1).await.expect(201);
            let began = Instant::now();
            let order = shopper.check_out().await.expect(201);
            took.push(began.elapsed());
            assert!(!text(&order["payment"]["client_secret"]).is_empty(), "{order}");
        }
        took.sort();
        medians.push(took[TIMES / 2]);
    }
    println!("checkout to client secret: median {medians:?} of {TIMES}");
    shop.finish().await;
}

#[tokio::test]
async fn a_checkout_that_does_not_wait_is_answered_202_and_its_intent_comes() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let fault = json!({ "path": "/v1/payment_intents", "hold": true, "times": 1 });
    let fault = shop.control().post("/faults", &fault).await;
    let id = text(&fault.body["id"]).to_owned();
    let placed = shopper.post("/checkout", &json!({ "expected_total": 500 })).await;
    assert!(!placed.header("retry-after").is_empty());
    let order = placed.expect(202);
    assert_eq!(order["status"], "pending");
    eventually("the call to Stripe is held", async || {
        let held = shop.control().get(&format!("/faults/{id}/held?count=1&timeout_ms=5000")).await;
        (held.status == 200).then_some(())
    })
    .await;
    shop.control().delete(&format!("/faults/{id}")).await;
    shopper.wait_for(&order, "awaiting_payment").await;
    shop.finish().await;
}
