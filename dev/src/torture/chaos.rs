//! The time in which shoppers buy and everything breaks.

use std::{
    fs::File,
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;

use super::{
    fault::Kind,
    ground::Ground,
    inject::inject,
    opening::Crowd,
    plan::{Planned, plan},
    report::Report,
    tally::Tally,
};
use crate::progress::{is_live, now, print, seconds};

/// Between two looks at what is shown; where nothing can be taken back, it is a line each time.
const LIVE: Duration = Duration::from_millis(250);
const LINES: Duration = Duration::from_secs(10);
/// Between two looks whether a program has ended by itself.
const WATCH: Duration = Duration::from_millis(500);

/// See the module. Every fault has ended when this returns.
pub(super) async fn rage(ground: &Ground, crowd: Crowd, seed: u64, time: Duration, tally: &Tally) -> Result<Report> {
    let (end, quiet) = (CancellationToken::new(), CancellationToken::new());
    let began = Instant::now();
    let Crowd { shoppers, admin, paid } = crowd;
    let buying = async {
        let shoppers = join_all(shoppers.into_iter().map(|shopper| shopper.run(end.clone())));
        let (bought, gave_back) = tokio::join!(shoppers, admin.run(paid, end.clone()));
        for error in bought.into_iter().chain([gave_back]).filter_map(Result::err) {
            tally.complain(format!("{error:#}"));
        }
    };
    let faults = plan(seed, time);
    let breaking = break_things(ground, &faults, tally);
    let ending = async {
        tokio::time::sleep(time).await;
        end.cancel();
    };
    let all = async {
        let (broken, (), ()) = tokio::join!(breaking, buying, ending);
        quiet.cancel();
        broken
    };
    let (broken, watched, ()) = tokio::join!(all, watch(ground, tally, &quiet), show(began, time, tally, &quiet));
    broken?;
    watched?;
    ground.mend().await?;
    let mut database = PgConnection::connect_with(&ground.database).await.context("connecting to the database")?;
    let paid = "SELECT count(*) FROM order_events WHERE kind = 'order.paid'";
    let paid = sqlx::query_scalar(paid).fetch_one(&mut database).await.context("counting paid orders")?;
    Ok(Report { bought_for: began.elapsed(), paid, ..Report::default() })
}

/// Lets each fault happen at its time, and waits for all to end.
async fn break_things(ground: &Ground, plan: &[Planned], tally: &Tally) -> Result<()> {
    let path = ground.logs.join("faults.log");
    let mut log = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
    let began = tokio::time::Instant::now();
    let mut under_way = FuturesUnordered::new();
    let mut plan = plan.iter();
    let mut next = plan.next();
    loop {
        let due = next.map(|fault| began + Duration::from_millis(fault.at_ms));
        tokio::select! {
            () = tokio::time::sleep_until(due.unwrap_or(began)), if due.is_some() => {
                if let Some(fault) = next {
                    note(&mut log, began, "begins", fault)?;
                    under_way.push(async move { (fault, inject(ground, *fault).await) });
                }
                next = plan.next();
            }
            Some((fault, struck)) = under_way.next() => {
                let struck = struck.with_context(|| format!("{}, the fault itself, failed", fault.kind.name()))?;
                note(&mut log, began, if struck { "has struck" } else { "has struck nobody" }, fault)?;
                if struck {
                    tally.struck(fault.kind);
                }
            }
            else => return Ok(()),
        }
    }
}

fn note(log: &mut File, began: tokio::time::Instant, what: &str, fault: &Planned) -> Result<()> {
    let Planned { kind, which, ms, times, .. } = fault;
    let after = began.elapsed().as_secs_f64();
    writeln!(log, "{after:>8.3} s  {} {what} (which {which}, {ms} ms, {times} times)", kind.name())
        .context("noting a fault")
}

/// Complains of programs that end by themselves, and starts them again.
async fn watch(ground: &Ground, tally: &Tally, quiet: &CancellationToken) -> Result<()> {
    while !quiet.is_cancelled() {
        for member in ground.members() {
            if let Some(told) = member.look_after().await? {
                tally.complain(told);
            }
        }
        tokio::select! {
            () = quiet.cancelled() => {}
            () = tokio::time::sleep(WATCH) => {}
        }
    }
    Ok(())
}

async fn show(began: Instant, time: Duration, tally: &Tally, quiet: &CancellationToken) {
    let pause = if is_live() { LIVE } else { LINES };
    loop {
        tokio::select! {
            () = quiet.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let elapsed = began.elapsed();
        let line = {
            let seen = tally.seen();
            let (orders, paid) = (seen.orders.len(), seen.paid.len());
            let (faults, kinds) = (seen.all_faults(), seen.faults.len());
            let ending = if elapsed > time { ", ending what is under way" } else { "" };
            format!(
                "{} of {}: {orders} orders, {paid} seen paid; {faults} faults of {kinds} kinds out of {}{ending}",
                seconds(elapsed),
                seconds(time),
                Kind::ALL.len()
            )
        };
        if is_live() { now(line) } else { print(format_args!("  {line}")) }
    }
}
