//! What the programs tell about themselves: logs and metrics. No secret, address, token or body is ever logged.

use std::{fmt, io, str::FromStr, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// How lines are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = NotALogFormat;

    fn from_str(s: &str) -> Result<Self, NotALogFormat> {
        match s {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(NotALogFormat),
        }
    }
}

/// Neither `text` nor `json`.
#[derive(Debug, thiserror::Error)]
#[error("must be text or json")]
pub struct NotALogFormat;

/// Sends log lines to standard error from now on.
///
/// # Errors
/// When `filter` is not a filter, or something logs already.
pub fn log_to_stderr(filter: &str, format: LogFormat) -> Result<(), StartError> {
    let filter = EnvFilter::try_new(filter).map_err(|_| StartError("LOG is not a valid filter"))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let layer = match format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .map_err(|_| StartError("logging was set up twice"))
}

/// Upper bounds of the duration histograms, in seconds.
const DURATION_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Records metrics from now on; the handle renders them for Prometheus. Histograms are those named `…_seconds`.
///
/// # Errors
/// When something records them already.
pub fn record_metrics() -> Result<PrometheusHandle, StartError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), DURATION_BUCKETS)
        .map_err(|_| StartError("the buckets of the histograms are empty"))?
        .install_recorder()
        .map_err(|_| StartError("metrics were set up twice"))?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        loop {
            ticks.tick().await;
            upkeep.run_upkeep(); // else the samples of histograms pile up between two scrapes
        }
    });
    Ok(handle)
}

/// Logging or metrics could not be set up.
#[derive(Debug)]
pub struct StartError(&'static str);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for StartError {}
