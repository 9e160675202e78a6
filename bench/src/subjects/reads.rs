//! The catalogue, as anybody reads it.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, ensure};
use tokio::task::block_in_place;

use super::AT_ONCE;
use crate::{
    bare::Returned,
    figures::Run,
    generator::{Load, Pace, Requests},
    ground::Ground,
    http::{Connection, request},
    script::{Name, script},
    store::{Store, product_id},
};

/// The one that is asked for again and again.
const PRODUCT: usize = 7;

pub(super) async fn list(
    ground: &Ground,
    store: &mut Store,
    connections: usize,
    pace: Pace,
    limit: Duration,
) -> Result<Run> {
    let addr = store.api(ground).await?;
    read(addr, connections, vec![get("/products")], pace, limit)
}

pub(super) async fn product(
    ground: &Ground,
    store: &mut Store,
    connections: usize,
    pace: Pace,
    limit: Duration,
) -> Result<Run> {
    let addr = store.api(ground).await?;
    read(addr, connections, vec![get(&product_path(PRODUCT))], pace, limit)
}

pub(super) async fn any_product(
    ground: &Ground,
    store: &mut Store,
    connections: usize,
    pace: Pace,
    limit: Duration,
) -> Result<Run> {
    let addr = store.api(ground).await?;
    let requests = (0..store.scale.products).map(|number| get(&product_path(number))).collect();
    read(addr, connections, requests, pace, limit)
}

pub(super) async fn search(ground: &Ground, store: &mut Store, pace: Pace, limit: Duration) -> Result<Run> {
    let addr = store.api(ground).await?;
    let words: Vec<String> =
        sqlx::query_scalar("SELECT bench.search(n) FROM generate_series(0, 9999) n").fetch_all(&store.pool).await?;
    // Another limit of the price each time: no answer is kept from one to the next.
    let path = |(number, words): (usize, &String)| search_path(words, 1_000_000 + number);
    let requests = words.iter().enumerate().map(path).map(|path| get(&path)).collect();
    read(addr, AT_ONCE, requests, pace, limit)
}

/// Any load that only reads.
pub(crate) fn read(
    addr: SocketAddr,
    connections: usize,
    requests: Vec<Vec<u8>>,
    pace: Pace,
    limit: Duration,
) -> Result<Run> {
    let requests = Requests::Cycle(requests);
    let load = Load { addr, connections, requests: &requests, expected: &[200], comes_again: false };
    block_in_place(|| load.run(pace, limit))
}

/// What the shop answers to a path, for the bare server to return the same.
pub(crate) async fn answer(ground: &Ground, store: &mut Store, path: &str) -> Result<Returned> {
    let addr = store.api(ground).await?;
    let mut connection = Connection::open(addr)?;
    let answer = connection.ask(&get(path))?;
    ensure!(answer.status == 200, "{path} is answered with {}", answer.status);
    Ok(Returned::as_answered(&answer))
}

/// The same search as the shop's, with other words each time.
pub(crate) async fn search_script(ground: &Ground, store: &Store) -> Result<String> {
    let words: String = sqlx::query_scalar("SELECT bench.search(123)").fetch_one(&store.pool).await?;
    let path = search_path(&words, 1_000_000);
    let ask = async |addr| {
        let mut connection = Connection::open(addr)?;
        let answer = connection.ask(&get(&path))?;
        ensure!(answer.status == 200, "a search is answered with {}", answer.status);
        ensure!(answer.json()["items"].as_array().is_some_and(|items| !items.is_empty()), "a search found nothing");
        Ok(())
    };
    let statements = store.record(ground, ask).await?;
    let head = format!("\\set n random(0, {})\n", store.scale.products - 1);
    script(&head, &statements, &[Name::new(words, "bench.search(:n)")])
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    request("GET", path, &[], "")
}

pub(crate) fn product_path(number: usize) -> String {
    format!("/products/{}", product_id(number))
}

/// The path of the product that is asked for again and again.
pub(crate) fn one_product() -> String {
    product_path(PRODUCT)
}

fn search_path(words: &str, max_price: usize) -> String {
    format!("/products?q={}&max_price={max_price}", words.replace(' ', "+"))
}
