//! `kassa-worker`: runs the shop's jobs until it is told to stop.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use common::{
    config::{self, Environment, Program},
    db::{self, SchemaError},
    mail::Sender,
    order, telemetry,
};
use sqlx::PgPool;
use tokio::signal::unix::{SignalKind, signal};
use worker::{
    figures,
    jobs::{self, State},
    ops,
    runtime::Runtime,
    smtp::Mailer,
    stripe::Stripe,
};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => match start() {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("kassa-worker: {e:#}");
                ExitCode::FAILURE
            }
        },
        Some("--version" | "-V") => {
            println!("kassa-worker {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some("--help" | "-h") => {
            println!("Runs the jobs of a Kassa shop: Stripe, stock and mail.\n\n{}", config::help(Program::Worker));
            ExitCode::SUCCESS
        }
        Some(other) => {
            eprintln!("kassa-worker: unknown argument {other}; it is configured by its environment, see --help");
            ExitCode::from(2)
        }
    }
}

#[tokio::main]
async fn start() -> anyhow::Result<()> {
    let config = config::Worker::read(&Environment::load()?)?;
    telemetry::log_to_stderr(&config.log, config.log_format)?;
    let metrics = telemetry::record_metrics()?;
    figures::describe();
    order::describe_metrics();
    rustls::crypto::ring::default_provider().install_default().map_err(|_| anyhow::anyhow!("TLS was set up twice"))?;

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut stopped = std::pin::pin!(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping: no new jobs are taken, those that run are finished");
    });

    let pool = db::pool(config.database.options.clone(), config.database.max_connections);
    let state = State {
        pool: pool.clone(),
        stripe: Stripe::new(&config.stripe).context("the HTTP client can't be set up")?,
        livemode: config.stripe.livemode(),
        mailer: Mailer::new(&config)?,
        sender: Sender {
            store_name: config.store_name.clone(),
            public_url: config.public_url.clone(),
            currency: config.currency,
        },
        limits: config.jobs,
    };
    let runtime = Runtime::new(&pool, config.jobs, config.concurrency, state)
        .register(jobs::create_intent::run)
        .register(jobs::cancel_intent::run)
        .register(jobs::process_webhook::run)
        .register(jobs::decrement::run)
        .register(jobs::expire::run)
        .register(jobs::send_email::run);
    ops::serve(config.metrics_addr, pool.clone(), config.currency, metrics, runtime.listening())
        .await
        .with_context(|| format!("METRICS_ADDR {} can't be listened on", config.metrics_addr))?;
    tokio::select! {
        ready = wait_for_schema(&pool, &config) => ready?,
        () = &mut stopped => return Ok(()),
    }
    tracing::info!(metrics = %config.metrics_addr, concurrency = config.concurrency, "ready for jobs");
    runtime.run_until(stopped).await?;
    tracing::info!("stopped: no job is running");
    Ok(())
}

/// Whoever starts first, the API or an operator migrates; the worker waits for it.
async fn wait_for_schema(pool: &PgPool, config: &config::Worker) -> Result<(), SchemaError> {
    let mut told = false;
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    loop {
        ticks.tick().await;
        match db::check(pool, config.currency).await {
            Ok(()) => return Ok(()),
            Err(e @ SchemaError::OtherCurrency { .. }) => return Err(e),
            Err(e) if !told => {
                tracing::warn!(error = %e, "waiting for the database");
                told = true;
            }
            Err(_) => {}
        }
    }
}
