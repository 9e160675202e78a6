//! Checkout by many at once. Each cart is checked out once, so each request is another shopper's. The worker rests: what it does
//! afterwards is no part of the answer, nor of what pgbench does.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::block_in_place;

use super::AT_ONCE;
use crate::{
    figures::Run,
    generator::{Load, Pace, Requests},
    ground::Ground,
    http::Connection,
    script::{Name, script},
    store::{Store, product_id, user_id},
};

/// The product of all carts, as SQL of the shopper's number.
pub(crate) const HOT: &str = "0";

/// Another product for each, far from the one before: as SQL of the shopper's number.
pub(crate) fn distinct(store: &Store) -> String {
    format!("(n * 7919) % {}", store.scale.products)
}

pub(super) async fn check_out(
    ground: &Ground,
    store: &mut Store,
    product: &str,
    pace: Pace,
    limit: Duration,
) -> Result<Run> {
    store.without_worker().await;
    let addr = store.api(ground).await?;
    prepare(store, product).await?;
    let requests = Requests::Once((0..store.scale.accounts).map(|shopper| check_out_of(store, shopper)).collect());
    let load = Load { addr, connections: AT_ONCE, requests: &requests, expected: &[202], comes_again: false };
    let run = block_in_place(|| load.run(pace, limit))?;
    let orders = store.count("SELECT count(*) FROM orders WHERE status = 'pending'").await?;
    ensure!(orders >= run.done, "{} checkouts were answered, but there are {orders} orders", run.done);
    Ok(run)
}

/// Before each measurement, ours or pgbench's: nothing sold, and every cart full.
pub(crate) async fn prepare(store: &Store, product: &str) -> Result<()> {
    store.clean().await?;
    store.fill_carts(store.scale.accounts, product).await
}

/// After each one of pgbench's.
pub(crate) async fn carts_are_left(store: &Store) -> Result<()> {
    let left = store.count("SELECT count(*) FROM cart_items").await?;
    ensure!(left > 0, "pgbench ran out of carts: there have to be more accounts");
    Ok(())
}

fn check_out_of(store: &Store, shopper: usize) -> Vec<u8> {
    store.request_of(shopper, "POST", "/checkout", &[("idempotency-key", &key(shopper))], "")
}

fn key(shopper: usize) -> String {
    format!("bench-key-{shopper}")
}

/// The same statements as the shop's, for other shoppers' carts. `clients` are as many as pgbench has; `product` is SQL, as above.
pub(crate) async fn script_for(ground: &Ground, store: &Store, product: &str, clients: usize) -> Result<String> {
    let statements = record(ground, store, product).await?;
    let of_recorded: i64 =
        sqlx::query_scalar(&format!("SELECT ({product})::bigint FROM generate_series({SHOPPER}, {SHOPPER}) n"))
            .fetch_one(&store.pool)
            .await?;
    let names = [
        Name::new(user_id(SHOPPER).to_string(), "bench.user_id(:user)"),
        Name::new(product_id(usize::try_from(of_recorded)?).to_string(), "bench.product_id(:product)"),
        Name::new(key(SHOPPER), "'bench-key-' || :user::text"),
    ];
    let product = product.replace('n', ":user");
    let head = format!("\\set user :client_id + {clients} * :i\n\\set product {product}\n");
    script(&head, &statements, &names)
}

/// The one whose checkout is recorded: not the first, whose number is everywhere.
const SHOPPER: usize = 77;

async fn record(ground: &Ground, store: &Store, product: &str) -> Result<Vec<crate::script::Statement>> {
    prepare(store, product).await?;
    let ask = async |addr| {
        let mut connection = Connection::open(addr)?;
        let answer = connection.ask(&check_out_of(store, SHOPPER))?;
        ensure!(answer.status == 202, "a checkout is answered with {}", answer.status);
        Ok(())
    };
    store.record(ground, ask).await
}
