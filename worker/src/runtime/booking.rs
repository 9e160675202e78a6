//! Books what became of the attempts: many in one statement, deaths one by one with what follows from them, each repeated
//! until it is booked. A lease that was lost meanwhile books nothing.

use std::{collections::HashSet, sync::Arc, time::Duration};

use common::{id::JobId, jobs::on_death};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    database::Database,
    in_flight::{Assignment, InFlight},
    outcome::{Reason, Verdict},
};
use crate::metrics::JOBS_ENDED;

/// Outcomes booked in one statement.
const BATCH: usize = 256;
/// Pause before what could not be booked is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// What became of an attempt.
pub(super) struct Outcome {
    pub(super) assignment: Arc<Assignment>,
    pub(super) verdict: Verdict,
}

/// Books until all senders are gone and nothing is left.
pub(super) async fn book_all(
    database: Database,
    in_flight: Arc<InFlight>,
    worker: String,
    mut outcomes: mpsc::Receiver<Outcome>,
) {
    let mut unbooked = Vec::with_capacity(BATCH);
    loop {
        if unbooked.is_empty() {
            if outcomes.recv_many(&mut unbooked, BATCH).await == 0 {
                return;
            }
        } else {
            // One that can't be booked doesn't hold up those that come after it.
            tokio::time::sleep(PAUSE).await;
            while unbooked.len() < 2 * BATCH
                && let Ok(outcome) = outcomes.try_recv()
            {
                unbooked.push(outcome);
            }
        }
        let (deaths, others): (Vec<_>, Vec<_>) =
            unbooked.drain(..).partition(|outcome| matches!(outcome.verdict, Verdict::Dead { .. }));
        for death in deaths {
            let booked = database.run(async |conn| book_death(conn, &death, &worker).await).await;
            settle(&in_flight, vec![death], booked, &mut unbooked);
        }
        if !others.is_empty() {
            let booked = database.run(async |conn| book(conn, &others, &worker).await).await;
            settle(&in_flight, others, booked, &mut unbooked);
        }
    }
}

/// The attempts that were booked; the others had lost their lease.
type Booked = HashSet<(JobId, i32)>;

/// Finds its rows by the primary key alone: with `status` or `done_at` in the condition the planner may walk a partial index
/// once per row.
async fn book(conn: &mut PgConnection, outcomes: &[Outcome], worker: &str) -> sqlx::Result<Booked> {
    let columns = Columns::from(outcomes);
    let rows = sqlx::query!(
        r#"UPDATE jobs j SET lock_by = NULL, lease_until = NULL,
                  status = CASE WHEN o.done THEN 'Done' ELSE 'Pending' END,
                  done_at = CASE WHEN o.done THEN now() END,
                  run_at = CASE WHEN o.done THEN j.run_at ELSE now() + make_interval(secs => o.delay) END,
                  failures = j.failures + o.failed::integer,
                  last_error = coalesce(o.reason, j.last_error),
                  errors = CASE WHEN o.failed THEN append_job_error(j.errors, j.attempts, o.reason) ELSE j.errors END
           FROM unnest($1::uuid[], $2::integer[], $3::boolean[], $4::boolean[], $5::text[], $6::float8[])
                AS o (id, attempt, done, failed, reason, delay)
           WHERE j.id = o.id AND j.attempts = o.attempt AND j.lock_by = $7
           RETURNING j.id AS "id: JobId", j.attempts"#,
        &columns.id,
        &columns.attempt,
        &columns.done,
        &columns.failed,
        &columns.reason as &[Option<&str>],
        &columns.delay,
        worker,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.attempts)).collect())
}

#[derive(Default)]
struct Columns<'a> {
    id: Vec<Uuid>,
    attempt: Vec<i32>,
    done: Vec<bool>,
    failed: Vec<bool>,
    reason: Vec<Option<&'a str>>,
    delay: Vec<f64>,
}

impl<'a> Columns<'a> {
    fn from(outcomes: &'a [Outcome]) -> Self {
        let mut columns = Self::default();
        for Outcome { assignment, verdict } in outcomes {
            let delay = match verdict {
                Verdict::Failed { delay, .. } | Verdict::PutOff { delay, .. } => *delay,
                Verdict::Done | Verdict::Returned | Verdict::Dead { .. } => Duration::ZERO,
            };
            columns.id.push(assignment.lease.job_id().0);
            columns.attempt.push(assignment.lease.attempt());
            columns.done.push(*verdict == Verdict::Done);
            columns.failed.push(matches!(verdict, Verdict::Failed { .. }));
            columns.reason.push(verdict.reason().map(Reason::as_str));
            columns.delay.push(delay.as_secs_f64());
        }
        columns
    }
}

async fn book_death(conn: &mut PgConnection, death: &Outcome, worker: &str) -> sqlx::Result<Booked> {
    let lease = &death.assignment.lease;
    let error = death.verdict.reason().map_or("", Reason::as_str);
    let mut tx = conn.begin().await?;
    let dead = sqlx::query!(
        "UPDATE jobs SET lock_by = NULL, lease_until = NULL, status = 'Killed', done_at = now(), failures = failures + 1,
                last_error = $4, errors = append_job_error(errors, attempts, $4)
         WHERE id = $1 AND attempts = $2 AND lock_by = $3 RETURNING job_type, job",
        lease.job_id() as JobId,
        lease.attempt(),
        worker,
        error,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(dead) = dead else { return Ok(Booked::new()) };
    on_death(&mut tx, &dead.job_type, &dead.job, error).await?;
    tx.commit().await?;
    Ok(Booked::from([(lease.job_id(), lease.attempt())]))
}

/// Lets go of what was booked, and keeps the rest for another try.
fn settle(in_flight: &InFlight, outcomes: Vec<Outcome>, booked: sqlx::Result<Booked>, unbooked: &mut Vec<Outcome>) {
    match booked {
        Ok(booked) => {
            for outcome in outcomes {
                in_flight.let_go(&outcome.assignment.lease);
                let key = (outcome.assignment.lease.job_id(), outcome.assignment.lease.attempt());
                tell(&outcome, booked.contains(&key));
            }
        }
        Err(error) => {
            tracing::warn!(error = %error, jobs = outcomes.len(), "outcomes could not be booked; trying again");
            unbooked.extend(outcomes);
        }
    }
}

fn tell(Outcome { assignment, verdict }: &Outcome, booked: bool) {
    // A handler that completed its job and failed after that: its outcome is refused, rightly.
    let is_done = if booked { *verdict == Verdict::Done } else { assignment.lease.is_completed() };
    if is_done {
        return assignment.series.done.increment(1);
    }
    let name = if booked { verdict.name() } else { "lost" };
    metrics::counter!(JOBS_ENDED, "queue" => assignment.queue.name(), "outcome" => name).increment(1);
    if !booked {
        let _in = assignment.span.enter();
        tracing::warn!("the lease was lost: what became of this attempt is ignored");
    }
}

/// Counts a job that its handler completed in its own transaction.
pub(super) fn completed(in_flight: &InFlight, assignment: &Assignment) {
    in_flight.let_go(&assignment.lease);
    assignment.series.done.increment(1);
}
