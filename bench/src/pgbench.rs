//! pgbench (<https://www.postgresql.org/docs/current/pgbench.html>): the limit of the same Postgres. It runs with prepared statements
//! and with the settings of the shop's sessions; what it prints is kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use common::{clock::Clock, db};
use sqlx::postgres::PgConnectOptions;
use tokio::process::Command;

use crate::{
    duel::WARM_UP,
    figures::{Run, count},
    generator::{Pace, children_time},
};

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
        command.arg(format!("--client={}", script.clients)).arg(format!("--jobs={}", threads(script.clients)));
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
        let all = self.transactions()?;
        let rate = rate(&out).with_context(|| format!("pgbench tells no rate:\n{out}"))?;
        if all.is_empty() || rate <= 0.0 {
            bail!("pgbench has done nothing of {}:\n{out}\n{err}", script.name);
        }
        let took = Duration::from_secs_f64(count(all.len()) / rate);
        let generator = busy.as_secs_f64() / took.as_secs_f64();
        let run = match length {
            Length::Time(_) => warm(&all),
            Length::Transactions(_) => Run { done: all.len(), took, latencies: latencies(&all), ..Run::default() },
        };
        Ok(Run { errors: failed(&out), generator, ..run })
    }

    /// The script where it is another than before, what it prints after it, run by run.
    fn keep(&self, script: &Script<'_>, pace: Pace, out: &str, err: &str) -> Result<()> {
        let path = self.kept.join(format!("{}.txt", script.name));
        let mut text = fs::read_to_string(&path).unwrap_or_default();
        if !text.contains(script.text) {
            text.push_str(&format!("{}\n", script.text));
        }
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

    /// Puts what it printed into a folder, in the place of what was put there before.
    pub(crate) fn hand_over(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let is_printed = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "txt");
        let files = |folder: &Path| {
            let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
            let paths: Vec<PathBuf> =
                entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
            anyhow::Ok(paths.into_iter().filter(is_printed))
        };
        for old in files(folder)? {
            fs::remove_file(&old).with_context(|| format!("removing {}", old.display()))?;
        }
        for path in files(&self.kept)? {
            let to = folder.join(path.file_name().unwrap_or_default());
            fs::copy(&path, &to).with_context(|| format!("writing {}", to.display()))?;
        }
        Ok(())
    }

    /// Reads what it logged of each transaction, and removes it.
    fn transactions(&self) -> Result<Vec<Transaction>> {
        let mut transactions = Vec::new();
        for entry in fs::read_dir(&self.scratch).context("looking for pgbench's log")? {
            let path = entry?.path();
            if is_log(&path) {
                let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
                transactions.extend(text.lines().filter_map(Transaction::read));
                fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            }
        }
        Ok(transactions)
    }
}

/// One that it has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Transaction {
    /// From when it was due until its end.
    latency: Duration,
    /// Since 1970.
    ended: Duration,
}

impl Transaction {
    /// `client transaction time script epoch microseconds [lag]`: the time counts from when it was due. Failed ones have a word there.
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ').skip(2);
        let latency = Duration::from_micros(words.next()?.parse().ok()?);
        let (seconds, micros): (u64, u64) = (words.nth(1)?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { latency, ended: Duration::from_secs(seconds) + Duration::from_micros(micros) })
    }
}

/// What it does once its sessions are as warm as the shop's, which have been there for long: they are new each time, and parse, plan and
/// look things up for their first transactions.
fn warm(all: &[Transaction]) -> Run {
    let ends = || all.iter().map(|transaction| transaction.ended);
    let (first, last) = (ends().min().unwrap_or_default(), ends().max().unwrap_or_default());
    let begun = if last - first > WARM_UP { first + WARM_UP } else { first };
    let due: Vec<Transaction> = all.iter().copied().filter(|t| t.ended >= begun + t.latency).collect();
    let done = ends().filter(|ended| *ended >= begun).count();
    Run { done, took: last - begun, latencies: latencies(&due), ..Run::default() }
}

fn latencies(transactions: &[Transaction]) -> Vec<Duration> {
    transactions.iter().map(|transaction| transaction.latency).collect()
}

/// What holds in the shop's sessions, and changes plans, as libpq takes it.
fn session() -> String {
    db::SESSION.map(|(name, value)| format!("-c {name}={value}")).join(" ")
}

/// A thread for each core, as far as there are clients for them.
fn threads(clients: usize) -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(clients)
}

fn is_log(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("transactions."))
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
        let read =
            Transaction { latency: Duration::from_micros(1204), ended: Duration::from_micros(1_764_252_000_123_456) };
        assert_eq!(Transaction::read("3 17 1204 0 1764252000 123456"), Some(read));
        assert_eq!(Transaction::read("3 17 failed 0 1764252000 123456 12"), None);
    }

    #[test]
    fn what_a_cold_session_does_is_not_counted() {
        let transaction = |due: u64, ended: u64| Transaction {
            latency: Duration::from_millis(ended - due),
            ended: Duration::from_millis(ended),
        };
        let all = [transaction(1000, 1100), transaction(1010, 1500), transaction(1400, 1600), transaction(1500, 2400)];
        let run = warm(&all);
        assert_eq!((run.done, run.took), (3, Duration::from_secs(1)), "of what ended after it was warm");
        assert_eq!(run.latencies, [200, 900].map(Duration::from_millis), "of what was due after it was warm");
        assert_eq!(warm(&all[..1]).done, 1, "there is nothing else");
    }
}
