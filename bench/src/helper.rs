//! This program as its own helper: a process apart that is told to end by the end of its standard input.

use std::{io::Read as _, process::Stdio};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// The end of standard input: with the process that has its other end, however that ends. A blocked read can't be taken back, so it
/// has a thread to itself.
pub(crate) async fn end_of_input() {
    let read = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let _failed_is_ended = read.await;
}

/// A running one, which prints a line when it is ready. Gone when this is dropped.
pub(crate) struct Running {
    child: Child,
    /// What it has printed.
    pub(crate) said: String,
}

impl Running {
    /// Starts this program as one of its helpers.
    pub(crate) async fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("a program knows its path")?);
        command.args(arguments).envs(variables.iter().copied()).process_group(0).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("starting a helper")?;
        let mut said = String::new();
        BufReader::new(child.stdout.take().context("it is piped")?).read_line(&mut said).await?;
        Ok(Self { child, said: said.trim().to_owned() })
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        self.child.wait().await.context("waiting for a helper's end")?;
        Ok(())
    }
}
