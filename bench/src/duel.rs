//! Two things measured in turn: the shop, and the limit that it is held against. First their rates, round by round, and who begins
//! changes; then their latencies, at a rate that both can do.

use std::time::Duration;

use anyhow::Result;

use crate::{
    figures::{Figures, Run, Spread, percentile},
    generator::Pace,
    options::Scale,
    progress,
    report::{Goal, Row},
};

/// Latencies are measured at this part of the rate that the slower one can do.
const OFFERED: f64 = 0.5;
/// Until connections are open, statements prepared and pages in memory.
pub(crate) const WARM_UP: Duration = Duration::from_millis(300);
/// A schedule needs a rate above nothing.
const LEAST_RATE: f64 = 1.0;

/// What is compared.
pub(crate) struct Duel<'a> {
    pub(crate) name: &'a str,
    pub(crate) title: &'a str,
    pub(crate) against: &'a str,
    /// The ratio of the rates that is to be reached; without one it is told only.
    pub(crate) goal: Option<Goal>,
    /// Whether its latencies are measured, too.
    pub(crate) has_latencies: bool,
}

impl Duel<'_> {
    /// Fights it. Each side is a measurement at a pace, for so long.
    pub(crate) async fn fight(
        &self,
        scale: &Scale,
        mut ours: impl AsyncFnMut(Pace, Duration) -> Result<Run>,
        mut theirs: impl AsyncFnMut(Pace, Duration) -> Result<Run>,
    ) -> Result<Row> {
        let (mut our_side, mut their_side) = (Side::default(), Side::default());
        let mut ratios = Vec::new();
        progress::now(format_args!("{}: warming up", self.title));
        ours(Pace::Full, WARM_UP).await?;
        theirs(Pace::Full, WARM_UP).await?;
        for round in 0..scale.rounds {
            progress::now(format_args!("{}: round {} of {}", self.title, round + 1, scale.rounds));
            let (our_rate, their_rate);
            if round % 2 == 0 {
                our_rate = our_side.took(Pace::Full, &ours(Pace::Full, scale.window).await?);
                their_rate = their_side.took(Pace::Full, &theirs(Pace::Full, scale.window).await?);
            } else {
                their_rate = their_side.took(Pace::Full, &theirs(Pace::Full, scale.window).await?);
                our_rate = our_side.took(Pace::Full, &ours(Pace::Full, scale.window).await?);
            }
            ratios.push(our_rate / their_rate);
        }
        if self.has_latencies {
            let slower = our_side.rate().min(their_side.rate());
            let pace = Pace::Rate((OFFERED * slower).max(LEAST_RATE));
            progress::now(format_args!("{}: latencies", self.title));
            our_side.took(pace, &ours(pace, scale.latency_window).await?);
            their_side.took(pace, &theirs(pace, scale.latency_window).await?);
        }
        let row = Row {
            name: self.name.to_owned(),
            title: self.title.to_owned(),
            against: self.against.to_owned(),
            goal: self.goal,
            ratio: Spread::of(&ratios),
            ours: Some(our_side.figures()),
            theirs: Some(their_side.figures()),
            ..Row::default()
        };
        Ok(row)
    }
}

/// What was measured of one.
#[derive(Default)]
struct Side {
    rates: Vec<f64>,
    figures: Figures,
}

impl Side {
    /// Adds a measurement, and gives its rate.
    fn took(&mut self, pace: Pace, run: &Run) -> f64 {
        let rate = run.rate();
        self.figures.errors += run.errors;
        match pace {
            Pace::Full => {
                self.figures.generator = self.figures.generator.max(run.generator);
                self.rates.push(rate);
            }
            Pace::Rate(_) => {
                self.figures.offered = pace.offered();
                self.figures.p50_ms = percentile(&run.latencies, 50.0);
                self.figures.p99_ms = percentile(&run.latencies, 99.0);
            }
        }
        rate
    }

    fn rate(&self) -> f64 {
        Spread::of(&self.rates).map_or(0.0, |spread| spread.median)
    }

    fn figures(&self) -> Figures {
        Figures { rate: self.rate(), ..self.figures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(per_second: usize) -> Run {
        let took = Duration::from_secs(1);
        Run { done: per_second, latencies: vec![took], took, ..Run::default() }
    }

    #[tokio::test]
    async fn both_sides_take_turns_and_the_ratio_is_that_of_each_round() {
        let duel = Duel { name: "a", title: "A", against: "b", goal: Some(Goal::AtLeast(0.5)), has_latencies: true };
        let scale = Scale { rounds: 3, ..Scale::of(&clap::Parser::parse_from(["bench"])) };
        let mut order = std::cell::RefCell::new(vec![]);
        let mut rates = [1, 80, 40, 60].into_iter();
        let ours = async |pace: Pace, _| {
            order.borrow_mut().push('o');
            Ok(run(if matches!(pace, Pace::Full) { rates.next().unwrap() } else { 10 }))
        };
        let theirs = async |_, _| {
            order.borrow_mut().push('t');
            Ok(run(100))
        };
        let row = duel.fight(&scale, ours, theirs).await.unwrap();
        assert_eq!(order.get_mut().iter().collect::<String>(), "otottootot");
        let ratio = row.ratio.unwrap();
        assert_eq!([ratio.median, ratio.least, ratio.most].map(|r| r.to_string()), ["0.6", "0.4", "0.8"]);
        assert_eq!(row.ours.unwrap().offered.to_string(), "30", "half of what the slower one can do");
        assert_eq!(row.is_met(), Some(true));
    }
}
