//! Every step of every job, crossed with every fault: whatever strikes when, the work is done once. The matrix is printed. `cargo test`
//! takes a part of it, `cargo test -p tests --features faults` the whole.

use std::{io::Write as _, sync::Arc, time::Instant};

use tokio::{sync::Semaphore, task::LocalSet};

use super::{
    step::{Moment, Scene, Work},
    strike::Fault,
};
use crate::harness::with_defaults;

/// Shops at once.
const AT_ONCE: usize = 3;
/// The same where they wait for leases most of the time.
const AT_ONCE_WITH_DEFAULTS: usize = 8;

type Cell = (Work, Moment, Fault);

/// What became of a cell.
struct Outcome {
    cell: Cell,
    is_well: bool,
    seconds: f64,
}

async fn run(cell: Cell) {
    let (work, moment, fault) = cell;
    let mut scene = Scene::held(work, moment).await;
    fault.strike(&mut scene).await;
    scene.ends_well().await;
}

async fn run_all(cells: &[Cell]) -> Vec<Outcome> {
    let local = LocalSet::new();
    let turns = Arc::new(Semaphore::new(if with_defaults() { AT_ONCE_WITH_DEFAULTS } else { AT_ONCE }));
    let running: Vec<_> = cells
        .iter()
        .map(|&cell| {
            let turns = Arc::clone(&turns);
            let task = local.spawn_local(async move {
                let _turn = turns.acquire().await.expect("it is never closed");
                let began = Instant::now();
                run(cell).await;
                began.elapsed().as_secs_f64()
            });
            (cell, task)
        })
        .collect();
    local
        .run_until(async {
            let mut outcomes = Vec::with_capacity(running.len());
            for (cell, task) in running {
                let ended = task.await; // a cell that panicked has said why
                outcomes.push(Outcome { cell, is_well: ended.is_ok(), seconds: ended.unwrap_or(f64::NAN) });
            }
            outcomes
        })
        .await
}

/// The matrix for people, printed past the test's capture.
fn print(outcomes: &[Outcome]) {
    let mut table = format!("\n{:<24}{:<26}", "job", "step");
    for fault in Fault::ALL {
        table += &format!("{fault:<12}");
    }
    for work in Work::ALL {
        for &moment in work.moments() {
            let cell = |fault| match outcomes.iter().find(|o| o.cell == (work, moment, fault)) {
                Some(outcome) if outcome.is_well => format!("✓ {:.1} s", outcome.seconds),
                Some(_) => "✗".to_owned(),
                None => "·".to_owned(),
            };
            table += &format!("\n{work:<24}{moment:<26}");
            for fault in Fault::ALL {
                table += &format!("{:<12}", cell(fault));
            }
        }
    }
    let _nobody_reads_it = writeln!(std::io::stderr(), "{table}\n");
}

async fn all_end_well(cells: &[Cell]) {
    let outcomes = run_all(cells).await;
    print(&outcomes);
    let failed: Vec<_> = outcomes.iter().filter(|o| !o.is_well).map(|o| o.cell).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[cfg(not(feature = "faults"))]
#[tokio::test]
async fn whatever_strikes_a_worker_at_a_step_its_work_is_done_once() {
    let kills = Work::ALL.into_iter().enumerate().map(|(n, work)| {
        let moments = work.moments();
        (work, moments[n % moments.len()], Fault::Kill)
    });
    let others = [
        (Work::CreateIntent, Moment::After, Fault::Kill),
        (Work::Refund, Moment::After, Fault::Kill),
        (Work::Refund, Moment::Unacknowledged, Fault::Kill),
        (Work::ProcessWebhook, Moment::Uncommitted, Fault::Cut),
        (Work::Decrement, Moment::Unacknowledged, Fault::Cut),
        (Work::CreateIntent, Moment::After, Fault::Freeze),
        (Work::Refund, Moment::Before, Fault::Freeze),
        (Work::ProcessImage, Moment::Before, Fault::Freeze),
    ];
    let mut cells: Vec<Cell> = kills.collect();
    cells.extend(others);
    cells.dedup();
    all_end_well(&cells).await;
}

#[cfg(feature = "faults")]
#[tokio::test]
async fn whatever_strikes_a_worker_at_any_step_its_work_is_done_once() {
    let mut cells = Vec::new();
    for work in Work::ALL {
        for &moment in work.moments() {
            cells.extend(Fault::ALL.map(|fault| (work, moment, fault)));
        }
    }
    if with_defaults() {
        cells.retain(|(.., fault)| *fault == Fault::Kill); // half an hour otherwise
    }
    all_end_well(&cells).await;
}
