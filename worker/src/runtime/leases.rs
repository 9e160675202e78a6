//! Keeps up the leases of this process's jobs, and rescues those of processes that no longer do.

use std::{sync::Arc, time::Duration};

use common::jobs::on_death;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use tokio::time::MissedTickBehavior;

use super::{database::Database, in_flight::InFlight};
use crate::metrics::JOBS_ENDED;

/// Attempts without an outcome that make a job dead, in every queue.
const MAX_CRASHES: i32 = 10;
/// Jobs rescued in one transaction.
const BATCH: i64 = 100;
/// How old a lease of ours is, at least, of which this process has nothing in hand: longer than a fetch may take.
const LOST_FETCH: Duration = Duration::from_secs(10);
/// What is noted about an attempt without an outcome.
const VANISHED: &str = "the worker that ran it vanished";

/// Renews and rescues for ever, three times in the time of a lease.
pub(super) async fn keep_up(database: Database, in_flight: Arc<InFlight>, worker: String, lease: Duration) {
    let mut ticks = tokio::time::interval(lease / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // After an outage of the database all leases have run out. It rescues nothing before it has kept up its own leases
    // once, so that the others have the time to do the same.
    let mut steady = false;
    loop {
        ticks.tick().await;
        let (ids, attempts) = in_flight.leases();
        let renewed = database
            .run(async |conn| {
                give_back(conn, &ids, &worker).await?;
                renew(conn, &ids, &attempts, &worker, lease).await
            })
            .await;
        let kept = match renewed {
            Ok(()) if steady => database.run(async |conn| rescue(conn).await).await,
            other => other,
        };
        if let Err(error) = &kept {
            tracing::warn!(error = %error, "leases could not be kept up; trying again");
        }
        steady = kept.is_ok();
    }
}

/// Makes due again what a fetch of ours took whose answer got lost: nothing of it ran, so it is no crash, and a slow database
/// can't be the death of a job.
async fn give_back(conn: &mut PgConnection, in_flight: &[uuid::Uuid], worker: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE jobs SET status = 'Pending', lease_until = NULL, lock_by = NULL
         WHERE id = ANY (ARRAY(
           SELECT id FROM jobs
           WHERE status = 'Running' AND lock_by = $1 AND lock_at < now() - make_interval(secs => $2) AND id <> ALL ($3)
           FOR UPDATE SKIP LOCKED))",
        worker,
        LOST_FETCH.as_secs_f64(),
        in_flight,
    )
    .execute(conn)
    .await
    .map(|_| ())
}

/// Rows that a handler's transaction holds are skipped: nobody can rescue these, either. Runs with no jobs, too, so that its
/// success says that the database is there.
async fn renew(
    conn: &mut PgConnection,
    ids: &[uuid::Uuid],
    attempts: &[i32],
    worker: &str,
    lease: Duration,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE jobs SET lease_until = now() + make_interval(secs => $4)
         WHERE id = ANY (ARRAY(
           SELECT j.id FROM unnest($1::uuid[], $2::integer[]) AS held (id, attempt)
           JOIN jobs j ON j.id = held.id AND j.attempts = held.attempt
           WHERE j.lock_by = $3 ORDER BY j.id FOR UPDATE OF j SKIP LOCKED))",
        ids,
        attempts,
        worker,
        lease.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

struct Rescued {
    queue: String,
    payload: Value,
    status: String,
}

/// Makes jobs whose lease ran out due again; those that crashed too often are dead.
async fn rescue(conn: &mut PgConnection) -> sqlx::Result<()> {
    loop {
        let mut tx = conn.begin().await?;
        let rescued = sqlx::query_as!(
            Rescued,
            "UPDATE jobs SET lease_until = NULL, lock_by = NULL, crashes = crashes + 1, last_error = $1,
                    errors = append_job_error(errors, attempts, $1),
                    status = CASE WHEN crashes + 1 >= $2 THEN 'Killed' ELSE 'Pending' END,
                    done_at = CASE WHEN crashes + 1 >= $2 THEN now() END
             WHERE id = ANY (ARRAY(
               SELECT id FROM jobs WHERE status = 'Running' AND lease_until < now()
               ORDER BY lease_until LIMIT $3 FOR UPDATE SKIP LOCKED))
             RETURNING job_type AS queue, job AS payload, status",
            VANISHED,
            MAX_CRASHES,
            BATCH,
        )
        .fetch_all(&mut *tx)
        .await?;
        for job in rescued.iter().filter(|job| job.status == "Killed") {
            on_death(&mut tx, &job.queue, &job.payload, VANISHED).await?;
        }
        tx.commit().await?;
        for job in &rescued {
            tell(job);
        }
        if i64::try_from(rescued.len()).unwrap_or(0) < BATCH {
            return Ok(());
        }
    }
}

fn tell(job: &Rescued) {
    metrics::counter!(JOBS_ENDED, "queue" => job.queue.clone(), "outcome" => "crashed").increment(1);
    if job.status == "Killed" {
        metrics::counter!(JOBS_ENDED, "queue" => job.queue.clone(), "outcome" => "dead").increment(1);
        tracing::error!(queue = job.queue, payload = %job.payload, "a job is dead: its worker vanished {MAX_CRASHES} times");
    } else {
        tracing::warn!(queue = job.queue, payload = %job.payload, "rescued a job whose worker vanished");
    }
}
