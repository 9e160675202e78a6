//! How the shop stands, in figures: what the worker tells Prometheus of rows. All of it is read from indexes, from small tables or from
//! what Postgres keeps of itself; whoever looks does so as seldom as it is slow.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool, Transaction};

use crate::db;

/// Longest that a statement of a look may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many rows are in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The state's name in the database.
    pub status: String,
    /// How many.
    pub count: i64,
}

/// The figures, as they were at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Orders, by status.
    pub orders: Vec<Count>,
    /// Products and stock.
    pub stock: Stock,
    /// Mails that have not left, by status.
    pub emails: Vec<Count>,
    /// Events that have not been settled, by status.
    pub events: Vec<Count>,
    /// Refunds that have not come to an end, by status; those are `outcome_unknown` of which nobody knows whether Stripe made them. `failed`
    /// are those, canceled ones too, whose money is still here, could go back, and was not asked for again.
    pub refunds: Vec<Count>,
    /// Disputes that have not come to an end, by status.
    pub disputes: Vec<Count>,
    /// The last comparison with Stripe that came to its end.
    pub reconciliation: Option<Reconciliation>,
}

/// Products that are sold, and their units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    /// Products that are sold.
    pub active: i64,
    /// Products that are no longer sold.
    pub archived: i64,
    /// Products that are sold and of which as many as the threshold, or fewer, are in stock.
    pub low: i64,
    /// Products that are sold and of which none is available.
    pub sold_out: i64,
    /// Units that orders hold.
    pub reserved: i64,
}

/// A comparison of our books with Stripe's.
#[derive(Clone, Copy, Debug)]
pub struct Reconciliation {
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// What it found to differ, and put right.
    pub healed: i64,
    /// What it and those before found to differ, and left to an operator who has not settled it.
    pub left: i64,
}

/// What Postgres tells of itself.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// The database on disk.
    pub bytes: i64,
    /// Connections to it, by state.
    pub connections: Vec<Count>,
    /// Connections that the server allows.
    pub connections_max: i64,
    /// How long the oldest transaction has been open, in seconds.
    pub oldest_transaction: f64,
    /// Since the statistics began: transactions committed and rolled back, deadlocks, blocks found in memory and read.
    pub activity: Activity,
    /// Its tables.
    pub tables: Vec<Table>,
}

/// What Postgres has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Transactions committed.
    pub commits: i64,
    /// Transactions rolled back.
    pub rollbacks: i64,
    /// Deadlocks.
    pub deadlocks: i64,
    /// Blocks found in memory.
    pub hits: i64,
    /// Blocks read from disk, or from the system's cache.
    pub reads: i64,
}

/// A table, by Postgres' own estimates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// On disk, with its indexes.
    pub bytes: i64,
    /// Rows.
    pub live: i64,
    /// Rows that wait to be cleared away.
    pub dead: i64,
}

/// Looks at the shop. `low_stock` is how many units in stock are few.
///
/// # Errors
/// The database's, also where a statement takes longer than ten seconds.
pub async fn look(pool: &PgPool, low_stock: i64) -> sqlx::Result<Sample> {
    let mut tx = begin(pool).await?;
    let sample = Sample {
        orders: orders(&mut tx).await?,
        stock: stock(&mut tx, low_stock).await?,
        emails: emails(&mut tx).await?,
        events: events(&mut tx).await?,
        refunds: refunds(&mut tx).await?,
        disputes: disputes(&mut tx).await?,
        reconciliation: reconciliation(&mut tx).await?,
    };
    tx.commit().await?;
    Ok(sample)
}

/// Looks at what Postgres tells of itself: apart, so that what it doesn't tell keeps nobody from what the shop waits for.
///
/// # Errors
/// As [`look`]'s.
pub async fn look_at_postgres(pool: &PgPool) -> sqlx::Result<Postgres> {
    let mut tx = begin(pool).await?;
    let told = postgres(&mut tx).await?;
    tx.commit().await?;
    Ok(told)
}

async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, sqlx::Postgres>> {
    let mut tx = db::begin_snapshot(pool).await?;
    sqlx::query!("SELECT set_config('statement_timeout', $1, true)", PATIENCE.as_millis().to_string())
        .fetch_one(&mut *tx)
        .await?;
    Ok(tx)
}

async fn orders(conn: &mut PgConnection) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as!(Count, r#"SELECT status, count(*) AS "count!" FROM orders GROUP BY status"#).fetch_all(conn).await
}

async fn stock(conn: &mut PgConnection, low_stock: i64) -> sqlx::Result<Stock> {
    sqlx::query_as!(
        Stock,
        r#"SELECT count(*) FILTER (WHERE status = 'active') AS "active!",
                  count(*) FILTER (WHERE status = 'archived') AS "archived!",
                  count(*) FILTER (WHERE status = 'active' AND stock <= $1) AS "low!",
                  count(*) FILTER (WHERE status = 'active' AND stock <= reserved) AS "sold_out!",
                  coalesce(sum(reserved), 0)::bigint AS "reserved!"
           FROM products"#,
        low_stock
    )
    .fetch_one(conn)
    .await
}

async fn emails(conn: &mut PgConnection) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as!(
        Count,
        r#"SELECT status, count(*) AS "count!" FROM emails
           WHERE status = 'pending' OR (status = 'failed' AND dismissed_at IS NULL) GROUP BY status"#
    )
    .fetch_all(conn)
    .await
}

async fn events(conn: &mut PgConnection) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as!(
        Count,
        r#"SELECT status, count(*) AS "count!" FROM webhook_logs
           WHERE status IN ('received', 'parked') OR (status = 'failed' AND dismissed_at IS NULL) GROUP BY status"#
    )
    .fetch_all(conn)
    .await
}

async fn refunds(conn: &mut PgConnection) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as!(
        Count,
        r#"SELECT CASE WHEN outcome_unknown THEN 'outcome_unknown' ELSE status END AS "status!", count(*) AS "count!"
           FROM refunds WHERE status IN ('pending', 'requires_action') OR outcome_unknown GROUP BY 1
           UNION ALL
           -- The payment still has so much, no bank has taken it, and what was asked for later (and has not failed, too) is not as much.
           SELECT 'failed', count(*)
           FROM refunds r
           JOIN payment_intents p ON p.id = r.payment_intent_id,
           LATERAL (
             SELECT coalesce(sum(o.amount), 0) AS all_of_them, coalesce(sum(o.amount) FILTER (WHERE o.id > r.id), 0) AS later
             FROM refunds o
             WHERE o.payment_intent_id = r.payment_intent_id
               AND (o.status IN ('pending', 'requires_action', 'succeeded') OR o.outcome_unknown)
           ) back
           WHERE r.status IN ('failed', 'canceled') AND r.dismissed_at IS NULL AND NOT r.outcome_unknown
             AND r.amount <= p.amount_received - back.all_of_them AND back.later < r.amount
             AND NOT EXISTS (SELECT FROM disputes d WHERE d.order_id = r.order_id AND d.status = 'lost')"#
    )
    .fetch_all(conn)
    .await
}

async fn disputes(conn: &mut PgConnection) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as!(
        Count,
        r#"SELECT status, count(*) AS "count!" FROM disputes WHERE status IN ('warning', 'open') GROUP BY status"#
    )
    .fetch_all(conn)
    .await
}

async fn reconciliation(conn: &mut PgConnection) -> sqlx::Result<Option<Reconciliation>> {
    sqlx::query_as!(
        Reconciliation,
        r#"SELECT r.finished_at AS "finished_at!",
                  count(*) FILTER (WHERE d.outcome = 'healed') AS "healed!",
                  (SELECT count(DISTINCT stripe_object_id) FROM reconciliation_differences
                   WHERE outcome = 'left' AND settled_at IS NULL) AS "left!"
           FROM (SELECT id, finished_at FROM reconciliation_runs WHERE finished_at IS NOT NULL ORDER BY started_at DESC LIMIT 1) r
           LEFT JOIN reconciliation_differences d ON d.run_id = r.id
           GROUP BY r.finished_at"#
    )
    .fetch_optional(conn)
    .await
}

async fn postgres(conn: &mut PgConnection) -> sqlx::Result<Postgres> {
    let whole = sqlx::query!(
        r#"SELECT pg_database_size(current_database()) AS "bytes!",
                  current_setting('max_connections')::bigint AS "connections_max!",
                  coalesce((SELECT extract(epoch FROM max(clock_timestamp() - xact_start))
                            FROM pg_stat_activity WHERE datname = current_database()), 0)::float8 AS "oldest_transaction!""#
    )
    .fetch_one(&mut *conn)
    .await?;
    let activity = sqlx::query_as!(
        Activity,
        r#"SELECT xact_commit AS "commits!", xact_rollback AS "rollbacks!", deadlocks AS "deadlocks!",
                  blks_hit AS "hits!", blks_read AS "reads!"
           FROM pg_stat_database WHERE datname = current_database()"#
    )
    .fetch_one(&mut *conn)
    .await?;
    let connections = sqlx::query_as!(
        Count,
        r#"SELECT CASE WHEN state = 'active' THEN 'active' WHEN state = 'idle' THEN 'idle'
                       WHEN state LIKE 'idle in transaction%' THEN 'idle_in_transaction' ELSE 'other' END AS "status!",
                  count(*) AS "count!"
           FROM pg_stat_activity WHERE datname = current_database() GROUP BY 1"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let tables = sqlx::query_as!(
        Table,
        r#"SELECT relname::text AS "name!", pg_total_relation_size(relid) AS "bytes!", n_live_tup AS "live!", n_dead_tup AS "dead!"
           FROM pg_stat_user_tables WHERE schemaname = 'public' AND relname NOT LIKE '\_%'"#
    )
    .fetch_all(conn)
    .await?;
    Ok(Postgres {
        bytes: whole.bytes,
        connections,
        connections_max: whole.connections_max,
        oldest_transaction: whole.oldest_transaction,
        activity,
        tables,
    })
}
