//! The guard: a program and its log go with whoever has the guard's standard input.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use dev::process::Identity;
use nix::sys::signal::Signal;

fn log() -> PathBuf {
    std::env::temp_dir().join(format!("kassa-test-guard-{}.log", uuid::Uuid::new_v4().simple()))
}

/// A guard, and the process of the command that it has started, unless that has ended already.
fn guard(log: &Path, command: &[&str]) -> (Child, Option<Identity>) {
    let mut guard = Command::new(env!("CARGO_BIN_EXE_kassa-dev"));
    guard.args(["guard", "--log"]).arg(log).arg("--").args(command);
    let mut guard = guard.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut pid = String::new();
    BufReader::new(guard.stdout.as_mut().unwrap()).read_line(&mut pid).unwrap();
    (guard, Identity::of(pid.trim().parse().unwrap()))
}

#[tokio::test]
async fn a_program_and_its_log_go_when_the_input_ends() {
    let log = log();
    let (mut guard, program) = guard(&log, &["sleep", "600"]);
    let program = program.expect("it sleeps");
    assert!(program.is_running() && log.exists());
    drop(guard.stdin.take()); // as the system does when the owner is killed
    assert!(guard.wait().unwrap().success());
    assert!(program.ended_within(Duration::from_secs(10)).await);
    assert!(!log.exists());
}

#[tokio::test]
async fn a_program_that_ends_by_itself_leaves_its_log_and_its_exit_code() {
    let log = log();
    let (mut guard, _) = guard(&log, &["sh", "-c", "echo out; echo err >&2; exit 7"]);
    let _open = guard.stdin.take(); // waiting would close it
    assert_eq!(guard.wait().unwrap().code(), Some(7));
    assert_eq!(fs::read_to_string(&log).unwrap(), "out\nerr\n");
    fs::remove_file(log).unwrap();
}

#[tokio::test]
async fn a_signal_is_handed_on() {
    let log = log();
    let (mut guard, program) = guard(&log, &["sleep", "600"]);
    let program = program.expect("it sleeps");
    let _open = guard.stdin.take();
    dev::process::send(guard.id(), Signal::SIGTERM);
    assert_eq!(guard.wait().unwrap().code(), Some(128 + Signal::SIGTERM as i32));
    assert!(!program.is_running());
    fs::remove_file(log).unwrap();
}
