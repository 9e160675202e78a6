//! Row 11: several of each program, and programs of several versions, over one database.

use futures::future::join_all;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::harness::{Database, Shop, eventually};

#[tokio::test]
async fn two_apis_and_two_workers_sell_each_unit_once() {
    let shop = Shop::start().await;
    let (other_api, _other_worker) = tokio::join!(shop.another_api(), shop.another_worker());
    let product = shop.product(500, 30).await;
    let crowd = shop.crowd(40).await;
    let bought = crowd.iter().enumerate().map(async |(n, shopper)| {
        let shopper = if n % 2 == 0 { shopper.clone() } else { shopper.at(&other_api) };
        shopper.put_in_cart(&product, 1).await;
        let reply = shopper.check_out_under("k").await;
        if reply.status == 409 {
            return 0;
        }
        let order = reply.expect(201);
        // The same key at the other API is the same order.
        let again = if n % 2 == 0 { shopper.at(&other_api) } else { crowd[n].clone() };
        assert_eq!(again.check_out_under("k").await.expect(201)["id"], order["id"]);
        shop.pay(&shopper, &order).await;
        1
    });
    let bought: usize = join_all(bought).await.into_iter().sum();
    assert_eq!(bought, 30);
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (0, 0));
    let by_worker = "SELECT count(*) FROM jobs WHERE crashes > 0 OR failures > 0";
    assert_eq!(shop.count(by_worker).await, 0, "no job of a worker that renewed its lease was run twice");
    shop.finish().await;
}

#[tokio::test]
async fn one_of_two_programs_that_migrate_at_once_waits_for_the_other() {
    let empty = Database::empty().await;
    // A table of the test's is in the way of the one that comes first, and that one in the way of the other.
    let mut lock = PgConnection::connect_with(&empty.options()).await.expect("it answers");
    lock.execute("BEGIN; CREATE TABLE users ()").await.expect("it is empty");
    let waiting =
        "SELECT count(*) FILTER (WHERE wait_event_type = 'Lock'), count(*) FILTER (WHERE query LIKE '%try_advisory%')
                   FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let (migrations, ()) = tokio::join!(join_all((0..2).map(|_| empty.kassa(&["migrate"]))), async {
        eventually("one migrates, the other waits", async || {
            let waits: (i64, i64) = sqlx::query_as(waiting).fetch_one(&empty.pool).await.expect("it answers");
            (waits == (1, 1)).then_some(())
        })
        .await;
        lock.execute("ROLLBACK").await.expect("it was open");
    });
    for ended in migrations {
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    let shops = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM shop").fetch_one(&empty.pool).await;
    assert_eq!(shops.expect("it is migrated"), 1);
}

#[tokio::test]
async fn a_migration_that_a_backup_is_in_the_way_of_keeps_nobody_else_from_the_table() {
    let database = Database::migrated().await;
    database
        .run(
            "ALTER TABLE emails DROP COLUMN request_id, DROP COLUMN trace_id;
             DELETE FROM _sqlx_migrations WHERE description = 'add trace to emails'",
        )
        .await;
    let mut backup = PgConnection::connect_with(&database.options()).await.expect("it answers");
    backup.execute("BEGIN; LOCK TABLE emails IN ACCESS SHARE MODE").await.expect("nobody has it"); // as pg_dump does
    let (ended, ()) = tokio::join!(database.kassa(&["migrate"]), async {
        waits_for_a_lock(&database, "ALTER TABLE emails").await;
        // Behind the migration, which waits behind the backup: for ever, if the migration did.
        database.run("SET statement_timeout = '20s'; SELECT count(*) FROM emails; RESET statement_timeout").await;
        backup.execute("ROLLBACK").await.expect("it was open");
    });
    assert_eq!(ended.code, 0, "{ended:?}");
    database.run("SELECT request_id, trace_id FROM emails").await;
}

#[tokio::test]
async fn an_index_is_built_while_the_shop_writes_and_anew_where_its_migration_was_cut() {
    let database = Database::migrated().await;
    let mut shopper = PgConnection::connect_with(&database.options()).await.expect("it answers");
    let mut cut = PgConnection::connect_with(&database.options()).await.expect("it answers");
    database
        .run(
            "DROP INDEX orders_by_time;
             DELETE FROM _sqlx_migrations WHERE description = 'index orders by time'",
        )
        .await;
    let lock = "BEGIN; LOCK TABLE orders IN ROW EXCLUSIVE MODE"; // as whoever writes has it
    shopper.execute(lock).await.expect("nobody has it");
    cut.execute("SET lock_timeout = '50ms'").await.expect("it is one");
    cut.execute("CREATE INDEX CONCURRENTLY orders_by_time ON orders (created_at)").await.expect_err("it waits");
    let valid = "SELECT count(*) FROM pg_index WHERE indexrelid = 'orders_by_time'::regclass AND indisvalid";
    let is_valid = async || sqlx::query_scalar::<_, i64>(valid).fetch_one(&database.pool).await.expect("it is there");
    assert_eq!(is_valid().await, 0, "it was cut");
    // Who waits for the turn must not be one whom the index waits for.
    let (migrations, ()) = tokio::join!(join_all((0..2).map(|_| database.kassa(&["migrate"]))), async {
        waits_for_a_lock(&database, "INDEX CONCURRENTLY").await;
        database.run("BEGIN; SET LOCAL lock_timeout = '5s'; LOCK TABLE orders IN ROW EXCLUSIVE MODE; COMMIT").await;
        shopper.execute("ROLLBACK").await.expect("it was open");
    });
    for ended in migrations {
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    assert_eq!(is_valid().await, 1);
}

/// Waits until a statement that has these words in it waits for a lock.
async fn waits_for_a_lock(database: &Database, words: &str) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                   AND wait_event_type = 'Lock' AND position($1 IN query) > 0";
    eventually("it waits for a lock", async || {
        let waits: i64 = sqlx::query_scalar(waiting).bind(words).fetch_one(&database.pool).await.expect("it answers");
        (waits > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_program_runs_on_a_newer_schema() {
    let database = Database::migrated().await;
    database
        .run(
            "ALTER TABLE orders ADD COLUMN of_tomorrow text; ALTER TABLE jobs ADD COLUMN of_tomorrow integer DEFAULT 7;
             CREATE TABLE of_tomorrow (id uuid);
             INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (99990101000000, 'of tomorrow', true, '', 0)",
        )
        .await;
    let shop = Shop::over(database, &[]).await;
    let product = shop.product(500, 3).await;
    let shopper = shop.shopper().await;
    let order = shop.paid_order(&shopper, &product, 1).await;
    shop.admin().await.refund(&order, &json!({})).await.expect(202);
    shopper.wait_for(&order, "refunded").await;
    shop.finish().await;
}
