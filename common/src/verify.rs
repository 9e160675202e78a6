//! The invariants of the shop, each as SQL and as the sentence that it checks. They hold after any fault, once no job is due
//! or running.

use sqlx::PgPool;

use crate::db;

/// A row that breaks an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's number in the documentation.
    pub invariant: u8,
    /// What should hold.
    pub sentence: &'static str,
    /// The row that breaks it: `order …`, `product …`.
    pub subject: String,
    /// How it does.
    pub detail: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many checks were made.
    pub checks: usize,
    /// All that breaks an invariant.
    pub violations: Vec<Violation>,
    /// Jobs that are due or running: while there are any, what they are about may look broken.
    pub unsettled_jobs: i64,
}

struct Row {
    subject: String,
    detail: String,
}

/// Runs one check, and adds its rows to the report.
macro_rules! check {
    ($report:ident, $tx:ident, $invariant:literal, $sentence:literal, $sql:literal) => {
        let rows = sqlx::query_as!(Row, $sql).fetch_all(&mut *$tx).await?;
        $report.checks += 1;
        $report.violations.extend(rows.into_iter().map(|row| Violation {
            invariant: $invariant,
            sentence: $sentence,
            subject: row.subject,
            detail: row.detail,
        }));
    };
}

/// Checks every invariant on one snapshot of the database, which goes on working meanwhile.
///
/// # Errors
/// The database's.
#[expect(clippy::too_many_lines, reason = "one check after the other, to be read as a list")]
pub async fn verify(pool: &PgPool) -> sqlx::Result<Report> {
    let mut tx = db::begin_snapshot(pool).await?;
    let mut report = Report::default();

    check!(
        report,
        tx,
        1,
        "a product's stock is the sum of its movements",
        r#"SELECT 'product ' || p.id AS "subject!", format('stock is %s, its movements sum to %s', p.stock, coalesce(m.sum, 0)) AS "detail!"
           FROM products p LEFT JOIN (SELECT product_id, sum(delta) FROM stock_movements GROUP BY product_id) m ON m.product_id = p.id
           WHERE p.stock <> coalesce(m.sum, 0)"#
    );
    check!(
        report,
        tx,
        1,
        "a product's reserved units are those that orders hold",
        r#"SELECT 'product ' || p.id AS "subject!", format('reserved is %s, orders hold %s', p.reserved, coalesce(h.sum, 0)) AS "detail!"
           FROM products p
           LEFT JOIN (SELECT product_id, sum(quantity) FROM order_items WHERE reservation = 'held' GROUP BY product_id) h ON h.product_id = p.id
           WHERE p.reserved <> coalesce(h.sum, 0)"#
    );
    check!(
        report,
        tx,
        2,
        "what is reserved is there",
        r#"SELECT 'product ' || id AS "subject!", format('stock is %s, reserved is %s', stock, reserved) AS "detail!"
           FROM products WHERE NOT (0 <= reserved AND reserved <= stock)"#
    );
    check!(
        report,
        tx,
        3,
        "an order's total is the sum of its lines",
        r#"SELECT 'order ' || o.id AS "subject!", format('total is %s, its lines sum to %s', o.total, coalesce(i.sum, 0)) AS "detail!"
           FROM orders o LEFT JOIN (SELECT order_id, sum(price_snapshot * quantity) FROM order_items GROUP BY order_id) i ON i.order_id = o.id
           WHERE o.total <> coalesce(i.sum, 0)"#
    );
    check!(
        report,
        tx,
        4,
        "a paid order has one succeeded intent, which received at least its total",
        r#"SELECT 'order ' || o.id AS "subject!", format('%s succeeded intents received %s of %s', count(p.id), coalesce(sum(p.amount_received), 0), o.total) AS "detail!"
           FROM orders o LEFT JOIN payment_intents p ON p.order_id = o.id AND p.status = 'succeeded' AND NOT p.duplicate
           WHERE o.status IN ('paid', 'fulfilled')
           GROUP BY o.id HAVING count(p.id) <> 1 OR sum(p.amount_received) < o.total"#
    );
    check!(
        report,
        tx,
        4,
        "a paid order's lines are sold once, or about to be",
        r#"SELECT 'order ' || o.id AS "subject!", format('item %s is %s and has %s sales of %s units, for %s ordered', i.id, i.reservation, count(m.id), coalesce(-sum(m.delta), 0), i.quantity) AS "detail!"
           FROM orders o JOIN order_items i ON i.order_id = o.id
           LEFT JOIN stock_movements m ON m.order_item_id = i.id AND m.kind = 'sale'
           WHERE o.status IN ('paid', 'fulfilled')
           GROUP BY o.id, i.id
           HAVING NOT (i.reservation = 'consumed' AND count(m.id) = 1 AND -sum(m.delta) = i.quantity)
              AND NOT (o.status = 'paid' AND i.reservation = 'held' AND count(m.id) = 0 AND EXISTS (
                    SELECT FROM jobs j WHERE j.job_type = 'inventory.decrement' AND j.dedupe_key = o.id::text AND j.done_at IS NULL))"#
    );
    check!(
        report,
        tx,
        4,
        "a fulfilled order has its shipment, and nothing is sent of one that was never paid",
        r#"SELECT 'order ' || o.id AS "subject!", format('is %s, and %s', o.status,
                  CASE WHEN s.order_id IS NULL THEN 'has no shipment' ELSE 'has a shipment' END) AS "detail!"
           FROM orders o LEFT JOIN shipments s ON s.order_id = o.id
           WHERE (o.status = 'fulfilled' AND s.order_id IS NULL)
              OR (s.order_id IS NOT NULL AND o.status NOT IN ('fulfilled', 'paid', 'payment_review', 'refunded'))"#
    );
    check!(
        report,
        tx,
        4,
        "no line is sold of an order that was never paid",
        r#"SELECT 'order ' || o.id AS "subject!", format('is %s, and %s lines are sold', o.status, count(*)) AS "detail!"
           FROM orders o JOIN order_items i ON i.order_id = o.id AND i.reservation = 'consumed'
           WHERE o.status IN ('pending', 'awaiting_payment', 'processing', 'payment_failed', 'canceling', 'canceled')
           GROUP BY o.id"#
    );
    check!(
        report,
        tx,
        5,
        "a canceled order has received nothing that is not being refunded",
        r#"SELECT 'order ' || o.id AS "subject!", format('received %s, of which %s is being refunded', p.received, coalesce(r.back, 0)) AS "detail!"
           FROM orders o
           JOIN (SELECT order_id, sum(amount_received) AS received FROM payment_intents GROUP BY order_id) p ON p.order_id = o.id
           LEFT JOIN (SELECT order_id, sum(amount) AS back FROM refunds
                      WHERE status IN ('pending', 'requires_action', 'succeeded') GROUP BY order_id) r ON r.order_id = o.id
           WHERE o.status = 'canceled' AND p.received > coalesce(r.back, 0)"#
    );
    check!(
        report,
        tx,
        6,
        "an order's refunded total is the sum of its succeeded refunds",
        r#"SELECT 'order ' || o.id AS "subject!", format('refunded_total is %s, its refunds sum to %s', o.refunded_total, coalesce(r.sum, 0)) AS "detail!"
           FROM orders o
           LEFT JOIN (SELECT r.order_id, sum(r.amount) FROM refunds r JOIN payment_intents p ON p.id = r.payment_intent_id
                      WHERE r.status = 'succeeded' AND NOT p.duplicate GROUP BY r.order_id) r ON r.order_id = o.id
           WHERE o.refunded_total <> coalesce(r.sum, 0)"#
    );
    check!(
        report,
        tx,
        6,
        "an order is refunded exactly when all that it received was given back",
        r#"SELECT 'order ' || o.id AS "subject!", format('is %s, received %s and gave back %s', o.status, p.received, o.refunded_total) AS "detail!"
           FROM orders o
           JOIN (SELECT order_id, sum(amount_received) AS received FROM payment_intents WHERE NOT duplicate GROUP BY order_id) p ON p.order_id = o.id
           WHERE p.received > 0 AND (o.status = 'refunded') <> (o.refunded_total >= p.received)"#
    );
    check!(
        report,
        tx,
        6,
        "a second payment of an order is given back, unless somebody has put that aside",
        r#"SELECT 'payment intent ' || p.id AS "subject!", format('a duplicate has received %s and nothing of it goes back', p.amount_received) AS "detail!"
           FROM payment_intents p
           WHERE p.duplicate AND p.amount_received > 0 AND NOT EXISTS (
             SELECT FROM refunds r WHERE r.payment_intent_id = p.id
               AND (r.status IN ('pending', 'requires_action', 'succeeded') OR r.outcome_unknown OR r.dismissed_at IS NOT NULL))"#
    );
    check!(
        report,
        tx,
        6,
        "no intent gives back more than it received",
        r#"SELECT 'payment intent ' || p.id AS "subject!", format('received %s, refunds come to %s', p.amount_received, sum(r.amount)) AS "detail!"
           FROM payment_intents p JOIN refunds r ON r.payment_intent_id = p.id AND r.status IN ('pending', 'requires_action', 'succeeded')
           GROUP BY p.id HAVING sum(r.amount) > p.amount_received"#
    );
    check!(
        report,
        tx,
        7,
        "each event is stored once, and settled exactly when it was applied or ignored",
        r#"SELECT 'event ' || stripe_event_id AS "subject!", format('%s rows: %s', count(*), string_agg(status, ', ')) AS "detail!"
           FROM webhook_logs GROUP BY stripe_event_id
           HAVING count(*) > 1 OR bool_or((status IN ('processed', 'ignored')) <> (processed_at IS NOT NULL))"#
    );
    check!(
        report,
        tx,
        8,
        "no two mails tell the same thing",
        r#"SELECT 'mail ' || dedupe_key AS "subject!", format('%s rows', count(*)) AS "detail!"
           FROM emails GROUP BY dedupe_key HAVING count(*) > 1"#
    );
    check!(
        report,
        tx,
        8,
        "a mail that waits has the job that sends it",
        r#"SELECT 'mail ' || e.id AS "subject!", 'is pending and has no live email.send' AS "detail!"
           FROM emails e WHERE e.status = 'pending' AND NOT EXISTS (
             SELECT FROM jobs j WHERE j.job_type = 'email.send' AND j.dedupe_key = e.id::text AND j.done_at IS NULL)"#
    );
    check!(
        report,
        tx,
        9,
        "an order that has ended holds no stock",
        r#"SELECT 'order ' || o.id AS "subject!", format('is %s and holds %s units', o.status, sum(i.quantity)) AS "detail!"
           FROM orders o JOIN order_items i ON i.order_id = o.id AND i.reservation = 'held'
           WHERE o.status IN ('canceled', 'refunded') GROUP BY o.id"#
    );
    check!(
        report,
        tx,
        10,
        "a pending order has the job that creates its intent",
        r#"SELECT 'order ' || o.id AS "subject!", 'is pending and has no live payment.create_intent' AS "detail!"
           FROM orders o WHERE o.status = 'pending' AND NOT EXISTS (
             SELECT FROM jobs j WHERE j.job_type = 'payment.create_intent' AND j.dedupe_key = o.id::text AND j.done_at IS NULL)"#
    );
    check!(
        report,
        tx,
        10,
        "an unpaid order has its expiry ahead",
        r#"SELECT 'order ' || o.id AS "subject!", format('is %s and has no live order.expire', o.status) AS "detail!"
           FROM orders o WHERE o.status IN ('pending', 'awaiting_payment', 'payment_failed', 'processing') AND NOT EXISTS (
             SELECT FROM jobs j WHERE j.job_type = 'order.expire' AND j.dedupe_key = o.id::text AND j.done_at IS NULL)"#
    );
    check!(
        report,
        tx,
        10,
        "an order that is being canceled has the job that cancels its intent",
        r#"SELECT 'order ' || o.id AS "subject!", 'is canceling and has no live payment.cancel_intent' AS "detail!"
           FROM orders o WHERE o.status = 'canceling' AND NOT EXISTS (
             SELECT FROM payment_intents p JOIN jobs j ON j.job_type = 'payment.cancel_intent' AND j.dedupe_key = p.id::text AND j.done_at IS NULL
             WHERE p.order_id = o.id)"#
    );
    check!(
        report,
        tx,
        10,
        "a refund that Stripe doesn't know yet has the job that asks for it",
        r#"SELECT 'refund ' || r.id AS "subject!", 'is pending and has no live payment.refund' AS "detail!"
           FROM refunds r WHERE r.status = 'pending' AND r.stripe_refund_id IS NULL AND NOT EXISTS (
             SELECT FROM jobs j WHERE j.job_type = 'payment.refund' AND j.dedupe_key = r.id::text AND j.done_at IS NULL)"#
    );
    check!(
        report,
        tx,
        10,
        "an intent whose order is paid or ended has itself ended, or the job that cancels it",
        r#"SELECT 'order ' || o.id AS "subject!", format('is %s, and its intent %s is %s', o.status, p.stripe_id, p.status) AS "detail!"
           FROM payment_intents p JOIN orders o ON o.id = p.order_id
           WHERE p.stripe_id IS NOT NULL AND p.status NOT IN ('succeeded', 'canceled')
             AND o.status NOT IN ('pending', 'awaiting_payment', 'processing', 'payment_failed') AND NOT EXISTS (
               SELECT FROM jobs j
               WHERE j.job_type = 'payment.cancel_intent' AND j.dedupe_key = p.id::text AND j.done_at IS NULL)"#
    );
    check!(
        report,
        tx,
        10,
        "an event that waits has the job that applies it",
        r#"SELECT 'event ' || w.stripe_event_id AS "subject!", format('is %s and has no live webhook.process', w.status) AS "detail!"
           FROM webhook_logs w WHERE w.status IN ('received', 'parked') AND NOT EXISTS (
             SELECT FROM jobs j WHERE j.job_type = 'webhook.process' AND j.dedupe_key = w.id::text AND j.done_at IS NULL)"#
    );

    check!(
        report,
        tx,
        10,
        "an image that waits has the job that processes it",
        r#"SELECT 'image ' || i.id AS "subject!", 'is processing and has no live image.process' AS "detail!"
           FROM product_images i WHERE i.status = 'processing' AND NOT EXISTS (
             SELECT FROM jobs j WHERE j.job_type = 'image.process' AND j.dedupe_key = i.id::text AND j.done_at IS NULL)"#
    );
    check!(
        report,
        tx,
        10,
        "an image that was taken away has the job that removes its objects",
        r#"SELECT 'image ' || i.id AS "subject!", 'is removed and has no live image.remove' AS "detail!"
           FROM product_images i WHERE i.status = 'removed' AND NOT EXISTS (
             SELECT FROM jobs j WHERE j.job_type = 'image.remove' AND j.dedupe_key = i.id::text AND j.done_at IS NULL)"#
    );

    report.unsettled_jobs = sqlx::query_scalar!(
        r#"SELECT count(*) AS "n!" FROM jobs WHERE status = 'Running' OR (status = 'Pending' AND run_at <= now())"#
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(report)
}
