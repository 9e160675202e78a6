//! The rows of the table, in its order. Each has a name, and what it takes to measure it.

mod catalogue;
mod checkout;
mod flood;
pub(crate) mod growth;
mod idle;
mod jobs;
mod memory;
mod peers;
mod sale;
mod webhooks;

use std::time::Duration;

use anyhow::Result;

use crate::{ground::Ground, options::Scale, report::Row, store::Store};

/// Those who look at the catalogue while others want something of the shop, in a second.
const LOOKS: f64 = 100.0;
/// The others give up after that.
const AT_MOST: Duration = Duration::from_secs(60);

/// What the rows are measured with.
pub(crate) struct Bench<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) store: &'a mut Store,
    pub(crate) scale: Scale,
}

/// All names, in the order in which the rows are measured. `flash_sale` has two rows.
pub(crate) const NAMES: [&str; 19] = [
    "products_16",
    "products_64",
    "product_16",
    "product_64",
    "product_any_16",
    "search",
    "checkout",
    "checkout_hot",
    "webhooks",
    "jobs",
    "jobs_graphile_worker",
    "jobs_pg_boss",
    "job_start",
    "client_secret",
    "flash_sale",
    "login_flood",
    "memory_idle",
    "memory_load",
    "start",
];

/// Those that take too long for a first impression, or tell little that the others don't: a quick run measures them only if they are asked
/// for, a whole one always.
pub(crate) const SLOW: [&str; 5] =
    ["products_64", "product_64", "product_any_16", "jobs_graphile_worker", "jobs_pg_boss"];

/// Measures one row, and those that come with it.
///
/// # Errors
/// When it can't be measured.
pub(crate) async fn measure(name: &str, bench: &mut Bench<'_>) -> Result<Vec<Row>> {
    let row = match name {
        "products_16" => catalogue::list(bench, name, 16).await,
        "products_64" => catalogue::list(bench, name, 64).await,
        "product_16" => catalogue::product(bench, name, 16).await,
        "product_64" => catalogue::product(bench, name, 64).await,
        "product_any_16" => catalogue::any_product(bench, name, 16).await,
        "search" => catalogue::search(bench, name).await,
        "checkout" => checkout::distinct_products(bench, name).await,
        "checkout_hot" => checkout::one_product(bench, name).await,
        "webhooks" => webhooks::events(bench, name).await,
        "jobs" => jobs::backlog(bench, name).await,
        "jobs_graphile_worker" => peers::graphile_worker(bench, name).await,
        "jobs_pg_boss" => peers::pg_boss(bench, name).await,
        "job_start" => jobs::start(bench, name).await,
        "client_secret" => idle::secret(bench, name).await,
        "flash_sale" => return sale::flash(bench, name).await,
        "login_flood" => flood::logins(bench, name).await,
        "memory_idle" => memory::idle(bench, name).await,
        "memory_load" => memory::loaded(bench, name).await,
        "start" => idle::ready(bench, name).await,
        _ => anyhow::bail!("there is no row {name}"),
    };
    Ok(vec![row?])
}
