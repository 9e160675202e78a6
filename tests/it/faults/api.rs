//! Row 5: an API that is killed in a checkout leaves no order, or one, and the same key gives it back.

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::harness::{Shop, eventually, text};

/// A trigger of the test's has each commit of an order wait for a lock that the test has.
const HOLD: &str = "CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS
                      'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END';
                    CREATE CONSTRAINT TRIGGER commit_waits_for_the_test AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
                      FOR EACH ROW EXECUTE FUNCTION wait_for_the_test();
                    SELECT pg_advisory_lock(1)";
const HELD: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";

/// The API is killed while the commit of a checkout is held; the commit then happens, or never does.
async fn killed_at_the_commit_of_a_checkout(it_happens: bool) {
    let mut shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    shopper.put_in_cart(&product, 2).await.expect(201);
    let mut lock = PgConnection::connect_with(&shop.database.options()).await.expect("it answers");
    lock.execute(HOLD).await.expect("it can be held");
    let request = shopper.request(reqwest::Method::POST, "/checkout").header("idempotency-key", "once");
    let asked = tokio::spawn(request.send());
    eventually("the commit is held", async || (shop.count(HELD).await > 0).then_some(())).await;
    shop.kill_and_restart_api().await;
    asked.await.expect("no panic").expect_err("nobody answers any more");
    if !it_happens {
        let gone = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event = 'advisory'";
        assert_eq!(shop.count(gone).await, 1);
    }
    lock.close().await.expect("it was open");
    eventually("the commit has ended", async || (shop.count(HELD).await == 0).then_some(())).await;
    assert_eq!(shop.count("SELECT count(*) FROM orders").await, i64::from(it_happens));

    let shopper = shopper.at(&shop.api);
    let again = shopper.check_out_under("once").await;
    assert_eq!(again.headers.contains_key("idempotency-replayed"), it_happens);
    let order = again.expect(201);
    assert_eq!(order["total"], 1000);
    shopper.check_out_under("another").await.problem(409, "cart_empty");
    shop.pay(&shopper, &order).await;
    shop.settle().await;
    assert_eq!(shop.count("SELECT count(*) FROM orders").await, 1);
    assert_eq!(shop.stock(&product).await, (3, 3));
    shop.finish().await;
}

#[tokio::test]
async fn an_api_killed_before_the_commit_of_a_checkout_leaves_no_order_and_the_cart_as_it_was() {
    killed_at_the_commit_of_a_checkout(false).await;
}

#[tokio::test]
async fn an_api_killed_after_the_commit_of_a_checkout_gives_the_order_back_under_its_key() {
    killed_at_the_commit_of_a_checkout(true).await;
}

#[tokio::test]
async fn an_event_whose_answer_a_killed_api_did_not_give_is_applied_once() {
    let mut shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.settle().await;
    shop.kill_and_restart_api().await;
    let shopper = shopper.at(&shop.api);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    shopper.wait_for(&order, "paid").await;
    let event = shop.event(&order, "payment_intent.succeeded").await;
    let path = format!("/events/{}/send", text(&event["id"]));
    shop.control().post(&path, &json!({ "times": 3 })).await.expect(200);
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (4, 4));
    shop.finish().await;
}
