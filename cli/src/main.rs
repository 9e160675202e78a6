//! `kassa`: the operator's tool. It works on the database and speaks to none of the shop's programs, so that it helps where those
//! don't run. `kassa reconcile` and `kassa doctor` alone speak to others.

mod admin;
mod database;
mod doctor;
mod jobs;
mod net;
mod operator;
mod order;
mod output;
mod reconcile;
#[cfg(test)]
mod runbooks;
mod table;
mod verify;
mod webhooks;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use common::{
    cause::{self, Cause},
    config::{self, Environment, Operator, Program},
    db,
    traceparent::Traceparent,
};
use sqlx::PgPool;

/// Runs a Kassa shop from the command line.
///
/// Exit codes: 0 when all is well, 1 when `verify`, `reconcile` or `doctor` found something wrong, 2 when a command could not do its work.
#[derive(Debug, Parser)]
#[command(name = "kassa", version, after_help = config::help(Program::Operator))]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    OnDatabase(OnDatabase),
    /// Looks at all that the shop needs, and says how to mend what isn't well
    ///
    /// Reads all that the API and the worker read (see their --help), so run it with their environment. A line each: ✓ well, ! worth a
    /// look, ✗ wrong, - not looked at. Only ✗ makes the exit code 1.
    Doctor(doctor::Arguments),
}

/// What needs a database that can be used.
#[derive(Debug, Subcommand)]
enum OnDatabase {
    /// Brings the database up to date; safe to repeat, and while the shop runs
    Migrate,
    /// Administrators
    #[command(subcommand)]
    Admin(admin::Command),
    /// Checks the shop's invariants on a snapshot of the database
    Verify(verify::Arguments),
    /// Orders
    #[command(subcommand)]
    Order(order::Command),
    /// The queue
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// What Stripe has told the shop
    #[command(subcommand)]
    Webhooks(webhooks::Command),
    /// Compares the shop's books with Stripe's, and mends the shop's
    ///
    /// The worker does so by itself each hour (RECONCILE_MINUTES).
    Reconcile(reconcile::Arguments),
}

fn main() -> ExitCode {
    match start(Arguments::parse().command) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("kassa: {}", output::causes(&e));
            ExitCode::from(2)
        }
    }
}

#[tokio::main]
async fn start(command: Command) -> anyhow::Result<ExitCode> {
    let environment = Environment::load()?;
    match command {
        Command::OnDatabase(command) => on_database(command, &environment).await,
        Command::Doctor(arguments) => doctor::run(&arguments, &environment).await,
    }
}

async fn on_database(command: OnDatabase, environment: &Environment) -> anyhow::Result<ExitCode> {
    let config = Operator::read(environment)?;
    let pool = database::reach(config.database).await?;
    if matches!(command, OnDatabase::Migrate) {
        db::migrate(&pool, config.currency).await?;
    } else {
        db::check(&pool, config.currency).await?;
    }
    // What an operator has done is found by its trace, too.
    let cause = Cause { request_id: None, trace: Traceparent::start() };
    let code = cause::scope(cause, run(command, environment, &pool)).await;
    pool.close().await;
    code
}

async fn run(command: OnDatabase, environment: &Environment, pool: &PgPool) -> anyhow::Result<ExitCode> {
    match command {
        OnDatabase::Migrate => output::line("The database is up to date.").map(|()| ExitCode::SUCCESS),
        OnDatabase::Admin(command) => admin::run(command, pool).await.map(|()| ExitCode::SUCCESS),
        OnDatabase::Verify(arguments) => verify::run(&arguments, pool).await,
        OnDatabase::Order(command) => order::run(command, pool).await.map(|()| ExitCode::SUCCESS),
        OnDatabase::Jobs(command) => jobs::run(command, pool).await.map(|()| ExitCode::SUCCESS),
        OnDatabase::Webhooks(command) => webhooks::run(command, pool).await.map(|()| ExitCode::SUCCESS),
        OnDatabase::Reconcile(arguments) => {
            reconcile::run(&arguments, &config::Reconciliation::read(environment)?, pool).await
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Arguments::command().debug_assert();
    }
}
