//! One of the shop's programs as a process, with its log in a file. It goes with this process, however that ends: `kassa-dev guard` sees
//! to it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use dev::{files::tail, ports, process};
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::http::{Connection, request};

/// Longest wait until a program is ready.
const START: Duration = Duration::from_secs(60);
/// Between two looks: what is measured is some tens of milliseconds.
const LOOK: Duration = Duration::from_millis(1);
/// The programs promise to end within 25 s.
const END: Duration = Duration::from_secs(30);

/// See the module.
pub(crate) struct Member {
    /// Its standard input is what keeps the program alive.
    guard: Child,
    pid: u32,
    /// Where the API is; the worker has none.
    pub(crate) api: SocketAddr,
    /// From its start until it was ready.
    pub(crate) started_within: Duration,
}

impl Member {
    /// Starts it with these variables on ports of its own, and waits until it is ready.
    pub(crate) async fn start(name: &str, programs: &Path, variables: &[(String, String)], log: &Path) -> Result<Self> {
        let port = || ports::any().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let (api, operations) = (port().context("a free port")?, port().context("a free port")?);
        let began = Instant::now();
        let mut command = Command::new(programs.join("kassa-dev"));
        command.arg("guard").arg("--keep").arg("--log").arg(log).arg("--").arg(programs.join(name));
        command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        command.env("API_ADDR", api.to_string()).env("METRICS_ADDR", operations.to_string());
        command.current_dir(log.parent().unwrap_or(Path::new("/"))); // no .env of the developer's
        // Not killed when dropped: the guard has to live on for a moment, to take the program down.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut guard = command.spawn().with_context(|| format!("running {}", programs.join("kassa-dev").display()))?;
        let mut pid = String::new();
        BufReader::new(guard.stdout.take().context("it is piped")?).read_line(&mut pid).await?;
        let pid = pid.trim().parse().with_context(|| format!("{name} was not started"))?;
        while !is_ready(operations) {
            if guard.try_wait()?.is_some() {
                bail!("{name} ended at its start; the end of its log:\n{}", tail(log, 20));
            }
            if began.elapsed() > START {
                bail!("{name} is not ready after {START:?}; the end of its log:\n{}", tail(log, 20));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(Self { guard, pid, api, started_within: began.elapsed() })
    }

    /// Its resident memory in MB, where the system tells (proc(5), `VmRSS`).
    pub(crate) fn memory(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
        Some(kilobytes * 1024.0 / 1_000_000.0)
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) {
        process::send(self.pid, Signal::SIGTERM);
        // Should it not end in time, it goes with its guard.
        let _ended = timeout(END, self.guard.wait()).await;
    }
}

/// The first look is at a port where nobody listens yet.
fn is_ready(operations: SocketAddr) -> bool {
    let asked = Connection::open(operations).and_then(|mut connection| {
        let answer = connection.ask(&request("GET", "/health/ready", &[], ""))?;
        Ok(answer.status == 200)
    });
    asked.unwrap_or(false)
}
