//! `cargo dev stop` and `cargo dev reset`: the end of a run, and of everything.

use std::{fs, process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use dev::postgres;
use nix::sys::signal::Signal;

use crate::{home::Home, progress::print, shop::end_leftovers, state::State, up};

/// The programs may take 30 s each, and Postgres as long.
const LONGEST: Duration = Duration::from_secs(90);

/// `cargo dev stop`: stops it and waits until it has stopped. What a crashed run has left over is ended too.
pub(crate) async fn stop(home: &Home) -> Result<ExitCode> {
    if !home.is_locked()? {
        home.make()?;
        let Some(_lock) = home.lock()? else { bail!("the shop is just being started") };
        end_leftovers(home).await?;
        postgres::end_leftover(&home.postgres()).await?;
        State::remove(home)?;
        print("The shop was not running");
        return Ok(ExitCode::SUCCESS);
    }
    let Ok(state) = State::running(home) else {
        bail!("another `cargo dev` is building this shop: stop it with Ctrl-C")
    };
    state.supervisor.signal(Signal::SIGTERM);
    if !state.supervisor.ended_within(LONGEST).await {
        bail!(
            "process {} has not stopped after {LONGEST:?}; the end of its work is in {}",
            state.supervisor.pid,
            home.shown(&home.logs())
        );
    }
    print("The shop is stopped; its data stays");
    Ok(ExitCode::SUCCESS)
}

/// `cargo dev reset`: wipes the shop's data, if `cargo dev` made it.
pub(crate) async fn reset(home: &Home) -> Result<ExitCode> {
    if up::read_settings()?.database.is_some() {
        bail!(
            "DATABASE_URL is set: `cargo dev reset` wipes only a database that `cargo dev` made. Unset it to wipe that one"
        );
    }
    if !home.folder().exists() {
        print("There is nothing to wipe");
        return Ok(ExitCode::SUCCESS);
    }
    let Some(_lock) = home.lock()? else { bail!("the shop is running: stop it with `cargo dev stop` first") };
    if postgres::made_by_us(&home.postgres()) == Some(false) {
        bail!("{} was not made by `cargo dev` (its marker is missing): nothing is wiped", home.postgres().display());
    }
    end_leftovers(home).await?;
    postgres::wipe(&home.postgres()).await?;
    fs::remove_dir_all(home.folder()).with_context(|| format!("removing {}", home.folder().display()))?;
    print("Wiped: database, images, mail, Stripe simulator, secrets and logs. The next `cargo dev` begins anew");
    Ok(ExitCode::SUCCESS)
}
