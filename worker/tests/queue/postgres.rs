//! A throwaway Postgres for this run, the same as the shop's other tests have: nothing that is installed or configured on the
//! machine is touched.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use sqlx::postgres::PgConnectOptions;

struct Cluster {
    options: PgConnectOptions,
    /// Removes the cluster when its standard input ends: with this process, however that ends, so that a killed run leaves
    /// nothing behind either.
    _keeper: Child,
}

/// How to connect to it. The first who asks starts it; the others wait.
pub(crate) fn options() -> PgConnectOptions {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(start).options.clone()
}

fn start() -> Cluster {
    let mut keeper = Command::new(build())
        .arg("postgres")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kassa-dev has just been built");
    let mut url = String::new();
    let output = keeper.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut url).expect("kassa-dev prints text");
    let options = url.trim().parse().expect("there is a Postgres for the tests; kassa-dev says above what is missing");
    Cluster { options, _keeper: keeper }
}

/// Builds `kassa-dev` into the folder where the tests are, in their profile, and gives its path. Cargo does so by itself only
/// for the tests of the package `dev`.
fn build() -> PathBuf {
    let this = env::current_exe().expect("a program knows its path");
    let programs = this.ancestors().nth(2).expect("tests are in target/<profile>/deps");
    let target = programs.parent().expect("a profile's folder is in the target folder");
    let profile = match programs.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // `cargo test` has set these for this package; build scripts that watch them would run again, and so would all after them.
    for (name, _) in env::vars_os() {
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
        if of_package.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    let built = cargo
        .args(["build", "--quiet", "--locked", "--package", "dev", "--bin", "kassa-dev", "--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the workspace"))
        .status()
        .expect("cargo runs the tests, and can be run by them");
    assert!(built.success(), "kassa-dev could not be built; cargo says why above");
    programs.join("kassa-dev")
}
