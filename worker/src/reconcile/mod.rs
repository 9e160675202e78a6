//! Compares our books with Stripe's, and brings ours to where Stripe's are by the operations that its events use. What no webhook
//! told, this finds.

mod objects;
mod report;

use std::fmt;

use chrono::{DateTime, Utc};
use common::{
    actor::Actor,
    jobs::CompleteError,
    order::Unfulfillable,
    payment::NamedOrder,
    reconciliation::{self, Difference, Kind, Outcome},
    webhook::{self, Received},
};
use objects::Compared;
pub use report::Report;
use sqlx::PgPool;
use uuid::Uuid;

use crate::stripe::{Page, Stripe, StripeError};

/// Rows of ours that are read at once.
const BATCH: i64 = 100;

/// One comparison.
#[derive(Clone, Copy)]
pub struct Reconciliation<'a> {
    /// Our books.
    pub pool: &'a PgPool,
    /// Who asked for it: the schedule, or somebody.
    pub actor: Actor,
    /// Stripe's.
    pub stripe: &'a Stripe,
    /// What becomes of money for an order that can't be completed.
    pub unfulfillable: Unfulfillable,
    /// Whether differences are only told, and nothing is changed or noted.
    pub dry_run: bool,
    /// Is told how many objects have been compared so far.
    pub progress: &'a (dyn Fn(u64) + Send + Sync),
}

/// Why a comparison was cut off. What was healed until then is healed.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Stripe could not be asked.
    #[error(transparent)]
    Stripe(#[from] StripeError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<CompleteError> for ReconcileError {
    fn from(error: CompleteError) -> Self {
        match error {
            CompleteError::Database(error) => error.into(),
            CompleteError::Lost => sqlx::Error::RowNotFound.into(), // there is no job to be completed
        }
    }
}

impl fmt::Debug for Reconciliation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconciliation").field("dry_run", &self.dry_run).finish_non_exhaustive()
    }
}

impl<'a> Reconciliation<'a> {
    /// Asks about all that is open in our books, and looks through all that is new in Stripe's.
    ///
    /// # Errors
    /// See [`ReconcileError`]. The next run begins where this one did.
    pub async fn run(self) -> Result<Report<'a>, ReconcileError> {
        let since = reconciliation::since(self.pool).await?;
        let run = if self.dry_run { None } else { Some(reconciliation::begin(self.pool, self.actor, since).await?) };
        let mut report = Report::new(self.pool, run, self.progress);
        // First what is listed a hundred at a time, then what is asked about one by one. A list with something in it that can't be
        // read is not the end of the others.
        let mut unread = Ok(());
        let mut go_on = |looked: Result<(), ReconcileError>| match looked {
            Err(error @ ReconcileError::Stripe(StripeError::Unreadable)) => {
                unread = Err(error);
                Ok(())
            }
            looked => looked,
        };
        go_on(self.look_through_new_intents(&mut report, since).await)?;
        go_on(self.look_through_new_refunds(&mut report, since).await)?;
        go_on(self.look_through_new_disputes(&mut report, since).await)?;
        self.ask_about_what_is_open(&mut report).await?;
        go_on(self.fetch_what_was_not_delivered(&mut report, since).await)?;
        unread?;
        report.finish().await
    }

    async fn ask_about_what_is_open(self, report: &mut Report<'_>) -> Result<(), ReconcileError> {
        let mut last = Uuid::nil();
        while let batch = reconciliation::open_intents(self.pool, last, BATCH).await?
            && let Some((id, _)) = batch.last()
        {
            last = *id;
            report.note_all(batch.into_iter().map(async |(_, intent)| self.intent(&intent).await)).await?;
        }
        let mut last = Uuid::nil();
        while let batch = reconciliation::open_refunds(self.pool, last, BATCH).await?
            && let Some((id, _)) = batch.last()
        {
            last = *id;
            report.note_all(batch.into_iter().map(async |(_, refund)| self.refund(&refund).await)).await?;
        }
        self.ask_about_what_was_left(report).await?;
        let mut last = Uuid::nil();
        while let batch = reconciliation::open_disputes(self.pool, last, BATCH).await?
            && let Some((id, _)) = batch.last()
        {
            last = *id;
            report.note_all(batch.into_iter().map(async |(_, dispute)| self.dispute(&dispute).await)).await?;
        }
        Ok(())
    }

    /// What runs before could not mend is too old for the lists, and may be in none of our tables.
    async fn ask_about_what_was_left(self, report: &mut Report<'_>) -> Result<(), ReconcileError> {
        let mut last = Uuid::nil();
        while let batch = reconciliation::left_before(self.pool, report.run, last, BATCH).await?
            && let Some((id, ..)) = batch.last()
        {
            last = *id;
            let compared = async |kind, id: &str| {
                let compared = match kind {
                    Kind::Intent => self.intent(id).await?,
                    Kind::Refund => self.refund(id).await?,
                    Kind::Dispute => self.dispute(id).await?,
                    Kind::Event => Compared::Same, // its delivery was all that was missing
                };
                if compared == Compared::Same && !self.dry_run {
                    reconciliation::settle(self.pool, id).await?;
                }
                Ok(compared)
            };
            report.note_all(batch.iter().map(|(_, kind, id)| compared(*kind, id))).await?;
        }
        Ok(())
    }

    /// What stands in a list is a candidate only: it is asked about once more, for our books may have moved on since.
    async fn look_through_new_intents(
        self,
        report: &mut Report<'_>,
        since: DateTime<Utc>,
    ) -> Result<(), ReconcileError> {
        let mut after = None;
        loop {
            let Page { items, next } = self.stripe.list_intents(since, after).await?.report;
            let mut candidates = vec![];
            for intent in items.into_iter().filter(|intent| intent.order != NamedOrder::None) {
                let known = reconciliation::booked_intent(self.pool, &intent).await?;
                if known.is_some_and(|known| known.state == objects::intent_state(&intent)) {
                    report.note(Compared::Same).await?;
                } else {
                    candidates.push(intent.stripe_id);
                }
            }
            report.note_all(candidates.into_iter().map(async |id| self.intent(&id).await)).await?;
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn look_through_new_refunds(
        self,
        report: &mut Report<'_>,
        since: DateTime<Utc>,
    ) -> Result<(), ReconcileError> {
        // One that has succeeded can still come back from the shopper's bank, weeks later.
        let since = reconciliation::refunds_since(self.pool, since).await?;
        let mut after = None;
        loop {
            let Page { items, next } = self.stripe.list_refunds(since, after).await?;
            let mut candidates = vec![];
            for refund in items {
                let known = reconciliation::booked_refund(self.pool, &refund.stripe_id).await?;
                if known.is_some_and(|known| known.state == refund.status.name()) {
                    report.note(Compared::Same).await?;
                } else {
                    candidates.push(refund.stripe_id);
                }
            }
            report.note_all(candidates.into_iter().map(async |id| self.refund(&id).await)).await?;
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn look_through_new_disputes(
        self,
        report: &mut Report<'_>,
        since: DateTime<Utc>,
    ) -> Result<(), ReconcileError> {
        let mut after = None;
        loop {
            let Page { items, next } = self.stripe.list_disputes(since, after).await?;
            let mut candidates = vec![];
            for dispute in items {
                let known = reconciliation::booked_dispute(self.pool, &dispute.stripe_id).await?;
                if known.is_some_and(|known| known.state == dispute.status.name()) {
                    report.note(Compared::Same).await?;
                } else {
                    candidates.push(dispute.stripe_id);
                }
            }
            report.note_all(candidates.into_iter().map(async |id| self.dispute(&id).await)).await?;
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn fetch_what_was_not_delivered(
        self,
        report: &mut Report<'_>,
        since: DateTime<Utc>,
    ) -> Result<(), ReconcileError> {
        let mut before: Option<String> = None;
        loop {
            let page = self.stripe.undelivered_events(since, before.as_deref()).await?;
            before = None;
            for raw in &page.data {
                let Ok(event) = webhook::parse(raw.get().as_bytes()) else { continue };
                before = Some(event.id().to_owned());
                let is_news = if self.dry_run {
                    !webhook::is_stored(self.pool, event.id()).await?
                } else {
                    matches!(webhook::receive(self.pool, &event).await?, Received::Stored(_))
                };
                let outcome = if self.dry_run { objects::dry_run() } else { Outcome::Healed };
                let difference = is_news.then(|| Difference {
                    kind: Kind::Event,
                    stripe_object_id: event.id().to_owned(),
                    order_id: None,
                    ours: "not received".to_owned(),
                    theirs: event.kind().to_owned(),
                    outcome,
                });
                report.note(difference.map_or(Compared::Same, Compared::Different)).await?;
            }
            if !page.has_more || before.is_none() {
                return Ok(());
            }
        }
    }
}
