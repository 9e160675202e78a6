//! Row 15: a process that may open no more files.

use futures::future::join_all;
use tokio::net::TcpStream;

use crate::harness::{Shop, eventually};

#[tokio::test]
async fn an_api_out_of_file_descriptors_goes_on_once_it_has_some_again() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.api.limit_files(64);
    let crowd: Vec<_> = join_all((0..200).map(|_| TcpStream::connect(shop.api.api))).await;
    eventually("it can accept no more", async || shop.api.log().contains("Too many open files").then_some(())).await;
    shop.confirm(&order, "pm_card_visa").await.expect(200); // its event finds nobody, and comes again
    drop(crowd);
    shopper.wait_for(&order, "paid").await;
    let next = shop.order(&shopper, &product, 1).await;
    shop.pay(&shopper, &next).await;
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (3, 3));
    shop.finish().await;
}

#[tokio::test]
async fn a_worker_with_sixty_four_file_descriptors_does_its_work() {
    let shop = Shop::start().await;
    shop.worker.limit_files(64);
    let product = shop.product(500, 50).await;
    let crowd = shop.crowd(30).await;
    let bought = crowd.iter().map(async |shopper| {
        let order = shop.order(shopper, &product, 1).await;
        shop.pay(shopper, &order).await
    });
    join_all(bought).await;
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (20, 20));
    shop.finish().await;
}
