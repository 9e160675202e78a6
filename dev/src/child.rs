//! One of the shop's programs as a process: its output goes to a log, warnings and errors also to the terminal.

use std::{
    ffi::OsStr,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use dev::{
    files::tail,
    process::{self, Identity},
};
use nix::sys::signal::Signal;
use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, Command},
    sync::Mutex,
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{home::Home, progress};

/// The programs promise to end within 25 s.
const LAST_WORK: Duration = Duration::from_secs(30);
/// What a program needs from its start until it is ready, a slow machine's migrations included.
const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// See the module. It is killed when dropped; [`Program::stop`] lets it finish its work.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    child: Child,
    identity: Identity,
    log: PathBuf,
    output: JoinSet<()>,
}

impl Program {
    /// Starts it, in a process group of its own: a Ctrl-C at the terminal is for `cargo dev`, which stops things in order.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        environment: &[(&'static str, String)],
        home: &Home,
    ) -> Result<Self> {
        let log = home.log(name.trim_start_matches("kassa-"));
        keep_last_log(&log)?;
        let file = fs::File::create(&log).with_context(|| format!("writing {}", log.display()))?;
        let mut child = command(program, environment, home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("running {}", program.display()))?;
        let pid = child.id().expect("it was not waited for");
        let identity = Identity::of(pid).expect("a child is there until it is waited for, ended or not");
        let file = Arc::new(Mutex::new(File::from_std(file)));
        let mut output = JoinSet::new();
        if let Some(out) = child.stdout.take() {
            output.spawn(pump(name, out, Arc::clone(&file)));
        }
        if let Some(out) = child.stderr.take() {
            output.spawn(pump(name, out, file));
        }
        Ok(Self { name, child, identity, log, output })
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until it answers 200 at `health`.
    pub(crate) async fn ready(&mut self, http: &reqwest::Client, health: &str, home: &Home) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            let asked = http.get(health).timeout(Duration::from_secs(5)).send().await;
            if asked.as_ref().is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().context("looking after a program")? {
                bail!(self.why_it_ended(status, home).await);
            }
            if Instant::now() > deadline {
                let said = match asked {
                    Ok(answer) => format!("{} answers {}", health, answer.status()),
                    Err(error) => error.to_string(),
                };
                let log = home.shown(&self.log);
                bail!("{} is not ready after {START:?}: {said}. The end of {log}:\n{}", self.name, tail(&self.log, 20));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits for its end, which nobody asked for, and tells of it.
    pub(crate) async fn ended(&mut self, home: &Home) -> String {
        match self.child.wait().await {
            Ok(status) => self.why_it_ended(status, home).await,
            Err(error) => format!("{} can't be looked after: {error}", self.name),
        }
    }

    async fn why_it_ended(&mut self, status: ExitStatus, home: &Home) -> String {
        // The rest of its output; a process that it left behind may hold that open.
        let _rest = timeout(Duration::from_secs(1), async { while self.output.join_next().await.is_some() {} }).await;
        let log = home.shown(&self.log);
        format!("{} ended by itself ({status}). The end of {log}:\n{}", self.name, tail(&self.log, 20))
    }

    /// Whether it has not ended yet, as far as anybody looked.
    pub(crate) fn runs(&self) -> bool {
        self.child.id().is_some()
    }

    /// Lets it finish what it is at and end.
    pub(crate) async fn stop(&mut self) {
        let Some(pid) = self.child.id() else { return };
        process::send(pid, Signal::SIGTERM);
        if timeout(LAST_WORK, self.child.wait()).await.is_err() {
            progress::note(format_args!("{} did not end within {LAST_WORK:?}: it is killed", self.name));
            self.kill().await;
        }
        while self.output.join_next().await.is_some() {}
    }

    /// Ends it at once.
    pub(crate) async fn kill(&mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::debug!(%error, name = self.name, "had ended already");
        }
    }
}

/// A command in the checkout, with the caller's environment and ours above it.
pub(crate) fn command(program: impl AsRef<OsStr>, environment: &[(&'static str, String)], home: &Home) -> Command {
    let mut command = Command::new(program);
    command.current_dir(&home.root).envs(environment.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
    command
}

/// The log of the last run stays beside the new one.
fn keep_last_log(log: &Path) -> Result<()> {
    match fs::rename(log, log.with_extension("log.old")) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("moving {}", log.display()))
        }
        _ => Ok(()),
    }
}

async fn pump(name: &'static str, from: impl AsyncRead + Unpin, to: Arc<Mutex<File>>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&line);
        if is_alarming(&text) {
            progress::alert(format_args!("{name}: {}", text.trim_end()));
        }
        let mut file = to.lock().await;
        let written = file.write_all(&line).await;
        if let Err(error) = written.and(file.flush().await) {
            progress::alert(format_args!("{name}: its log can't be written: {error}"));
        }
        line.clear();
    }
}

/// Whether a line is a warning, an error or a panic, in either format of the logs.
fn is_alarming(line: &str) -> bool {
    let level = line.split_ascii_whitespace().nth(1).unwrap_or_default();
    matches!(level, "WARN" | "ERROR")
        || line.contains(r#""level":"WARN""#)
        || line.contains(r#""level":"ERROR""#)
        || line.starts_with("thread '") && line.contains("panicked at")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_and_errors_are_told_from_the_rest() {
        for line in [
            "2026-11-23T10:00:00.000000Z  WARN worker: Stripe is slow",
            "2026-11-23T10:00:00.000000Z ERROR api::ops: no database",
            r#"{"timestamp":"2026-11-23T10:00:00Z","level":"ERROR","message":"no database"}"#,
            "thread 'main' (12) panicked at worker/src/main.rs:1:1:",
        ] {
            assert!(is_alarming(line), "{line}");
        }
        for line in ["2026-11-23T10:00:00Z  INFO api: WARN is a word", "", "   at src/main.rs"] {
            assert!(!is_alarming(line), "{line}");
        }
    }
}
