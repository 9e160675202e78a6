//! A flash sale: many shoppers, few units of one product, all at once; and what those who only look notice of it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use sqlx::Executor as _;
use tokio::task::block_in_place;

use super::{AT_MOST, Bench, LOOKS};
use crate::{
    figures::{Spread, count, percentile},
    generator::{Load, Pace, Requests},
    limit::Limit,
    report::{Goal, Row},
    store::Store,
    subjects::{AT_ONCE, HOT, checkout_script, get, prepare_checkout},
};

/// They look for so long before the sale.
const BEFORE: Duration = Duration::from_secs(2);

pub(super) async fn flash(bench: &mut Bench<'_>, name: &str) -> Result<Row> {
    let Bench { ground, store, scale } = bench;
    let (shoppers, units) = (scale.shoppers, scale.units);
    let script = async |store: &Store, clients| checkout_script(ground, store, HOT, clients).await;
    let prepare = async |store: &Store| prepare_checkout(store, HOT).await;
    let limit = Limit::find(ground, store, name, AT_ONCE, script, prepare).await?;
    prepare_checkout(store, HOT).await?;
    let hot_row = limit.run(ground, &store.options, Pace::Full, scale.window).await?;

    // Shoppers come from everywhere, by way of a proxy that says from where.
    store.close().await;
    let api = store.start("kassa-api", ground, &[("TRUSTED_PROXIES", "127.0.0.1/32")]).await?;
    let addr = api.api;
    store.clean().await?;
    store.fill_carts(shoppers, HOT).await?;
    set_stock(store, units).await?;
    let looks = Requests::Cycle(vec![get("/products")]);
    let looking = Load { addr, connections: AT_ONCE, requests: &looks, expected: &[200], comes_again: false };
    let buys = Requests::Once((0..shoppers).map(|shopper| buy(store, shopper)).collect());
    // Sold, or told that there is none left: both are right answers.
    let buying = Load { addr, connections: shoppers, requests: &buys, expected: &[202, 409], comes_again: true };
    let (quiet, busy, sale) = block_in_place(|| {
        let quiet = looking.run(Pace::Rate(LOOKS), BEFORE)?;
        let over = AtomicBool::new(false);
        let (busy, sale) = thread::scope(|scope| {
            let busy = scope.spawn(|| looking.run_until(Pace::Rate(LOOKS), AT_MOST, &over));
            let sale = buying.run(Pace::Full, AT_MOST);
            over.store(true, Ordering::Relaxed);
            (busy.join(), sale)
        });
        anyhow::Ok((quiet, busy.map_err(|_| anyhow!("those who look panicked"))??, sale?))
    })?;

    api.stop().await;
    let sold = store.count("SELECT count(*) FROM orders WHERE status = 'pending'").await?;
    let reserved = store.count("SELECT reserved FROM products WHERE id = bench.product_id(0)").await?;
    set_stock(store, 1_000_000_000).await?;
    ensure!(sale.errors == 0, "{} shoppers were told neither that they have it nor that it is sold out", sale.errors);
    ensure!(sale.done == shoppers, "{} of {shoppers} shoppers were answered", sale.done);
    let sold_right = count(sold) / count(units);
    Ok(Row {
        name: name.to_owned(),
        title: format!("a flash sale: {shoppers} shoppers, {units} units; sold of what was there"),
        against: "exactly all of it".to_owned(),
        goal: Some(if sold <= units { Goal::AtLeast(1.0) } else { Goal::AtMost(1.0) }),
        ratio: Some(Spread::once(sold_right)),
        ours: Some(sale.figures()),
        theirs: Some(hot_row.figures()),
        notes: vec![
            format!("{sold} sold, {reserved} reserved, {} told that it is sold out", shoppers.saturating_sub(sold)),
            format!(
                "ours are answers, refusals among them, all given within {:.2} s, with the second that those wait who are told to come again; \
                 theirs are pgbench's checkouts of the same row, without end",
                sale.took.as_secs_f64()
            ),
            format!("{} times somebody was told to come again in a second, and did", sale.put_off),
            format!(
                "GET /products meanwhile: p99 {:.1} ms, and {:.1} ms before",
                percentile(&busy.latencies, 99.0),
                percentile(&quiet.latencies, 99.0)
            ),
            limit.note(),
        ],
        ..Row::default()
    })
}

fn buy(store: &Store, shopper: usize) -> Vec<u8> {
    let from = format!("198.18.{}.{}", shopper / 250, shopper % 250); // RFC 2544: addresses of measurements
    store.request_of(shopper, "POST", "/checkout", &[("x-forwarded-for", &from)], "")
}

async fn set_stock(store: &Store, units: usize) -> Result<()> {
    let set = format!("UPDATE products SET reserved = 0, stock = {units} WHERE id = bench.product_id(0)");
    store.pool.execute(set.as_str()).await.context("setting the stock")?;
    Ok(())
}
