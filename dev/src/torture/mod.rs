//! `cargo dev torture`: shoppers buy from a shop of its own while everything breaks that can, at random from a seed. Then nothing
//! breaks any more, the queues drain, and it is counted whether money or stock was lost. Nothing of it touches the shop of
//! `cargo dev`, and nothing is left behind but the logs of a run that failed.
//!
//! `plan` and `wish` say what is to happen, `inject`, `shopper` and `admin` let it happen on the `ground`, `drain` waits, `audit`
//! holds the `books` against each other, `report` tells.

mod admin;
mod audit;
mod books;
mod chaos;
mod drain;
mod fault;
mod ground;
mod inject;
mod insist;
mod member;
mod opening;
mod options;
mod plan;
mod report;
mod shopper;
mod tally;
mod verdict;
mod wish;

use std::{fs, path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context, Result, bail};

pub(crate) use options::Torture;

use crate::{
    home::Home,
    progress::{Step, alert, note, print},
    settings::Settings,
    signals::Signals,
    up,
};
use ground::Ground;
use report::Report;
use tally::Tally;

/// See the module.
pub(crate) async fn run(home: &Home, options: &Torture) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    check(&Settings::from_environment()?)?;
    home.make()?;
    // Short ones are easier to hand on; they are as good.
    let seed = options.seed.unwrap_or_else(|| rand::random::<u16>().into());
    let programs = tokio::select! {
        programs = up::find_programs(home, options.release, options.programs.as_deref()) => programs?,
        _ = signals.next() => return Ok(ExitCode::FAILURE),
    };
    print(format_args!(
        "Torture with seed {seed} for {} min: {} shoppers, {} products of {} units",
        options.minutes.written,
        options.shoppers,
        options.products,
        options.units()
    ));
    let logs = home.folder().join("torture").join(format!("seed-{seed}-{}", std::process::id()));
    fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
    let ground = tokio::select! {
        ground = Ground::start(&logs, &programs) => ground,
        _ = signals.next() => {
            remove(&logs)?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let ground = ground.with_context(|| format!("the shop did not start; its logs are in {}", logs.display()))?;
    let tally = Arc::new(Tally::default());
    let outcome = tokio::select! {
        outcome = Box::pin(torture(&ground, options, seed, &tally)) => Some(outcome),
        _ = signals.next() => None,
    };
    finish(ground, outcome, options, seed, &tally, &logs).await
}

/// Only what this makes itself is ever tortured.
fn check(settings: &Settings) -> Result<()> {
    if settings.database.is_some() {
        bail!("DATABASE_URL is set, and torture refuses a database that it did not make: unset DATABASE_URL");
    }
    if settings.stripe.is_some() {
        note("STRIPE_SECRET_KEY is set, but torture uses the simulator: Stripe itself can't be made to fail");
    }
    Ok(())
}

/// The whole of it, on ground that is ready.
async fn torture(ground: &Ground, options: &Torture, seed: u64, tally: &Arc<Tally>) -> Result<Report> {
    let crowd = opening::open(ground, options, seed, tally).await?;
    let mut report = chaos::rage(ground, crowd, seed, options.minutes.time, tally).await?;
    verdict::reach(ground, options.units(), tally, &mut report).await?;
    Ok(report)
}

/// Stops everything and tells how it was.
async fn finish(
    ground: Ground,
    outcome: Option<Result<Report>>,
    options: &Torture,
    seed: u64,
    tally: &Tally,
    logs: &Path,
) -> Result<ExitCode> {
    let Some(outcome) = outcome else {
        alert("interrupted: everything is stopped, nothing is said about the shop");
        ground.kill().await;
        remove(logs)?;
        return Ok(ExitCode::FAILURE);
    };
    let failed = outcome.as_ref().map_or(true, |report| !report.failures(&tally.seen()).is_empty());
    if (failed || options.keep)
        && let Err(error) = books::keep(&ground, logs).await
    {
        alert(format_args!("the books could not be kept: {error:#}"));
    }
    let step = Step::begin("stopping everything");
    let problems = ground.stop().await;
    step.done("everything is stopped");
    let mut report = match outcome {
        Ok(report) => report,
        Err(error) => {
            return Err(error.context(format!("torture could not go on; its logs are in {}", logs.display())));
        }
    };
    report.problems.extend(problems);
    let seen = tally.seen();
    print(report.show(options, seed, &seen, logs));
    if !report.failures(&seen).is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    if !options.keep {
        remove(logs)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(logs: &Path) -> Result<()> {
    fs::remove_dir_all(logs).with_context(|| format!("removing {}", logs.display()))?;
    // Where the logs of other runs are, they stay.
    let _not_empty = logs.parent().map(fs::remove_dir);
    Ok(())
}
