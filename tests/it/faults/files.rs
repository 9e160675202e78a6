//! Row 15: a process that may open no more files, and a disk that is full.

use std::{fs::File, io::Write as _, path::Path};

use dev::postgres::Throwaway;
use futures::future::join_all;
use image::ImageFormat;
use serde_json::json;
use sqlx::Executor as _;
use tokio::net::TcpStream;

use crate::harness::{Database, Shop, eventually, file};

#[tokio::test]
async fn an_api_out_of_file_descriptors_goes_on_once_it_has_some_again() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.api.limit_files(64);
    // No more than it takes: those whom the system's queue has no room for would try again for half a minute.
    let mut crowd = Vec::new();
    eventually("it can accept no more", async || {
        crowd.push(TcpStream::connect(shop.api.api).await.expect("the queue has room"));
        shop.api.log().contains("Too many open files").then_some(())
    })
    .await;
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

/// Writes to a file until nothing more fits.
fn fill(path: &Path) {
    let mut file = File::create(path).expect("the disk has room for a file");
    for size in [1 << 20, 1 << 12, 1] {
        let block = vec![7; size];
        while file.write_all(&block).is_ok() {}
    }
}

#[tokio::test]
#[ignore = "needs a small disk in KASSA_SMALL_DISK: see tests/recorded/disk-full"]
async fn a_database_whose_disk_is_full_is_away_until_it_has_room_again() {
    let disk = std::env::var("KASSA_SMALL_DISK").expect("KASSA_SMALL_DISK names a folder on a small disk");
    let (disk, log) = (Path::new(&disk), std::env::temp_dir().join("kassa-tests-disk-full.log"));
    let mut server = Throwaway::start_victim_in(disk, 23_600, &log).await.expect("there is Postgres");
    let shop = Shop::over(Database::migrated_on(&server).await, &[("JOB_LEASE_SECONDS", "2")]).await;
    let product = shop.product(500, 100).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.settle().await;

    let ballast = disk.join("ballast");
    fill(&ballast);
    // What still fits into the log's last segments is taken; after that nothing is.
    let refused = eventually("nothing fits any more", async || {
        let _none_to_switch_to = shop.pool.execute("SELECT pg_switch_wal()").await;
        let reply = shopper.put_in_cart(&product, 1).await;
        (reply.status != 201 && reply.status != 409).then_some(reply)
    })
    .await;
    refused.problem(503, "unavailable");
    println!("a full disk: 503, and in the server's log:");
    let said = std::fs::read_to_string(&log).expect("it logs");
    let full = said.lines().filter(|line| line.contains("No space left")).take(3);
    full.for_each(|line| println!("  {line}"));
    assert!(said.contains("No space left"), "the disk is full");
    shop.confirm(&order, "pm_card_visa").await.expect(200); // the event can't be stored
    let event = json!({ "payload": { "id": "evt_1", "type": "a.b" } });
    assert_eq!(shop.control().post("/webhooks/send", &event).await.expect(200)["outcomes"][0], 503);
    assert_eq!(shop.visitor().get("/health/live").await.status, 200);

    std::fs::remove_file(&ballast).expect("it is there");
    server.crash().await.expect("it starts again"); // it may have given up by itself
    eventually("all are ready again", async || {
        let [api, worker] = shop.operations();
        let ready = (api.get("/health/ready").await.status, worker.get("/health/ready").await.status);
        (ready == (200, 200)).then_some(())
    })
    .await;
    shopper.wait_for(&order, "paid").await;
    shop.settle().await;
    let lines = shop.count("SELECT coalesce(sum(quantity), 0)::bigint FROM cart_items").await;
    println!("room again: the order is paid, {lines} units lie in the cart, and every invariant holds");
    assert_eq!(shop.stock(&product).await.0, 99);
    drop(shop.close().await);
    server.stop().await;
}

#[tokio::test]
#[ignore = "needs a small disk in KASSA_SMALL_DISK: see tests/recorded/disk-full"]
async fn images_whose_disk_is_full_are_refused_until_it_has_room_again() {
    let disk = std::env::var("KASSA_SMALL_DISK").expect("KASSA_SMALL_DISK names a folder on a small disk");
    let images = Path::new(&disk).join("images");
    let shop = Shop::with(&[("OBJECT_STORE_URL", &format!("file:{}", images.display()))]).await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    let photo = file(600, 400, ImageFormat::Jpeg);
    admin.upload(&product, &photo).await.expect(202);
    shop.images_shown(&product, 1).await;
    shop.settle().await;
    let files = || std::fs::read_dir(&images).expect("it is there").count();
    assert_eq!(files(), 3);

    let ballast = Path::new(&disk).join("ballast");
    fill(&ballast);
    let before = shop.contents().await;
    let refused = admin.upload(&product, &photo).await.problem(507, "insufficient_storage");
    println!("a full disk: {refused}");
    assert_eq!(shop.contents().await, before);
    assert_eq!(files(), 3, "nothing is half written");
    // There is room for the upload, and none for what is made of it.
    let room = photo.len() as u64 + 2 * 4096;
    let ballast_file = File::options().write(true).open(&ballast).expect("it is there");
    ballast_file.set_len(ballast_file.metadata().expect("it is there").len() - room).expect("it can be cut");
    let image = admin.upload(&product, &photo).await.expect(202);
    let put_off = "SELECT count(*) FROM jobs WHERE job_type = 'image.process' AND attempts >= 3 AND failures = 0";
    eventually("its job waits for room", async || (shop.count(put_off).await == 1).then_some(())).await;
    drop(ballast_file);
    std::fs::remove_file(&ballast).expect("it is ours");
    shop.image(&admin, &product, &image, "ready").await;
    shop.settle().await;
    assert_eq!(files(), 6);
    println!("room again: the image that waited is ready, nothing is half written, and every invariant holds");
    std::fs::remove_dir_all(&images).expect("it is ours");
    shop.finish().await;
}
