//! `/admin/orders`: what operators see of orders and do about them.

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
