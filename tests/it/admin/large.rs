//! Lists of large tables: each filter, alone or with another, is answered from indexes.

use crate::harness::Shop;

/// Rows of each table, of which a filter for what is rare matches ten.
const ROWS: i64 = 100_000;
/// A page has 20. Of a beginning that many share a thousand are looked up first.
const MOST_READ: i64 = ROWS / 20;

async fn fill(shop: &Shop) {
    shop.database
        .run(
            "INSERT INTO users (id, email, password_hash)
               SELECT gen_random_uuid(), 'user-' || n || '@kassa.example', 'none' FROM generate_series(1, 100000) n;
             INSERT INTO orders (id, user_id, status, total, currency, expires_at, created_at)
               SELECT gen_random_uuid(), id, CASE WHEN n % 10000 = 0 THEN 'payment_review' ELSE 'fulfilled' END, 100, 'usd', now(),
                      CASE WHEN n % 10000 = 5000 THEN '2020-01-01' ELSE now() END
               FROM (SELECT id, row_number() OVER () AS n FROM users WHERE email LIKE 'user-%') u;
             INSERT INTO payment_intents (id, order_id, generation, stripe_id, amount, currency, status)
               SELECT gen_random_uuid(), id, 1, 'pi_' || number, 100, 'usd', 'succeeded' FROM orders;
             INSERT INTO disputes (id, order_id, stripe_dispute_id, amount, status)
               SELECT gen_random_uuid(), id, 'dp_' || number, 100, CASE WHEN number % 10000 = 0 THEN 'open' ELSE 'won' END
               FROM orders WHERE number % 100 = 0;
             INSERT INTO refunds (id, order_id, payment_intent_id, amount, origin, status)
               SELECT gen_random_uuid(), order_id, id, 1, 'operator',
                      CASE WHEN (row_number() OVER ()) % 10000 = 0 THEN 'failed' ELSE 'succeeded' END FROM payment_intents;
             INSERT INTO payment_logs (id, order_id, operation, outcome, error_type)
               SELECT gen_random_uuid(), id, CASE WHEN number % 10000 = 0 THEN 'rare' ELSE 'frequent' END,
                      CASE WHEN number % 10000 = 5000 THEN 'error' ELSE 'ok' END,
                      CASE WHEN number % 10000 = 5000 THEN 'api_error' END FROM orders;
             INSERT INTO jobs (id, job_type, job, status, run_at, due_at, done_at)
               SELECT gen_random_uuid(), CASE WHEN n % 10000 = 0 THEN 'maintenance.prune' ELSE 'email.send' END, '{}', 'Done', now(),
                      now(), now() FROM generate_series(1, 100000) n;
             INSERT INTO webhook_logs (id, stripe_event_id, type, payload, livemode, status)
               SELECT gen_random_uuid(), 'evt_' || n, CASE WHEN n % 10000 = 0 THEN 'rare' ELSE 'frequent' END, '{}', false,
                      CASE WHEN n % 10000 = 5000 THEN 'parked' ELSE 'ignored' END FROM generate_series(1, 100000) n;
             INSERT INTO emails (id, kind, object_id, \"to\", dedupe_key, status)
               SELECT gen_random_uuid(), CASE WHEN n % 10000 = 0 THEN 'rare' ELSE 'frequent' END, gen_random_uuid(), 'x@kassa.example',
                      n::text, CASE WHEN n % 10000 = 5000 THEN 'withdrawn' ELSE 'sent' END FROM generate_series(1, 100000) n;
             INSERT INTO audit_log (id, actor, action, object, created_at)
               SELECT gen_random_uuid(), CASE WHEN n % 10000 = 0 THEN 'user:rare' ELSE 'user:frequent' END,
                      CASE WHEN n % 10000 = 1000 THEN 'rare' ELSE 'frequent' END,
                      CASE WHEN n % 10000 = 2000 THEN 'order:rare' ELSE 'order:' || n END,
                      CASE WHEN n % 10000 = 3000 THEN '2020-01-01' ELSE now() END
               FROM generate_series(1, 100000) n;
             INSERT INTO reconciliation_runs (id, since) SELECT gen_random_uuid(), now() FROM generate_series(1, 10000);
             INSERT INTO reconciliation_differences (id, run_id, kind, stripe_object_id, ours, theirs, outcome)
               SELECT gen_random_uuid(), id, 'event', 'evt_1', 'nothing', 'something', 'left'
               FROM reconciliation_runs, generate_series(1, 10);
             INSERT INTO products (id, name, slug, price, stock)
               SELECT gen_random_uuid(), n::text, n::text, 100, 1000 FROM generate_series(1, 100) n;
             INSERT INTO stock_movements (id, product_id, delta, kind, actor, created_at)
               SELECT gen_random_uuid(), id, 1, CASE WHEN n = 1000 THEN 'initial' ELSE 'adjustment' END, 'system',
                      CASE WHEN n % 100 = 0 THEN '2020-01-01' ELSE now() END
               FROM products, generate_series(1, 1000) n;
             ANALYZE",
        )
        .await;
}

/// Rows, and entries of indexes, that have been read in this database. What a session has read is counted at once when it ends.
async fn rows_read(shop: &Shop) -> i64 {
    let end = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'kassa-api' AND query NOT LIKE 'LISTEN%'";
    shop.count(end).await;
    let read = "SELECT ((SELECT sum(seq_tup_read) FROM pg_stat_user_tables)
                      + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes))::bigint";
    shop.count(read).await
}

#[tokio::test]
async fn each_filter_of_a_list_is_answered_by_few_of_a_hundred_thousand_rows() {
    let mut shop = Shop::start().await;
    let admin = shop.admin().await;
    shop.kill_worker().await; // it reads, too
    fill(&shop).await;
    let id = async |of: &str| -> String { sqlx::query_scalar(of).fetch_one(&shop.pool).await.expect("it is there") };
    let order = id("SELECT id::text FROM orders WHERE number = 50000").await;
    let product = id("SELECT id::text FROM products WHERE slug = '50'").await;
    let run = id("SELECT id::text FROM reconciliation_runs LIMIT 1").await;
    for (query, found) in [
        ("users", 20),
        ("users?email=user-9999", 11),
        ("users?email=USER-99999%40", 1),
        ("users?email=user-", 20),
        ("users?email=user-1&role=customer", 20),
        ("users?role=admin", 1),
        ("users?role=customer&email=user-12345", 1),
        ("orders", 20),
        ("orders?status=payment_review", 10),
        ("orders?status=fulfilled", 20),
        ("orders?email=user-99999@kassa.example", 1),
        ("orders?status=fulfilled&email=user-99998@kassa.example", 1),
        ("orders?q=50000", 1),
        (&format!("orders?q={order}"), 1),
        ("orders?q=pi_50000", 1),
        ("orders?q=user-9999", 11),
        ("orders?q=user-9999&status=payment_review", 0),
        ("orders?q=nobody", 0),
        ("orders?until=2021-01-01T00:00:00Z", 10),
        ("orders?since=2019-01-01T00:00:00Z&until=2021-01-01T00:00:00Z", 10),
        ("orders?since=2021-01-01T00:00:00Z", 20),
        ("orders?since=2999-01-01T00:00:00Z", 0),
        ("orders?disputed=true", 10),
        ("orders?disputed=false", 20),
        ("orders?disputed=true&status=fulfilled&refund=failed", 0),
        ("orders?refund=failed", 10),
        ("orders?refund=pending", 0),
        (&format!("orders/{order}/timeline"), 1),
        ("jobs", 20),
        ("jobs?state=done&queue=maintenance.prune", 10),
        ("jobs?queue=maintenance.prune", 10),
        ("jobs?state=dead", 0),
        ("jobs?state=retrying&queue=email.send", 0),
        ("webhooks", 20),
        ("webhooks?status=parked", 10),
        ("webhooks?type=rare", 10),
        ("webhooks?type=rare&status=ignored", 10),
        ("webhooks?type=frequent&status=parked", 10),
        ("payments", 20),
        ("payments?order=50000", 1),
        ("payments?operation=rare", 10),
        ("payments?outcome=error&operation=frequent", 10),
        ("payments?error_type=api_error", 10),
        ("emails", 20),
        ("emails?status=withdrawn", 10),
        ("emails?kind=rare", 10),
        ("emails?kind=rare&status=sent", 10),
        ("audit", 20),
        ("audit?actor=user:rare", 10),
        ("audit?action=rare", 10),
        ("audit?object=order:rare", 10),
        ("audit?actor=user:frequent&action=rare", 10),
        ("audit?until=2021-01-01T00:00:00Z", 10),
        ("audit?since=2019-01-01T00:00:00Z&until=2021-01-01T00:00:00Z", 10),
        ("audit?since=2021-01-01T00:00:00Z", 20),
        ("audit?since=2999-01-01T00:00:00Z", 0),
        ("reconciliation", 20),
        (&format!("reconciliation/{run}/differences"), 10),
        (&format!("products/{product}/ledger"), 20),
        (&format!("products/{product}/ledger?kind=initial"), 1),
        (&format!("products/{product}/ledger?as_of=2021-01-01T00:00:00Z"), 10),
    ] {
        let before = rows_read(&shop).await;
        let page = admin.get(&format!("/admin/{query}")).await.expect(200);
        let read = rows_read(&shop).await - before;
        assert_eq!(page["items"].as_array().map(Vec::len), Some(found), "{query}");
        println!("{query}: {read} rows read");
        assert!((1..=MOST_READ).contains(&read), "{query}: {read} rows read");
    }
    shop.leave(); // nothing of all this ever happened
}
