//! The way back from a backup: a shop is dumped while it sells, loses its database and its images, and goes on with what the dump and a
//! copy of the images have. What the shop has forgotten, Stripe tells.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use futures::future::join_all;
use image::ImageFormat;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{Client, Database, Shop, eventually, file, text, url};

/// Runs one of Postgres' programs, which must succeed.
async fn run(program: &str, arguments: &[&str]) {
    let folder = dev::postgres::find(None).expect("Postgres' programs are here").folder;
    let command = Command::new(folder.join(program)).args(arguments).stdin(Stdio::null()).output().await;
    let done = command.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A database's address as Postgres' programs know it: without what only ours understand.
fn address(database: &Database) -> String {
    let url = url(&database.options());
    url.split('?').next().unwrap_or_default().to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("there is room");
    for file in fs::read_dir(from).expect("it is there").flatten() {
        fs::copy(file.path(), to.join(file.file_name())).expect("there is room");
    }
}

impl Shop {
    /// Buys again and again until it is told to stop; the orders, each paid at Stripe.
    async fn keep_buying(&self, shopper: Client, product: &Value, stop: &AtomicBool) -> Vec<Value> {
        let mut orders = vec![];
        while !stop.load(Ordering::Relaxed) {
            let order = self.order(&shopper, product, 1).await;
            self.confirm(&order, "pm_card_visa").await.expect(200);
            orders.push(order);
        }
        orders
    }
}

/// The ids of orders.
fn ids<'a>(orders: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    orders.into_iter().map(|order| text(&order["id"]).to_owned()).collect()
}

#[tokio::test]
async fn a_shop_that_was_restored_from_a_backup_under_load_agrees_with_stripe_again() {
    let mut shop = Shop::with(&[("JOB_LEASE_SECONDS", "2")]).await;
    let (admin, product) = (shop.admin().await, shop.product(500, 100_000).await);
    let picture = admin.upload(&product, &file(40, 30, ImageFormat::Png)).await.expect(202);
    shop.image(&admin, &product, &picture, "ready").await;
    let mut crowd = shop.crowd(12).await.into_iter();
    let mut next = || crowd.next().expect("there are enough");
    let (to_pay, to_refund, to_cancel) = (next(), next(), next());
    let unpaid = shop.order(&to_pay, &product, 1).await;
    let paid = shop.paid_order(&to_refund, &product, 2).await;
    let open = shop.order(&to_cancel, &product, 1).await;
    shop.settle().await;

    // The backup, while eight shoppers buy: first the database, then the images.
    let folder = std::env::temp_dir().join(format!("kassa-tests-{}-backup", std::process::id()));
    fs::create_dir_all(&folder).expect("there is room");
    let dump = folder.join("shop.dump").display().to_string();
    let stop = AtomicBool::new(false);
    let buying = join_all((0..8).map(|_| shop.keep_buying(next(), &product, &stop)));
    let dumping = async {
        // Some are bought before, some meanwhile, some after.
        let paid = "SELECT count(*) FROM orders WHERE status = 'paid'";
        eventually("ten are paid", async || (shop.count(paid).await >= 10).then_some(())).await;
        let began = Instant::now();
        run("pg_dump", &["--format=custom", "--file", &dump, &address(&shop.database)]).await;
        let took = began.elapsed();
        let placed = "SELECT count(*) FROM orders";
        let before = shop.count(placed).await;
        eventually("eight more are placed", async || (shop.count(placed).await >= before + 8).then_some(())).await;
        stop.store(true, Ordering::Relaxed);
        took
    };
    let (bought, dumped_in) = tokio::join!(buying, dumping);
    copy(&shop.images(), &folder.join("images"));

    // What the backup does not know of.
    shop.pay(&to_pay, &unpaid).await;
    admin.refund(&paid, &json!({})).await.expect(202);
    to_refund.wait_for(&paid, "refunded").await;
    to_cancel.cancel(&open).await.expect(202);
    shop.settle().await;
    let last = shop.count("SELECT max(number) FROM orders").await;

    // All is lost but the backup.
    for program in [&mut shop.api, &mut shop.worker] {
        program.signal(Signal::SIGKILL);
        program.end().await;
    }
    fs::remove_dir_all(shop.images()).expect("it is ours");
    let began = Instant::now();
    let restored = Database::empty().await;
    run("pg_restore", &["--exit-on-error", "--no-owner", "--dbname", &address(&restored), &dump]).await;
    let restored_in = began.elapsed();
    // Numbers that shoppers were told of are not given again.
    restored.run(&format!("SELECT setval(pg_get_serial_sequence('orders', 'number'), {})", last + 1000)).await;
    shop.move_to(restored).await;
    copy(&folder.join("images"), &shop.images());
    let [to_pay, to_refund, to_cancel] = [to_pay, to_refund, to_cancel].map(|shopper| shopper.at(&shop.api));
    shop.settle().await;
    let verified = shop.database.kassa(&["verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");

    // Stripe tells the rest. What it tells of orders that the backup doesn't have is for people.
    let report = shop.compared(&[], 1).await;
    let differences = report["differences"].as_array().expect("a list");
    let with = |outcome: &str| -> Vec<&Value> { differences.iter().filter(|d| d["outcome"] == outcome).collect() };
    let kept: BTreeSet<String> = sqlx::query_scalar("SELECT id::text FROM orders")
        .fetch_all(&shop.pool)
        .await
        .expect("the database answers")
        .into_iter()
        .collect();
    let all = ids(bought.iter().flatten());
    let forgotten = all.difference(&kept).count();
    assert!(
        forgotten >= 8 && forgotten < all.len(),
        "the backup has some of them: {forgotten} of {} are not",
        all.len()
    );
    let left = with("left");
    assert_eq!(left.len(), forgotten, "{report:#}");
    assert!(left.iter().all(|d| d["kind"] == "intent" && text(&d["theirs"]).starts_with("succeeded")), "{report:#}");
    shop.settle().await;
    assert_eq!(to_pay.see(&unpaid).await["status"], "paid");
    assert_eq!(to_refund.see(&paid).await["status"], "refunded");
    assert_eq!(to_cancel.see(&open).await["status"], "canceled");
    for order in bought.iter().flatten().filter(|order| kept.contains(text(&order["id"]))) {
        let status: String = sqlx::query_scalar("SELECT status FROM orders WHERE id::text = $1")
            .bind(text(&order["id"]))
            .fetch_one(&shop.pool)
            .await
            .expect("it is there");
        assert_eq!(status, "paid", "whoever has paid has bought");
    }
    let healed = with("healed").len();
    let report = shop.compared(&[], 1).await;
    assert_eq!(report["unresolved"].as_u64(), u64::try_from(forgotten).ok(), "nothing else differs still");
    let verified = shop.database.kassa(&["verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");

    // It sells, its picture is there, and its numbers go on.
    let (status, ..) = shop.visitor().fetch(&shop.images_shown(&product, 1).await[0]["url"]).await;
    assert_eq!(status, 200);
    let new = shop.paid_order(&to_pay, &product, 1).await;
    assert!(new["number"].as_i64() > Some(last), "{new}");
    println!(
        "{} orders when all was lost, {} of them in the backup; dumped in {} ms, restored in {} ms; {healed} differences healed, {} left",
        all.len() + 3,
        kept.len(),
        dumped_in.as_millis(),
        restored_in.as_millis(),
        left.len(),
    );
    fs::remove_dir_all(&folder).expect("it is ours");
    shop.finish().await;
}
