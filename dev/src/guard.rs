//! `kassa-dev guard`: watches over one program for somebody else. Whatever becomes of its caller, even by kill -9, its standard
//! input ends then, and the program and its log go.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::Write,
    path::Path,
    process::{ExitCode, Stdio},
};

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::{
    keep::{exit_code, hand_on},
    signals::{Signals, end_of_input},
};

/// Runs a command whose output goes to a log; prints its process id, hands signals on to it, and ends as it ends. When standard
/// input ends, the command is killed and its log removed; until then the log stays, for whoever wants to know how it ended.
/// With `keep` the log is added to, and stays in any case.
pub(crate) async fn run(log: &Path, keep: bool, command: &[OsString]) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let output = File::options().create(true).write(true).append(keep).truncate(!keep).open(log);
    let output = output.with_context(|| format!("writing {}", log.display()))?;
    let ended = watch(output, &mut signals, command).await;
    if matches!(ended, Ok(None)) && !keep {
        fs::remove_file(log).with_context(|| format!("removing {}", log.display()))?;
    }
    Ok(ended?.unwrap_or(ExitCode::SUCCESS))
}

/// How it ended, if it did so by itself.
async fn watch(output: File, signals: &mut Signals, command: &[OsString]) -> Result<Option<ExitCode>> {
    let (program, arguments) = command.split_first().context("there is no command")?;
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let mut child = command.spawn().with_context(|| format!("running {}", program.to_string_lossy()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", child.id().expect("it was not waited for")).and_then(|()| out.flush())?;
    drop(out);
    let mut end = std::pin::pin!(end_of_input());
    loop {
        tokio::select! {
            status = child.wait() => return Ok(Some(exit_code(status?))),
            signal = signals.next() => hand_on(child.id(), signal),
            () = &mut end => {
                child.kill().await.context("ending it")?;
                return Ok(None);
            }
        }
    }
}
