//! The right to carry out one attempt of a job, and the way for a job to end with its effect.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sqlx::PgConnection;

use crate::id::JobId;

/// One attempt of a job. The attempt's number is a fencing token: once the job was fetched again, or given back to be
/// fetched, this lease changes nothing any more.
#[derive(Clone, Debug)]
pub struct Lease {
    job_id: JobId,
    attempt: i32,
    completed: Arc<AtomicBool>,
}

/// Why a job could not be completed.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// The attempt is no longer this one's: the lease ran out and another took the job. Roll back.
    #[error("the lease of this job was lost")]
    Lost,
    /// The database refused or did not answer.
    #[error("the job could not be completed")]
    Database(#[from] sqlx::Error),
}

impl Lease {
    /// The lease of a job's attempt, as the runtime fetched it.
    pub fn new(job_id: JobId, attempt: i32) -> Self {
        Self { job_id, attempt, completed: Arc::default() }
    }

    /// The job.
    pub fn job_id(&self) -> JobId {
        self.job_id
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> i32 {
        self.attempt
    }

    /// Ends the job in the transaction of its effect, so that the effect happens exactly once: another attempt either sees
    /// it, or this one is refused. Call it once all else in the transaction has succeeded, or before enqueueing a successor
    /// under the same dedupe key.
    ///
    /// # Errors
    /// [`CompleteError::Lost`] when another has the job: roll back.
    pub async fn complete(&self, conn: &mut PgConnection) -> Result<(), CompleteError> {
        let completed = sqlx::query!(
            "UPDATE jobs SET status = 'Done', done_at = clock_timestamp(), lease_until = NULL, lock_by = NULL
             WHERE id = $1 AND attempts = $2 AND lock_by IS NOT NULL",
            self.job_id as JobId,
            self.attempt,
        )
        .execute(conn)
        .await?
        .rows_affected();
        if completed == 0 {
            return Err(CompleteError::Lost);
        }
        self.completed.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether [`complete`](Self::complete) has succeeded; what became of its transaction is the handler's to know.
    pub fn is_completed(&self) -> bool {
        self.completed.load(Ordering::Acquire)
    }
}
