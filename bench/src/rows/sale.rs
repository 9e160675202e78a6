//! A flash sale: many shoppers, few units of one product, all at once; and what those who only look notice of it.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use sqlx::Executor as _;
use tokio::task::block_in_place;

use super::{AT_MOST, Bench, LOOKS};
use crate::{
    figures::{Figures, Run, Spread, count, percentile},
    generator::{Load, Pace, Requests},
    limit::Limit,
    options::Scale,
    progress,
    report::{Goal, Row},
    store::Store,
    subjects::{AT_ONCE, HOT, checkout_script, get, prepare_checkout},
};

/// ms: half of what people take for at once (Nielsen, Usability Engineering, 1993: 0.1 s), as the way to them takes its share.
const LOOK_WITHIN: f64 = 50.0;
const RESERVED: &str = "SELECT reserved FROM products WHERE id = bench.product_id(0)";
/// Units, when there is no sale.
const PLENTY: usize = 1_000_000_000;

/// What one sale came to.
struct Sale {
    sold: usize,
    reserved: usize,
    /// Of `POST /checkout`.
    buying: Run,
    /// p99 of `GET /products`, ms.
    before: f64,
    meanwhile: f64,
}

/// Two rows: what was sold, and how long those waited who only looked.
pub(super) async fn flash(bench: &mut Bench<'_>, name: &str) -> Result<Vec<Row>> {
    let Bench { ground, store, scale } = bench;
    let script = async |store: &Store, clients| checkout_script(ground, store, HOT, clients).await;
    let prepare = async |store: &Store| prepare_checkout(store, HOT).await;
    let limit = Limit::find(ground, store, name, AT_ONCE, script, prepare).await?;
    // Shoppers come from everywhere, by way of a proxy that says from where.
    store.close().await;
    let api = store.start("kassa-api", ground, &[("TRUSTED_PROXIES", "127.0.0.1/32")]).await?;
    let (mut sales, mut hot_rows) = (vec![], vec![]);
    for round in 0..scale.rounds {
        progress::now(format_args!("{name}: round {} of {}", round + 1, scale.rounds));
        set_stock(store, PLENTY).await?;
        prepare_checkout(store, HOT).await?;
        let hot_row = limit.run(ground, &store.options, Pace::Full, scale.window).await?;
        let reserved = store.count(RESERVED).await?;
        ensure!(reserved >= hot_row.done, "pgbench has bought {} times, but {reserved} units", hot_row.done);
        hot_rows.push(hot_row);
        sales.push(sell(store, api.api, scale).await?);
    }
    api.stop().await;
    set_stock(store, PLENTY).await?;
    let reads = of_reads(&sales);
    Ok(vec![of_sales(name, &sales, &hot_rows, scale, limit.note()), reads])
}

/// Sells it once: all shoppers come at once, to an API that has nothing to do but for those who look.
async fn sell(store: &Store, addr: SocketAddr, &Scale { shoppers, units, latency_window, .. }: &Scale) -> Result<Sale> {
    store.clean().await?;
    store.fill_carts(shoppers, HOT).await?;
    set_stock(store, units).await?;
    let looks = Requests::Cycle(vec![get("/products")]);
    let looking = Load { addr, connections: AT_ONCE, requests: &looks, expected: &[200], comes_again: false };
    let buys = Requests::Once((0..shoppers).map(|shopper| buy(store, shopper)).collect());
    // Sold, or told that there is none left: both are right answers.
    let buying = Load { addr, connections: shoppers, requests: &buys, expected: &[202, 409], comes_again: true };
    let (before, meanwhile, buying) = block_in_place(|| {
        let before = looking.run(Pace::Rate(LOOKS), latency_window)?;
        let over = AtomicBool::new(false);
        let (meanwhile, buying) = thread::scope(|scope| {
            let meanwhile = scope.spawn(|| looking.run_until(Pace::Rate(LOOKS), AT_MOST, &over));
            let buying = buying.run(Pace::Full, AT_MOST);
            over.store(true, Ordering::Relaxed);
            (meanwhile.join(), buying)
        });
        anyhow::Ok((before, meanwhile.map_err(|_| anyhow!("those who look panicked"))??, buying?))
    })?;
    ensure!(
        buying.errors == 0,
        "{} shoppers were told neither that they have it nor that it is sold out",
        buying.errors
    );
    ensure!(buying.done == shoppers, "{} of {shoppers} shoppers were answered", buying.done);
    ensure!(before.errors + meanwhile.errors == 0, "{} who looked saw nothing", before.errors + meanwhile.errors);
    Ok(Sale {
        sold: store.count("SELECT count(*) FROM orders WHERE status = 'pending'").await?,
        reserved: store.count(RESERVED).await?,
        buying,
        before: percentile(&before.latencies, 99.0),
        meanwhile: percentile(&meanwhile.latencies, 99.0),
    })
}

/// What was sold of what was there: of the sale in which that is furthest from all of it.
fn of_sales(
    name: &str,
    sales: &[Sale],
    hot_rows: &[Run],
    &Scale { shoppers, units, .. }: &Scale,
    limit: String,
) -> Row {
    let parts = sales.iter().map(|sale| count(sale.sold) / count(units));
    let furthest = parts.max_by(|a, b| (a - 1.0).abs().total_cmp(&(b - 1.0).abs())).unwrap_or_default();
    let each = |told: fn(&Sale) -> String| sales.iter().map(told).collect::<Vec<_>>().join(", ");
    Row {
        name: name.to_owned(),
        title: format!("a flash sale: {shoppers} shoppers, {units} units; sold of what was there"),
        against: "exactly all of it".to_owned(),
        goal: Some(if furthest <= 1.0 { Goal::AtLeast(1.0) } else { Goal::AtMost(1.0) }),
        ratio: Some(Spread::once(furthest)),
        ours: Some(Figures::of(sales.iter().map(|sale| &sale.buying))),
        theirs: Some(Figures::of(hot_rows.iter())),
        notes: vec![
            format!(
                "sold {}; reserved {}, sale by sale",
                each(|sale| sale.sold.to_string()),
                each(|sale| sale.reserved.to_string())
            ),
            format!(
                "ours are answers, refusals among them, all given within {}, with the second that those wait who are told to come again; \
                 theirs are pgbench's checkouts of the same row, without end",
                each(|sale| format!("{:.2} s", sale.buying.took.as_secs_f64()))
            ),
            format!(
                "{} times somebody was told to come again in a second, and did",
                each(|sale| sale.buying.put_off.to_string())
            ),
            limit,
        ],
        ..Row::default()
    }
}

/// How long they wait who only look meanwhile.
fn of_reads(sales: &[Sale]) -> Row {
    let meanwhile: Vec<f64> = sales.iter().map(|sale| sale.meanwhile).collect();
    let before = Spread::of(&sales.iter().map(|sale| sale.before).collect::<Vec<_>>());
    let mut row =
        Row::within("flash_sale_reads", "GET /products during a flash sale: p99", &meanwhile, "ms", LOOK_WITHIN);
    row.notes.extend(before.map(|before| format!("before the sale {:.1} ms (p99)", before.median)));
    row
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
