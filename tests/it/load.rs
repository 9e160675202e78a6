//! More than can be done at once: what is beyond is told to come later, and who dawdles hinders nobody.

use std::time::{Duration, Instant};

use common::db;
use futures::future::join_all;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Executor as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{Answer, Client, Reply, Shop, ask, eventually, say, text};

/// What the API says that it has in work.
async fn load(shop: &Shop, name: &str) -> String {
    let [api, _] = shop.operations();
    let exposed = api.get("/metrics").await.raw;
    let sample = format!("kassa_http_{name} ");
    exposed.lines().find_map(|line| line.strip_prefix(&sample)).expect("it is measured").to_owned()
}

#[track_caller]
fn is_put_off(reply: Reply) {
    assert_eq!(reply.header("retry-after"), "1");
    reply.problem(503, "unavailable");
}

#[tokio::test]
async fn requests_beyond_those_in_work_are_put_off_at_once() {
    let shop = Shop::with(&[("API_MAX_REQUESTS", "3")]).await;
    let visitor = shop.visitor();
    let mut lock = db::begin(&shop.pool).await.expect("the database answers");
    lock.execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE").await.expect("nobody else has it");
    let asked = [(); 3].map(|()| {
        let visitor = visitor.clone();
        tokio::spawn(async move { visitor.get("/products").await.status })
    });
    eventually("all are in work", async || (load(&shop, "requests_in_flight").await == "3").then_some(())).await;
    let began = Instant::now();
    for (method, path) in
        [(Method::GET, "/products"), (Method::POST, "/webhooks/stripe"), (Method::POST, "/auth/login")]
    {
        is_put_off(visitor.call(method, path, Some(&json!({})), &[]).await);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "it takes no work to refuse: {:?}", began.elapsed());
    visitor.get("/health/live").await.expect(200);
    lock.rollback().await.expect("the database answers");
    for status in join_all(asked).await {
        assert_eq!(status.expect("it does not panic"), 200, "what was begun is finished");
    }
    visitor.get("/products").await.expect(200);
    assert_eq!(load(&shop, "requests_in_flight").await, "0");
    shop.finish().await;
}

#[tokio::test]
async fn a_rush_of_changes_keeps_neither_reads_nor_stripe_out() {
    let shop = Shop::with(&[("API_MAX_REQUESTS", "16"), ("DATABASE_MAX_CONNECTIONS", "8")]).await;
    let product = shop.product(500, 3).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    let mut lock = db::begin(&shop.pool).await.expect("the database answers");
    lock.execute("LOCK TABLE cart_items IN ACCESS EXCLUSIVE MODE").await.expect("nobody else has it");
    let put = |_| {
        let (shopper, product) = (shopper.clone(), product.clone());
        tokio::spawn(async move { shopper.put_in_cart(&product, 1).await })
    };
    // An eighth of the slots is kept for each of reads, Stripe's events and changes.
    let stuck: Vec<_> = (0..12).map(put).collect();
    eventually("all are in work", async || (load(&shop, "requests_in_flight").await == "12").then_some(())).await;
    is_put_off(shopper.put_in_cart(&product, 1).await);
    shop.visitor().get("/products").await.expect(200);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    let paid = "SELECT count(*) FROM orders WHERE status = 'paid'";
    eventually("Stripe's event is stored, and applied", async || (shop.count(paid).await == 1).then_some(())).await;
    lock.rollback().await.expect("the database answers");
    for reply in join_all(stuck).await {
        let status = reply.expect("it does not panic").status;
        // 409: there are three of it; 503: some waited for a connection for too long.
        assert!([200, 201, 409, 503].contains(&status), "what was begun comes to its end: {status}");
    }
    shop.finish().await;
}

#[tokio::test]
async fn who_waits_for_an_order_holds_up_nobody() {
    let shop = Shop::with(&[("API_MAX_REQUESTS", "1")]).await;
    let product = shop.product(500, 3).await;
    let mut orders = Vec::new();
    for shopper in shop.crowd(3).await {
        let order = shop.order(&shopper, &product, 1).await;
        orders.push((shopper, order));
    }
    let began = Instant::now();
    let mut waiting = Vec::new();
    for (shopper, order) in orders.clone() {
        let path = format!("/orders/{}?status_not=awaiting_payment", text(&order["id"]));
        waiting.push(tokio::spawn(async move {
            loop {
                let reply = shopper.call(Method::GET, &path, None, &[("prefer", "wait=10")]).await;
                if reply.status != 503 {
                    return reply; // else another looked at its order just now
                }
            }
        }));
        let others = async || (shop.visitor().get("/products").await.status == 200).then_some(());
        eventually("others are answered meanwhile", others).await;
    }
    for (_, order) in &orders {
        shop.confirm(order, "pm_card_visa").await.expect(200);
    }
    for waited in join_all(waiting).await {
        assert_eq!(waited.expect("it does not panic").expect(200)["status"], "paid");
    }
    assert!(began.elapsed() < Duration::from_secs(9), "their time was up: {:?}", began.elapsed());
    shop.finish().await;
}

#[tokio::test]
async fn thousands_wait_at_once_and_the_database_hardly_feels_it() {
    const WAITING: usize = 2000;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is one");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("one may have what one may have");
    let shop = Shop::with(&[("API_MAX_CONNECTIONS", "16384"), ("DATABASE_MAX_CONNECTIONS", "4")]).await;
    let product = shop.product(500, 20).await;
    let mut orders = Vec::new();
    for shopper in shop.crowd(20).await {
        let order = shop.order(&shopper, &product, 1).await;
        orders.push((shopper, order));
    }
    let waiting: Vec<_> = orders.iter().cycle().take(WAITING).cloned().collect();
    let waiting: Vec<_> =
        waiting.into_iter().map(|(shopper, order)| tokio::spawn(until_paid(shopper, order))).collect();
    let all_wait = async || (number(&load(&shop, "connections").await) >= WAITING).then_some(());
    eventually("all are connected", all_wait).await;
    eventually("none is in work", async || (load(&shop, "requests_in_flight").await == "0").then_some(())).await;

    let began = Instant::now();
    for (shopper, _) in &orders {
        shopper.get("/auth/me").await.expect(200);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "others had to wait: {:?}", began.elapsed());

    for (_, order) in &orders {
        shop.confirm(order, "pm_card_visa").await.expect(200);
    }
    let began = Instant::now();
    for waited in join_all(waiting).await {
        waited.expect("it does not panic");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "they were told late: {:?}", began.elapsed());
    shop.finish().await;
}

/// Asks as a client does that would rather wait.
async fn until_paid(shopper: Client, order: Value) {
    let path = format!("/orders/{}?status_not=awaiting_payment", text(&order["id"]));
    loop {
        let reply = shopper.call(Method::GET, &path, None, &[("prefer", "wait=10")]).await;
        match reply.status {
            503 => {} // many look at their orders just now
            _ if reply.expect(200)["status"] == "paid" => return,
            _ => {}
        }
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

#[tokio::test]
async fn connections_beyond_an_addresss_part_are_refused_unless_it_is_a_proxys() {
    let shop = Shop::with(&[("API_MAX_CONNECTIONS", "40")]).await;
    let proxied = shop.another_api_with(&[("TRUSTED_PROXIES", "127.0.0.1".to_owned())]).await;
    for (api, part) in [(&shop.api, 10), (&proxied, 40)] {
        let mut open = Vec::new();
        let refused = loop {
            let mut stream = TcpStream::connect(api.api).await.expect("it listens");
            let head = b"GET /health/live HTTP/1.1\r\nhost: shop\r\n\r\n";
            stream.write_all(head).await.expect("it is read, or refused");
            let mut status = [0; 12];
            stream.read_exact(&mut status).await.expect("it answers");
            if &status != b"HTTP/1.1 200" {
                break status;
            }
            open.push(stream);
        };
        assert_eq!(&refused, b"HTTP/1.1 503");
        // Those of the harness' own client are among them.
        assert!((part - 5..=part).contains(&open.len()), "{} of {part}", open.len());
        let refused = ask(api.api, b"").await;
        refused.problem(503, "unavailable");
        assert_eq!(refused.header("retry-after"), "1");
        drop(open);
        eventually("there is room again", async || {
            let answer = ask(api.api, b"GET /health/live HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").await;
            (answer.status == 200).then_some(())
        })
        .await;
    }
    shop.finish().await;
}

#[tokio::test]
async fn a_hundred_stalled_connections_of_each_kind_block_nobody_and_end() {
    let shop = Shop::with(&[("API_MAX_REQUESTS", "50")]).await;
    let product = shop.product(500, 3).await;
    let stall = async |what: &str| join_all((0..100).map(|_| say(shop.api.api, what.as_bytes()))).await;
    let post =
        "POST /auth/login HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length: 60\r\n\r\n{";
    let began = Instant::now();
    let silent = stall("").await;
    let in_head = stall("GET /products HTTP/1.1\r\nhost: shop\r\nx-slow").await;
    let in_body = stall(post).await;
    eventually("all are there", async || {
        (load(&shop, "request_body_bytes").await == "100" && load(&shop, "requests_in_flight").await == "0")
            .then_some(())
    })
    .await;
    let bought = timeout(Duration::from_secs(5), async {
        let shopper = shop.shopper().await;
        let order = shop.order(&shopper, &product, 1).await;
        shop.pay(&shopper, &order).await;
    });
    bought.await.expect("a purchase takes no longer than ever");
    for answer in join_all(in_body.into_iter().map(Answer::until_the_end)).await {
        answer.problem(408, "request_timeout");
    }
    for answer in join_all(silent.into_iter().chain(in_head).map(Answer::until_the_end)).await {
        assert_eq!((answer.status, answer.body.as_str()), (0, ""));
    }
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert_eq!(load(&shop, "request_body_bytes").await, "0");
    shop.finish().await;
}

#[tokio::test]
async fn logins_beyond_those_that_can_wait_are_put_off() {
    let shop = Shop::start().await;
    let visitor = shop.visitor();
    let credentials = json!({ "email": "nobody@kassa.example", "password": "a guess" });
    let replies = join_all((0..200).map(|_| visitor.post("/auth/login", &credentials))).await;
    let (refused, put_off): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 401);
    assert!(refused.len() >= 60 && !put_off.is_empty(), "{} refused, {} put off", refused.len(), put_off.len());
    put_off.into_iter().for_each(is_put_off);
    visitor.post("/auth/login", &credentials).await.problem(401, "invalid_credentials");
    shop.finish().await;
}
