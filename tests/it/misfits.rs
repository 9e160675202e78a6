//! Money that doesn't fit its order: too late, twice, too little, in another currency.

use common::money::Currency;
use dev::stripe::decimals;
use serde_json::{Value, json};

use crate::harness::{Client, Shop, eventually, payment, text};

/// A success that arrives for an order which the shop has canceled meanwhile: what the simulator says is made up, as Stripe
/// itself would have refused one of the two.
async fn pay_after_cancel(shop: &Shop, shopper: &Client, order: &Value) {
    shopper.cancel(order).await.expect(202);
    shopper.wait_for(order, "canceled").await;
    let intent = payment(order, "intent_id");
    let mut late = shop.event(order, "payment_intent.canceled").await;
    (late["id"], late["type"]) = (json!(format!("evt_of_{intent}")), json!("payment_intent.succeeded"));
    let object = &mut late["data"]["object"];
    assert_eq!(object["id"], intent);
    object["status"] = json!("succeeded");
    object["amount_received"] = object["amount"].clone();
    shop.control().post("/webhooks/send", &json!({ "payload": late })).await.expect(200);
}

#[tokio::test]
async fn money_for_a_canceled_order_reserves_again() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    pay_after_cancel(&shop, &shopper, &order).await;
    shopper.wait_for(&order, "paid").await;
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (0, 0));
    shop.finish().await;
}

#[tokio::test]
async fn money_for_a_canceled_order_that_is_sold_out_is_reviewed() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let (shopper, other) = (shop.shopper().await, shop.shopper().await);
    let order = shop.order(&shopper, &product, 1).await;
    shopper.cancel(&order).await.expect(202);
    shopper.wait_for(&order, "canceled").await;
    let taken = shop.order(&other, &product, 1).await;
    shop.pay(&other, &taken).await;
    pay_after_cancel(&shop, &shopper, &order).await;
    shopper.wait_for(&order, "payment_review").await;
    // The order's own reason moves on as soon as Stripe, which knows of no such money, refuses to give it back.
    assert_eq!(shop.count("SELECT count(*) FROM refunds WHERE reason = 'late_payment'").await, 1);
    shop.finish().await;
}

#[tokio::test]
async fn money_for_a_canceled_order_reserves_all_of_it_or_nothing() {
    let shop = Shop::start().await;
    for (others_take, status) in [(1, "paid"), (2, "payment_review")] {
        let (plenty, scarce) = (shop.product(500, 9).await, shop.product(300, 3).await);
        let (shopper, other) = (shop.shopper().await, shop.shopper().await);
        shopper.put_in_cart(&plenty, 1).await.expect(201);
        let order = shop.order(&shopper, &scarce, 2).await;
        shopper.cancel(&order).await.expect(202);
        shopper.wait_for(&order, "canceled").await;
        shop.order(&other, &scarce, others_take).await;
        pay_after_cancel(&shop, &shopper, &order).await;
        shopper.wait_for(&order, status).await;
        shop.settle().await;
        let left = if status == "paid" { 8 } else { 9 };
        assert_eq!(shop.stock(&plenty).await, (left, left));
    }
    shop.finish().await;
}

#[tokio::test]
async fn money_for_a_canceled_order_of_what_is_no_longer_sold_is_reviewed() {
    let shop = Shop::start().await;
    let product = shop.product(500, 9).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shopper.cancel(&order).await.expect(202);
    shopper.wait_for(&order, "canceled").await;
    shop.admin().await.delete(&format!("/products/{}", text(&product["id"]))).await.expect(204);
    pay_after_cancel(&shop, &shopper, &order).await;
    shopper.wait_for(&order, "payment_review").await;
    shop.finish().await;
}

#[tokio::test]
async fn a_second_success_of_one_order_is_marked_as_a_duplicate() {
    let shop = Shop::start().await;
    let product = shop.product(500, 2).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.pay(&shopper, &order).await;
    let second = shop.make_intent(&order, 1).await;
    shop.confirm_intent(&second, "pm_card_visa").await.expect(200);
    let marked =
        format!("SELECT count(*) FROM payment_intents WHERE duplicate AND stripe_id = '{}'", text(&second["id"]));
    eventually("it is marked", async || (shop.count(&marked).await == 1).then_some(())).await;
    assert!(shop.timeline(&order).await.contains(&"payment.duplicate".to_owned()));
    shop.settle().await;
    assert_eq!((shopper.see(&order).await["status"].clone(), shop.stock(&product).await), (json!("paid"), (1, 1)));
    shop.finish().await;
}

#[tokio::test]
async fn another_amount_or_currency_than_the_orders_is_reviewed() {
    let shop = Shop::start().await;
    let product = shop.product(500, 9).await;
    for other in [json!({ "amount": 400 }), json!({ "amount": 600 }), json!({ "currency": "eur" })] {
        let shopper = shop.shopper().await;
        let order = shop.order(&shopper, &product, 1).await;
        let path = format!("/payment_intents/{}", payment(&order, "intent_id"));
        shop.control().post(&path, &other).await.expect(200);
        shop.confirm(&order, "pm_card_visa").await.expect(200);
        shopper.wait_for(&order, "payment_review").await;
    }
    assert_eq!(shop.count("SELECT count(*) FROM orders WHERE review_reason = 'amount_mismatch'").await, 3);
    assert_eq!(shop.count("SELECT count(*) FROM payment_intents WHERE amount = 400 OR currency = 'eur'").await, 2);
    shop.finish().await;
}

#[test]
fn the_simulator_and_the_shop_know_the_same_decimals_of_every_currency_that_the_shop_can_sell_in() {
    let codes = (0..26_u32.pow(3)).map(|n| {
        let letter = |place| char::from_u32(u32::from(b'a') + n / 26_u32.pow(place) % 26).expect("a letter");
        [letter(2), letter(1), letter(0)].iter().collect::<String>()
    });
    let mut zero = Vec::new();
    for code in codes {
        let Ok(currency) = code.parse::<Currency>() else { continue };
        assert_eq!(currency.decimals(), usize::try_from(decimals(&code)).expect("few"), "{code}");
        if currency.decimals() == 0 {
            zero.push(code);
        }
    }
    // https://docs.stripe.com/currencies#zero-decimal, but for isk and ugx, which are special cases there.
    let stripes =
        ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"];
    assert_eq!(zero, stripes);
}
