//! Charged, and no order for it.

use serde_json::json;

use super::{all, charged, orders};
use crate::harness::{Shop, eventually, text};

/// [vendurehq/vendure#3065](https://github.com/vendurehq/vendure/issues/3065): two shoppers were shown the payment form for the last unit.
/// The slower one was charged, and the order could not go on because the stock was gone.
#[tokio::test]
async fn the_slower_of_two_was_charged_for_a_unit_that_the_faster_one_had_bought() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let (slow, fast) = (shop.shopper().await, shop.shopper().await);
    slow.put_in_cart(&product, 1).await.expect(201);
    fast.put_in_cart(&product, 1).await.expect(201);
    let order = slow.check_out().await.expect(201); // the form is shown: the unit is held
    fast.check_out().await.problem(409, "insufficient_stock");
    let paid = shop.pay(&slow, &order).await;
    assert_eq!(paid["status"], "paid");
    shop.settle().await;
    assert_eq!((charged(&shop).await.len(), shop.stock(&product).await), (1, (0, 0)));
    shop.finish().await;
}

/// The same report's end: should money come after all for what is no longer there, it goes back by itself.
#[tokio::test]
async fn money_that_came_for_what_was_gone_was_kept() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let (slow, fast, admin) = (shop.shopper().await, shop.shopper().await, shop.admin().await);
    let order = shop.order(&slow, &product, 1).await;
    let form = shop.make_intent(&order, 2).await; // a form that is still open in another tab
    shop.expire(&order).await;
    slow.wait_for(&order, "canceled").await;
    shop.paid_order(&fast, &product, 1).await;
    shop.confirm_intent(&form, "pm_card_visa").await.expect(200);
    let refunded = slow.wait_for(&order, "refunded").await;
    assert_eq!(refunded["refunded_total"], 500);
    assert_eq!(admin.inspect(&order).await["review_reason"], "late_payment");
    shop.finish().await;
}

/// [vendurehq/vendure#3411](https://github.com/vendurehq/vendure/issues/3411): after a declined card another one was charged, but the order
/// could not leave its state any more, and a third try was told that it had been paid.
#[tokio::test]
async fn a_card_was_charged_after_another_one_was_declined_and_the_order_was_stuck() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    for (card, why) in [
        ("pm_card_visa_chargeDeclined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "lost_card"),
    ] {
        shop.confirm(&order, card).await.expect(402);
        let declined = eventually(&format!("the shopper is told of {why}"), async || {
            Some(shopper.see(&order).await).filter(|now| now["payment"]["last_error"]["code"] == why)
        })
        .await;
        assert_eq!(declined["status"], "payment_failed");
        assert_eq!(declined["payment"]["client_secret"], order["payment"]["client_secret"], "it can be tried again");
    }
    assert_eq!(shop.stock(&product).await, (1, 0), "it is still held");
    let paid = shop.pay(&shopper, &order).await;
    assert_eq!(paid["payment"]["last_error"], json!(null));
    shop.settle().await;
    assert_eq!((charged(&shop).await.len(), shop.stock(&product).await), (1, (0, 0)));
    shop.finish().await;
}

/// [medusajs/medusa#4946](https://github.com/medusajs/medusa/issues/4946): the payment went through, and there was no order to be found.
/// Here there is one before anybody can pay, and it tells where it stands.
#[tokio::test]
async fn a_payment_went_through_before_there_was_an_order() {
    let shop = Shop::start().await;
    let product = shop.product(500, 3).await;
    let shopper = shop.shopper().await;
    let held = json!({ "method": "POST", "path": "/v1/payment_intents", "at": "arrival", "hold": true });
    let held = shop.inject(&held).await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let order = shopper.post("/checkout", &json!({})).await.expect(202);
    shop.wait_until_held(&held).await; // nothing can be paid yet
    assert_eq!((orders(&shopper).await, &shopper.see(&order).await["status"]), (1, &json!("pending")));
    shop.relieve(&held).await;
    let order = shopper.wait_for(&order, "awaiting_payment").await;
    shop.pay(&shopper, &order).await;
    assert_eq!((charged(&shop).await.len(), orders(&shopper).await), (1, 1));
    shop.finish().await;
}

/// [medusajs/medusa#12790](https://github.com/medusajs/medusa/issues/12790): an order was only made when the shopper's browser came back
/// from the payment. Whoever closed it had paid for nothing.
#[tokio::test]
async fn a_shopper_who_closed_the_browser_after_paying_had_no_order() {
    let shop = Shop::start().await;
    let product = shop.product(500, 3).await;
    let (shopper, admin) = (shop.shopper().await, shop.admin().await);
    let order = shop.order(&shopper, &product, 1).await;
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    // The shop never hears of the shopper again, who hears of the shop nevertheless.
    let mails = shop.mails(&shopper.email, 1).await;
    assert!(mails[0].0.contains("confirmed"), "{mails:?}");
    shop.settle().await;
    assert_eq!(admin.inspect(&order).await["status"], "paid");
    assert_eq!(charged(&shop).await.len(), 1);
    assert_eq!(shop.stock(&product).await, (2, 2));
    shop.finish().await;
}

/// [medusajs/medusa#13301](https://github.com/medusajs/medusa/issues/13301): the shopper's return and the webhook completed the same
/// payment at once, captured it twice, and sometimes ended with no order at all.
#[tokio::test]
async fn the_shoppers_return_and_the_webhook_undid_each_other() {
    let shop = Shop::start().await;
    let product = shop.product(500, 9).await;
    let crowd = shop.crowd(6).await;
    for shopper in &crowd {
        let order = shop.order(shopper, &product, 1).await;
        // The shopper comes back, cancels in another tab and looks, all while Stripe tells of the payment.
        let (paid, canceled, seen) =
            tokio::join!(shop.confirm(&order, "pm_card_visa"), shopper.cancel(&order), shopper.see(&order));
        assert!([200, 400].contains(&paid.status) && [202, 409].contains(&canceled.status), "{paid:?} {canceled:?}");
        assert_eq!(seen["id"], order["id"]);
    }
    shop.settle().await;
    let charged = charged(&shop).await;
    let mut sold = 0;
    for shopper in &crowd {
        let order = shopper.get("/orders").await.expect(200)["items"][0].clone();
        let charges = charged.iter().filter(|intent| intent["metadata"]["order_id"] == order["id"]).count();
        assert_eq!(text(&order["status"]), if charges == 1 { "paid" } else { "canceled" }, "{order}");
        let timeline = shop.timeline(&order).await;
        let ends = timeline.iter().filter(|kind| ["order.paid", "order.canceled"].contains(&kind.as_str())).count();
        let sales = timeline.iter().filter(|kind| *kind == "stock.decremented").count();
        assert_eq!((ends, sales), (1, charges), "it ends once: {timeline:?}");
        sold += i64::try_from(charges).expect("few");
    }
    assert_eq!(shop.stock(&product).await, (9 - sold, 9 - sold));
    shop.finish().await;
}

/// [vendurehq/vendure#3025](https://github.com/vendurehq/vendure/issues/3025): what was charged was not what the order came to by then,
/// and the order never left the payment.
#[tokio::test]
async fn a_price_that_changed_between_cart_and_payment_left_the_order_half_paid() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let reprice = async |price: i64| {
        let path = format!("/products/{}", text(&product["id"]));
        let mut now = admin.get(&path).await.expect(200);
        now["price"] = json!(price);
        admin.put(&path, &now).await.expect(200);
    };
    shopper.put_in_cart(&product, 2).await.expect(201);
    reprice(700).await;
    let shown = json!({ "expected_total": 1000 });
    let refused = shopper.post("/checkout", &shown).await.problem(409, "total_changed");
    assert_eq!(refused["total"], 1400);
    // It changes again while the payment is made, of which a first try is lost, and once more before it is paid.
    let lost = json!({ "method": "POST", "path": "/v1/payment_intents", "at": "arrival", "hold": true, "answer": { "kind": "reset" } });
    let lost = shop.inject(&lost).await;
    let order = shopper.post("/checkout", &json!({})).await.expect(202);
    shop.wait_until_held(&lost).await;
    reprice(900).await;
    shop.relieve(&lost).await;
    let order = shopper.wait_for(&order, "awaiting_payment").await;
    reprice(1100).await;
    assert_eq!(all(&shop, "/v1/payment_intents").await[0]["amount"], 1400);
    let paid = shop.pay(&shopper, &order).await;
    assert_eq!((&paid["total"], &paid["items"][0]["price"]), (&json!(1400), &json!(700)));
    assert_eq!(charged(&shop).await[0]["amount_received"], 1400);
    shop.finish().await;
}
