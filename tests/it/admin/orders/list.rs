//! Orders are found by whatever an operator knows of them.

use reqwest::Method;
use serde_json::{Value, json};

use super::path;
use crate::{
    admin::all,
    harness::{Client, Shop, payment, text},
};

const LIST: &str = "/admin/orders";

async fn found(admin: &Client, query: &str) -> Vec<Value> {
    all(admin, &format!("{LIST}?{query}"), 2).await.iter().map(|order| order["number"].clone()).collect()
}

async fn rename(shop: &Shop, shopper: &Client, name: &str) {
    let rename = sqlx::query("UPDATE users SET name = $2 WHERE id = $1").bind(shopper.user).bind(name);
    rename.execute(&shop.pool).await.expect("it is there");
}

#[tokio::test]
async fn all_orders_are_listed_the_newest_first_as_each_is_shown() {
    let shop = Shop::with(&[("MAX_UNPAID_ORDERS", "100")]).await;
    let (admin, ada, bob) = (shop.admin().await, shop.shopper().await, shop.shopper().await);
    assert_eq!(admin.get(LIST).await.expect(200), json!({ "items": [], "next_cursor": null }));
    let product = shop.product(500, 100).await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.insert(0, shop.order(&ada, &product, 1).await);
        orders.insert(0, shop.order(&bob, &product, 2).await);
    }
    shop.pay(&bob, &orders[2]).await;
    admin.refund(&orders[2], &json!({ "amount": 100 })).await.expect(202);
    admin.wait_for_refunds(&orders[2], &["succeeded"]).await;
    ada.cancel(&orders[5]).await.expect(202);
    ada.wait_for(&orders[5], "canceled").await;
    shop.settle().await;
    for order in &mut orders {
        *order = admin.inspect(order).await;
    }
    for limit in [1, 4, 100] {
        assert_eq!(all(&admin, LIST, limit).await, orders, "limit={limit}");
    }
    let secrets = orders.iter().filter(|order| !order["payment"]["client_secret"].is_null()).count();
    assert_eq!(secrets, 0, "they are their owners' alone");

    // A page stays where it is while others come.
    let first = admin.get(&format!("{LIST}?limit=2")).await.expect(200);
    shop.order(&ada, &product, 1).await;
    let second = admin.get(&format!("{LIST}?limit=2&cursor={}", text(&first["next_cursor"]))).await.expect(200);
    assert_eq!(second["items"], json!(orders[2..4]));
    shop.finish().await;
}

#[tokio::test]
async fn orders_are_found_by_status_account_number_payment_and_beginnings() {
    let shop = Shop::with(&[("MAX_UNPAID_ORDERS", "100")]).await;
    let (admin, ada, bob) = (shop.admin().await, shop.shopper().await, shop.shopper().await);
    rename(&shop, &ada, "Ada 100%_Lovelace").await;
    rename(&shop, &bob, "Bob").await;
    let product = shop.product(500, 100).await;
    let first = shop.order(&ada, &product, 1).await;
    let second = shop.order(&bob, &product, 1).await;
    let third = shop.paid_order(&ada, &product, 1).await;
    shop.settle().await;
    let number = |order: &Value| order["number"].clone();
    let (every, adas) = ([number(&third), number(&second), number(&first)], [number(&third), number(&first)]);

    assert_eq!(found(&admin, "").await, every);
    assert_eq!(found(&admin, "email=&q=%20").await, every, "everything begins with nothing");
    assert_eq!(found(&admin, "status=paid").await, [number(&third)]);
    assert_eq!(found(&admin, "status=fulfilled").await, Vec::<Value>::new());
    assert_eq!(found(&admin, &format!("email={}", ada.email.to_uppercase())).await, adas);
    assert_eq!(found(&admin, &format!("email={}", &ada.email[..30])).await, adas);
    assert_eq!(found(&admin, "email=shopper-").await, every);
    assert_eq!(found(&admin, "email=hopper").await, Vec::<Value>::new());
    assert_eq!(found(&admin, "email=nobody@kassa.example").await, Vec::<Value>::new());
    assert_eq!(found(&admin, &format!("email={}&status=awaiting_payment", ada.email)).await, [number(&first)]);
    for query in [
        second["number"].to_string(),
        format!("%23{}", second["number"]),
        text(&second["id"]).to_owned(),
        payment(&second, "intent_id").to_owned(),
        "b".to_owned(),
        "BOB".to_owned(),
        bob.email.to_uppercase(),
        bob.email[..30].to_owned(),
    ] {
        assert_eq!(found(&admin, &format!("q={query}")).await, [number(&second)], "{query}");
    }
    assert_eq!(found(&admin, "q=ada").await, adas);
    assert_eq!(found(&admin, "q=Ada%20100%25_l").await, adas);
    assert_eq!(found(&admin, "q=shopper-").await, every, "so begin their addresses");
    assert_eq!(found(&admin, "q=shopper-&status=paid").await, [number(&third)]);
    for nothing in ["lovelace", "%25", "_", "%5C", "a_a", "pi_unknown", "999999", "'%20OR%20true--"] {
        assert_eq!(found(&admin, &format!("q={nothing}")).await, Vec::<Value>::new(), "{nothing}");
    }
    let moment = text(&second["created_at"]);
    assert_eq!(found(&admin, &format!("since={moment}")).await, [number(&third), number(&second)]);
    assert_eq!(found(&admin, &format!("until={moment}")).await, [number(&first)]);
    assert_eq!(found(&admin, &format!("since={moment}&until={moment}")).await, Vec::<Value>::new());
    assert_eq!(found(&admin, "since=2000-01-01T00:00:00%2B05:30&until=9999-12-31T23:59:59Z").await, every);
    shop.finish().await;
}

#[tokio::test]
async fn orders_are_found_by_their_disputes_and_refunds() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 10).await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(shop.paid_order(&shopper, &product, 1).await);
    }
    let [quiet, disputed, won, asked, failed] = &orders[..] else { panic!("five") };
    shop.settle().await;
    for order in [disputed, won, asked] {
        let inquiry = json!({ "inquiry": order == asked }); // of which nothing follows
        let path = format!("/charges/{}/dispute", payment(order, "intent_id"));
        let dispute = shop.control().post(&path, &inquiry).await.expect(200);
        if order == won {
            let path = format!("/disputes/{}", text(&dispute["id"]));
            shop.control().post(&path, &json!({ "status": "won" })).await.expect(200);
        }
    }
    shop.settle().await;
    let number = |order: &Value| order["number"].clone();
    assert_eq!(found(&admin, "disputed=true").await, [number(disputed)]);
    assert_eq!(found(&admin, "disputed=false").await, [failed, asked, won, quiet].map(number));
    assert_eq!(found(&admin, "disputed=true&status=refunded").await, Vec::<Value>::new());
    assert_eq!(admin.inspect(disputed).await["disputes"][0]["currency"], "usd");

    for order in [failed, won] {
        admin.refund(order, &json!({ "amount": 100 })).await.expect(202);
    }
    let refunded = admin.wait_for_refunds(failed, &["succeeded"]).await;
    admin.wait_for_refunds(won, &["succeeded"]).await;
    assert_eq!(found(&admin, "refund=succeeded").await, [number(failed), number(won)]);
    let path = format!("/refunds/{}", text(&refunded["refunds"][0]["stripe_refund_id"]));
    shop.control().post(&path, &json!({ "status": "failed" })).await.expect(200);
    admin.wait_for_refunds(failed, &["failed"]).await;
    assert_eq!(found(&admin, "refund=failed").await, [number(failed)]);
    assert_eq!(found(&admin, "refund=succeeded").await, [number(won)]);
    assert_eq!(found(&admin, "refund=failed&disputed=true").await, Vec::<Value>::new());
    let path = format!("/admin/refunds/{}/dismiss", text(&refunded["refunds"][0]["id"]));
    admin.post(&path, &json!({})).await.expect(200);
    assert_eq!(found(&admin, "refund=failed").await, Vec::<Value>::new(), "nobody waits for it any more");
    shop.finish().await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    for (query, pointer) in [
        ("status=lost", "/status"),
        ("status=", "/status"),
        ("status=paid&status=paid", "/status"),
        ("email=%00", "/email"),
        ("q=a%00b", "/q"),
        ("since=yesterday", "/since"),
        ("since=", "/since"),
        ("until=2026-01-01", "/until"),
        ("disputed=maybe", "/disputed"),
        ("disputed=", "/disputed"),
        ("refund=lost", "/refund"),
        ("dispute=true", "/dispute"),
        ("limit=0", "/limit"),
        ("cursor=nonsense", "/cursor"),
    ] {
        admin.get(&format!("{LIST}?{query}")).await.invalid(pointer);
    }
    admin.get(&format!("{LIST}?q={}", "x".repeat(201))).await.invalid("/q");
    for path in [LIST.to_owned(), path(&json!({ "id": "00000000-0000-7000-8000-000000000000" }), "")] {
        shop.visitor().call(Method::GET, &path, None, &[]).await.problem(401, "unauthenticated");
        shopper.get(&path).await.problem(403, "forbidden");
    }
    shop.finish().await;
}

#[tokio::test]
async fn a_beginning_that_thousands_share_leads_to_all_of_their_orders() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    shop.database
        .run(
            "INSERT INTO users (id, email, password_hash, name)
             SELECT gen_random_uuid(), CASE WHEN n % 2 = 0 THEN 'many' ELSE 'other' END || n || '@kassa.example', 'none',
                    CASE WHEN n % 2 = 1 THEN 'Many' || n END FROM generate_series(1, 3000) n;
             INSERT INTO orders (id, user_id, total, currency, expires_at)
             SELECT gen_random_uuid(), id, 100, 'usd', now() FROM users WHERE email LIKE '%77@kassa.example' OR email LIKE '%78@kassa.example'",
        )
        .await;
    assert_eq!(found(&admin, "q=MANY").await.len(), 60);
    assert_eq!(found(&admin, "q=many&status=pending").await.len(), 60);
    assert_eq!(found(&admin, "q=other").await.len(), 30);
    assert_eq!(found(&admin, "q=many277").await.len(), 3, "277 and 2777 by name, 2778 by address");
    assert_eq!(found(&admin, "email=MANY").await.len(), 30, "names don't count");
    assert_eq!(found(&admin, "email=many&q=many2").await.len(), 11, "both hold");
    shop.leave(); // these orders were never placed
}
