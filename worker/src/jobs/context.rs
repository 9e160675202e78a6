//! What the jobs share: the ways out of the process, and what follows from a call that failed.

use std::{sync::Arc, time::Duration};

use common::{
    config::JobLimits,
    id::OrderId,
    images::{Storage, StorageError},
    inventory::LowStock,
    mail::Sender,
    order::{Applied, Unfulfillable},
    payment,
    prune::Retention,
};
use sqlx::PgPool;
use tokio::sync::Mutex;

use crate::{
    runtime::JobError,
    smtp::Mailer,
    stripe::{Failure, Stripe, StripeError},
};

/// What the jobs share.
pub struct Context {
    /// The database.
    pub pool: PgPool,
    /// Stripe.
    pub stripe: Stripe,
    /// Whether Stripe's key moves real money.
    pub livemode: bool,
    /// The way of mails.
    pub mailer: Mailer,
    /// Whom mails are from.
    pub sender: Sender,
    /// Where the bytes of images are.
    pub storage: Storage,
    /// Most pixels of an image.
    pub max_pixels: u64,
    /// Held while an image is decoded, also on behalf of a job that was given up meanwhile: memory is there for one.
    pub decoding: Arc<Mutex<()>>,
    /// When jobs are tried again.
    pub limits: JobLimits,
    /// What becomes of money for an order that can't be completed.
    pub unfulfillable: Unfulfillable,
    /// Who is told of low stock, if anybody.
    pub low_stock: Option<LowStock>,
    /// How long what has been settled is kept.
    pub retention: Retention,
}

impl Context {
    /// Logs a failed call to Stripe, and says what becomes of the job: it is tried again, as soon as Stripe lets us, slowly
    /// where our own configuration is at fault.
    pub(super) async fn failed_call(
        &self,
        operation: &str,
        order: Option<OrderId>,
        object: Option<&str>,
        e: StripeError,
    ) -> JobError {
        self.log_failure(operation, order, object, &e).await;
        match e.failure() {
            Failure::OurConfiguration => {
                tracing::error!(operation, error = %e, "Stripe refuses our key or account: check STRIPE_SECRET_KEY");
                let pause = self.limits.backoff_cap;
                JobError::retry_in(e, pause)
            }
            Failure::Later | Failure::KeySpent | Failure::Never => match e.retry_after() {
                Some(pause) => JobError::retry_in(e, pause),
                None => JobError::retry(e),
            },
        }
    }

    /// What becomes of a job whose call to the store of images failed: it is put off, as it can do nothing about it. From the age
    /// on at which others are given up, it fails.
    pub(super) fn without_store(&self, error: StorageError, age: Duration) -> JobError {
        if age >= self.limits.give_up_after { JobError::retry(error) } else { JobError::not_yet(error) }
    }

    /// The payment log's row of a call that failed. Without it the call failed all the same: a database that is away then costs
    /// the row only.
    pub(super) async fn log_failure(
        &self,
        operation: &str,
        order: Option<OrderId>,
        object: Option<&str>,
        error: &StripeError,
    ) {
        let refusal = if let StripeError::Refused(refusal) = error { Some(refusal) } else { None };
        let entry = payment::LogEntry {
            order_id: order,
            operation,
            stripe_object_id: object,
            outcome: "error",
            error_type: Some(error.kind()),
            decline_code: refusal.and_then(|r| r.decline_code.as_deref()),
            stripe_request_id: refusal.and_then(|r| r.request_id.as_deref()),
            ..payment::LogEntry::default()
        };
        if let Err(e) = payment::log(&self.pool, &entry).await {
            tracing::warn!(operation, error = %e, "the payment log could not be written");
        }
    }
}

/// What Stripe said may be older than what is booked.
pub(super) fn stale() -> JobError {
    JobError::not_yet(anyhow::anyhow!("something newer was booked since Stripe was asked"))
}

/// The end of a job that applied what Stripe said, or another try where that may have been too old.
pub(super) fn booked(applied: Applied) -> Result<(), JobError> {
    match applied {
        Applied::To(_) | Applied::UnknownOrder => Ok(()),
        Applied::Stale => Err(stale()),
    }
}
