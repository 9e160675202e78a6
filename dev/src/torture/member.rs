//! One of the shop's programs, as often as it is started: at the same addresses, with one log. `kassa-dev guard` runs it, so that
//! it goes when this process does, however that ends.

use std::{
    env,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use dev::{files::tail, process};
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::{Mutex, MutexGuard},
    time::{Instant, timeout},
};

/// What a start takes on a slow machine.
const START: Duration = Duration::from_secs(60);
/// The programs promise to end within 25 s.
const LAST_WORK: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

/// See the module.
#[derive(Debug)]
pub(super) struct Member {
    /// As its log is called.
    pub(super) name: &'static str,
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
    health: String,
    log: PathBuf,
    running: Mutex<Running>,
}

/// A program in somebody's hand: faults take turns.
#[derive(Debug, Default)]
pub(super) struct Running(Option<Guarded>);

#[derive(Debug)]
struct Guarded {
    guard: Child,
    pid: u32,
}

impl Member {
    pub(super) fn new(
        name: &'static str,
        program: &Path,
        environment: Vec<(&'static str, String)>,
        health: String,
        logs: &Path,
    ) -> Self {
        let log = logs.join(format!("{name}.log"));
        Self { name, program: program.to_owned(), environment, health, log, running: Mutex::default() }
    }

    /// Takes it into the hand, once nobody else has it there.
    pub(super) async fn take(&self) -> MutexGuard<'_, Running> {
        self.running.lock().await
    }

    /// Starts it.
    pub(super) async fn start(&self, running: &mut Running) -> Result<()> {
        let mut command = Command::new(env::current_exe().context("finding this program")?);
        command.args(["guard", "--keep", "--log"]).arg(&self.log).arg("--").arg(&self.program);
        // What the caller has set is not for this shop. Nor is a .env in the working folder.
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value))).current_dir("/");
        // A Ctrl-C at the terminal is for this process, which stops things in order. The guard ends with its standard input.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut guard = command.spawn().with_context(|| format!("running {}", self.name))?;
        let mut said = String::new();
        let output = guard.stdout.take().context("hearing the process id")?;
        BufReader::new(output).read_line(&mut said).await.context("hearing the process id")?;
        let pid = said.trim().parse().with_context(|| format!("{} could not be started", self.name))?;
        running.0 = Some(Guarded { guard, pid });
        Ok(())
    }

    /// Waits until it answers 200 at its health check.
    pub(super) async fn ready(&self, http: &reqwest::Client) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            let asked = http.get(&self.health).timeout(Duration::from_secs(5)).send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(how) = self.take().await.ended() {
                bail!("{} ended at its start ({how}):\n{}", self.name, tail(&self.log, 15));
            }
            if Instant::now() > deadline {
                bail!("{} is not ready after {START:?}:\n{}", self.name, tail(&self.log, 15));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How it ended by itself, if it did so since somebody looked last; starts it again then, as whoever watches over it would.
    pub(super) async fn look_after(&self) -> Result<Option<String>> {
        let mut running = self.take().await;
        let Some(how) = running.ended() else { return Ok(None) };
        let told = format!("{} ended by itself ({how}); the end of its log:\n{}", self.name, tail(&self.log, 15));
        self.start(&mut running).await?;
        Ok(Some(told))
    }

    /// Lets it finish its work and end; says what is wrong with how it ended.
    pub(super) async fn stop(&self) -> Option<String> {
        let mut running = self.take().await;
        let mut guarded = running.0.take()?;
        process::send(guarded.pid, Signal::SIGTERM);
        match timeout(LAST_WORK, guarded.guard.wait()).await {
            Ok(Ok(status)) if status.success() => None,
            Ok(Ok(status)) => Some(format!("{} was asked to end, and did so with {status}", self.name)),
            Ok(Err(error)) => Some(format!("{} can't be looked after: {error}", self.name)),
            Err(_) => {
                process::send(guarded.pid, Signal::SIGKILL);
                let _ended = guarded.guard.wait().await;
                Some(format!("{} was asked to end, and did not within {LAST_WORK:?}", self.name))
            }
        }
    }
}

impl Running {
    /// Ends it at once, as the system does when memory runs out.
    pub(super) async fn kill(&mut self) {
        if let Some(mut guarded) = self.0.take() {
            process::send(guarded.pid, Signal::SIGKILL);
            let _ended = guarded.guard.wait().await;
        }
    }

    /// Lets it stand still, or go on.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(guarded) = &self.0 {
            process::send(guarded.pid, signal);
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.0.as_mut()?.guard.try_wait().ok().flatten();
        if ended.is_some() {
            self.0 = None;
        }
        ended
    }
}
