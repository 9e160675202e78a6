//! `kassa-dev postgres`: keeps a throwaway cluster for somebody else. Whatever becomes of its caller, even by kill -9, its
//! standard input ends then, and the cluster goes.

use std::{
    ffi::OsString,
    io::Write,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitCode, ExitStatus},
};

use anyhow::{Context, Result, bail};
use dev::{postgres::Throwaway, process};
use nix::sys::signal::Signal;
use sqlx::{Connection, migrate::Migrator, postgres::PgConnection};
use tokio::process::Command;

use crate::signals::{Signals, end_of_input};

/// With a folder of migrations these are applied first: from the files, as what is built from them may be waiting for it.
/// Without a command: prints the URL as the first line and waits for the end of standard input, or a signal. With one: runs it
/// with `DATABASE_URL` set, hands signals on to it, and ends as it ends; standard output is the command's alone.
pub(crate) async fn postgres(migrations: Option<&Path>, command: &[OsString]) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let mut cluster = tokio::select! {
        started = Throwaway::start() => started?,
        _ = signals.next() => return Ok(ExitCode::FAILURE),
    };
    let migrated = match migrations {
        Some(folder) => migrate(&cluster, folder).await,
        None => Ok(()),
    };
    let ended = match (migrated, command) {
        (Err(error), _) => Err(error),
        (Ok(()), []) => serve(&mut cluster, &mut signals).await,
        (Ok(()), [program, arguments @ ..]) => attend(&mut cluster, &mut signals, program, arguments).await,
    };
    cluster.stop().await;
    ended
}

async fn migrate(cluster: &Throwaway, folder: &Path) -> Result<()> {
    let migrations = Migrator::new(folder).await.with_context(|| format!("reading {}", folder.display()))?;
    let mut connection = PgConnection::connect_with(&cluster.options("postgres")).await?;
    migrations.run(&mut connection).await.with_context(|| format!("applying {}", folder.display()))?;
    connection.close().await?;
    Ok(())
}

async fn serve(cluster: &mut Throwaway, signals: &mut Signals) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", cluster.url("postgres")).and_then(|()| out.flush()).context("telling the URL")?;
    drop(out);
    tokio::select! {
        () = end_of_input() => Ok(ExitCode::SUCCESS),
        _ = signals.next() => Ok(ExitCode::SUCCESS),
        how = cluster.ended() => bail!("Postgres ended by itself: {how}"),
    }
}

async fn attend(
    cluster: &mut Throwaway,
    signals: &mut Signals,
    program: &OsString,
    arguments: &[OsString],
) -> Result<ExitCode> {
    let mut command = Command::new(program);
    command.args(arguments).env("DATABASE_URL", cluster.url("postgres")).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("running {}", program.to_string_lossy()))?;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(exit_code(status?)),
            signal = signals.next() => hand_on(child.id(), signal),
            how = cluster.ended() => bail!("Postgres ended by itself: {how}"),
        }
    }
}

/// A Ctrl-C at the terminal has reached the command already, as it is in the same group.
pub(crate) fn hand_on(pid: Option<u32>, signal: Signal) {
    if let Some(pid) = pid.filter(|_| signal != Signal::SIGINT) {
        process::send(pid, signal);
    }
}

/// As a shell tells it: 128 and the signal for a command that was killed.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
