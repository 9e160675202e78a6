//! Other queues on Postgres, with the same backlog of jobs that do nothing, on the same server in the same run: graphile-worker and
//! pg-boss, as npm has them, each at the best of its settings (bench/peers).

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sqlx::Executor as _;
use tokio::process::Command;

use super::Bench;
use crate::{
    duel::Duel,
    figures::Run,
    ground::Ground,
    programs::workspace,
    report::{Goal, Row},
    subjects::Subject,
};

/// Slots of ours: theirs, too, fetch hundreds of jobs at a time here.
const SLOTS: usize = 256;
/// Where a peer's jobs are, for as long as it is measured.
const DATABASE: &str = "peer";

pub(super) async fn graphile_worker(bench: &mut Bench<'_>, name: &str) -> Result<Row> {
    let against = "graphile-worker 0.17.3, 500 fetched ahead, completions in batches";
    beside(bench, name, "graphile-worker.mjs", against).await
}

pub(super) async fn pg_boss(bench: &mut Bench<'_>, name: &str) -> Result<Row> {
    let against = "pg-boss 10.4.2, fetch and complete in batches of 500, without its pauses";
    beside(bench, name, "pg-boss.mjs", against).await
}

async fn beside(bench: &mut Bench<'_>, name: &str, script: &str, against: &str) -> Result<Row> {
    install().await?;
    let Bench { ground, store, scale } = bench;
    let title = format!(
        "a job that does nothing, {SLOTS} slots, backlog of {backlog}, beside {}",
        script.trim_end_matches(".mjs"),
        backlog = scale.backlog
    );
    let duel = Duel { name, title: &title, against, goal: Some(Goal::AtLeast(1.0)), has_latencies: false };
    let (server, backlog) = (store.pool.clone(), scale.backlog);
    let ours = async |pace, time| Subject::Jobs { at_once: SLOTS }.measure(ground, store, pace, time).await;
    let theirs = async |_, _| {
        server.execute(format!("CREATE DATABASE {DATABASE}").as_str()).await?;
        let run = work_off(ground, script, backlog).await;
        server.execute(format!("DROP DATABASE {DATABASE} WITH (FORCE)").as_str()).await?;
        run
    };
    duel.fight(scale, ours, theirs).await
}

fn folder() -> PathBuf {
    workspace().join("bench/peers")
}

/// As pinned in its lock file; nothing is asked of anybody where that was done before.
async fn install() -> Result<()> {
    if folder().join("node_modules").exists() {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    let npm = npm.args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(folder());
    let installed = npm.status().await.context("the peers need Node.js 20 or newer, and npm")?;
    ensure!(installed.success(), "`npm ci` failed in bench/peers");
    Ok(())
}

async fn work_off(ground: &Ground, script: &str, backlog: usize) -> Result<Run> {
    let mut node = Command::new("node");
    node.arg(script).arg(backlog.to_string()).env("DATABASE_URL", ground.server.url(DATABASE)).current_dir(folder());
    let ended =
        node.stdin(Stdio::null()).kill_on_drop(true).output().await.context("the peers need Node.js 20 or newer")?;
    ensure!(ended.status.success(), "{script} failed:\n{}", String::from_utf8_lossy(&ended.stderr));
    let told: Value = serde_json::from_slice(&ended.stdout).with_context(|| format!("{script} tells what it did"))?;
    let (jobs, seconds) = (told["jobs"].as_u64().unwrap_or_default(), told["seconds"].as_f64().unwrap_or_default());
    ensure!(usize::try_from(jobs)? == backlog, "{script} has done {jobs} of {backlog} jobs");
    Ok(Run { done: backlog, took: Duration::try_from_secs_f64(seconds)?, ..Run::default() })
}
