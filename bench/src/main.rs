//! `cargo bench-shop`: the shop, measured against the limit of the same Postgres and of the same HTTP stack. The figures are ratios, so
//! that they mean something on another machine. docs/performance tells how to read them.

mod bare;
mod duel;
mod figures;
mod generator;
mod ground;
mod helper;
mod http;
mod limit;
mod member;
mod nothing;
mod options;
mod pgbench;
mod programs;
mod progress;
mod report;
mod rows;
mod run;
mod script;
mod store;
mod subjects;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use options::{Helper, Options};

fn main() -> ExitCode {
    let options = Options::parse();
    // Several of the crates below bring TLS; which of its implementations is used has to be said once.
    let _set_already = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().expect("the system gives threads and timers");
    let result = runtime.block_on(act(&options));
    runtime.shutdown_background(); // a thread may still wait for standard input
    result.unwrap_or_else(|error| {
        progress::note(format_args!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

async fn act(options: &Options) -> Result<ExitCode> {
    match &options.helper {
        Some(Helper::Bare { answer }) => bare::serve(answer).await?,
        Some(Helper::Worker { concurrency }) => nothing::work(*concurrency).await?,
        None if options.list => {
            let grown = rows::growth::GROWTH.iter().map(|(name, _)| name);
            rows::NAMES.iter().chain(grown).for_each(|name| println!("{name}"));
        }
        None => {
            // A run that is interrupted takes down what it has started.
            tokio::select! {
                ended = run::run(options) => ended?,
                told = told_to_stop() => {
                    told?;
                    return Ok(ExitCode::FAILURE);
                }
            };
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn told_to_stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
