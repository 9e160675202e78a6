//! Figures: what one measurement found, and the ratio of two with its spread.

use std::time::Duration;

use serde::Serialize;

/// What one measurement found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    /// What succeeded.
    pub(crate) done: usize,
    /// Of what succeeded, where they were measured.
    pub(crate) latencies: Vec<Duration>,
    /// What failed, or was answered otherwise than it should.
    pub(crate) errors: usize,
    /// How often somebody was told to come again, and did.
    pub(crate) put_off: usize,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// Processors that the load generator itself has kept busy.
    pub(crate) generator: f64,
}

impl Run {
    /// What succeeded, in a second.
    pub(crate) fn rate(&self) -> f64 {
        if self.took.is_zero() { 0.0 } else { count(self.done) / self.took.as_secs_f64() }
    }
}

/// A measurement in short.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Figures {
    /// In a second, at full load: the median of the rounds.
    pub(crate) rate: f64,
    /// At [`offered`](Self::offered), in milliseconds.
    pub(crate) p50_ms: f64,
    /// The same; 0 where nobody knows it.
    pub(crate) p99_ms: f64,
    /// In a second, while latencies were measured; 0 where nobody set a pace.
    pub(crate) offered: f64,
    /// In all measurements together.
    pub(crate) errors: usize,
    /// Processors that the load generator has kept busy, at most.
    pub(crate) generator: f64,
}

impl Figures {
    /// Several measurements as one: the median of their rates, the percentiles of all latencies.
    pub(crate) fn of<'a>(runs: impl Iterator<Item = &'a Run> + Clone) -> Self {
        let rates: Vec<f64> = runs.clone().map(Run::rate).collect();
        let latencies: Vec<Duration> = runs.clone().flat_map(|run| &run.latencies).copied().collect();
        Self {
            rate: Spread::of(&rates).map_or(0.0, |rate| rate.median),
            p50_ms: percentile(&latencies, 50.0),
            p99_ms: percentile(&latencies, 99.0),
            offered: 0.0,
            errors: runs.clone().map(|run| run.errors).sum(),
            generator: runs.map(|run| run.generator).fold(0.0, f64::max),
        }
    }
}

/// A figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` where there is no round.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
        Some(Self { median, least, most })
    }

    /// Whether it was measured several times: figures that are alike to the last digit are one.
    pub(crate) fn is_of_several(self) -> bool {
        self.least < self.most
    }

    /// One that was measured once.
    pub(crate) fn once(value: f64) -> Self {
        Self { median: value, least: value, most: value }
    }
}

/// The `percent` of these that are shortest take no longer than this, in milliseconds; 0 where there are none.
pub(crate) fn percentile(latencies: &[Duration], percent: f64) -> f64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within the list")]
    let place = (percent / 100.0 * count(sorted.len())).ceil() as usize;
    sorted.get(place.saturating_sub(1)).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

/// A number of things, as a figure.
pub(crate) fn count(things: usize) -> f64 {
    things as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let latencies: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        let of = |percent| percentile(&latencies, percent).round();
        assert_eq!([of(50.0), of(99.0), of(100.0), of(0.0)].map(|ms| ms.to_string()), ["50", "99", "100", "1"]);
        assert_eq!(percentile(&latencies[..1], 99.0).to_string(), "100");
        assert_eq!(percentile(&[], 50.0).to_string(), "0");
    }

    #[test]
    fn a_spread_has_its_middle_and_its_ends() {
        let spread = |values: &[f64]| Spread::of(values).map(|spread| (spread.median, spread.least, spread.most));
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((2.0, 1.0, 3.0)));
        assert_eq!(spread(&[4.0, 1.0]), Some((2.5, 1.0, 4.0)));
        assert_eq!(spread(&[]), None);
    }
}
