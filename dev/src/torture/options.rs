//! What `cargo dev torture` is told.

use std::{path::PathBuf, time::Duration};

use clap::Args;

/// See [`super::run`].
#[derive(Debug, Clone, Args)]
pub(crate) struct Torture {
    /// How long shoppers buy while things break; fractions are allowed, 0.5 is the least.
    #[arg(long, value_name = "N", default_value = "2", value_parser = minutes)]
    pub(super) minutes: Minutes,
    /// Decides every fault and every choice of a shopper; random without it. It is printed, so that a run can be repeated.
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// How many shoppers buy at the same time.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(super) shoppers: u16,
    /// How many products there are; the first ones are most in demand.
    #[arg(long, value_name = "M", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) products: u16,
    /// How many units of each product there are; by default 60 for each minute, so that some sell out.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    units: Option<u32>,
    /// Builds and runs the programs as they are released.
    #[arg(long)]
    pub(super) release: bool,
    /// Keeps the logs of a run that went well, too.
    #[arg(long)]
    pub(super) keep: bool,
    /// A folder with the programs, built already.
    #[arg(long, hide = true)]
    pub(super) programs: Option<PathBuf>,
}

/// A time in minutes, as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Minutes {
    pub(super) written: String,
    pub(super) time: Duration,
}

/// The least time in which each kind of fault can come.
const LEAST: f64 = 0.5;
/// A day.
const MOST: f64 = 24.0 * 60.0;

fn minutes(written: &str) -> Result<Minutes, String> {
    let minutes: f64 = written.parse().map_err(|_| "a number of minutes is needed, such as 2 or 0.5".to_owned())?;
    if !(LEAST..=MOST).contains(&minutes) {
        return Err(format!("it has to be from {LEAST} to {MOST}"));
    }
    Ok(Minutes { written: written.to_owned(), time: Duration::from_secs_f64(minutes * 60.0) })
}

impl Torture {
    /// Units of each product.
    pub(super) fn units(&self) -> u32 {
        let minutes = self.minutes.time.as_secs().div_ceil(60);
        self.units.unwrap_or_else(|| u32::try_from(minutes * 60).unwrap_or(u32::MAX))
    }

    /// The command that repeats the run.
    pub(super) fn command(&self, seed: u64) -> String {
        let release = if self.release { " --release" } else { "" };
        format!(
            "cargo dev torture --minutes {} --seed {seed} --shoppers {} --products {} --units {}{release}",
            self.minutes.written,
            self.shoppers,
            self.products,
            self.units()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_may_be_fractions_within_reason() {
        assert_eq!(minutes("0.5").expect("enough").time, Duration::from_secs(30));
        for wrong in ["0", "-1", "NaN", "inf", "two", ""] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
    }
}
