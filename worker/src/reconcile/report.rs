//! What a comparison found: noted as it is found, so that a run that is cut off has told of it all the same.

use std::fmt;

use common::{
    id::ReconciliationId,
    reconciliation::{self, Difference, Outcome},
};
use futures::future::join_all;
use sqlx::PgPool;

use super::{ReconcileError, objects::Compared};
use crate::metrics::{RECONCILED, RECONCILIATIONS};

/// How many objects are asked about at once: at 0.3 s a call that is a quarter of the calls that Stripe allows in a second
/// (<https://docs.stripe.com/rate-limits>), so that the shop's own are not held up.
const AT_ONCE: usize = 8;

/// See the module.
pub struct Report<'a> {
    pool: &'a PgPool,
    pub(super) run: Option<ReconciliationId>,
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
        if self.differences.iter().any(|d| d.stripe_object_id == difference.stripe_object_id) {
            return Ok(());
        }
        if let Some(run) = self.run {
            let outcome = match &difference.outcome {
                Outcome::Healed => "healed",
                Outcome::Left(_) => "left",
            };
            let kind = difference.kind.name();
            metrics::counter!(RECONCILED, "kind" => kind, "outcome" => outcome).increment(1);
            tracing::error!(
                kind,
                object = difference.stripe_object_id,
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

    /// Compares several objects at a time, and notes each.
    pub(super) async fn note_all(
        &mut self,
        mut comparisons: impl Iterator<Item = impl Future<Output = Result<Compared, ReconcileError>>>,
    ) -> Result<(), ReconcileError> {
        loop {
            // None is left standing while another's outcome is noted: it could hold the connection that the note waits for.
            let compared = join_all(comparisons.by_ref().take(AT_ONCE)).await;
            if compared.is_empty() {
                return Ok(());
            }
            // What was healed is noted, whatever became of its neighbours: the next run would find nothing to tell.
            let mut failed = Ok(());
            for compared in compared {
                match compared {
                    Ok(compared) => self.note(compared).await?,
                    Err(error) => failed = failed.and(Err(error)),
                }
            }
            failed?;
        }
    }

    pub(super) async fn finish(self) -> Result<Self, ReconcileError> {
        if let Some(run) = self.run {
            reconciliation::finish(self.pool, run, self.checked).await?;
            metrics::counter!(RECONCILIATIONS).increment(1);
        }
        Ok(self)
    }

    /// How many differences are left.
    pub fn left(&self) -> usize {
        self.differences.iter().filter(|difference| difference.outcome != Outcome::Healed).count()
    }
}
