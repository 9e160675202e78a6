//! `/admin/orders`: what operators see of orders and do about them, and what is written down of it.

mod audit;
mod cancel;
mod fulfil;
mod list;
mod timeline;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Reply, Shop, text};

fn path(order: &Value, tail: &str) -> String {
    format!("/admin/orders/{}{tail}", text(&order["id"]))
}

async fn fulfil(admin: &Client, order: &Value, shipment: &Value) -> Reply {
    admin.post(&path(order, "/fulfill"), shipment).await
}

async fn fulfil_under(key: &str, admin: &Client, order: &Value, shipment: &Value) -> Reply {
    let headers = [("idempotency-key", key)];
    admin.call(Method::POST, &path(order, "/fulfill"), Some(shipment), &headers).await
}

async fn cancel(admin: &Client, order: &Value) -> Reply {
    admin.post(&path(order, "/cancel"), &json!({})).await
}

/// All pages of one of an admin's lists.
async fn pages(admin: &Client, list: &str, query: &str) -> Vec<Value> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("{list}?{query}{cursor}")).await.expect(200);
        seen.extend(page["items"].as_array().expect("a list").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

/// What the audit log has of somebody, the oldest first: action, object, before and after.
async fn acts(shop: &Shop, of: &Client) -> Vec<(String, String, Value, Value)> {
    let rows = "SELECT action, object, coalesce(before, 'null'), coalesce(after, 'null') FROM audit_log WHERE actor = $1 ORDER BY id";
    let rows = sqlx::query_as(rows).bind(format!("user:{}", of.user)).fetch_all(&shop.pool).await;
    rows.expect("the audit log can be read")
}

/// Nobody but an admin is let in, and none that is not there is found; nothing is written.
async fn is_for_admins_alone(shop: &Shop, shopper: &Client, admin: &Client, method: Method, order: &Value, tail: &str) {
    let before = shop.contents().await;
    let ask = async |who: &Client, path: &str| who.call(method.clone(), path, None, &[]).await;
    ask(&shop.visitor(), &path(order, tail)).await.problem(401, "unauthenticated");
    ask(shopper, &path(order, tail)).await.problem(403, "forbidden");
    for id in ["00000000-0000-7000-8000-000000000000", "1002", "none"] {
        ask(admin, &path(&json!({ "id": id }), tail)).await.problem(404, "not_found");
    }
    assert_eq!(shop.contents().await, before, "something was written");
}
