//! pgbench (<https://www.postgresql.org/docs/current/pgbench.html>): the limit of the same Postgres. It runs with prepared statements
//! and with the settings of the shop's sessions; what it prints is kept.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use common::{clock::Clock, db};
use sqlx::postgres::PgConnectOptions;
use tokio::process::Command;

use crate::{
    figures::{Run, count},
    generator::{Pace, children_time},
};

/// More threads than this the machines have no use for that this was made for.
const THREADS: usize = 2;

/// See the module.
pub(crate) struct Pgbench {
    pub(crate) program: PathBuf,
    pub(crate) password: String,
    /// Where its own log of transactions is written, and removed.
    pub(crate) scratch: PathBuf,
    /// Where what it prints is kept.
    pub(crate) kept: PathBuf,
}

/// How long it runs.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    /// At least a second.
    Time(Duration),
    /// So many transactions, by all clients together.
    Transactions(usize),
}

/// What pgbench is to run.
pub(crate) struct Script<'a> {
    /// Names the files.
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
    pub(crate) clients: usize,
}

impl Pgbench {
    /// Runs a script.
    ///
    /// # Errors
    /// When it fails, or a transaction of it does.
    pub(crate) async fn run(
        &self,
        database: &PgConnectOptions,
        script: &Script<'_>,
        pace: Pace,
        length: Length,
    ) -> Result<Run> {
        let file = self.scratch.join(format!("{}.sql", script.name));
        fs::write(&file, script.text).with_context(|| format!("writing {}", file.display()))?;
        let log = self.scratch.join("transactions");
        let mut command = Command::new(&self.program);
        command.args(["--no-vacuum", "--protocol=prepared", "--log"]).arg(format!("--log-prefix={}", log.display()));
        command.arg(format!("--client={}", script.clients)).arg(format!("--jobs={}", script.clients.min(THREADS)));
        match length {
            Length::Time(time) => command.arg(format!("--time={}", time.as_secs().max(1))),
            Length::Transactions(count) => command.arg(format!("--transactions={}", count / script.clients)),
        };
        command.arg("--define=i=-1").arg(format!("--define=base={}", Clock::System.now().timestamp_millis()));
        if let Pace::Rate(rate) = pace {
            command.arg(format!("--rate={rate}"));
        }
        command.arg("--file").arg(&file);
        command.arg("--host").arg(database.get_host()).arg(format!("--port={}", database.get_port()));
        command.arg("--username").arg(database.get_username()).arg(database.get_database().unwrap_or("postgres"));
        command.env("PGPASSWORD", &self.password).env("PGOPTIONS", session());
        let before = children_time();
        let ended = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
        let ended = ended.with_context(|| format!("running {}", self.program.display()))?;
        let busy = children_time().saturating_sub(before);
        let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        self.keep(script, pace, &out, &err)?;
        if !ended.status.success() {
            bail!("pgbench failed on {} ({}):\n{}", script.name, ended.status, err.trim());
        }
        let latencies = self.latencies()?;
        let rate = rate(&out).with_context(|| format!("pgbench tells no rate:\n{out}"))?;
        if latencies.is_empty() || rate <= 0.0 {
            bail!("pgbench has done nothing of {}:\n{out}\n{err}", script.name);
        }
        let done = latencies.len();
        let took = Duration::from_secs_f64(count(done) / rate);
        let generator = busy.as_secs_f64() / took.as_secs_f64();
        Ok(Run { done, latencies, errors: failed(&out), took, generator, ..Run::default() })
    }

    /// The script once, what it prints after it, run by run.
    fn keep(&self, script: &Script<'_>, pace: Pace, out: &str, err: &str) -> Result<()> {
        let path = self.kept.join(format!("{}.txt", script.name));
        let mut text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(_) => format!("{}\n", script.text),
        };
        let pace = match pace {
            Pace::Full => "at full pace".to_owned(),
            Pace::Rate(rate) => format!("at {rate:.0} a second"),
        };
        let own = self.scratch.display().to_string();
        text.push_str(&format!("--- {} clients, {pace}\n{}", script.clients, out.replace(&own, "…")));
        for line in err.lines().filter(|line| !line.starts_with("pgbench (")) {
            text.push_str(&line.replace(&own, "…"));
            text.push('\n');
        }
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// Reads what it logged of each transaction, and removes it.
    fn latencies(&self) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        for entry in fs::read_dir(&self.scratch).context("looking for pgbench's log")? {
            let path = entry?.path();
            if is_log(&path) {
                let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
                latencies.extend(text.lines().filter_map(latency));
                fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            }
        }
        Ok(latencies)
    }
}

/// What holds in the shop's sessions, and changes plans, as libpq takes it.
fn session() -> String {
    db::SESSION.map(|(name, value)| format!("-c {name}={value}")).join(" ")
}

fn is_log(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("transactions."))
}

/// `client transaction time script epoch microseconds [lag]`: the time counts from when it was due. Failed ones have a word there.
fn latency(line: &str) -> Option<Duration> {
    line.split(' ').nth(2)?.parse().ok().map(Duration::from_micros)
}

/// `tps = 1234.5 (without initial connection time)`
fn rate(out: &str) -> Option<f64> {
    let line = out.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split(' ').next()?.parse().ok()
}

/// `number of failed transactions: 0 (0.000%)`; before PostgreSQL 15, a transaction that failed ended its client.
fn failed(out: &str) -> usize {
    let line = out.lines().find_map(|line| line.strip_prefix("number of failed transactions: "));
    line.and_then(|line| line.split(' ').next()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pgbench_prints_is_read() {
        let out = "number of transactions actually processed: 9\nnumber of failed transactions: 2 (1.000%)\n\
                   latency average = 1.0 ms\ntps = 812.250000 (without initial connection time)\n";
        assert_eq!((rate(out).map(|rate| rate.to_string()), failed(out)), (Some("812.25".to_owned()), 2));
        assert_eq!(rate("pgbench: error"), None);
        assert_eq!(latency("3 17 1204 0 1764252000 123456"), Some(Duration::from_micros(1204)));
        assert_eq!(latency("3 17 failed 0 1764252000 123456 12"), None);
    }
}
