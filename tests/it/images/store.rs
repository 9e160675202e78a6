//! A store that is away, full or silent, and what is left in it by those who died.

use std::{
    fs::{self, File},
    time::{Duration, Instant, SystemTime},
};

use dev::objects::{Mood, Objects};
use image::ImageFormat;
use serde_json::json;

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

/// A shop whose images are in a bucket.
async fn on_s3(objects: &Objects, more: &[(&str, &str)]) -> Shop {
    let endpoint = objects.url();
    let settings = [
        ("OBJECT_STORE_URL", "s3://shop/images"),
        ("AWS_ENDPOINT", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "of-the-tests"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2hunter2"),
        ("AWS_REGION", "us-east-1"),
        ("JOB_LEASE_SECONDS", "1"),
    ];
    Shop::with(&[&settings[..], more].concat()).await
}

#[tokio::test]
async fn a_bucket_keeps_images_as_a_folder_does_and_links_lead_where_it_is_told() {
    let objects = Objects::start().await.expect("a free port");
    let shop = on_s3(&objects, &[("IMAGES_PUBLIC_URL", "https://cdn.example/shop/")]).await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    let image = admin.upload(&product, &file(600, 400, ImageFormat::Jpeg)).await.expect(202);
    let shown = shop.images_shown(&product, 1).await.remove(0);
    shop.settle().await;
    let paths = objects.paths();
    let key = text(&shown["url"]).strip_prefix("https://cdn.example/shop/").expect("a link to there");
    assert!(paths.len() == 3 && paths.contains(&format!("shop/images/{key}")), "{paths:?} {shown}");
    // Who has no cache in front of the bucket reads through the API.
    let (status, headers, bytes) = shop.visitor().fetch(&json!(format!("http://localhost:8080/images/{key}"))).await;
    assert_eq!((status, headers["content-type"].to_str().expect("text")), (200, "image/jpeg"));
    assert_eq!(image::load_from_memory(&bytes).expect("it can be read").width(), 600);
    let unknown = format!("http://localhost:8080/images/{}.jpg", "a".repeat(32));
    assert_eq!(shop.visitor().fetch(&json!(unknown)).await.0, 404);
    admin.remove_image(&product, &image).await.expect(204);
    shop.settle().await;
    assert!(objects.paths().is_empty(), "{:?}", objects.paths());

    objects.set(Mood::Refusing);
    let before = shop.contents().await;
    admin.upload(&product, &file(60, 40, ImageFormat::Jpeg)).await.problem(503, "unavailable");
    assert_eq!(shop.contents().await, before);
    shop.finish().await;
}

#[tokio::test]
async fn a_store_that_says_nothing_is_given_up_and_holds_up_nobody() {
    let objects = Objects::start().await.expect("a free port");
    let shop = on_s3(&objects, &[("API_MAX_REQUESTS", "2")]).await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    let photo = file(60, 40, ImageFormat::Jpeg);
    let before = shop.contents().await;
    objects.set(Mood::Silent);
    let began = Instant::now();
    let path = format!("/images/{}.jpg", "a".repeat(32));
    let upload = async || {
        admin.upload(&product, &photo).await.problem(503, "unavailable");
    };
    let read = async || {
        shop.visitor().get(&path).await.problem(503, "unavailable");
    };
    // More wait for the store than may be in work; all else goes on.
    let all_else = async {
        eventually("all of them wait", async || (objects.waiting() >= 4).then_some(())).await;
        let mut asked = 0;
        // They are given up after 15 s, all at once; then each wants its slot back before anybody who is new.
        while began.elapsed() < Duration::from_secs(12) {
            assert!(objects.waiting() >= 4, "they still wait");
            shop.visitor().get("/products").await.expect(200);
            admin.get(&format!("/products/{}", text(&product["id"]))).await.expect(200);
            asked += 1;
        }
        asked
    };
    let (.., asked) = tokio::join!(upload(), read(), read(), read(), all_else);
    assert!(asked > 50 && began.elapsed() < Duration::from_secs(28), "{asked} {:?}", began.elapsed());
    assert_eq!(shop.contents().await, before);
    objects.set(Mood::Well);
    admin.upload(&product, &photo).await.expect(202);
    shop.images_shown(&product, 1).await;
    for log in shop.finish_with_logs().await {
        assert!(log.contains("ready") && !log.contains("hunter2"), "a secret is in a log");
    }
}

#[tokio::test]
async fn a_worker_that_dies_or_waits_in_vain_over_an_image_leaves_it_to_another_try() {
    let objects = Objects::start().await.expect("a free port");
    let mut shop = on_s3(&objects, &[]).await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    objects.set(Mood::SilentToReads);
    let image = admin.upload(&product, &file(600, 400, ImageFormat::Jpeg)).await.expect(202);
    let crashes = "SELECT coalesce(sum(crashes), 0)::bigint FROM jobs WHERE job_type = 'image.process'";
    for crash in 1..=2 {
        eventually("its bytes are waited for", async || (objects.waiting() == 1).then_some(())).await;
        shop.kill_worker().await;
        shop.restart_worker().await;
        eventually("its crash is counted", async || (shop.count(crashes).await == crash).then_some(())).await;
        eventually("the dead one's request is gone", async || (objects.waiting() <= 1).then_some(())).await;
    }
    let put_off = "SELECT count(*) FROM jobs WHERE job_type = 'image.process' AND attempts > 3 AND failures = 0";
    eventually("the wait is given up, and no failure", async || (shop.count(put_off).await == 1).then_some(())).await;
    objects.set(Mood::Well);
    assert_eq!(shop.images_shown(&product, 1).await[0]["id"], image["id"]);
    shop.settle().await;
    assert_eq!(objects.paths().len(), 3, "{:?}", objects.paths());
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
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let leave = |name: &str, age: Option<SystemTime>| {
        let file = File::create(shop.images().join(name)).expect("there is room");
        if let Some(age) = age {
            file.set_modified(age).expect("it is ours");
        }
    };
    let stem = "b".repeat(32);
    let strangers = ["notes.txt", "holiday.jpg", "notes#1"];
    strangers.iter().for_each(|name| leave(name, Some(long_ago)));
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
    left.extend(strangers.map(str::to_owned));
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
    assert_eq!(failed["error"], "could not be processed: `kassa jobs list --state dead` says why");
    let dead = "SELECT count(*) FROM jobs WHERE job_type = 'image.process' AND status = 'Killed' AND failures = 5";
    assert_eq!(shop.count(dead).await, 1);
    shop.database.run("DROP TRIGGER refuse ON product_images").await;
    let retried = shop.database.kassa(&["jobs", "retry", "--queue", "image.process"]).await;
    assert_eq!(retried.code, 0, "{retried:?}");
    assert_eq!(shop.images_shown(&product, 1).await[0]["id"], json!(image["id"]));
    shop.finish().await;
}
