//! What a program tells Prometheus, and what both programs tell alike: their version and process, their way to Postgres, what they do to
//! orders and images. Labels are words of ours: no id, no address, nothing that a client wrote.

use std::{fmt, time::Duration};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use sqlx::PgPool;

use crate::{db, health, images, money::Currency, order, telemetry::StartError};

/// The format in which metrics are rendered.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of the histograms' buckets, in seconds: from a round trip to the database up to the longest time limits.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0];
/// The same for requests: kept answers take less than a millisecond, and nothing takes longer than 120 s.
const OF_REQUESTS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];
/// The same for what may wait: for a worker that comes back, for a day of tries, for an event that Stripe sends for three days.
const OF_WAITS: &[f64] =
    &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0, 259_200.0];

const BUILD: &str = "kassa_build_info";

/// The metrics of this process.
pub struct Exposition {
    handle: PrometheusHandle,
    process: Collector,
    pools: Vec<(&'static str, PgPool)>,
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition").field("pools", &self.pools).finish_non_exhaustive()
    }
}

impl Exposition {
    /// Records metrics from now on. Histograms are those named `…_seconds`.
    ///
    /// # Errors
    /// When something records them already.
    pub fn start(currency: Currency) -> Result<Self, StartError> {
        let handle = recorder()
            .map_err(|_| StartError("the buckets of the histograms are empty"))?
            .install_recorder()
            .map_err(|_| StartError("metrics were set up twice"))?;
        let process = Collector::default();
        process.describe();
        metrics::describe_gauge!(BUILD, "1, with the version of the program.");
        metrics::gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1);
        db::metrics::describe();
        health::describe();
        images::describe_metrics();
        order::describe_metrics(currency);
        tokio::spawn(keep_small(handle.clone()));
        Ok(Self { handle, process, pools: vec![] })
    }

    /// Tells of this pool, too, under a name.
    #[must_use]
    pub fn with_pool(mut self, name: &'static str, pool: &PgPool) -> Self {
        self.pools.push((name, pool.clone()));
        self
    }

    /// All of it as it is now, in [the format that Prometheus reads](CONTENT_TYPE).
    pub fn render(&self) -> String {
        self.process.collect();
        for (name, pool) in &self.pools {
            db::metrics::measure(name, pool);
        }
        self.handle.render()
    }
}

fn recorder() -> Result<PrometheusBuilder, BuildError> {
    // The whole name goes before its ending.
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets_for_metric(Matcher::Full("kassa_http_request_duration_seconds".into()), OF_REQUESTS)?
        .set_buckets_for_metric(Matcher::Full("kassa_job_start_delay_seconds".into()), OF_WAITS)?
        .set_buckets_for_metric(Matcher::Full("kassa_webhook_created_to_settled_seconds".into()), OF_WAITS)?
        .set_buckets_for_metric(Matcher::Full("kassa_webhook_received_to_settled_seconds".into()), OF_WAITS)
}

/// Else the samples of histograms pile up between two scrapes.
async fn keep_small(handle: PrometheusHandle) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}
