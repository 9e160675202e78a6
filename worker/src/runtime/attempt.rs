//! Runs one attempt: in a task of its own, so that a panic, a job that never ends or one that computes harms no other.

use std::{any::Any, time::Duration};

use anyhow::anyhow;
use common::{
    cause,
    jobs::{Lease, Payload},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    in_flight::Assignment,
    outcome::{JobError, Setback},
};

/// What a handler gets to know of its job.
#[derive(Clone, Debug)]
pub struct Job<P> {
    /// What it is about.
    pub payload: P,
    /// Lets it end in the transaction of its effect.
    pub lease: Lease,
    /// Time since it was first due, by the database's clock.
    pub age: Duration,
    /// How many attempts failed before this one; those that were put off don't count.
    pub failures: i32,
}

/// Runs the handler within the queue's time limit. A handler that is stopped, there or by `abandon`, is dropped where it
/// awaits.
pub(super) async fn run<P, F, Fut>(
    payload: P,
    assignment: &Assignment,
    handler: F,
    abandon: &CancellationToken,
) -> Result<(), Setback>
where
    P: Payload,
    F: FnOnce(Job<P>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), JobError>> + Send,
{
    let lease = assignment.lease.clone();
    let job = Job { payload, lease, age: assignment.age(), failures: assignment.failures };
    // The handler is called inside, so that a panic before its first await is caught as well.
    let work = cause::scope(assignment.cause.clone(), async move { handler(job).await });
    let mut task = tokio::spawn(work.instrument(assignment.span.clone()));
    let limit = assignment.queue.time_limit();
    let setback = tokio::select! {
        joined = &mut task => return match joined {
            Ok(result) => result.map_err(Setback::Job),
            Err(error) => Err(Setback::Job(JobError::retry(died(error)))),
        },
        () = tokio::time::sleep(limit) => Setback::Job(JobError::retry(anyhow!("took longer than {limit:?}"))),
        () = abandon.cancelled() => Setback::Interrupted,
    };
    task.abort();
    Err(setback)
}

fn died(error: tokio::task::JoinError) -> anyhow::Error {
    match error.try_into_panic() {
        Ok(panic) => anyhow!("panicked: {}", message(&*panic)),
        Err(error) => error.into(),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use common::{cause::Cause, config::JobLimits, id::JobId, jobs::Queue, traceparent::Traceparent};
    use serde::{Deserialize, Serialize};
    use tracing::Span;

    use super::*;
    use crate::runtime::{outcome::Verdict, series::Series};

    #[derive(Serialize, Deserialize)]
    struct Nothing;

    impl Payload for Nothing {
        const QUEUE: Queue = Queue::SEND_EMAIL;

        fn dedupe_key(&self) -> Option<String> {
            None
        }
    }

    #[tokio::test]
    async fn a_job_that_is_abandoned_is_given_back() {
        let assignment = Assignment {
            lease: Lease::new(JobId::new(), 1),
            queue: Nothing::QUEUE,
            series: Arc::new(Series::of(Nothing::QUEUE)),
            failures: 0,
            cause: Cause { request_id: None, trace: Traceparent::start() },
            age_at_fetch: Duration::MAX / 2,
            fetched: Instant::now(),
            span: Span::none(),
        };
        let abandon = CancellationToken::new();
        abandon.cancel();
        let end = run(Nothing, &assignment, |_| std::future::pending(), &abandon).await;
        let limits = JobLimits {
            lease: Duration::ZERO,
            backoff: Duration::ZERO,
            backoff_cap: Duration::ZERO,
            give_up_after: Duration::ZERO,
        };
        let verdict = Verdict::of(end.as_ref().copied(), &assignment, assignment.age(), &limits, 0.5);
        assert_eq!(verdict, Verdict::Returned);
    }
}
