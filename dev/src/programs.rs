//! The shop's programs: built by cargo, whose own progress is shown, and found by what it says of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::home::Home;

/// Where the programs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Programs {
    pub(crate) api: PathBuf,
    pub(crate) worker: PathBuf,
    /// The operator's tool, `kassa`.
    pub(crate) operator: PathBuf,
}

impl Programs {
    /// Those in a folder, built already.
    pub(crate) fn within(folder: &Path) -> Result<Self> {
        let find = |name: &str| {
            let program = folder.join(name);
            if program.is_file() { Ok(program) } else { bail!("{} is not there", program.display()) }
        };
        Ok(Self { api: find("kassa-api")?, worker: find("kassa-worker")?, operator: find("kassa")? })
    }

    /// The folder that they are in.
    pub(crate) fn folder(&self) -> &Path {
        self.api.parent().unwrap_or(Path::new("/"))
    }

    /// Builds them.
    pub(crate) async fn build(home: &Home, release: bool) -> Result<Self> {
        let mut cargo = Command::from(dev::cargo::command());
        cargo.args(["build", "-p", "api", "-p", "worker", "-p", "cli", "--message-format=json-render-diagnostics"]);
        if release {
            cargo.arg("--release");
        }
        let mut child = cargo
            .current_dir(&home.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("running cargo")?;
        let mut lines = BufReader::new(child.stdout.take().context("reading what cargo says")?).lines();
        let mut built = BTreeMap::new();
        while let Some(line) = lines.next_line().await.context("reading what cargo says")? {
            built.extend(executable(&line));
        }
        if !child.wait().await.context("waiting for cargo")?.success() {
            bail!("the programs could not be built: cargo says why above");
        }
        let mut take = |name: &str| built.remove(name).with_context(|| format!("cargo has built no {name}"));
        Ok(Self { api: take("kassa-api")?, worker: take("kassa-worker")?, operator: take("kassa")? })
    }
}

/// The name and path of a program, if this message of cargo's tells of one.
fn executable(line: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let path = message.get("executable")?.as_str()?;
    Some((message["target"]["name"].as_str()?.to_owned(), path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_what_cargo_says() {
        let artifact =
            r#"{"reason":"compiler-artifact","target":{"name":"kassa-api"},"executable":"/t/debug/kassa-api"}"#;
        assert_eq!(executable(artifact), Some(("kassa-api".into(), "/t/debug/kassa-api".into())));
        let library = r#"{"reason":"compiler-artifact","target":{"name":"common"},"executable":null}"#;
        assert_eq!(executable(library), None);
        assert_eq!(executable("Compiling…"), None);
    }
}
