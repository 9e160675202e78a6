//! `cargo dev --detach`: starts the shop in a process of its own and returns when it is ready, or tells why it is not.

use std::{
    fs::File,
    io::{Read, Write, stdout},
    path::Path,
    process::{ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use dev::process;
use nix::sys::signal::Signal;
use tokio::process::{Child, Command};

use crate::{
    home::Home,
    progress::print,
    signals::Signals,
    state::{Phase, State},
    table, up,
};

const LOOK: Duration = Duration::from_millis(50);

/// See the module.
pub(crate) async fn run(home: &Home, release: bool, built: Option<&Path>) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    home.make()?;
    if home.is_locked()? {
        bail!(up::runs_already(home));
    }
    up::read_settings()?;
    let programs = tokio::select! {
        programs = up::find_programs(home, release, built) => programs?,
        _ = signals.next() => return Ok(ExitCode::FAILURE),
    };
    let log = home.log("dev");
    let output = File::create(&log).with_context(|| format!("writing {}", log.display()))?;
    let mut child = Command::new(std::env::current_exe().context("finding this program")?)
        .args(["--detached", "--programs"])
        .arg(programs.folder())
        .stdin(Stdio::null())
        .stdout(output.try_clone().context("sharing the log")?)
        .stderr(output)
        .spawn()
        .context("starting the shop")?;
    let mut told = File::open(&log).with_context(|| format!("reading {}", log.display()))?;
    loop {
        tokio::select! {
            signal = signals.next() => {
                hand_on(&child, signal);
                child.wait().await.context("waiting for the shop to stop")?;
                pass_on(&mut told)?;
                return Ok(ExitCode::FAILURE);
            }
            () = tokio::time::sleep(LOOK) => {}
        }
        let ended = child.try_wait().context("looking after the shop")?;
        pass_on(&mut told)?;
        if let Some(status) = ended {
            bail!("the shop did not start ({status}); {} says why, and so do the logs beside it", home.shown(&log));
        }
        if let Some(state) =
            State::load(home).filter(|state| Some(state.supervisor.pid) == child.id() && state.phase == Phase::Ready)
        {
            print(format_args!("\nThe shop is ready and stays up.\n\n{}", table::of(&state, home, true)));
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// The first thing that the new process does: leaves the terminal, whose end would be its own.
pub(crate) fn leave_terminal() -> Result<()> {
    nix::unistd::setsid().map(drop).context("leaving the terminal")
}

fn hand_on(child: &Child, signal: Signal) {
    if let Some(pid) = child.id() {
        process::send(pid, signal);
    }
}

/// Shows what the shop has said meanwhile.
fn pass_on(told: &mut File) -> Result<()> {
    let mut news = Vec::new();
    told.read_to_end(&mut news).context("reading what the shop says")?;
    let _gone = stdout().lock().write_all(&news);
    Ok(())
}
