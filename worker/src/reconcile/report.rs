//! What a comparison found: noted as it is found, so that a run that is cut off has told of it all the same.

use std::fmt;

use common::{
    id::ReconciliationId,
    reconciliation::{self, Difference, Outcome},
};
use sqlx::PgPool;

use super::{ReconcileError, objects::Compared};
use crate::figures;

/// See the module.
pub struct Report<'a> {
    pool: &'a PgPool,
    run: Option<ReconciliationId>,
    progress: &'a (dyn Fn(u64) + Send + Sync),
    /// How many objects of Stripe's were compared.
    pub checked: u64,
    /// All that differs, or differed.
    pub differences: Vec<Difference>,
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("checked", &self.checked).field("differences", &self.differences).finish()
    }
}

impl<'a> Report<'a> {
    /// One in which nothing stands yet. Without a run nothing is written down.
    pub(super) fn new(
        pool: &'a PgPool,
        run: Option<ReconciliationId>,
        progress: &'a (dyn Fn(u64) + Send + Sync),
    ) -> Self {
        Self { pool, run, progress, checked: 0, differences: vec![] }
    }

    pub(super) async fn note(&mut self, compared: Compared) -> Result<(), ReconcileError> {
        self.checked += 1;
        (self.progress)(self.checked);
        let Compared::Different(difference) = compared else { return Ok(()) };
        // An object that was open and is in a list, too, is told of once.
        if self.differences.iter().any(|d| d.stripe_id == difference.stripe_id) {
            return Ok(());
        }
        if let Some(run) = self.run {
            let outcome = match &difference.outcome {
                Outcome::Healed => "healed",
                Outcome::Left(_) => "left",
            };
            let kind = difference.kind.name();
            metrics::counter!(figures::RECONCILED, "kind" => kind, "outcome" => outcome).increment(1);
            tracing::error!(
                kind,
                object = difference.stripe_id,
                order_id = difference.order_id.map(tracing::field::display),
                ours = difference.ours,
                theirs = difference.theirs,
                outcome,
                "our books differed from Stripe's"
            );
            reconciliation::record(self.pool, run, &difference).await?;
        }
        self.differences.push(difference);
        Ok(())
    }

    pub(super) async fn finish(self) -> Result<Self, ReconcileError> {
        if let Some(run) = self.run {
            reconciliation::finish(self.pool, run, self.checked).await?;
            metrics::counter!(figures::RECONCILIATIONS).increment(1);
        }
        Ok(self)
    }

    /// How many differences are left.
    pub fn left(&self) -> usize {
        self.differences.iter().filter(|difference| difference.outcome != Outcome::Healed).count()
    }
}
