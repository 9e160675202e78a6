//! One of the shop's programs, as a process with a log file. It is killed when it is dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::wait::eventually;

/// How often a start is tried again on other ports: between their choice and their use, somebody may take them.
const STARTS: usize = 3;

/// See the module.
#[derive(Debug)]
pub(super) struct Program {
    name: &'static str,
    process: Child,
    /// Where its metrics and health are.
    pub(super) operations: SocketAddr,
    /// Where the API is; the worker has none.
    pub(super) api: SocketAddr,
    log: PathBuf,
}

impl Program {
    /// Starts it on free ports, and waits until it is ready.
    pub(super) async fn start(
        name: &'static str,
        program: &Path,
        variables: &[(String, String)],
        log: PathBuf,
        http: &reqwest::Client,
    ) -> Self {
        for _ in 0..STARTS {
            let mut started = Self::spawn(name, program, variables, log.clone());
            let url = format!("http://{}/health/ready", started.operations);
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

    fn spawn(name: &'static str, program: &Path, variables: &[(String, String)], log: PathBuf) -> Self {
        let port = || SocketAddr::from((Ipv4Addr::LOCALHOST, dev::ports::any().expect("a free port")));
        let (api, operations) = (port(), port());
        let output = File::create(&log).expect("a log file can be made");
        let mut command = Command::new(program);
        command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        command.env("API_ADDR", api.to_string()).env("METRICS_ADDR", operations.to_string());
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a file can be had twice")).stderr(output);
        command.current_dir(std::env::temp_dir()); // no .env of the developer's
        let process = command.spawn().expect("a program that was built runs");
        Self { name, process, operations, api, log }
    }

    /// Whether it still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        self.process.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// All that it logged.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- log of {} ---\n{}", self.name, self.log());
        }
        let _gone_already = fs::remove_file(&self.log);
    }
}
