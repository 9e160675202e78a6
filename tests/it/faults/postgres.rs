//! Row 6: a Postgres that crashes, is slow, hangs, has no room, or ends connections.

use std::time::{Duration, Instant};

use dev::{postgres::Throwaway, proxy::Way};
use futures::future::join_all;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

use crate::harness::{Client, Database, Reply, Shop, eventually, text, url, within};

/// A port near which the victims listen; not one of those from which the system takes its own.
const VICTIMS: u16 = 23_400;

async fn health(shop: &Shop) -> [(u16, u16); 3] {
    let [api, worker] = shop.operations();
    let status = async |place: &Client, path: &str| place.get(path).await.status;
    let both = async |place: Client| (status(&place, "/health/live").await, status(&place, "/health/ready").await);
    let (a, b, c) = tokio::join!(both(api), both(worker), both(shop.visitor()));
    [a, b, c]
}

async fn is_ready_again(shop: &Shop) {
    eventually("all are ready again", async || (health(shop).await == [(200, 200); 3]).then_some(())).await;
}

/// Asks again for as long as the shop says that it is away, as a client should.
async fn insist(ask: impl AsyncFn() -> Reply) -> Reply {
    eventually("the shop is back", async || {
        let reply = ask().await;
        if reply.status == 503 {
            assert!(!reply.header("retry-after").is_empty());
            reply.problem(503, "unavailable");
            return None;
        }
        Some(reply)
    })
    .await
}

async fn buys_whatever_happens(shopper: &Client, product: &Value) -> Value {
    // Whoever can't know whether it was done repeats it under its key: a line without one would be there twice.
    let line = json!({ "product_id": product["id"], "quantity": 1 });
    let key = [("idempotency-key", "line")];
    insist(async || shopper.call(Method::POST, "/cart/items", Some(&line), &key).await).await;
    let placed = insist(async || shopper.check_out_under("k").await).await;
    assert!(placed.status == 201 || placed.status == 202, "{placed:?}");
    placed.body
}

#[tokio::test]
async fn postgres_crashing_under_load_loses_no_order() {
    let log = std::env::temp_dir().join(format!("kassa-tests-{}-victim.log", std::process::id()));
    let mut server = Throwaway::start_victim(VICTIMS, &log).await.expect("there is Postgres");
    let database = Database::migrated_on(&server).await;
    let shop = Shop::over(database, &[("JOB_LEASE_SECONDS", "3")]).await;
    let product = shop.product(500, 100).await;
    let crowd = shop.crowd(24).await;
    let buying = join_all(crowd.iter().map(async |shopper| buys_whatever_happens(shopper, &product).await));
    let crashes = async {
        for round in 1..=3 {
            eventually("orders come in", async || {
                let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM orders").fetch_one(&shop.pool).await;
                count.ok().filter(|count| *count >= round * 5)
            })
            .await;
            server.crash().await.expect("it starts again");
        }
    };
    let (orders, ()) = tokio::join!(buying, crashes);
    is_ready_again(&shop).await;
    for (shopper, order) in crowd.iter().zip(&orders) {
        let order = shopper.wait_for(order, "awaiting_payment").await;
        shop.pay(shopper, &order).await;
    }
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (76, 76));
    assert_eq!(shop.count("SELECT count(*) FROM orders").await, 24, "one key, one order");
    let database = shop.close().await;
    drop(database);
    server.stop().await;
    let _kept_if_it_failed = std::fs::remove_file(log);
}

#[tokio::test]
async fn a_database_slow_by_200_ms_slows_the_shop_and_breaks_nothing() {
    let (shop, proxy) = Shop::behind_a_proxy(&[]).await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    proxy.set(Way::Delayed { up_ms: 100, down_ms: 100 }).await.expect("it was not cut");
    let order = shop.order(&shopper, &product, 1).await;
    shop.pay(&shopper, &order).await;
    assert_eq!(health(&shop).await, [(200, 200); 3]);
    proxy.restore().await.expect("it was not cut");
    let failed = "SELECT count(*) FROM jobs WHERE failures > 0 OR crashes > 0";
    assert_eq!(shop.count(failed).await, 0);
    shop.finish().await;
}

#[tokio::test]
async fn a_database_that_hangs_makes_the_shop_say_so_and_go_on_by_itself() {
    let (shop, proxy) = Shop::behind_a_proxy(&[("JOB_LEASE_SECONDS", "3")]).await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.settle().await;
    proxy.set(Way::Blackhole).await.expect("it was not cut");
    let began = Instant::now();
    assert_eq!(health(&shop).await, [(200, 503); 3]);
    let refused = shopper.put_in_cart(&product, 1).await;
    assert!(began.elapsed() < Duration::from_secs(35), "nobody waits for ever");
    refused.problem(503, "unavailable");
    let lost = shop.control().post("/webhooks/send", &json!({ "payload": { "id": "evt_1", "type": "a.b" } })).await;
    assert_eq!(lost.expect(200)["outcomes"][0], 503, "an event that was not stored comes again");
    proxy.restore().await.expect("it was not cut");
    is_ready_again(&shop).await;
    shop.pay(&shopper, &order).await;
    shop.finish().await;
}

/// A shop whose programs are no superusers at their database, and the name of their role.
async fn with_a_role_of_its_own() -> (Shop, String) {
    let database = Database::migrated().await;
    let role = format!("shop_of_{}", database.name);
    database
        .run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'own'; GRANT pg_read_all_data, pg_write_all_data TO {role}"))
        .await;
    let own = url(&database.options().username(&role).password("own"));
    (Shop::over_at(database, &own, &[("MIGRATE", "off")]).await, role)
}

#[tokio::test]
async fn a_database_without_room_for_connections_is_waited_for() {
    let (shop, role) = with_a_role_of_its_own().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.settle().await;
    shop.database
        .run(&format!(
            "ALTER ROLE {role} CONNECTION LIMIT 0;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
        ))
        .await;
    eventually("there is no room", async || (health(&shop).await == [(200, 503); 3]).then_some(())).await;
    shopper.put_in_cart(&product, 1).await.problem(503, "unavailable");
    shop.database.run(&format!("ALTER ROLE {role} CONNECTION LIMIT -1")).await;
    is_ready_again(&shop).await;
    shop.pay(&shopper, &order).await;
    shop.finish().await;
}

#[tokio::test]
async fn a_request_whose_connection_is_ended_by_the_server_is_told_to_come_again() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let mut lock = PgConnection::connect_with(&shop.database.options()).await.expect("it answers");
    lock.execute("BEGIN; SELECT FROM products FOR UPDATE").await.expect("nobody else has them");
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let end = waiting.replace("count(*)", "count(pg_terminate_backend(pid))");
    let (reply, ()) = tokio::join!(shopper.check_out_under("k"), async {
        eventually("the checkout waits", async || (shop.count(waiting).await > 0).then_some(())).await;
        assert_eq!(shop.count(&end).await, 1);
    });
    reply.problem(503, "unavailable");
    lock.execute("COMMIT").await.expect("it was open");
    shopper.check_out_under("k").await.expect(201);
    assert_eq!(shop.count("SELECT count(*) FROM orders").await, 1);
    shop.finish().await;
}

/// A restart, a failover or an operator may end connections that nobody uses at that moment.
#[tokio::test]
async fn connections_that_were_ended_while_nobody_used_them_cost_nobody_an_error() {
    let shop = Shop::start().await;
    let product = shop.product(500, 50).await;
    let crowd = shop.crowd(8).await;
    let all_buy = async |key: &str| {
        join_all(crowd.iter().map(async |shopper| {
            shopper.put_in_cart(&product, 1).await.expect(201);
            shopper.check_out_under(key).await.expect(201);
        }))
        .await;
    };
    all_buy("first").await;
    shop.settle().await;
    let of_api = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kassa-api' AND query NOT LIKE 'LISTEN%'";
    let in_use = format!("SELECT count(*) {of_api} AND (state <> 'idle' OR state_change > now() - interval '0.2 s')");
    eventually("nobody uses them", async || (shop.count(&in_use).await == 0).then_some(())).await;
    let ended = format!("SELECT count(pg_terminate_backend(pid)) {of_api}");
    assert!(shop.count(&ended).await > 1);
    all_buy("second").await;
    shop.finish().await;
}

/// As when the host of a primary is gone and a standby has its address: nobody ends the old connections, and new ones are made.
#[tokio::test]
async fn connections_that_fall_silent_for_good_are_replaced() {
    let server = Throwaway::start().await.expect("there is Postgres");
    let database = Database::migrated_on(&server).await;
    let shop = Shop::over(database, &[("DATABASE_MAX_CONNECTIONS", "2")]).await;
    let product = shop.product(500, 50).await;
    let crowd = shop.crowd(8).await;
    let order = shop.order(&crowd[0], &product, 1).await;
    join_all(crowd.iter().map(async |shopper| shopper.put_in_cart(&product, 1).await.expect(201))).await;
    // At once, as what was just given back is used unasked.
    let pids =
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'kassa-%'";
    let pids: Vec<i32> = sqlx::query_scalar(pids).fetch_all(&shop.pool).await.expect("it answers");
    let signal = |signal| pids.iter().for_each(|pid| dev::process::send(pid.unsigned_abs(), signal));
    signal(Signal::SIGSTOP);
    // A request takes 30 s at most, and what it leaves behind is given up within 5.
    let minute = Duration::from_secs(60);
    let placed = join_all(crowd.iter().map(async |shopper| {
        let place = async || (shopper.check_out_under("k").await.status < 300).then_some(());
        within(minute, "orders are placed", place).await;
    }));
    let paid = async {
        shop.confirm(&order, "pm_card_visa").await.expect(200);
        let path = format!("/orders/{}", text(&order["id"]));
        let is_paid = async || (crowd[0].get(&path).await.body["status"] == "paid").then_some(());
        within(minute, "the payment is booked", is_paid).await;
    };
    tokio::join!(placed, paid);
    signal(Signal::SIGCONT);
    let database = shop.close().await;
    drop(database);
    server.stop().await;
}

/// A client that goes away ends its request wherever that stands. A connection that went back to the pool in the midst of `BEGIN` once took
/// what the next request wrote into a transaction that nobody committed.
#[tokio::test]
async fn requests_that_their_clients_give_up_leave_no_transaction_to_others() {
    let (shop, proxy) = Shop::behind_a_proxy(&[("DATABASE_MAX_CONNECTIONS", "2")]).await;
    let product = shop.product(500, 50).await;
    let others = [shop.product(500, 50).await, shop.product(500, 50).await];
    let shopper = shop.shopper().await;
    let insert = "INSERT INTO cart_items (id, user_id, product_id, quantity) VALUES (gen_random_uuid(), $1, $2::uuid, 1) RETURNING id";
    proxy.set(Way::Delayed { up_ms: 5, down_ms: 5 }).await.expect("it was not cut");
    for patience in (0..40).map(|n| Duration::from_millis(5 * n)) {
        let _given_up = tokio::time::timeout(patience, shopper.put_in_cart(&product, 1)).await;
        let mut lines = Vec::new();
        for other in &others {
            let line = sqlx::query_scalar::<_, Uuid>(insert).bind(shopper.user).bind(text(&other["id"]));
            lines.push(line.fetch_one(&shop.pool).await.expect("it is new"));
        }
        // One statement each, on both of the API's connections.
        join_all(lines.iter().map(async |line| shopper.delete(&format!("/cart/items/{line}")).await.expect(204))).await;
        let left = format!("SELECT count(*) FROM cart_items WHERE id IN ('{}', '{}')", lines[0], lines[1]);
        assert_eq!(shop.count(&left).await, 0, "what was said to be gone is gone, after {patience:?}");
    }
    proxy.restore().await.expect("it was not cut");
    shop.finish().await;
}

/// As long as a fail-over of a managed Postgres takes at the worst: nobody is at its address.
#[cfg(feature = "faults")]
#[tokio::test]
async fn a_database_that_is_down_for_two_minutes_is_gone_on_with_by_itself() {
    const OUTAGE: Duration = Duration::from_secs(120);
    let (shop, proxy) = Shop::behind_a_proxy(&[]).await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.settle().await;
    proxy.set(Way::Blackhole).await.expect("it was not cut");
    shop.confirm(&order, "pm_card_visa").await.expect(200); // Stripe can't tell of it
    let began = Instant::now();
    while began.elapsed() < OUTAGE {
        assert_eq!(health(&shop).await, [(200, 503); 3]);
        shopper.put_in_cart(&product, 1).await.problem(503, "unavailable");
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    proxy.restore().await.expect("it was not cut");
    let back = Instant::now();
    is_ready_again(&shop).await;
    shopper.wait_for(&order, "paid").await;
    shop.settle().await;
    assert!(back.elapsed() < Duration::from_secs(60), "{:?}", back.elapsed());
    assert_eq!(shop.stock(&product).await, (4, 4));
    shop.finish().await;
}
