//! How often one may ask, and from where: floods and guesses are put off, and nobody else for them.

use std::time::Instant;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, PASSWORD, Reply, Shop, eventually, text};

/// The peer of all tests; trusted, it may say for whom it asks.
const PROXY: (&str, &str) = ("TRUSTED_PROXIES", "127.0.0.0/8, ::1");
const ON: (&str, &str) = ("RATE_LIMITS", "on");

/// Asks as if from this address.
async fn post_from(client: &Client, address: &str, path: &str, body: &Value) -> Reply {
    client.call(Method::POST, path, Some(body), &[("x-forwarded-for", address)]).await
}

async fn log_in_from(shop: &Shop, address: &str, email: &str, password: &str) -> Reply {
    let credentials = json!({ "email": email, "password": password });
    post_from(&shop.visitor(), address, "/auth/login", &credentials).await
}

/// An attempt that costs nobody a hash.
async fn attempt_from(shop: &Shop, forwarded_for: &str) -> Reply {
    post_from(&shop.visitor(), forwarded_for, "/auth/register", &json!("no object")).await
}

/// A refusal of one who has asked too often, at this limit.
#[track_caller]
fn is_limited(reply: Reply, limit: u32) {
    let header = |name: &str| reply.header(name).parse::<u32>().unwrap_or_else(|_| panic!("no {name}: {reply:?}"));
    let again = header("retry-after");
    assert!((1..=60_u32.div_ceil(limit)).contains(&again), "{reply:?}");
    assert_eq!((header("ratelimit-limit"), header("ratelimit-remaining")), (limit, 0));
    let reset = header("ratelimit-reset");
    assert!((again..=60).contains(&reset), "all of it is back later than the next one: {reply:?}");
    reply.problem(429, "rate_limited");
}

#[tokio::test]
async fn who_guesses_at_an_account_is_stopped_and_its_owner_is_not() {
    let shop = Shop::with(&[ON, PROXY, ("RATE_LIMIT_LOGIN", "2")]).await;
    let (home, elsewhere) = ("192.0.2.1", "198.51.100.1");
    let owner = json!({ "email": "ada@kassa.example", "password": PASSWORD });
    post_from(&shop.visitor(), home, "/auth/register", &owner).await.expect(201);
    let before = shop.contents().await;
    for (email, password) in [("ada@kassa.example", "a guess"), ("nobody@kassa.example", "a guess"), ("no address", "")]
    {
        for _ in 0..2 {
            log_in_from(&shop, elsewhere, email, password).await.problem(401, "invalid_credentials");
        }
        for address in [elsewhere, "203.0.113.7", "2001:db8::7"] {
            is_limited(log_in_from(&shop, address, &email.to_uppercase(), PASSWORD).await, 2);
        }
    }
    assert_eq!(shop.contents().await, before);
    log_in_from(&shop, home, "ada@kassa.example", PASSWORD).await.expect(200);
    shop.finish().await;
}

#[tokio::test]
async fn an_address_that_tries_many_accounts_is_stopped_whatever_it_says_of_itself() {
    let shop = Shop::with(&[ON, PROXY, ("RATE_LIMIT_LOGIN", "2")]).await;
    let account = json!({ "email": "ada@kassa.example", "password": PASSWORD });
    for n in 0..12 {
        attempt_from(&shop, &format!("10.1.1.{n}, 192.0.2.1")).await.invalid("");
    }
    is_limited(attempt_from(&shop, "10.1.1.99, 192.0.2.1").await, 12);
    is_limited(post_from(&shop.visitor(), "192.0.2.1", "/auth/register", &account).await, 12);
    is_limited(log_in_from(&shop, "192.0.2.1", "eve@kassa.example", "a guess").await, 12);
    post_from(&shop.visitor(), "192.0.2.2", "/auth/register", &account).await.expect(201);
    shop.visitor().call(Method::GET, "/products", None, &[("x-forwarded-for", "192.0.2.1")]).await.expect(200);

    let [metrics, _] = shop.operations();
    let counted = r#"kassa_rate_limited_total{limit="login_address"} 3"#;
    let exposed = metrics.get("/metrics").await.raw;
    assert!(exposed.contains(counted), "{exposed}");
    shop.finish().await;
}

#[tokio::test]
async fn nobody_is_believed_who_is_no_trusted_proxy() {
    let shop = Shop::with(&[ON, ("RATE_LIMIT_LOGIN", "1")]).await;
    for n in 0..6 {
        attempt_from(&shop, &format!("192.0.2.{n}")).await.invalid("");
    }
    is_limited(attempt_from(&shop, "192.0.2.6").await, 6);
    let [log, _] = shop.finish_with_logs().await;
    assert_eq!(log.matches("TRUSTED_PROXIES").count(), 1, "it is told of, once");
}

#[tokio::test]
async fn a_user_checks_out_so_often_a_minute_and_others_do_not_feel_it() {
    let shop = Shop::with(&[ON, ("RATE_LIMIT_CHECKOUT", "2"), ("MAX_UNPAID_ORDERS", "9")]).await;
    let product = shop.product(500, 9).await;
    let crowd = shop.crowd(2).await;
    let [eager, other] = [&crowd[0], &crowd[1]];
    for _ in 0..2 {
        shop.order(eager, &product, 1).await;
    }
    eager.put_in_cart(&product, 1).await.expect(201);
    let before = shop.contents().await;
    is_limited(eager.post("/checkout", &json!({})).await, 2);
    assert_eq!(shop.contents().await, before);
    shop.order(other, &product, 1).await;
    shop.finish().await;
}

#[tokio::test]
async fn an_address_asks_so_often_a_minute_and_then_again_but_stripe_and_probes_are_not_counted() {
    let shop = Shop::with(&[ON, PROXY, ("RATE_LIMIT_REQUESTS", "30")]).await;
    let visitor = shop.visitor();
    let get = async |path: &str| visitor.call(Method::GET, path, None, &[("x-forwarded-for", "192.0.2.1")]).await;
    let began = Instant::now();
    for asked in 1..=30 {
        let reply = get(["/products", "/nowhere", "/orders"][asked % 3]).await;
        assert_ne!(reply.status, 429, "{reply:?}");
        let told =
            ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"].map(|name| reply.header(name).to_owned());
        let (remaining, back): (u64, _) = (told[1].parse().expect("a number"), began.elapsed().as_secs() / 2);
        let left = 30 - u64::try_from(asked).expect("it is small");
        assert!(told[0] == "30" && (left..=left + back + 1).contains(&remaining), "{asked}: {told:?}");
        assert!(told[2].parse::<usize>().is_ok_and(|reset| reset <= 2 * asked), "{told:?}");
    }
    let refused = eventually("it was too often", async || {
        let reply = get("/products").await;
        (reply.status == 429).then_some(reply)
    });
    let refused = refused.await;
    assert!(!refused.header("x-request-id").is_empty());
    is_limited(refused, 30);
    for _ in 0..40 {
        get("/health/live").await.expect(200);
        post_from(&visitor, "192.0.2.1", "/webhooks/stripe", &json!({})).await.problem(400, "invalid_signature");
    }
    let others = join_all((2..9).map(async |n: u8| {
        let address = format!("192.0.2.{n}");
        visitor.call(Method::GET, "/products", None, &[("x-forwarded-for", &address)]).await.status
    }));
    assert_eq!(others.await, [200; 7]);
    eventually("it may ask again", async || (get("/products").await.status == 200).then_some(())).await;
    assert_eq!(text(&get("/health/ready").await.expect(200)["status"]), "ready");
    shop.finish().await;
}
