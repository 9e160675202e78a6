//! The memory that both programs take together: with nothing to do, and with all that they can.

use std::{net::SocketAddr, thread, time::Duration};

use anyhow::{Context as _, Result, anyhow, ensure};
use tokio::task::block_in_place;

use super::Bench;
use crate::{
    generator::{Load, Pace, Requests},
    ground::Ground,
    http::Connection,
    member::Member,
    report::Row,
    store::Store,
    subjects::{AT_ONCE, HOT, event, get, prepare_checkout},
};

/// MB, with nothing to do and with all that they can.
const IDLE: f64 = 40.0;
const LOADED: f64 = 100.0;
/// How often it is looked at under load.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn idle(bench: &mut Bench<'_>, name: &str) -> Result<Row> {
    let Bench { ground, store, scale } = bench;
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        let addr = start_anew(store, ground).await?;
        // Somebody was there once: what is made at the first request is there.
        let status = Connection::open(addr)?.ask(&get("/products"))?.status;
        ensure!(status == 200, "GET /products is answered with {status}");
        rounds.push(used(store)?);
    }
    let mut row = Row::within(name, "memory of API and worker, idle", &rounds, "MB", IDLE);
    row.notes.push("resident, as the system counts it; the queue for which it waits is empty".to_owned());
    Ok(row)
}

pub(super) async fn loaded(bench: &mut Bench<'_>, name: &str) -> Result<Row> {
    let Bench { ground, store, scale } = bench;
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        let addr = start_anew(store, ground).await?;
        prepare_checkout(store, HOT).await?;
        rounds.push(peak(store, addr, scale.latency_window)?);
        store.close().await;
        store.clean().await?;
    }
    let mut row = Row::within(name, "memory of API and worker, at full load", &rounds, "MB", LOADED);
    row.notes.push(
        "resident, the most of all looks, while checkouts, reads and events come as fast as they are answered"
            .to_owned(),
    );
    Ok(row)
}

/// The most that they take while everything comes as fast as it is answered, for so long.
fn peak(store: &Store, addr: SocketAddr, window: Duration) -> Result<f64> {
    let buys = Requests::Once(
        (0..store.scale.accounts).map(|shopper| store.request_of(shopper, "POST", "/checkout", &[], "")).collect(),
    );
    let (looks, any) = ((0..store.scale.products), |number| get(&format!("/products/product-{number}")));
    let looks = Requests::Cycle(looks.map(any).chain([get("/products")]).collect());
    let events =
        Requests::Once((0..store.scale.accounts).map(|number| event(&format!("evt_memory_{number}"))).collect());
    let load = |requests, expected| Load { addr, connections: AT_ONCE, requests, expected, comes_again: false };
    let loads = [load(&buys, &[202][..]), load(&looks, &[200]), load(&events, &[200])];
    block_in_place(|| {
        thread::scope(|scope| {
            let running: Vec<_> = loads.iter().map(|load| scope.spawn(|| load.run(Pace::Full, window))).collect();
            let mut peak = 0.0;
            while running.iter().any(|load| !load.is_finished()) {
                peak = used(store)?.max(peak);
                thread::sleep(LOOK);
            }
            for load in running {
                load.join().map_err(|_| anyhow!("a load panicked"))??;
            }
            Ok(peak)
        })
    })
}

async fn start_anew(store: &mut Store, ground: &Ground) -> Result<SocketAddr> {
    store.close().await;
    let addr = store.api(ground).await?;
    store.with_worker(ground).await?;
    Ok(addr)
}

fn used(store: &Store) -> Result<f64> {
    let of = |member: &Option<Member>| member.as_ref().and_then(Member::memory);
    let (api, worker) = (of(&store.api), of(&store.worker));
    Ok(api.context("the system tells no memory")? + worker.context("the system tells no memory")?)
}
