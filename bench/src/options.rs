//! What is measured, and how long.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};

/// Measures the shop against the limit of the same Postgres and of the same HTTP stack, in one run.
///
/// Starts a private Postgres, as durable as a shop's, and API and worker as they are released; fills them; then runs each row of the
/// table beside its counterpart, in turn, several times. What it prints goes to docs/performance as well, or with --quick or --row to
/// target/bench-shop. Machines are noisy: read the ratios, and leave the machine alone meanwhile.
#[derive(Debug, Parser)]
#[command(name = "cargo bench-shop", bin_name = "cargo bench-shop", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) helper: Option<Helper>,
    /// Two short rounds of most rows: within two minutes, for a first impression.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Nothing but a try whether all of it works; the figures mean nothing.
    #[arg(long, hide = true)]
    pub(crate) tiny: bool,
    /// Only the rows whose name begins so; may be given several times.
    #[arg(long = "row", value_name = "NAME")]
    pub(crate) rows: Vec<String>,
    /// Measures the rows on ten times as many products, orders, events and finished jobs as well, and shows the ratio.
    #[arg(long)]
    pub(crate) growth: bool,
    /// Writes the figures there, too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Where table, plots and what pgbench printed go.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Shows the names of the rows.
    #[arg(long)]
    pub(crate) list: bool,
}

/// What this program is to itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Helper {
    /// An axum handler that returns the bytes of FILE, until standard input ends; prints its address.
    #[command(hide = true)]
    Bare {
        /// JSON: headers and body.
        answer: PathBuf,
    },
    /// A worker with jobs that do nothing, until standard input ends.
    #[command(hide = true)]
    Worker {
        /// Jobs at once.
        #[arg(long)]
        concurrency: usize,
    },
}

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Times that each thing is measured, and each side of a comparison.
    pub(crate) rounds: usize,
    /// One measurement of a rate. pgbench takes whole seconds.
    pub(crate) window: Duration,
    /// One measurement of latencies.
    pub(crate) latency_window: Duration,
    pub(crate) products: usize,
    /// Orders of the past, with their events, mails and five finished jobs each.
    pub(crate) past: usize,
    /// Accounts: each checks out once in a measurement, as a cart can be checked out once.
    pub(crate) accounts: usize,
    /// Jobs that wait.
    pub(crate) backlog: usize,
    /// Times of which a median is taken in each round, where one thing after the other is measured.
    pub(crate) samples: usize,
    /// Shoppers in a flash sale, and what is there for them.
    pub(crate) shoppers: usize,
    pub(crate) units: usize,
    /// Whether the best number of clients is looked for, for pgbench.
    pub(crate) tries_clients: bool,
}

impl Scale {
    /// What the figures of docs/performance are measured with.
    const FULL: Self = Self {
        rounds: 5,
        window: Duration::from_secs(3),
        latency_window: Duration::from_secs(5),
        products: 10_000,
        past: 20_000,
        accounts: 25_000,
        backlog: 20_000,
        samples: 100,
        shoppers: 1000,
        units: 100,
        tries_clients: true,
    };
    const QUICK: Self = Self {
        rounds: 2,
        window: Duration::from_secs(1),
        latency_window: Duration::from_secs(1),
        past: 5_000,
        accounts: 5_000,
        backlog: 8_000,
        samples: 30,
        tries_clients: false,
        ..Self::FULL
    };
    const TINY: Self = Self {
        products: 200,
        past: 200,
        accounts: 3_000,
        backlog: 300,
        samples: 3,
        shoppers: 30,
        units: 10,
        ..Self::QUICK
    };

    pub(crate) fn of(options: &Options) -> Self {
        match options {
            Options { tiny: true, .. } => Self::TINY,
            Options { quick: true, .. } => Self::QUICK,
            _ => Self::FULL,
        }
    }

    /// Ten times as much of what grows with the years.
    pub(crate) fn grown(self) -> Self {
        Self { products: 10 * self.products, past: 10 * self.past, ..self }
    }
}
