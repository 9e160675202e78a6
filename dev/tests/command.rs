//! `cargo dev` where it refuses, fails and cleans up. The whole shop with its real programs is tested from the workspace's tests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output},
};

use nix::fcntl::{Flock, FlockArg};

/// A checkout with programs that are shell scripts. Removed at the end.
struct Checkout(PathBuf);

impl Checkout {
    fn new() -> Self {
        let root = std::env::temp_dir().join(format!("kassa-checkout-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir_all(root.join("dev")).unwrap();
        fs::create_dir(root.join("programs")).unwrap();
        for file in ["Cargo.toml", "dev/Cargo.toml"] {
            fs::write(root.join(file), "").unwrap();
        }
        let checkout = Self(root);
        for program in ["kassa", "kassa-api", "kassa-worker"] {
            checkout.program(program, "exit 0");
        }
        checkout
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.0.join("programs").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kassa-dev"));
        command.args(arguments).current_dir(&self.0);
        for name in ["CARGO_MANIFEST_DIR", "DATABASE_URL", "STRIPE_SECRET_KEY", "API_ADDR", "MAIL_URL"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts the shop with its scripts, which never get ready.
    fn up(&self) -> Output {
        self.run(&["--programs", "programs"])
    }

    fn dev(&self, file: &str) -> PathBuf {
        self.0.join(".dev").join(file)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let wiped = self.run(&["reset"]);
        fs::remove_dir_all(&self.0).unwrap();
        assert!(wiped.status.success() || std::thread::panicking(), "{wiped:?}");
    }
}

fn says(output: &Output, code: i32, words: &str) {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{error}");
    assert!(out.contains(words) || error.contains(words), "no `{words}` in: {out}{error}");
}

#[test]
fn what_needs_a_running_shop_says_that_there_is_none() {
    let checkout = Checkout::new();
    for command in ["status", "env", "buy"] {
        says(&checkout.run(&[command]), 1, "is not running");
    }
    says(&checkout.run(&["stop"]), 0, "was not running");
}

#[test]
fn live_keys_are_refused_before_anything_starts() {
    let checkout = Checkout::new();
    for key in ["sk_live_0123456789", "rk_live_0123456789", "pk_live_0123456789"] {
        let output = checkout.command(&["--programs", "programs"]).env("STRIPE_SECRET_KEY", key).output().unwrap();
        says(&output, 1, "STRIPE_SECRET_KEY is a live key");
    }
    assert!(!checkout.dev("postgres").exists());
}

#[test]
fn a_second_start_and_a_reset_are_refused_while_one_runs() {
    let checkout = Checkout::new();
    fs::create_dir_all(checkout.dev("logs")).unwrap();
    let held = Flock::lock(File::create(checkout.dev("lock")).unwrap(), FlockArg::LockExclusive).unwrap();
    says(&checkout.up(), 1, "another `cargo dev`");
    says(&checkout.run(&["--detach", "--programs", "programs"]), 1, "another `cargo dev`");
    says(&checkout.run(&["reset"]), 1, "is running");
    drop(held);
}

#[test]
fn reset_refuses_what_cargo_dev_did_not_make() {
    let checkout = Checkout::new();
    let given = checkout.command(&["reset"]).env("DATABASE_URL", "postgres://me@db.example/shop").output().unwrap();
    says(&given, 1, "DATABASE_URL is set");
    fs::create_dir_all(checkout.dev("postgres/data")).unwrap();
    says(&checkout.run(&["reset"]), 1, "was not made by `cargo dev`");
    assert!(checkout.dev("postgres/data").exists());
    fs::remove_dir_all(checkout.dev("postgres")).unwrap();
}

#[test]
fn a_program_that_fails_is_told_with_its_log_and_everything_stops() {
    let checkout = Checkout::new();
    checkout.program("kassa", "echo 'no such schema' >&2; exit 3");
    let output = checkout.up();
    says(&output, 1, "no such schema");
    says(&output, 1, "Postgres stopped");

    checkout.program("kassa", "exit 0");
    checkout.program("kassa-worker", "echo 'JWT_SECRET is too short' >&2; exit 1");
    checkout.program("kassa-api", "exec sleep 60");
    let output = checkout.up();
    says(&output, 1, "kassa-worker ended by itself");
    says(&output, 1, "JWT_SECRET is too short");
    assert!(fs::read_to_string(checkout.dev("logs/worker.log")).unwrap().contains("JWT_SECRET"));
    let detached = checkout.run(&["--detach", "--programs", "programs"]);
    says(&detached, 1, "JWT_SECRET is too short");
    says(&detached, 1, "the shop did not start");
    says(&checkout.run(&["status"]), 1, "is not running");
}

#[test]
fn the_callers_settings_and_ours_reach_the_programs() {
    let checkout = Checkout::new();
    checkout.program("kassa-worker", "env; exit 1");
    checkout.program("kassa-api", "exec sleep 60");
    let mut command = checkout.command(&["--programs", "programs"]);
    let output =
        command.env("RESERVATION_MINUTES", "0.1").env("LOG", "debug").env("METRICS_ADDR", "127.0.0.1:1").output();
    says(&output.unwrap(), 1, "METRICS_ADDR is one address for two programs");
    let environment = fs::read_to_string(checkout.dev("logs/worker.log")).unwrap();
    for line in [
        "RESERVATION_MINUTES=0.1",
        "LOG=debug",
        "DATABASE_URL=postgres://kassa_dev:",
        "MAIL_URL=smtp://127.0.0.1:",
        "STRIPE_API_BASE=http://127.0.0.1:",
        "STRIPE_WEBHOOK_SECRET=whsec_",
        "JWT_SECRET=",
        "MAIL_FROM=Kassa <shop@kassa.example>",
    ] {
        assert!(environment.lines().any(|found| found.starts_with(line)), "no {line} in {environment}");
    }
    assert!(!environment.contains("METRICS_ADDR=127.0.0.1:1\n"));
    let mode = fs::metadata(checkout.dev("secrets.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_interrupted_start_leaves_nothing_behind() {
    let checkout = Checkout::new();
    checkout.program("kassa-api", "exec sleep 60");
    checkout.program("kassa-worker", "kill -TERM $PPID; exec sleep 60");
    says(&checkout.up(), 1, "interrupted before the shop was ready");
    assert!(checkout.dev("postgres/data/PG_VERSION").exists(), "a server was there to be stopped");
    assert!(!checkout.dev("postgres/data/postmaster.pid").exists());
    says(&checkout.run(&["status"]), 1, "is not running");
}

#[test]
fn a_busy_api_addr_is_told() {
    let checkout = Checkout::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = checkout.command(&["--programs", "programs"]).env("API_ADDR", &addr).output().unwrap();
    says(&output, 1, "somebody listens on port");
}
