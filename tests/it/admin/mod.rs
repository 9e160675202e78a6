//! What administrators do: a file, or a folder, for each part of `/admin`.

mod audit;
mod dismiss;
mod emails;
mod jobs;
mod large;
mod lists;
mod orders;
mod payments;
mod products;
mod reconciliation;
mod users;
mod webhooks;

use serde_json::Value;

use crate::harness::{Client, Shop, text};

/// All pages of a list, one after the other, with so many rows each.
async fn all(admin: &Client, path: &str, limit: usize) -> Vec<Value> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    let mark = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = admin.get(&format!("{path}{mark}limit={limit}{cursor}")).await.expect(200);
        let items = page["items"].as_array().expect("a list");
        assert!(items.len() <= limit, "{path}: {}", items.len());
        seen.extend(items.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

/// One member of each.
fn members<'a>(items: &'a [Value], member: &str) -> Vec<&'a str> {
    items.iter().map(|item| text(&item[member])).collect()
}

/// What somebody's acts left in the audit log, the oldest first: action, object, before and after.
async fn acts(shop: &Shop, of: &Client) -> Vec<(String, String, Value, Value)> {
    let acts = "SELECT action, object, coalesce(before, 'null'), coalesce(after, 'null') FROM audit_log WHERE actor = $1 ORDER BY id";
    let acts = sqlx::query_as(acts).bind(by(of)).fetch_all(&shop.pool).await;
    acts.expect("the audit log can be read")
}

/// The actor that an administrator is.
fn by(admin: &Client) -> String {
    format!("user:{}", admin.user)
}
