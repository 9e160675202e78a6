//! Row 17: what nobody was told of is found all the same.

use crate::harness::{Shop, eventually};

#[tokio::test]
async fn a_job_that_no_worker_was_told_of_is_found_by_looking() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    // The database tells nobody of anything any more.
    shop.database
        .run(
            "CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT';
             DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$",
        )
        .await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert!(shop.count(cut).await > 0);
    let order = eventually("the shop is back", async || {
        let put = shopper.put_in_cart(&product, 1).await;
        (put.status == 201).then_some(())?;
        let placed = shopper.post("/checkout", &serde_json::json!({})).await;
        (placed.status == 202).then_some(placed.body)
    })
    .await;
    let order = shopper.wait_for(&order, "awaiting_payment").await;
    shop.pay(&shopper, &order).await;
    shop.finish().await;
}
