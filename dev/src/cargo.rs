//! Cargo, run by a program that cargo itself has started: `cargo dev`, or a test.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// What cargo tells the programs that it starts of their package. Build scripts that watch these would run again under the
/// values of another one, and all that is built after them would be built again.
const OF_A_PACKAGE: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];

/// The cargo that started this program, or the one on PATH, without what it is told of this program's package.
#[must_use]
pub fn command() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        if OF_A_PACKAGE.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Builds the programs of packages of this workspace for a test: in the test's profile, into the folder where it is. Gives that
/// folder. Cargo does so by itself only for the package that the test belongs to.
///
/// # Panics
/// When this is no test that cargo has built, or the programs can't be built; cargo says why.
#[must_use]
pub fn build_for_test(packages: &[&str]) -> PathBuf {
    let this = env::current_exe().expect("a program knows its path");
    let programs = this.ancestors().nth(2).expect("tests are in target/<profile>/deps");
    let target = programs.parent().expect("a profile's folder is in the target folder");
    let profile = match programs.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let mut cargo = command();
    cargo.args(["build", "--quiet", "--locked", "--bins", "--profile", profile]).arg("--target-dir").arg(target);
    cargo.args(packages.iter().flat_map(|package| ["--package", package]));
    let built = cargo
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the workspace"))
        .status()
        .expect("cargo runs the tests, and can be run by them");
    assert!(built.success(), "the programs could not be built; cargo says why above");
    programs.to_owned()
}
