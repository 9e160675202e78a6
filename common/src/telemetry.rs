//! What the programs tell people: logs. No secret, address, token or body is ever logged.

mod fields;
mod lines;

use std::{
    fmt,
    fs::File,
    io::{self, IsTerminal as _},
    os::fd::AsFd as _,
    str::FromStr,
};

use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use lines::Lines;
pub use lines::LogGuard;

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

/// Sends log lines to standard error from now on, a few together. What was not sent yet is sent when the [`LogGuard`] is dropped.
///
/// # Errors
/// When `filter` is not a filter, standard error is closed, or something logs already.
pub fn log_to_stderr(filter: &str, format: LogFormat) -> Result<LogGuard, StartError> {
    let filter = EnvFilter::try_new(filter).map_err(|_| StartError("LOG is not a valid filter"))?;
    let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(|_| StartError("standard error can't be used"))?;
    let (lines, guard) = Lines::to(File::from(stderr)).map_err(|_| StartError("there is no thread to log by"))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(lines);
    let layer = match format {
        LogFormat::Text if io::stderr().is_terminal() => lines.with_ansi(true).boxed(),
        LogFormat::Text => lines.with_ansi(false).fmt_fields(fields::Plain).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .map_err(|_| StartError("logging was set up twice"))?;
    Ok(guard)
}

/// Logging or metrics could not be set up.
#[derive(Debug)]
pub struct StartError(pub(crate) &'static str);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for StartError {}
