//! `kassa verify` finds each violation of each invariant, names the row, and changes nothing.

use std::collections::BTreeSet;

use common::verify;
use serde_json::Value;

use crate::harness::{Database, Shop, text, url};

const STOCK: (u8, &str) = (1, "a product's stock is the sum of its movements");
const RESERVED: (u8, &str) = (1, "a product's reserved units are those that orders hold");
const COVERED: (u8, &str) = (2, "what is reserved is there");
const TOTAL: (u8, &str) = (3, "an order's total is the sum of its lines");
const PAID: (u8, &str) = (4, "a paid order has one succeeded intent, which received at least its total");
const SOLD: (u8, &str) = (4, "a paid order's lines are sold once, or about to be");
const SENT: (u8, &str) = (4, "a fulfilled order has its shipment, and nothing is sent of one that was never paid");
const UNPAID: (u8, &str) = (4, "no line is sold of an order that was never paid");
const KEPT: (u8, &str) = (5, "a canceled order has received nothing that is not being refunded");
const REFUNDED: (u8, &str) = (6, "an order's refunded total is the sum of its succeeded refunds");
const ALL_BACK: (u8, &str) = (6, "an order is refunded exactly when all that it received was given back");
const TWICE: (u8, &str) = (6, "a second payment of an order is given back, unless somebody has put that aside");
const GIVEN_BACK: (u8, &str) = (6, "no intent gives back more than it received");
const EVENT: (u8, &str) = (7, "each event is stored once, and settled exactly when it was applied or ignored");
const TOLD: (u8, &str) = (8, "no two mails tell the same thing");
const MAIL: (u8, &str) = (8, "a mail that waits has the job that sends it");
const ENDED: (u8, &str) = (9, "an order that has ended holds no stock");
const PENDING: (u8, &str) = (10, "a pending order has the job that creates its intent");
const EXPIRY: (u8, &str) = (10, "an unpaid order has its expiry ahead");
const CANCELING: (u8, &str) = (10, "an order that is being canceled has the job that cancels its intent");
const REFUND: (u8, &str) = (10, "a refund that Stripe doesn't know yet has the job that asks for it");
const OPEN: (u8, &str) = (10, "an intent whose order is paid or ended has itself ended, or the job that cancels it");
const INBOX: (u8, &str) = (10, "an event that waits has the job that applies it");
const IMAGE: (u8, &str) = (10, "an image that waits has the job that processes it");
const TAKEN_AWAY: (u8, &str) = (10, "an image that was taken away has the job that removes its objects");

const ALL: [(u8, &str); 25] = [
    STOCK, RESERVED, COVERED, TOTAL, PAID, SOLD, SENT, UNPAID, KEPT, REFUNDED, ALL_BACK, TWICE, GIVEN_BACK, EVENT,
    TOLD, MAIL, ENDED, PENDING, EXPIRY, CANCELING, REFUND, OPEN, INBOX, IMAGE, TAKEN_AWAY,
];

/// What is done to a shop that is well, and what has to be found then: the sentence, and the row. `{product}` and so on are its
/// rows; the paid order has two units of the product and received 1000, the other two orders have one.
type Case = (&'static str, &'static [((u8, &'static str), &'static str)]);

const CASES: &[Case] = &[
    ("UPDATE products SET stock = stock + 1", &[(STOCK, "product {product}")]),
    ("UPDATE stock_movements SET delta = delta + 1 WHERE kind = 'initial'", &[(STOCK, "product {product}")]),
    ("UPDATE products SET reserved = reserved + 1", &[(RESERVED, "product {product}")]),
    ("UPDATE order_items SET reservation = 'released' WHERE order_id = '{unpaid}'", &[(RESERVED, "product {product}")]),
    (
        "ALTER TABLE products DROP CONSTRAINT products_stock_covers_reserved; UPDATE products SET reserved = stock + 1",
        &[(RESERVED, "product {product}"), (COVERED, "product {product}")],
    ),
    (
        "ALTER TABLE products DROP CONSTRAINT products_stock_covers_reserved; UPDATE products SET reserved = -1",
        &[(RESERVED, "product {product}"), (COVERED, "product {product}")],
    ),
    ("UPDATE orders SET total = total + 1 WHERE id = '{unpaid}'", &[(TOTAL, "order {unpaid}")]),
    ("UPDATE order_items SET price_snapshot = 0 WHERE order_id = '{canceled}'", &[(TOTAL, "order {canceled}")]),
    ("DELETE FROM order_items WHERE order_id = '{canceled}'", &[(TOTAL, "order {canceled}")]),
    ("UPDATE payment_intents SET status = 'canceled' WHERE order_id = '{paid}'", &[(PAID, "order {paid}")]),
    (
        "UPDATE payment_intents SET duplicate = true WHERE order_id = '{paid}'",
        &[(PAID, "order {paid}"), (TWICE, "payment intent {intent}")],
    ),
    ("UPDATE payment_intents SET amount_received = 999 WHERE order_id = '{paid}'", &[(PAID, "order {paid}")]),
    (
        "INSERT INTO payment_intents (id, order_id, generation, stripe_id, amount, currency, amount_received, status)
         VALUES (gen_random_uuid(), '{paid}', 0, 'pi_second', 1000, 'usd', 1000, 'succeeded')",
        &[(PAID, "order {paid}")],
    ),
    (
        "UPDATE orders SET status = 'fulfilled' WHERE id = '{paid}';
         UPDATE payment_intents SET status = 'processing' WHERE order_id = '{paid}'",
        &[(PAID, "order {paid}"), (SENT, "order {paid}"), (OPEN, "order {paid}")],
    ),
    ("UPDATE orders SET status = 'fulfilled' WHERE id = '{paid}'", &[(SENT, "order {paid}")]),
    ("INSERT INTO shipments (order_id) VALUES ('{canceled}')", &[(SENT, "order {canceled}")]),
    ("UPDATE order_items SET reservation = 'released' WHERE order_id = '{paid}'", &[(SOLD, "order {paid}")]),
    (
        // Held, as before its decrement, but without the job for it.
        "UPDATE order_items SET reservation = 'held' WHERE order_id = '{paid}';
         DELETE FROM stock_movements WHERE kind = 'sale'; UPDATE products SET stock = stock + 2, reserved = reserved + 2",
        &[(SOLD, "order {paid}")],
    ),
    (
        "DELETE FROM stock_movements WHERE kind = 'sale'; UPDATE products SET stock = stock + 2",
        &[(SOLD, "order {paid}")],
    ),
    (
        "UPDATE stock_movements SET delta = -1 WHERE kind = 'sale'; UPDATE products SET stock = stock + 1",
        &[(SOLD, "order {paid}")],
    ),
    (
        "DROP INDEX stock_movements_one_sale; UPDATE products SET stock = stock - 2;
         INSERT INTO stock_movements (id, product_id, delta, kind, order_item_id, actor)
         SELECT gen_random_uuid(), product_id, delta, kind, order_item_id, actor FROM stock_movements WHERE kind = 'sale'",
        &[(SOLD, "order {paid}")],
    ),
    ("UPDATE order_items SET reservation = 'consumed' WHERE order_id = '{canceled}'", &[(UNPAID, "order {canceled}")]),
    ("UPDATE payment_intents SET amount_received = 500 WHERE order_id = '{canceled}'", &[(KEPT, "order {canceled}")]),
    (
        "UPDATE payment_intents SET amount_received = 500 WHERE order_id = '{canceled}';
         INSERT INTO refunds (id, order_id, payment_intent_id, origin, amount, status, stripe_refund_id)
         SELECT gen_random_uuid(), order_id, id, 'stripe', 500, 'failed', 're_1' FROM payment_intents WHERE order_id = '{canceled}'",
        &[(KEPT, "order {canceled}")],
    ),
    ("UPDATE orders SET refunded_total = 1 WHERE id = '{paid}'", &[(REFUNDED, "order {paid}")]),
    (
        "INSERT INTO refunds (id, order_id, payment_intent_id, origin, amount, status, stripe_refund_id)
         SELECT gen_random_uuid(), order_id, id, 'stripe', 1, 'succeeded', 're_1' FROM payment_intents WHERE order_id = '{paid}'",
        &[(REFUNDED, "order {paid}")],
    ),
    ("UPDATE orders SET status = 'refunded' WHERE id = '{paid}'", &[(ALL_BACK, "order {paid}")]),
    (
        "UPDATE orders SET refunded_total = 1000 WHERE id = '{paid}';
         INSERT INTO refunds (id, order_id, payment_intent_id, origin, amount, status, stripe_refund_id)
         SELECT gen_random_uuid(), order_id, id, 'stripe', 1000, 'succeeded', 're_1' FROM payment_intents WHERE order_id = '{paid}'",
        &[(ALL_BACK, "order {paid}")],
    ),
    (
        "INSERT INTO refunds (id, order_id, payment_intent_id, origin, amount, status, stripe_refund_id)
         SELECT gen_random_uuid(), p.order_id, p.id, 'stripe', 501, 'pending', r FROM payment_intents p, unnest('{re_1,re_2}'::text[]) r
         WHERE order_id = '{paid}'",
        &[(GIVEN_BACK, "payment intent {intent}")],
    ),
    (
        "ALTER TABLE webhook_logs DROP CONSTRAINT webhook_logs_stripe_event_id_key;
         INSERT INTO webhook_logs (id, stripe_event_id, type, payload, livemode, status, processed_at)
         SELECT gen_random_uuid(), stripe_event_id, type, payload, livemode, status, processed_at FROM webhook_logs
         WHERE stripe_event_id = '{event}'",
        &[(EVENT, "event {event}")],
    ),
    ("UPDATE webhook_logs SET processed_at = NULL WHERE stripe_event_id = '{event}'", &[(EVENT, "event {event}")]),
    ("UPDATE webhook_logs SET status = 'failed' WHERE stripe_event_id = '{event}'", &[(EVENT, "event {event}")]),
    (
        "ALTER TABLE emails DROP CONSTRAINT emails_dedupe_key_key;
         INSERT INTO emails (id, kind, object_id, \"to\", dedupe_key, status)
         SELECT gen_random_uuid(), kind, object_id, \"to\", dedupe_key, status FROM emails WHERE object_id = '{paid}'",
        &[(TOLD, "mail order_confirmed:{paid}")],
    ),
    ("UPDATE emails SET status = 'pending' WHERE object_id = '{paid}'", &[(MAIL, "mail {mail}")]),
    (
        "UPDATE order_items SET reservation = 'held' WHERE order_id = '{canceled}'; UPDATE products SET reserved = reserved + 1",
        &[(ENDED, "order {canceled}")],
    ),
    (
        "UPDATE orders SET status = 'refunded' WHERE id = '{canceled}';
         UPDATE order_items SET reservation = 'held' WHERE order_id = '{canceled}'; UPDATE products SET reserved = reserved + 1",
        &[(ENDED, "order {canceled}")],
    ),
    ("UPDATE orders SET status = 'pending' WHERE id = '{unpaid}'", &[(PENDING, "order {unpaid}")]),
    ("DELETE FROM jobs WHERE job_type = 'order.expire'", &[(EXPIRY, "order {unpaid}")]),
    (
        "UPDATE jobs SET status = 'Killed', done_at = now() WHERE job_type = 'order.expire' AND done_at IS NULL",
        &[(EXPIRY, "order {unpaid}")],
    ),
    (
        "DELETE FROM jobs WHERE job_type = 'order.expire'; UPDATE orders SET status = 'payment_failed' WHERE id = '{unpaid}'",
        &[(EXPIRY, "order {unpaid}")],
    ),
    (
        "DELETE FROM jobs WHERE job_type = 'order.expire'; UPDATE orders SET status = 'processing' WHERE id = '{unpaid}'",
        &[(EXPIRY, "order {unpaid}")],
    ),
    (
        "UPDATE orders SET status = 'canceling' WHERE id = '{unpaid}'",
        &[(CANCELING, "order {unpaid}"), (OPEN, "order {unpaid}")],
    ),
    (
        "UPDATE payment_intents SET status = 'requires_payment_method' WHERE order_id = '{canceled}'",
        &[(OPEN, "order {canceled}")],
    ),
    (
        "INSERT INTO refunds (id, order_id, payment_intent_id, origin, amount)
         SELECT '0198ffff-0000-7000-8000-000000000000', order_id, id, 'operator', 1 FROM payment_intents WHERE order_id = '{paid}'",
        &[(REFUND, "refund 0198ffff-0000-7000-8000-000000000000")],
    ),
    (
        "UPDATE webhook_logs SET status = 'received', processed_at = NULL WHERE stripe_event_id = '{event}'",
        &[(INBOX, "event {event}")],
    ),
    (
        "UPDATE webhook_logs SET status = 'parked', processed_at = NULL WHERE stripe_event_id = '{event}'",
        &[(INBOX, "event {event}")],
    ),
    (
        "INSERT INTO product_images (id, product_id, position, original_key)
         VALUES ('0198ffff-0000-7000-8000-000000000000', '{product}', 1, 'x')",
        &[(IMAGE, "image 0198ffff-0000-7000-8000-000000000000")],
    ),
    (
        "INSERT INTO product_images (id, product_id, position, status)
         VALUES ('0198ffff-0000-7000-8000-000000000000', '{product}', 1, 'removed')",
        &[(TAKEN_AWAY, "image 0198ffff-0000-7000-8000-000000000000")],
    ),
];

/// A shop that is well, with an order that is paid, one that is not, and one that is canceled. Nobody runs it any more. With it
/// the names of its rows.
async fn shop() -> (Database, Vec<(&'static str, String)>) {
    let shop = Shop::start().await;
    let product = shop.product(500, 10).await;
    let shopper = shop.shopper().await;
    let paid = shop.order(&shopper, &product, 2).await;
    shop.pay(&shopper, &paid).await;
    let canceled = shop.order(&shopper, &product, 1).await;
    shopper.cancel(&canceled).await.expect(202);
    shopper.wait_for(&canceled, "canceled").await;
    let unpaid = shop.order(&shopper, &product, 1).await;
    let event = shop.event(&paid, "payment_intent.succeeded").await;
    let database = shop.close().await.copy().await;
    let of_paid = async |query: &str| {
        let id = sqlx::query_scalar::<_, String>(query).bind(text(&paid["id"]));
        id.fetch_one(&database.pool).await.expect("there is one")
    };
    let names = vec![
        ("{product}", text(&product["id"]).to_owned()),
        ("{paid}", text(&paid["id"]).to_owned()),
        ("{canceled}", text(&canceled["id"]).to_owned()),
        ("{unpaid}", text(&unpaid["id"]).to_owned()),
        ("{event}", text(&event["id"]).to_owned()),
        ("{intent}", of_paid("SELECT id::text FROM payment_intents WHERE order_id::text = $1").await),
        ("{mail}", of_paid("SELECT id::text FROM emails WHERE object_id::text = $1").await),
    ];
    database.pool.close().await;
    (database, names)
}

fn named(template: &str, names: &[(&str, String)]) -> String {
    names.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
}

#[tokio::test]
async fn each_violation_is_found_and_nothing_else() {
    let (well, names) = shop().await;
    let untouched = well.copy().await.kassa(&["verify", "--json"]).await;
    let report: Value = serde_json::from_str(&untouched.out).expect("JSON");
    assert_eq!((untouched.code, &report["violations"]), (0, &serde_json::json!([])), "{untouched:?}");
    let mut found_once = BTreeSet::new();
    for (statements, expected) in CASES {
        let broken = well.copy().await;
        // Neither triggers nor foreign keys are in the way.
        broken.run(&format!("SET session_replication_role = replica; {}", named(statements, &names))).await;
        let verify = broken.kassa(&["verify", "--json"]).await;
        let report: Value = serde_json::from_str(&verify.out).expect("JSON");
        let violations = report["violations"].as_array().expect("a list");
        let found: Vec<_> = violations
            .iter()
            .map(|v| {
                (v["invariant"].as_u64().unwrap_or_default(), text(&v["sentence"]), text(&v["subject"]).to_owned())
            })
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|((n, sentence), row)| (u64::from(*n), *sentence, named(row, &names))).collect();
        assert_eq!((verify.code, &found), (1, &expected), "{statements}\n{}", verify.out);
        assert!(violations.iter().all(|v| !text(&v["detail"]).is_empty()), "{}", verify.out);
        found_once.extend(expected.into_iter().map(|(_, sentence, _)| sentence));
    }
    assert_eq!(report["checks"], found_once.len(), "each check has found something");
}

#[tokio::test]
async fn people_are_told_the_sentence_and_the_row() {
    let (well, names) = shop().await;
    let broken = well.copy().await;
    broken.run("UPDATE products SET stock = stock + 1").await;
    let verify = broken.kassa(&["verify"]).await;
    assert_eq!(verify.code, 1, "{verify:?}");
    let lines: Vec<&str> = verify.out.lines().collect();
    let product = named("  product {product}: stock is 9, its movements sum to 8", &names);
    assert_eq!(lines[..2], [&format!("Invariant 1 is broken: {}", STOCK.1), &product], "{}", verify.out);
    assert!(verify.out.contains("1 violation in "), "{}", verify.out);
}

#[tokio::test]
async fn who_may_only_read_can_verify() {
    let database = Database::migrated().await;
    let reader = format!("reader_of_{}", database.name);
    database
        .run(&format!(
            "CREATE ROLE {reader} LOGIN PASSWORD 'only'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}"
        ))
        .await;
    let as_reader = url(&database.options().username(&reader).password("only"));
    for (tamper, code) in [
        ("SELECT 1", 0),
        ("INSERT INTO products (id, name, slug, price, stock) VALUES (gen_random_uuid(), 'x', 'x', 1, 1)", 1),
    ] {
        database.run(tamper).await;
        let verify = database.kassa_with(&["verify"], &[("DATABASE_URL", &as_reader)], "").await;
        assert_eq!(verify.code, code, "{verify:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_verified_ends_with_another_code() {
    let empty = Database::empty().await;
    let verify = empty.kassa(&["verify"]).await;
    assert_eq!((verify.code, verify.out.as_str()), (2, ""), "{verify:?}");
    assert!(verify.err.contains("kassa migrate"), "{verify:?}");
    let nowhere = url(&empty.options().database("there_is_none"));
    let verify = empty.kassa_with(&["verify", "--json"], &[("DATABASE_URL", &nowhere)], "").await;
    assert_eq!((verify.code, verify.out.as_str()), (2, ""), "{verify:?}");
    assert!(verify.err.contains("DATABASE_URL") && verify.err.contains("there_is_none"), "{verify:?}");
    let password = nowhere.split([':', '@']).nth(2).expect("scheme, user, password");
    assert!(!verify.err.contains(password), "{verify:?}");
}

#[tokio::test]
async fn the_documentation_lists_all_that_is_checked() {
    let document = include_str!("../../docs/architecture.md");
    let (_, section) = document.split_once("## What must always hold").expect("there is a section about it");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    let rows: Vec<(u8, &str)> = rows.map(|(number, what)| (number.parse().expect("a number"), what)).collect();
    assert_eq!(rows, ALL);
    let shop = Shop::start().await;
    assert_eq!(verify::verify(&shop.pool).await.expect("the database answers").checks, ALL.len());
    shop.finish().await;
}
