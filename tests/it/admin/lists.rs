//! What holds for all lists: whom they are for, how they are paged, and what they don't take.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{all, members};
use crate::harness::{Client, Shop, text};

const LISTS: [&str; 8] = [
    "/admin/users",
    "/admin/webhooks",
    "/admin/jobs",
    "/admin/payments",
    "/admin/emails",
    "/admin/reconciliation",
    "/admin/audit",
    "/admin/reconciliation/01890000-0000-7000-8000-000000000000/differences",
];

#[tokio::test]
async fn lists_are_for_administrators_and_are_paged_without_gaps() {
    let shop = Shop::start().await;
    let product = shop.product(500, 10).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    for _ in 0..2 {
        shop.paid_order(&shopper, &product, 1).await;
    }
    shop.settle().await;
    for list in LISTS {
        shop.visitor().get(list).await.problem(401, "unauthenticated");
        shopper.get(list).await.problem(403, "forbidden");
        for limit in ["0", "101", "-1", "ten"] {
            admin.get(&format!("{list}?limit={limit}")).await.invalid("/limit");
        }
        for cursor in ["nonsense", "e30", "%00"] {
            admin.get(&format!("{list}?cursor={cursor}")).await.invalid("/cursor");
        }
    }
    admin.get(LISTS[7]).await.problem(404, "not_found");
    for list in &LISTS[..5] {
        let whole = all(&admin, list, 100).await;
        assert!(whole.len() >= 2, "{list}: {}", whole.len());
        let ids = members(&whole, "id");
        assert!(ids.is_sorted_by(|newer, older| newer > older), "{list}: {ids:?}");
        assert_eq!(all(&admin, list, 1).await, whole, "{list}");
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

/// Where tables are large, each filter, alone or with another, is answered from indexes: reading all rows takes many times as long as a
/// page does.
#[tokio::test]
async fn lists_of_large_tables_are_answered_at_once() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    shop.database
        .run(
            "INSERT INTO users (id, email, password_hash)
               SELECT gen_random_uuid(), 'user-' || n || '@kassa.example', 'none' FROM generate_series(1, 100000) n;
             INSERT INTO jobs (id, job_type, job, status, run_at, due_at, done_at)
               SELECT gen_random_uuid(), CASE WHEN n % 10000 = 0 THEN 'maintenance.prune' ELSE 'email.send' END, '{}', 'Done', now(),
                      now(), now() FROM generate_series(1, 100000) n;
             INSERT INTO webhook_logs (id, stripe_event_id, type, payload, livemode, status)
               SELECT gen_random_uuid(), 'evt_' || n, CASE WHEN n % 10000 = 0 THEN 'rare' ELSE 'frequent' END, '{}', false,
                      CASE WHEN n % 10000 = 5000 THEN 'parked' ELSE 'ignored' END FROM generate_series(1, 100000) n;
             INSERT INTO payment_logs (id, operation, outcome, error_type)
               SELECT gen_random_uuid(), CASE WHEN n % 10000 = 0 THEN 'rare' ELSE 'frequent' END,
                      CASE WHEN n % 10000 = 5000 THEN 'error' ELSE 'ok' END, CASE WHEN n % 10000 = 5000 THEN 'api_error' END
               FROM generate_series(1, 100000) n;
             INSERT INTO emails (id, kind, object_id, \"to\", dedupe_key, status)
               SELECT gen_random_uuid(), CASE WHEN n % 10000 = 0 THEN 'rare' ELSE 'frequent' END, gen_random_uuid(), 'x@kassa.example',
                      n::text, CASE WHEN n % 10000 = 5000 THEN 'withdrawn' ELSE 'sent' END FROM generate_series(1, 100000) n;
             INSERT INTO audit_log (id, actor, action, object)
               SELECT gen_random_uuid(), CASE WHEN n % 10000 = 0 THEN 'user:rare' ELSE 'user:frequent' END, 'a', 'o'
               FROM generate_series(1, 100000) n;
             ANALYZE",
        )
        .await;
    for (query, found) in [
        ("users", 20),
        ("users?email=user-9999", 11),
        ("users?email=USER-99999%40", 1),
        ("users?email=user-", 20),
        ("users?email=user-1&role=customer", 20),
        ("users?role=admin", 1),
        ("users?role=customer&email=user-12345", 1),
        ("jobs", 20),
        ("jobs?state=done&queue=maintenance.prune", 10),
        ("jobs?queue=maintenance.prune", 10),
        ("jobs?state=dead", 0),
        ("jobs?state=retrying&queue=email.send", 0),
        ("webhooks?status=parked", 10),
        ("webhooks?type=rare", 10),
        ("webhooks?type=rare&status=ignored", 10),
        ("webhooks?type=frequent&status=parked", 10),
        ("payments?operation=rare", 10),
        ("payments?outcome=error&operation=frequent", 10),
        ("payments?error_type=api_error", 10),
        ("emails?status=withdrawn", 10),
        ("emails?kind=rare&status=sent", 10),
        ("audit?actor=user:rare", 10),
    ] {
        let page = admin.get(&format!("/admin/{query}")).await.expect(200);
        assert_eq!(page["items"].as_array().map(Vec::len), Some(found), "{query}");
        let list = query.split('?').next().expect("a list");
        let (whole, filtered) = (quickest(&admin, list).await, quickest(&admin, query).await);
        assert!(filtered < whole * 5 + Duration::from_millis(2), "{query}: {filtered:?}, without a filter {whole:?}");
    }
    shop.leave(); // nothing of all this ever happened
}

/// The least time that a list took: what it costs where nothing else is in the way.
async fn quickest(admin: &Client, query: &str) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..7 {
        let began = Instant::now();
        admin.get(&format!("/admin/{query}")).await.expect(200);
        least = least.min(began.elapsed());
    }
    least
}
