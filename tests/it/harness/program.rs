//! One of the shop's programs, as a process with a log file. Both go when it is dropped, and when this process is killed:
//! `kassa-dev guard` sees to it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::sys::signal::Signal;

use super::wait::eventually;

/// How often a start is tried again on other ports: between their choice and their use, somebody may take them.
const STARTS: usize = 3;

/// See the module.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    /// Its standard input is what keeps the program alive.
    guard: Child,
    pid: u32,
    /// Where its metrics and health are.
    pub(crate) operations: SocketAddr,
    /// Where the API is; the worker has none.
    pub(crate) api: SocketAddr,
    log: PathBuf,
}

impl Program {
    /// Starts it on free ports, and waits until it is well by this probe.
    pub(super) async fn start(
        name: &'static str,
        programs: &Path,
        variables: &[(String, String)],
        log: PathBuf,
        http: &reqwest::Client,
        probe: &str,
    ) -> Self {
        for _ in 0..STARTS {
            let mut started = Self::spawn(name, programs, variables, log.clone());
            let url = format!("http://{}/health/{probe}", started.operations);
            let ready = eventually("a program is ready", async || match http.get(&url).send().await {
                Ok(answer) if answer.status() == 200 => Some(true),
                _ if started.is_alive() => None,
                _ => Some(false),
            });
            if ready.await {
                return started;
            }
        }
        panic!("{name} ended at its start; its log:\n{}", fs::read_to_string(log).unwrap_or_default());
    }

    fn spawn(name: &'static str, programs: &Path, variables: &[(String, String)], log: PathBuf) -> Self {
        let port = || SocketAddr::from((Ipv4Addr::LOCALHOST, dev::ports::any().expect("a free port")));
        let (api, operations) = (port(), port());
        let mut command = Command::new(programs.join("kassa-dev"));
        command.arg("guard").arg("--log").arg(&log).arg("--").arg(programs.join(name));
        command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        command.env("API_ADDR", api.to_string()).env("METRICS_ADDR", operations.to_string());
        command.current_dir(std::env::temp_dir()); // no .env of the developer's
        let mut guard = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("kassa-dev was built");
        let mut pid = String::new();
        let output = guard.stdout.as_mut().expect("it is piped");
        BufReader::new(output).read_line(&mut pid).expect("kassa-dev prints text");
        let pid = pid.trim().parse().expect("kassa-dev says what it has started; else why not");
        Self { name, guard, pid, operations, api, log }
    }

    /// Whether it still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        self.guard.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// Its resident memory in KiB, where the system tells (proc(5), `VmRSS`).
    pub(crate) fn resident_memory(&self) -> Option<u64> {
        self.status("VmRSS:")
    }

    /// The most resident memory that it ever had, in KiB, where the system tells (proc(5), `VmHWM`).
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, figure: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(figure))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// All that it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        dev::process::send(self.pid, signal);
    }

    /// Lets it open so many files at most, from now on (prlimit(1), of util-linux).
    pub(crate) fn limit_files(&self, most: u32) {
        let limited =
            Command::new("prlimit").arg(format!("--pid={}", self.pid)).arg(format!("--nofile={most}")).status();
        assert!(limited.expect("util-linux is there").success());
    }

    /// Asks it to end, as an operator does.
    pub(crate) fn ask_to_end(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Waits for its end, however it comes.
    pub(crate) async fn end(&mut self) {
        eventually("a program ends", async || self.guard.try_wait().ok().flatten()).await;
    }

    /// Waits for its end, and gives its exit code.
    pub(crate) async fn exit_code(&mut self) -> i32 {
        let ended = eventually("a program ends", async || self.guard.try_wait().ok().flatten()).await;
        ended.code().expect("nobody kills kassa-dev")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of {} ---\n{}", self.name, self.log());
        }
        drop(self.guard.stdin.take());
        let _reaped = self.guard.wait();
        let _gone_already = fs::remove_file(&self.log); // that of a program that ended by itself is left
    }
}
