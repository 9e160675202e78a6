//! `cargo dev`: the whole shop on a machine with nothing on it. It builds the programs, starts what they need, fills a demo
//! catalogue, and watches over them until it is told to stop. Development only: it refuses live keys.

mod buy;
mod child;
mod client;
mod demo;
mod detach;
mod end;
mod environment;
mod guard;
mod home;
mod keep;
mod programs;
mod progress;
mod secrets;
mod settings;
mod shop;
mod signals;
mod state;
mod status;
mod table;
mod torture;
mod up;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use buy::Way;
use home::Home;
use torture::Torture;

/// Runs the whole shop on this machine: Postgres, Stripe simulator, mail catcher, API and worker.
///
/// The caller's environment reaches the programs (RESERVATION_MINUTES=0.1 cargo dev, say). With DATABASE_URL that database is
/// used instead of a private one; with STRIPE_SECRET_KEY=sk_test_… Stripe's test mode instead of the simulator.
#[derive(Debug, Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: Up,
}

#[derive(Debug, Args)]
struct Up {
    /// Builds and runs the programs as they are released.
    #[arg(long)]
    release: bool,
    /// Returns when the shop is ready, and leaves it running.
    #[arg(long)]
    detach: bool,
    /// A folder with the programs, built already.
    #[arg(long, hide = true)]
    programs: Option<PathBuf>,
    /// This is the process that `--detach` leaves running.
    #[arg(long, hide = true)]
    detached: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Buys something from the running shop and shows each step.
    Buy(Buy),
    /// Lets shoppers buy from a shop of its own while everything breaks, and counts whether money or stock was lost.
    ///
    /// Two APIs and two workers are killed, stopped and cut off, Postgres crashes, Stripe, webhooks and mail fail in every way; all
    /// of it is decided by the seed. Then the queues drain and the books are checked: the database's, Stripe's, and what
    /// shoppers were told. Fails when money or stock is lost, a job is left over or dead, a kind of fault never happened, or
    /// fewer than 30 orders were paid a minute; then the logs are kept.
    Torture(Torture),
    /// Shows what runs and how it is; fails when the shop does not run or is not well.
    Status,
    /// Stops the shop; its data stays.
    Stop,
    /// Wipes the shop's data, unless somebody else made it.
    Reset,
    /// Prints what the programs of the running shop run with, its addresses and its logins for a shell: eval "$(cargo dev env)".
    Env,
    /// Keeps a throwaway Postgres: prints its URL and waits until standard input ends, or runs COMMAND with its DATABASE_URL.
    #[command(hide = true)]
    Postgres {
        /// Applies the migrations of this folder first.
        #[arg(long, value_name = "FOLDER")]
        migrations: Option<PathBuf>,
        /// The command and its arguments.
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// Runs COMMAND with its output in a log and prints its process id; both go when standard input ends.
    #[command(hide = true)]
    Guard {
        /// Where its output goes.
        #[arg(long, value_name = "FILE")]
        log: PathBuf,
        /// Adds to the log, which stays.
        #[arg(long)]
        keep: bool,
        /// The command and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct Buy {
    /// The bank declines the card.
    #[arg(long)]
    decline: bool,
    /// The bank asks for 3-D Secure.
    #[arg(long = "3ds")]
    three_d_secure: bool,
    /// Nobody pays.
    #[arg(long)]
    abandon: bool,
}

impl Buy {
    fn way(&self) -> Way {
        match self {
            Self { decline: true, .. } => Way::Declined,
            Self { three_d_secure: true, .. } => Way::Authenticated,
            Self { abandon: true, .. } => Way::Abandoned,
            _ => Way::Paid,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Several of the crates below bring TLS; which of its implementations is used has to be said once.
    let _set_already = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().expect("the system gives threads and timers");
    let result = runtime.block_on(run(arguments));
    runtime.shutdown_background(); // a thread may still wait for standard input
    result.unwrap_or_else(|error| {
        progress::alert(format_args!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

async fn run(Arguments { command, up }: Arguments) -> Result<ExitCode> {
    let command = match command {
        Some(Command::Postgres { migrations, command }) => {
            return keep::postgres(migrations.as_deref(), &command).await;
        }
        Some(Command::Guard { log, keep, command }) => return guard::run(&log, keep, &command).await,
        command => command,
    };
    let home = Home::find()?;
    match command {
        Some(Command::Buy(options)) => buy::run(&home, options.way()).await,
        Some(Command::Torture(options)) => torture::run(&home, &options).await,
        Some(Command::Status) => status::show(&home).await,
        Some(Command::Stop) => end::stop(&home).await,
        Some(Command::Reset) => end::reset(&home).await,
        Some(Command::Env) => status::environment(&home),
        Some(Command::Postgres { .. } | Command::Guard { .. }) => unreachable!("handled above"),
        None if up.detach => detach::run(&home, up.release, up.programs.as_deref()).await,
        None => {
            if up.detached {
                detach::leave_terminal()?;
            }
            up::run(&home, up.release, up.programs.as_deref(), up.detached).await
        }
    }
}
