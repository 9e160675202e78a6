//! A flood of logins, each of which costs what argon2id costs by design; and what those who look at the catalogue notice of it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Result, anyhow, ensure};
use tokio::task::block_in_place;

use super::{AT_MOST, Bench, LOOKS};
use crate::{
    duel::WARM_UP,
    figures::{Figures, Run, Spread, percentile},
    generator::{Load, Pace, Requests},
    http::{Connection, request},
    report::{Goal, Row},
    subjects::{AT_ONCE, get},
};

/// So many log in, again and again.
const FLOOD: usize = 8;
/// Of those who flood.
const PASSWORD: &str = "correct horse battery staple";

pub(super) async fn logins(bench: &mut Bench<'_>, name: &str) -> Result<Row> {
    let Bench { ground, store, scale } = bench;
    store.without_worker().await;
    let addr = store.api(ground).await?;
    let email = format!("flood-{}@kassa.example", std::process::id());
    let account = format!(r#"{{"email": "{email}", "password": "{PASSWORD}"}}"#);
    let registered = Connection::open(addr)?.ask(&request("POST", "/auth/register", &[], &account))?.status;
    ensure!(registered == 201, "an account could not be made: {registered}");
    let logins = Requests::Cycle(vec![request("POST", "/auth/login", &[], &account)]);
    // Beyond what is hashed at once they are told to come later.
    let flood = Load { addr, connections: FLOOD, requests: &logins, expected: &[200, 503], comes_again: false };
    let looks = Requests::Cycle(vec![get("/products")]);
    let looking = Load { addr, connections: AT_ONCE, requests: &looks, expected: &[200], comes_again: false };
    let (mut ratios, mut quiet_runs, mut flooded_runs, mut floods) = (vec![], vec![], vec![], vec![]);
    block_in_place(|| looking.run(Pace::Full, WARM_UP))?;
    for _ in 0..scale.rounds {
        let (quiet, flooded, logins) = block_in_place(|| {
            let quiet = looking.run(Pace::Rate(LOOKS), scale.latency_window)?;
            let over = AtomicBool::new(false);
            let (logins, flooded) = thread::scope(|scope| {
                let logins = scope.spawn(|| flood.run_until(Pace::Full, AT_MOST, &over));
                let flooded = looking.run(Pace::Rate(LOOKS), scale.latency_window);
                over.store(true, Ordering::Relaxed);
                (logins.join(), flooded)
            });
            anyhow::Ok((quiet, flooded?, logins.map_err(|_| anyhow!("those who log in panicked"))??))
        })?;
        ratios.push(percentile(&flooded.latencies, 99.0) / percentile(&quiet.latencies, 99.0));
        quiet_runs.push(quiet);
        flooded_runs.push(flooded);
        floods.push(logins);
    }
    let logins = Spread::of(&floods.iter().map(Run::rate).collect::<Vec<_>>());
    let of = |runs: &[Run]| Figures { offered: LOOKS, rate: 0.0, ..Figures::of(runs.iter()) };
    Ok(Row {
        name: name.to_owned(),
        title: format!("GET /products while {FLOOD} log in without end: p99"),
        against: "the same without them".to_owned(),
        goal: Some(Goal::AtMost(2.0)),
        ratio: Spread::of(&ratios),
        ours: Some(of(&flooded_runs)),
        theirs: Some(of(&quiet_runs)),
        notes: logins
            .map(|rate| {
                format!("{:.0} logins were answered in a second meanwhile, told to come later among them", rate.median)
            })
            .into_iter()
            .collect(),
        ..Row::default()
    })
}
