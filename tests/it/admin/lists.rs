//! What holds for all lists: whom they are for, how they are paged, and what they don't take.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{all, members};
use crate::harness::{Shop, text};

/// Those of the whole shop.
const LISTS: [&str; 8] = [
    "/admin/users",
    "/admin/orders",
    "/admin/webhooks",
    "/admin/jobs",
    "/admin/payments",
    "/admin/emails",
    "/admin/reconciliation",
    "/admin/audit",
];

/// Those of one thing of the shop's, by its id.
fn parts(order: &str, product: &str, run: &str) -> [String; 3] {
    [
        format!("/admin/orders/{order}/timeline"),
        format!("/admin/products/{product}/ledger"),
        format!("/admin/reconciliation/{run}/differences"),
    ]
}

#[tokio::test]
async fn lists_are_for_administrators_and_are_paged_without_gaps() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 10).await;
    shop.paid_order(&shopper, &product, 1).await;
    shop.settle().await;
    // Two payments of which only Stripe knows differ.
    shop.control().put("/webhooks", &serde_json::json!({ "mode": "drop" })).await.expect(200);
    let mut orders = Vec::new();
    for _ in 0..2 {
        let order = shop.order(&shopper, &product, 1).await;
        shop.confirm(&order, "pm_card_visa").await.expect(200);
        orders.push(order);
    }
    for _ in 0..2 {
        shop.reconcile(&[]).await;
    }
    shop.settle().await;
    let runs = admin.get("/admin/reconciliation").await.expect(200);
    let of = parts(text(&orders[0]["id"]), text(&product["id"]), text(&runs["items"][1]["id"]));
    let lists: Vec<&str> = LISTS.into_iter().chain(of.iter().map(String::as_str)).collect();
    for list in &lists {
        shop.visitor().get(list).await.problem(401, "unauthenticated");
        shopper.get(list).await.problem(403, "forbidden");
        for limit in ["0", "101", "-1", "ten"] {
            admin.get(&format!("{list}?limit={limit}")).await.invalid("/limit");
        }
        for cursor in ["nonsense", "e30", "%00"] {
            admin.get(&format!("{list}?cursor={cursor}")).await.invalid("/cursor");
        }
        admin.get(&format!("{list}?utm_source=mail&limit=1")).await.invalid("/utm_source");
        admin.get(&format!("{list}?a/b~=")).await.invalid("/a~1b~0");
        let whole = all(&admin, list, 100).await;
        assert!(whole.len() >= 2, "{list}: {}", whole.len());
        let ids = members(&whole, "id");
        assert_eq!(BTreeSet::from_iter(&ids).len(), ids.len(), "{list}: {ids:?}");
        if LISTS.contains(list) {
            assert!(ids.is_sorted_by(|newer, older| newer > older), "{list}: {ids:?}");
        }
        assert_eq!(all(&admin, list, 1).await, whole, "{list}");
    }
    let unknown = "01890000-0000-7000-8000-000000000000";
    for list in parts(unknown, unknown, unknown) {
        admin.get(&list).await.problem(404, "not_found");
    }
    // What comes while somebody pages is on no page that they still have to see.
    let first = admin.get("/admin/users?limit=1").await.expect(200);
    shop.shopper().await;
    let rest = admin.get(&format!("/admin/users?cursor={}", text(&first["next_cursor"]))).await.expect(200);
    let known = all(&admin, "/admin/users", 100).await;
    assert_eq!(rest["items"].as_array(), Some(&known[2..].to_vec()));
    shop.finish().await;
}

#[tokio::test]
async fn what_a_list_of_administrators_does_not_know_is_refused_and_told_what_it_knows() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let refused = admin.get("/admin/jobs?status=dead&Queue=email.send").await.problem(422, "validation_failed");
    let told: Vec<&str> = members(refused["errors"].as_array().expect("a list"), "pointer");
    assert_eq!(told, ["/Queue", "/status"], "all of them at once");
    let detail = text(&refused["errors"][1]["detail"]);
    assert_eq!(detail, "is not known here; expected one of `cursor`, `limit`, `queue`, `state`");
    // Whoever may not see the list is not told what it knows.
    shopper.get("/admin/jobs?status=dead").await.problem(403, "forbidden");
    // What anybody may link to has parameters of others'.
    for list in ["/products", "/orders"] {
        shopper.get(&format!("{list}?utm_source=mail&gclid=1")).await.expect(200);
    }
    shop.finish().await;
}

#[tokio::test]
async fn filters_that_nothing_can_match_are_told() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let long = "x".repeat(300);
    for (query, pointer) in [
        ("users?role=owner", "/role"),
        ("users?role=", "/role"),
        ("users?email=%00", "/email"),
        (&format!("users?email={long}"), "/email"),
        ("webhooks?status=lost", "/status"),
        ("webhooks?type=%00", "/type"),
        ("jobs?state=asleep", "/state"),
        ("jobs?queue=", "/queue"),
        (&format!("jobs?queue={long}"), "/queue"),
        ("payments?order=the-last-one", "/order"),
        ("payments?order=-1", "/order"),
        ("payments?operation=%00", "/operation"),
        ("payments?outcome=%00", "/outcome"),
        ("payments?error_type=%00", "/error_type"),
        ("emails?status=lost", "/status"),
        ("emails?kind=%00", "/kind"),
        ("audit?actor=%00", "/actor"),
        ("audit?action=%00", "/action"),
        ("audit?object=%00", "/object"),
        ("audit?since=yesterday", "/since"),
        ("audit?since=", "/since"),
        ("audit?until=2026-13-01T00:00:00Z", "/until"),
    ] {
        admin.get(&format!("/admin/{query}")).await.invalid(pointer);
    }
    for nothing in
        ["jobs?queue=no.such", "webhooks?type=no.such", "payments?order=1", "emails?kind=none", "audit?actor=nobody"]
    {
        let page = admin.get(&format!("/admin/{nothing}")).await.expect(200);
        assert_eq!((&page["items"], &page["next_cursor"]), (&Value::Array(vec![]), &Value::Null), "{nothing}");
    }
    shop.finish().await;
}
