//! What the API and the worker have in common as programs: arguments, configuration, exit codes, the signals to stop.

use std::{
    env,
    error::Error,
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, Environment, Problems, Program};

/// Runs a program that is configured by its environment alone. It ends with 0 once it was told to stop, with 1 when it failed,
/// and with 2 when its arguments or its configuration can't be used, which is then said on standard error. What only `run` can
/// tell of the configuration, it tells as [`Problems`].
pub fn main<C, E: Display + AsRef<dyn Error>>(
    program: Program,
    about: &str,
    read: impl FnOnce(&Environment) -> Result<C, Problems>,
    run: impl AsyncFnOnce(C) -> Result<(), E>,
) -> ExitCode {
    let name = program.name();
    match env::args().nth(1).as_deref() {
        None => {}
        Some("--help" | "-h") => {
            println!("{name}: {about}\n\nUsage: {name} [--help | --version]\n\n{}", config::help(program));
            return ExitCode::SUCCESS;
        }
        Some("--version" | "-V") => {
            println!("{name} {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(_) => {
            eprintln!("{name} takes no arguments; its configuration is in the environment: see {name} --help");
            return ExitCode::from(2);
        }
    }
    let config = match Environment::load().and_then(|environment| read(&environment)) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{name}: {problems}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{name}: there are no threads to run on: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // In one write: threads that still log write to the same file.
            let last_words = format!("{name}: {error:#}\n");
            let _nobody_to_tell = io::stderr().write_all(last_words.as_bytes());
            if error.as_ref().is::<Problems>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// From now on SIGTERM and SIGINT no longer end the process; the future resolves at the first of them.
///
/// # Errors
/// When the system refuses the handlers.
pub fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
