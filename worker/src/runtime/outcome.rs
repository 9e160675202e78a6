//! What becomes of a job after an attempt: what its handler says, and what follows from that.

use std::{fmt, time::Duration};

use common::{
    config::JobLimits,
    db,
    jobs::{CompleteError, GivesUp},
};

use super::{backoff, in_flight::Assignment};

/// No job is given up before: one that grew old while no worker ran gets some tries all the same.
const LEAST_FAILURES: i32 = 3;

/// The outcomes of attempts, as the metrics name them: the verdicts, attempts whose process vanished, and those whose outcome came too late
/// to be booked.
pub(crate) const OUTCOMES: [&str; 7] = ["done", "failed", "put_off", "returned", "dead", "crashed", "lost"];

/// How a handler that could not finish says what is to become of its job.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It failed: try again after the backoff, or give up where the queue does so at this age.
    #[error("{0}")]
    Retry(Reason),
    /// It failed, and whoever refused said how long to wait at least.
    #[error("{0}")]
    RetryIn(Reason, Duration),
    /// Nothing failed, but it is too early: look again after this time, or after pauses that grow as those of failures do. A
    /// job is put off as often as its handler likes, so where there is an end to it the handler has to look at
    /// [`Job::age`](super::Job::age).
    #[error("{0}")]
    NotYet(Reason, Option<Duration>),
    /// It will never succeed: dead at once, whatever the queue.
    #[error("{0}")]
    GiveUp(Reason),
}

impl JobError {
    /// See [`JobError::Retry`].
    pub fn retry(error: impl Into<anyhow::Error>) -> Self {
        Self::Retry(Reason::from(error.into()))
    }

    /// See [`JobError::RetryIn`].
    pub fn retry_in(error: impl Into<anyhow::Error>, least: Duration) -> Self {
        Self::RetryIn(Reason::from(error.into()), least)
    }

    /// See [`JobError::NotYet`].
    pub fn not_yet(reason: impl Into<anyhow::Error>) -> Self {
        Self::NotYet(Reason::from(reason.into()), None)
    }

    /// See [`JobError::NotYet`].
    pub fn not_before(reason: impl Into<anyhow::Error>, after: Duration) -> Self {
        Self::NotYet(Reason::from(reason.into()), Some(after))
    }

    /// See [`JobError::GiveUp`].
    pub fn give_up(error: impl Into<anyhow::Error>) -> Self {
        Self::GiveUp(Reason::from(error.into()))
    }
}

impl From<sqlx::Error> for JobError {
    fn from(error: sqlx::Error) -> Self {
        db::count_error(&error);
        Self::retry(error)
    }
}

/// A lost lease is booked as a failure, which the fence then refuses.
impl From<CompleteError> for JobError {
    fn from(error: CompleteError) -> Self {
        if let CompleteError::Database(error) = &error {
            db::count_error(error);
        }
        Self::retry(error)
    }
}

/// Why, for the row and the log: an error and its causes in one line. Who makes it keeps secrets, addresses and bodies out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Longest text that is kept, in characters.
    const MAX_LEN: usize = 1000;

    /// From plain text.
    pub fn new(text: &str) -> Self {
        // Postgres takes no NUL in a text, and one refused row would hold up the booking of the others.
        Self(text.chars().filter(|c| *c != '\0').take(Self::MAX_LEN).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<anyhow::Error> for Reason {
    fn from(error: anyhow::Error) -> Self {
        let mut text = String::new();
        for cause in error.chain().map(ToString::to_string) {
            if text.is_empty() {
                text = cause;
            } else if !text.contains(&cause) {
                text = format!("{text}: {cause}"); // many errors say their cause themselves
            }
        }
        Self::new(&text)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How an attempt ended that did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Setback {
    /// Its handler failed, panicked or took too long.
    #[error(transparent)]
    Job(JobError),
    /// The process is going down and could not wait for it.
    #[error("interrupted by the end of the worker")]
    Interrupted,
}

/// What is booked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Finished.
    Done,
    /// To be tried again after a failure.
    Failed { error: Reason, delay: Duration },
    /// To be looked at again; no failure.
    PutOff { reason: Reason, delay: Duration },
    /// Given back untried, so to say: due at once.
    Returned,
    /// Given up.
    Dead { error: Reason },
}

impl Verdict {
    /// What follows from the end of an attempt. `chance` is uniform in 0..1.
    pub(super) fn of(
        end: Result<(), &Setback>,
        assignment: &Assignment,
        age: Duration,
        limits: &JobLimits,
        chance: f64,
    ) -> Self {
        let failed = |error: &Reason, least: Duration| {
            let failures = assignment.failures.saturating_add(1);
            let is_given_up = match assignment.queue.gives_up() {
                GivesUp::Never => false,
                GivesUp::ByAge => age >= limits.give_up_after && failures >= LEAST_FAILURES,
                GivesUp::AfterFailures(most) => failures >= most,
            };
            if is_given_up {
                return Self::Dead { error: error.clone() };
            }
            let delay = backoff::delay(failures, age, limits, chance);
            Self::Failed { error: error.clone(), delay: delay.max(least) }
        };
        match end {
            Ok(()) => Self::Done,
            Err(Setback::Interrupted) => Self::Returned,
            Err(Setback::Job(JobError::Retry(error))) => failed(error, Duration::ZERO),
            Err(Setback::Job(JobError::RetryIn(error, least))) => failed(error, *least),
            Err(Setback::Job(JobError::NotYet(reason, after))) => {
                // At least half of the pause: what isn't ready is not asked again at once.
                let pause = || backoff::delay(assignment.lease.attempt(), age, limits, 0.5 + chance / 2.0);
                Self::PutOff { reason: reason.clone(), delay: after.unwrap_or_else(pause) }
            }
            Err(Setback::Job(JobError::GiveUp(error))) => Self::Dead { error: error.clone() },
        }
    }

    /// What went wrong, or is awaited.
    pub(super) const fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Failed { error: reason, .. } | Self::PutOff { reason, .. } | Self::Dead { error: reason } => {
                Some(reason)
            }
            Self::Done | Self::Returned => None,
        }
    }

    /// As the metrics name it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed { .. } => "failed",
            Self::PutOff { .. } => "put_off",
            Self::Returned => "returned",
            Self::Dead { .. } => "dead",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use anyhow::Context as _;
    use common::{
        cause::Cause,
        id::JobId,
        jobs::{Lease, Queue},
        traceparent::Traceparent,
    };
    use tracing::Span;

    use super::*;
    use crate::runtime::series::Series;

    #[test]
    fn a_job_of_so_many_tries_is_given_up_after_the_last_however_young_it_is() {
        let limits = JobLimits {
            lease: Duration::from_secs(30),
            backoff: Duration::from_secs(1),
            backoff_cap: Duration::from_secs(60),
            give_up_after: Duration::from_secs(3600),
        };
        let ended = |failures, age| {
            let assignment = Assignment {
                lease: Lease::new(JobId::new(), failures + 1),
                queue: Queue::PROCESS_IMAGE,
                series: Arc::new(Series::of(Queue::PROCESS_IMAGE)),
                failures,
                cause: Cause { request_id: None, trace: Traceparent::start() },
                age_at_fetch: age,
                fetched: Instant::now(),
                span: Span::none(),
            };
            let failed = Setback::Job(JobError::retry(anyhow::anyhow!("the decoder broke")));
            Verdict::of(Err(&failed), &assignment, age, &limits, 0.5).name()
        };
        let ends = [(3, Duration::MAX / 2), (4, Duration::ZERO)].map(|(failures, age)| ended(failures, age));
        assert_eq!(ends, ["failed", "dead"]);
    }

    #[test]
    fn a_reason_tells_each_cause_once_and_holds_nothing_that_postgres_refuses() {
        let error = Err::<(), _>(anyhow::anyhow!("no route\0"))
            .context("Stripe did not answer: no route\0")
            .context("charging");
        let reason = Reason::from(error.expect_err("it is one"));
        assert_eq!(reason.as_str(), "charging: Stripe did not answer: no route");
        assert_eq!(Reason::new(&"x".repeat(5000)).as_str().len(), Reason::MAX_LEN);
    }
}
