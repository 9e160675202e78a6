//! `kassa jobs`: what is in the queue, and what is to be done about the jobs that were given up.

mod list;
mod show;

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{
    Subcommand,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use common::{
    id::JobId,
    jobs::{self, DismissError, Filter, Retried, RetryError, State, Which},
    page::Limit,
    prune,
};
use sqlx::PgPool;

use crate::{operator::operator, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists jobs, the newest first
    ///
    /// A job is pending, retrying (pending after a failed attempt), running, done, or dead (given up, and kept).
    List {
        /// Only those of this queue, such as email.send
        #[arg(long, value_name = "NAME")]
        queue: Option<String>,
        /// Only those in this state
        #[arg(long, value_parser = PossibleValuesParser::new(State::ALL.map(State::as_str)).try_map(|s| s.parse::<State>()))]
        state: Option<State>,
        /// At most as many
        #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..).map(Limit::new))]
        limit: Limit,
        /// Prints them for machines, with everything that is known
        #[arg(long)]
        json: bool,
    },
    /// Shows one job with its latest attempts that went wrong
    Show {
        /// Its id
        id: JobId,
        /// Prints it for machines
        #[arg(long)]
        json: bool,
    },
    /// Runs dead jobs again, as if they had just been enqueued
    ///
    /// What the job is about (a mail, an event, a refund) waits for it again. One that it needs no more is done; one is left dead where
    /// another job about the same lives.
    #[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
    Retry {
        /// Which jobs
        #[arg(group = "which", conflicts_with_all = ["all", "queue", "error_contains"])]
        ids: Vec<JobId>,
        /// All dead jobs
        #[arg(long, group = "which")]
        all: bool,
        /// All dead jobs of this queue
        #[arg(long, value_name = "NAME", group = "which")]
        queue: Option<String>,
        /// All dead jobs whose last error has this text in it
        #[arg(long, value_name = "TEXT", group = "which")]
        error_contains: Option<String>,
    },
    /// Puts dead jobs aside for good, with the mails or events that they were about
    ///
    /// These are kept, and no longer counted: a mail to an address that doesn't exist, another shop's event. Nothing is done about them.
    Dismiss {
        /// Which jobs
        #[arg(required = true)]
        ids: Vec<JobId>,
    },
    /// Removes jobs that were done long ago; dead ones are kept
    ///
    /// The worker does so by itself each hour.
    Prune {
        /// Only those that were done so many days ago; fractions allowed
        #[arg(long, value_name = "DAYS", default_value_t = 7.0, value_parser = days)]
        older_than: f64,
    },
}

fn days(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(days) if days >= 0.0 && Duration::try_from_secs_f64(days * DAY).is_ok() => Ok(days),
        _ => Err("must be a number of days".into()),
    }
}

/// How many dead jobs are run again before they are told of.
const BATCH: i64 = 100;

const DAY: f64 = 24.0 * 60.0 * 60.0;

/// Runs the command.
pub(crate) async fn run(command: Command, pool: &PgPool) -> anyhow::Result<()> {
    match command {
        Command::List { queue, state, limit, json } => {
            list::run(&Filter { state, queue, limit, before: None }, json, pool).await
        }
        Command::Show { id, json } => show::run(id, json, pool).await,
        Command::Retry { ids, all: _, queue, error_contains } if ids.is_empty() => {
            retry_all(Which { queue, error_contains, after: None }, pool).await
        }
        Command::Retry { ids, .. } => {
            for id in ids {
                match jobs::retry(pool, operator(), id).await {
                    Ok(retried) => tell(id, retried)?,
                    Err(error @ (RetryError::NotFound | RetryError::NotDead(_))) => bail!("{id}: {error}"),
                    Err(RetryError::Database(error)) => return Err(error).context(format!("{id} was not run again")),
                }
            }
            Ok(())
        }
        Command::Dismiss { ids } => {
            for id in ids {
                match jobs::dismiss(pool, operator(), id).await {
                    Ok(()) => output::line(&format!("{id} is no longer counted."))?,
                    Err(DismissError::Database(error)) => return Err(error).context(format!("{id} is counted still")),
                    Err(error) => bail!("{id}: {error}"),
                }
            }
            Ok(())
        }
        Command::Prune { older_than } => {
            let removed = prune::done_jobs(pool, Duration::from_secs_f64(older_than * DAY)).await?;
            output::line(&format!("{removed} done jobs were removed."))
        }
    }
}

/// Tells of each as soon as it is done, so that a failure on the way leaves nobody in doubt.
async fn retry_all(mut which: Which, pool: &PgPool) -> anyhow::Result<()> {
    let mut found_any = false;
    loop {
        let batch = jobs::retry_some(pool, operator(), &which, BATCH).await;
        let batch =
            batch.context("the other dead jobs could not be run again: `kassa jobs list --state dead` shows them")?;
        found_any |= !batch.jobs.is_empty();
        batch.jobs.iter().try_for_each(|job| tell(job.id, job.outcome))?;
        match batch.last {
            None => break,
            behind => which.after = behind,
        }
    }
    if found_any { Ok(()) } else { output::line("No dead job matches.") }
}

fn tell(id: JobId, retried: Retried) -> anyhow::Result<()> {
    let what = match retried {
        Retried::Enqueued => "is due now",
        Retried::AnotherLives => "is left: another job about the same lives",
        Retried::NotNeeded => "is not run again: what it is about needs it no more",
    };
    output::line(&format!("{id} {what}."))
}
