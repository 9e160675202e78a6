//! From the configuration to a running worker, and from a signal to its end.

use std::{pin::pin, sync::Arc, time::Duration};

use anyhow::Context as _;
use common::{
    account::ResetTokens,
    config, db,
    images::Storage,
    inventory::LowStock,
    jobs::{Prune, Queue, Reconcile, SweepImages},
    mail::Sender,
    metrics::Exposition,
    program, telemetry,
};

use crate::{
    jobs::{self, Context},
    metrics, ops,
    runtime::Runtime,
    smtp::Mailer,
    stripe::{self, Stripe},
};

/// Often enough that no batch is large.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);
/// All keys are listed each time; what is found does no harm meanwhile.
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs jobs until SIGTERM or SIGINT, then finishes those that run.
///
/// # Errors
/// When an address is taken, the way to Stripe or of mails can't be set up, or the database is one that this program can't work
/// with: of another currency, say. A database that merely doesn't answer, or is not migrated yet, is waited for.
pub async fn run(config: config::Worker) -> anyhow::Result<()> {
    let _guard = telemetry::log_to_stderr(&config.log, config.log_format)?;
    let metrics = Exposition::start(config.currency)?;
    metrics::describe();
    stripe::set_up_tls();
    let mut stopped = pin!(program::told_to_stop()?);

    let pool = db::pool(config.database.options.clone(), config.database.max_connections);
    let storage = Storage::open(&config.images.store).map_err(config::Problems::from)?;
    let context = Context {
        pool: pool.clone(),
        stripe: Stripe::new(&config.stripe).context("the HTTP client can't be set up")?,
        livemode: config.stripe.livemode(),
        mailer: Mailer::new(&config)?,
        sender: Sender {
            store_name: config.store_name.clone(),
            public_url: config.public_url.clone(),
            currency: config.currency,
            resets: ResetTokens::new(&config.jwt_secrets),
        },
        storage,
        max_pixels: config.images.max_pixels,
        decoding: Arc::default(),
        limits: config.jobs,
        unfulfillable: config.unfulfillable,
        low_stock: config.operator_email.map(|to| LowStock { to, threshold: config.low_stock_threshold }),
        retention: config.retention,
    };
    let runtime = Runtime::new(&pool, config.jobs, config.concurrency, context)
        .register(jobs::create_intent::run)
        .register(jobs::cancel_intent::run)
        .register(jobs::refund::run)
        .register(jobs::process_webhook::run)
        .register(jobs::decrement::run)
        .register(jobs::expire::run)
        .register(jobs::send_email::run)
        .register(jobs::process_image::run)
        .register(jobs::remove_image::run)
        .register(jobs::sweep_images::run)
        .register(jobs::reconcile::run)
        .register(jobs::prune::run)
        .schedule(Reconcile {}, config.reconcile_every)
        .schedule(Prune {}, PRUNE_EVERY)
        .schedule(SweepImages {}, SWEEP_EVERY);
    for queue in Queue::ALL {
        anyhow::ensure!(
            runtime.serves(queue),
            "the jobs of {} would never be run: no handler is registered",
            queue.name()
        );
    }
    let metrics = metrics.with_pool("handlers", &pool).with_pool("queue", runtime.pool());
    let shared = ops::Shared { pool: pool.clone(), currency: config.currency, metrics, listening: runtime.listening() };
    let shared = Arc::new(shared);
    tokio::spawn(ops::watch(shared.clone()));
    ops::serve(config.metrics_addr, shared).await.with_context(|| {
        format!("METRICS_ADDR (each program on a machine needs its own): can't listen on {}", config.metrics_addr)
    })?;
    tracing::info!(metrics_addr = %config.metrics_addr, "listening");

    tokio::select! {
        usable = db::wait_until_usable(&pool, config.currency, false) => usable.context("the database can't be used")?,
        () = &mut stopped => return Ok(()),
    }
    tracing::info!(concurrency = config.concurrency, "ready for jobs");
    tokio::spawn(metrics::tables::sample(pool, config.low_stock_threshold));
    runtime.run_until(stopped).await?;
    tracing::info!("stopped: no job is running");
    Ok(())
}
