//! How the shop stands, for the dashboards: what is in the tables, and not what this process did. Each worker tells the same: take the
//! maximum over them.

use std::{error::Error, time::Duration};

use common::{
    order,
    tables::{self, Count, Postgres, Sample, Table},
};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use sqlx::PgPool;
use tokio::time::Instant;

/// Between two looks, at least.
const EVERY: Duration = Duration::from_secs(5);
/// A look takes this part of the time at most, so that a shop in which it is slow is looked at less often.
const SHARE: u32 = 50;
/// Between two looks, at most: an alert takes figures for stale that are five minutes old.
const AT_MOST: Duration = Duration::from_secs(120);

const ORDERS: &str = "kassa_orders";
const PRODUCTS: &str = "kassa_products";
const PRODUCTS_LOW: &str = "kassa_products_low_on_stock";
const PRODUCTS_SOLD_OUT: &str = "kassa_products_sold_out";
const RESERVED: &str = "kassa_stock_reserved_units";
const EMAILS: &str = "kassa_emails_unsent";
const EVENTS: &str = "kassa_webhook_events_unsettled";
const REFUNDS: &str = "kassa_refunds_unsettled";
const DISPUTES: &str = "kassa_disputes_unsettled";
const RECONCILED_AT: &str = "kassa_reconciliation_last_finished_timestamp_seconds";
const DIFFERENCES: &str = "kassa_reconciliation_last_differences";
const SAMPLED_AT: &str = "kassa_standing_sampled_timestamp_seconds";
const SAMPLE: &str = "kassa_standing_sample_seconds";
const DATABASE: &str = "kassa_postgres_database_bytes";
const CONNECTIONS: &str = "kassa_postgres_connections";
const CONNECTIONS_MAX: &str = "kassa_postgres_connections_max";
const OLDEST_TRANSACTION: &str = "kassa_postgres_oldest_transaction_age_seconds";
const TRANSACTIONS: &str = "kassa_postgres_transactions_total";
const DEADLOCKS: &str = "kassa_postgres_deadlocks_total";
const BLOCKS: &str = "kassa_postgres_blocks_total";
const TABLE: &str = "kassa_postgres_table_bytes";
const ROWS: &str = "kassa_postgres_table_rows";

/// Tells what the metrics mean.
pub(crate) fn describe() {
    describe_gauge!(
        ORDERS,
        "Orders, by status. Each worker tells of all, as with all that is counted in the tables: take the maximum."
    );
    describe_gauge!(PRODUCTS, "Products, by status.");
    describe_gauge!(
        PRODUCTS_LOW,
        "Products that are sold and of which few are in stock: LOW_STOCK_THRESHOLD or fewer."
    );
    describe_gauge!(PRODUCTS_SOLD_OUT, "Products that are sold and of which none is available.");
    describe_gauge!(RESERVED, "Units of products that orders hold.");
    describe_gauge!(EMAILS, "Mails that have not left, by status: pending, or failed and given up.");
    describe_gauge!(
        EVENTS,
        "Stripe's events that are not settled, by status: received, parked, or failed and given up."
    );
    describe_gauge!(
        REFUNDS,
        "Refunds that have not come to an end, by status: pending, requires_action, outcome_unknown once their job has died, or failed (canceled, too) while their money is still here and nobody has asked for it again."
    );
    describe_gauge!(DISPUTES, "Disputes that have not come to an end, by status: warning or open.");
    describe_gauge!(
        RECONCILED_AT,
        Unit::Seconds,
        "When the last comparison with Stripe came to its end, in seconds since 1970; 0 before the first."
    );
    describe_gauge!(
        DIFFERENCES,
        "What the last comparison with Stripe found to differ and healed, and what it and those before left and is not settled, by outcome."
    );
    describe_gauge!(
        SAMPLED_AT,
        Unit::Seconds,
        "When this worker last counted what is in the tables, in seconds since 1970; 0 before it first did."
    );
    describe_gauge!(SAMPLE, Unit::Seconds, "Time that the last count of what is in the tables took.");
    describe_gauge!(DATABASE, Unit::Bytes, "The shop's database on disk.");
    describe_gauge!(
        CONNECTIONS,
        "Connections to the shop's database, by state: active, idle, idle_in_transaction or other."
    );
    describe_gauge!(CONNECTIONS_MAX, "Connections that the database's server allows.");
    describe_gauge!(OLDEST_TRANSACTION, Unit::Seconds, "How long the oldest transaction has been open.");
    describe_counter!(
        TRANSACTIONS,
        "Transactions in the shop's database, whoever's, by outcome: committed or rolled_back."
    );
    describe_counter!(DEADLOCKS, "Deadlocks in the shop's database.");
    describe_counter!(
        BLOCKS,
        "Blocks of the shop's database that were asked for, by where they were found: in memory, or read."
    );
    describe_gauge!(TABLE, Unit::Bytes, "A table on disk with its indexes, by table.");
    describe_gauge!(
        ROWS,
        "Rows of a table by Postgres' own estimate, by table and state: live, or dead and not cleared away."
    );
}

/// Looks for ever; `low_stock` is how many units of a product in stock are few. What fails is tried again; meanwhile the figures are
/// those of the last look, whose time is one of them.
pub(crate) async fn sample(pool: PgPool, low_stock: i64) {
    gauge!(SAMPLED_AT).set(0.0); // a worker that never can count has to be noticed, too
    loop {
        let (began, mut failed) = (Instant::now(), false);
        match tables::look(&pool, low_stock).await {
            Ok(found) => {
                show(&found);
                gauge!(SAMPLE).set(began.elapsed());
                gauge!(SAMPLED_AT).set(now());
            }
            Err(error) => {
                failed = true;
                tracing::warn!(error = &error as &dyn Error, "the shop's figures can't be counted; trying again");
            }
        }
        match tables::look_at_postgres(&pool).await {
            Ok(told) => show_postgres(&told),
            Err(error) => {
                failed = true;
                tracing::warn!(error = &error as &dyn Error, "Postgres does not tell of itself; trying again");
            }
        }
        // What failed says nothing of how long a look takes: a database that hung for a moment is looked at as soon as it is back.
        tokio::time::sleep(if failed { EVERY } else { pause(began.elapsed()) }).await;
    }
}

/// How long to wait after a look that took so long.
fn pause(took: Duration) -> Duration {
    (took * SHARE).clamp(EVERY, AT_MOST)
}

/// Seconds since 1970.
fn now() -> f64 {
    common::clock::Clock::System.now().timestamp_millis() as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and no figure is beyond 2⁵³")]
fn show(sample: &Sample) {
    show_counts(ORDERS, &order::Status::ALL.map(order::Status::name), &sample.orders);
    show_counts(EMAILS, &["failed", "pending"], &sample.emails);
    show_counts(EVENTS, &["failed", "parked", "received"], &sample.events);
    show_counts(REFUNDS, &["failed", "outcome_unknown", "pending", "requires_action"], &sample.refunds);
    show_counts(DISPUTES, &["open", "warning"], &sample.disputes);
    let stock = &sample.stock;
    gauge!(PRODUCTS, "status" => "active").set(stock.active as f64);
    gauge!(PRODUCTS, "status" => "archived").set(stock.archived as f64);
    gauge!(PRODUCTS_LOW).set(stock.low as f64);
    gauge!(PRODUCTS_SOLD_OUT).set(stock.sold_out as f64);
    gauge!(RESERVED).set(stock.reserved as f64);
    let last = sample.reconciliation;
    gauge!(RECONCILED_AT).set(last.map_or(0.0, |run| run.finished_at.timestamp_millis() as f64 / 1000.0));
    gauge!(DIFFERENCES, "outcome" => "healed").set(last.map_or(0.0, |run| run.healed as f64));
    gauge!(DIFFERENCES, "outcome" => "left").set(last.map_or(0.0, |run| run.left as f64));
}

#[expect(clippy::cast_precision_loss, reason = "as in `show`")]
fn show_postgres(postgres: &Postgres) {
    gauge!(DATABASE).set(postgres.bytes as f64);
    show_states(CONNECTIONS, "state", &["active", "idle", "idle_in_transaction", "other"], &postgres.connections);
    gauge!(CONNECTIONS_MAX).set(postgres.connections_max as f64);
    gauge!(OLDEST_TRANSACTION).set(postgres.oldest_transaction);
    let activity = &postgres.activity;
    let count = |name, label, value, count: i64| {
        counter!(name, label => value).absolute(u64::try_from(count).unwrap_or_default());
    };
    count(TRANSACTIONS, "outcome", "committed", activity.commits);
    count(TRANSACTIONS, "outcome", "rolled_back", activity.rollbacks);
    count(BLOCKS, "source", "memory", activity.hits);
    count(BLOCKS, "source", "read", activity.reads);
    counter!(DEADLOCKS).absolute(u64::try_from(activity.deadlocks).unwrap_or_default());
    for Table { name, bytes, live, dead } in &postgres.tables {
        gauge!(TABLE, "table" => name.clone()).set(*bytes as f64);
        gauge!(ROWS, "table" => name.clone(), "state" => "live").set(*live as f64);
        gauge!(ROWS, "table" => name.clone(), "state" => "dead").set(*dead as f64);
    }
}

fn show_counts(name: &'static str, statuses: &[&'static str], counts: &[Count]) {
    show_states(name, "status", statuses, counts);
}

/// Sets a gauge for each state, to 0 where there is nothing.
#[expect(clippy::cast_precision_loss, reason = "as in `show`")]
fn show_states(name: &'static str, label: &'static str, states: &[&'static str], counts: &[Count]) {
    for &state in states {
        let count = counts.iter().find(|count| count.status == state).map_or(0, |count| count.count);
        gauge!(name, label => state).set(count as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quick_is_looked_at_each_five_seconds_what_is_slow_a_fiftieth_of_the_time_and_each_two_minutes_at_least()
    {
        assert_eq!(pause(Duration::from_millis(20)), Duration::from_secs(5));
        assert_eq!(pause(Duration::from_secs(2)), Duration::from_secs(100));
        assert_eq!(pause(Duration::from_secs(60)), Duration::from_secs(120));
    }
}
