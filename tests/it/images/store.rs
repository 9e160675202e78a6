//! A store that is away, full or silent, and what is left in it by those who died.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    time::{Duration, Instant, SystemTime},
};

use image::ImageFormat;
use serde_json::json;
use tokio::net::TcpListener;

use crate::harness::{Shop, eventually, file, text};

#[tokio::test]
async fn a_store_that_cannot_be_written_costs_the_upload_and_nothing_else() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    let photo = file(60, 40, ImageFormat::Jpeg);
    let kept = admin.upload(&product, &photo).await.expect(202);
    let shown = shop.images_shown(&product, 1).await;
    let before = shop.contents().await;
    // A folder that is no folder any more refuses whoever asks, the system's administrator too.
    let (images, aside) = (shop.images(), shop.images().with_extension("aside"));
    fs::rename(&images, &aside).expect("it is ours");
    fs::write(&images, b"").expect("there is room");
    let refused = admin.upload(&product, &photo).await;
    assert_eq!(refused.header("retry-after"), "5");
    refused.problem(503, "unavailable");
    assert_eq!(shop.visitor().fetch(&shown[0]["url"]).await.0, 503);
    shop.visitor().get("/products").await.expect(200);
    assert_eq!(shop.contents().await, before);
    // What the worker can't do meanwhile it does later.
    admin.remove_image(&product, &kept).await.expect(204);
    let put_off = "SELECT count(*) FROM jobs WHERE job_type = 'image.remove' AND attempts >= 3 AND failures = 0";
    eventually("the job is put off again and again", async || (shop.count(put_off).await == 1).then_some(())).await;

    fs::remove_file(&images).expect("it is ours");
    fs::rename(&aside, &images).expect("it is ours");
    admin.upload(&product, &photo).await.expect(202);
    shop.images_shown(&product, 1).await;
    shop.settle().await;
    eventually("the objects of the other are gone", async || (shop.image_files().len() == 3).then_some(())).await;
    shop.finish().await;
}

#[tokio::test]
async fn a_store_that_says_nothing_is_given_up_and_holds_up_nobody() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let endpoint = format!("http://{}", silent.local_addr().expect("it is bound"));
    let settings = [
        ("OBJECT_STORE_URL", "s3://shop/images"),
        ("AWS_ENDPOINT", &endpoint),
        ("AWS_ACCESS_KEY_ID", "of-the-tests"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2hunter2"),
        ("AWS_REGION", "us-east-1"),
        ("API_MAX_REQUESTS", "2"),
    ];
    let shop = Shop::with(&settings).await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    let photo = file(60, 40, ImageFormat::Jpeg);
    let before = shop.contents().await;
    let began = Instant::now();
    let path = format!("/images/{}.jpg", "a".repeat(32));
    let uploads = async || admin.upload(&product, &photo).await.problem(503, "unavailable");
    let reads = async || {
        shop.visitor().get(&path).await.problem(503, "unavailable");
    };
    // More wait for the store than may be in work; all else goes on.
    let all_else = async {
        let mut asked = 0;
        while began.elapsed() < Duration::from_secs(10) {
            shop.visitor().get("/products").await.expect(200);
            admin.get(&format!("/products/{}", text(&product["id"]))).await.expect(200);
            asked += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        asked
    };
    let (.., asked) = tokio::join!(uploads(), reads(), reads(), reads(), all_else);
    assert!(asked > 50 && began.elapsed() < Duration::from_secs(28), "{asked} {:?}", began.elapsed());
    assert_eq!(shop.contents().await, before);
    for program in [&shop.api, &shop.worker] {
        assert!(!program.log().contains("hunter2"), "a secret is in a log");
    }
    shop.finish().await;
}

#[tokio::test]
async fn what_no_image_names_is_swept_from_the_store_after_a_day() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    admin.upload(&product, &file(60, 40, ImageFormat::Jpeg)).await.expect(202);
    shop.images_shown(&product, 1).await;
    shop.settle().await;
    let mine = shop.image_files();
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
    let leave = |name: &str, age: Option<SystemTime>| {
        let file = File::create(shop.images().join(name)).expect("there is room");
        if let Some(age) = age {
            file.set_modified(age).expect("it is ours");
        }
    };
    let stem = "b".repeat(32);
    let (orphan, torn, young) = (format!("{stem}.upload"), format!("{stem}.jpg#1"), format!("{stem}-480.jpg"));
    leave(&orphan, Some(long_ago));
    leave(&torn, Some(long_ago));
    leave(&young, None);
    for name in &mine {
        File::open(shop.images().join(name)).expect("it is there").set_modified(long_ago).expect("it is ours");
    }
    let due = "UPDATE schedules SET next_at = now() WHERE queue = 'maintenance.sweep_images'";
    eventually("the schedule is there", async || {
        let moved = sqlx::query(due).execute(&shop.pool).await.expect("it can be moved");
        (moved.rows_affected() == 1).then_some(())
    })
    .await;
    let swept = "SELECT count(*) FROM jobs WHERE job_type = 'maintenance.sweep_images' AND status = 'Done'";
    eventually("the store was swept", async || (shop.count(swept).await == 1).then_some(())).await;
    let mut left = mine.clone();
    left.push(young);
    left.sort();
    assert_eq!(shop.image_files(), left);
    shop.finish().await;
}

#[tokio::test]
async fn an_image_that_was_given_up_is_made_at_somebodys_word() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    // The worker can't write down that it is ready.
    shop.database
        .run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not today''; END';
             CREATE TRIGGER refuse BEFORE UPDATE ON product_images FOR EACH ROW WHEN (NEW.status = 'ready') EXECUTE FUNCTION refuse()",
        )
        .await;
    let image = admin.upload(&product, &file(60, 40, ImageFormat::Jpeg)).await.expect(202);
    let failed = shop.image(&admin, &product, &image, "failed").await;
    assert!(text(&failed["error"]).contains("not today"), "{failed}");
    let dead = "SELECT count(*) FROM jobs WHERE job_type = 'image.process' AND status = 'Killed' AND failures = 5";
    assert_eq!(shop.count(dead).await, 1);
    shop.database.run("DROP TRIGGER refuse ON product_images").await;
    let retried = shop.database.kassa(&["jobs", "retry", "--queue", "image.process"]).await;
    assert_eq!(retried.code, 0, "{retried:?}");
    assert_eq!(shop.images_shown(&product, 1).await[0]["id"], json!(image["id"]));
    shop.finish().await;
}
