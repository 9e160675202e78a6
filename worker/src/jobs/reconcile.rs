//! `maintenance.reconcile`: our books are compared with Stripe's.

use std::sync::Arc;

use common::{actor::Actor, jobs::Reconcile};

use super::Context;
use crate::{
    reconcile::{ReconcileError, Reconciliation},
    runtime::{Job, JobError},
};

/// Compares, and heals what differs.
///
/// # Errors
/// For another try; the next run would do the same.
pub async fn run(_: Job<Reconcile>, context: Arc<Context>) -> Result<(), JobError> {
    let reconciliation = Reconciliation {
        pool: &context.pool,
        actor: Actor::System,
        stripe: &context.stripe,
        unfulfillable: context.unfulfillable,
        dry_run: false,
        progress: &|_| {},
    };
    match reconciliation.run().await {
        Ok(report) => {
            tracing::info!(
                checked = report.checked,
                differences = report.differences.len(),
                "our books were compared with Stripe's"
            );
            Ok(())
        }
        Err(ReconcileError::Database(error)) => Err(error.into()),
        Err(ReconcileError::Stripe(error)) => Err(context.failed_call("reconcile", None, None, error).await),
    }
}
