//! The shop's programs, built by cargo as they are released: in the profile of this program.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// What is measured, and what keeps it.
const PACKAGES: [&str; 3] = ["api", "worker", "dev"];

/// Builds them, and gives their folder; cargo shows its progress.
pub(crate) async fn build() -> Result<PathBuf> {
    let this = env::current_exe().context("a program knows its path")?;
    let programs = this.parent().context("a program is in a folder")?;
    let target = programs.parent().context("a profile's folder is in the target folder")?;
    let profile = if is_released() { "release" } else { "dev" };
    let mut cargo = Command::from(dev::cargo::command());
    cargo.args(["build", "--quiet", "--locked", "--bins", "--profile", profile]).arg("--target-dir").arg(target);
    cargo.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    let built = cargo.current_dir(workspace()).status().await.context("running cargo")?;
    ensure!(built.success(), "the programs could not be built; cargo says why above");
    Ok(programs.to_owned())
}

/// Whether this is the profile in which figures mean something.
pub(crate) fn is_released() -> bool {
    !cfg!(debug_assertions)
}

/// The checkout that this was built from.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
