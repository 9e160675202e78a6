//! What is told of a shop with little to do: how soon it is ready, and how soon an order can be paid.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::task::block_in_place;

use super::Bench;
use crate::{
    figures::{Figures, Spread, percentile},
    generator::Pace,
    ground::Ground,
    http::{Connection, request},
    pgbench::{Length, Script},
    report::{Goal, Row},
    store::Store,
    subjects::{HOT, prepare_checkout},
};

/// Seconds from its start until a program is ready, at most.
const READY: f64 = 0.2;
/// Starts that are measured of each program.
const STARTS: usize = 5;
/// A commit of one row, as an order has four of them on its way to the client secret.
const COMMIT: &str = "UPDATE schedules SET next_at = next_at WHERE queue = 'maintenance.prune';\n";
const COMMITS: f64 = 4.0;

pub(super) async fn ready(bench: &mut Bench<'_>, name: &str) -> Result<Row> {
    let Bench { ground, store, .. } = bench;
    store.close().await;
    let mut slower = Vec::new();
    for _ in 0..STARTS {
        let api = store.start("kassa-api", ground, &[]).await?;
        let worker = store.start("kassa-worker", ground, &[]).await?;
        slower.push(api.started_within.max(worker.started_within).as_secs_f64());
        api.stop().await;
        worker.stop().await;
    }
    Ok(Row::within(name, "start to ready, API or worker, the slower one", &slower, "s", READY))
}

pub(super) async fn secret(bench: &mut Bench<'_>, name: &str) -> Result<Row> {
    let Bench { ground, store, scale } = bench;
    prepare_checkout(store, HOT).await?;
    let addr = store.api(ground).await?;
    store.with_worker(ground).await?; // the row of the commits below is its, too
    let mut connection = Connection::open(addr)?;
    let mut shoppers = 0..;
    let mut check_out = |store: &Store| {
        let shopper = shoppers.next().context("there are as many as numbers")?;
        let ask = store.request_of(shopper, "POST", "/checkout", &[("prefer", "wait=10")], "");
        let began = Instant::now();
        let status = block_in_place(|| connection.ask(&ask).map(|answer| answer.status))?;
        ensure!(status == 201, "a checkout that waits is answered with {status}");
        anyhow::Ok(began.elapsed())
    };
    check_out(store)?; // the first one prepares statements, and opens the connection to Stripe
    let (mut ratios, mut all, mut stripes, mut commits) = (vec![], vec![], vec![], vec![]);
    let script = Script { name, text: COMMIT, clients: 1 };
    for _ in 0..scale.rounds {
        let took = (0..scale.samples).map(|_| check_out(store)).collect::<Result<Vec<_>>>()?;
        let stripe = stripe_times(ground, scale.samples)?;
        let commit = ground.pgbench.run(&store.options, &script, Pace::Full, Length::Time(scale.window)).await?;
        let [ours, of_stripe, of_commit] = [&took, &stripe, &commit.latencies].map(|times| percentile(times, 50.0));
        ratios.push(ours / (of_stripe + COMMITS * of_commit));
        all.extend(took);
        stripes.extend(stripe);
        commits.extend(commit.latencies);
    }
    store.without_worker().await;
    store.clean().await?;
    let [ours, stripe, commit] = [&all, &stripes, &commits].map(|times| percentile(times, 50.0));
    Ok(Row {
        name: name.to_owned(),
        title: "checkout to client secret, idle: p50".to_owned(),
        against: "the simulator's answer and four commits".to_owned(),
        goal: Some(Goal::AtMost(2.0)),
        ratio: Spread::of(&ratios),
        ours: Some(Figures { p50_ms: ours, p99_ms: percentile(&all, 99.0), ..Figures::default() }),
        theirs: Some(Figures { p50_ms: stripe + COMMITS * commit, ..Figures::default() }),
        notes: vec![format!("the simulator takes {stripe:.2} ms (p50), a commit of one row {commit:.2} ms (p50)")],
        ..Row::default()
    })
}

/// What the simulator takes to make an intent, on a kept connection.
fn stripe_times(ground: &Ground, samples: usize) -> Result<Vec<Duration>> {
    let form = "amount=1500&currency=usd&automatic_payment_methods[enabled]=true";
    let headers = [
        ("authorization", "Bearer sk_test_simulator"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-length", &*form.len().to_string()),
    ];
    let head = request("GET", "/v1/payment_intents", &headers, "");
    let ask = [String::from_utf8_lossy(&head).replacen("GET", "POST", 1).as_bytes(), form.as_bytes()].concat();
    let mut connection = Connection::open(ground.stripe.addr())?;
    let mut took = Vec::new();
    for _ in 0..=samples {
        let began = Instant::now();
        let status =
            block_in_place(|| connection.ask(&ask).map(|answer| answer.status)).context("asking the simulator")?;
        ensure!(status == 200, "the simulator answers with {status}");
        took.push(began.elapsed());
    }
    Ok(took.split_off(1))
}
