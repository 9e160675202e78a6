//! `cargo dev`: the whole shop on a machine with nothing on it. It builds the programs, starts what they need, fills a demo
//! catalogue, and watches over them until it is told to stop. Development only: it refuses live keys.

mod keep;
mod signals;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs the whole shop on this machine: Postgres, Stripe simulator, mail catcher, API and worker.
#[derive(Debug, Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keeps a throwaway Postgres until standard input ends, or while COMMAND runs with its DATABASE_URL.
    #[command(hide = true)]
    Postgres {
        /// The command and its arguments.
        #[arg(last = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new().expect("the system gives threads and timers");
    let result = runtime.block_on(run(arguments));
    runtime.shutdown_background(); // a thread may still wait for standard input
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Some(Command::Postgres { command }) => keep::postgres(&command).await,
        None => Ok(ExitCode::SUCCESS),
    }
}
