//! The calls about disputes, and about the charges that older objects name in place of an intent.

use chrono::{DateTime, Utc};
use common::{
    money::Money,
    payment::{DisputeReport, DisputeStatus},
};
use stripe::StripeRequest as _;
use stripe_core::{
    Dispute,
    charge::RetrieveCharge,
    dispute::{ListDispute, RetrieveDispute},
};
use stripe_types::RangeQueryTs;

use super::{Answer, PAGE, Page, Stripe, StripeError};

impl Stripe {
    /// Asks how a dispute stands.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn retrieve_dispute(&self, id: &str) -> Result<Answer<DisputeReport>, StripeError> {
        let call = self.call("retrieve_dispute");
        let dispute = RetrieveDispute::new(id).customize().send(&call).await?;
        Ok(call.answered(report(dispute)))
    }

    /// Disputes that were opened since `since`, the newest first, after the one with the id `after`.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn list_disputes(
        &self,
        since: DateTime<Utc>,
        after: Option<String>,
    ) -> Result<Page<DisputeReport>, StripeError> {
        let mut request = ListDispute::new().limit(PAGE).created(RangeQueryTs::gte(since.timestamp()));
        if let Some(after) = after {
            request = request.starting_after(after);
        }
        let list = request.customize().send(&self.call("list_disputes")).await?;
        Ok(Page::of(list, |dispute| dispute.id.to_string(), report))
    }

    /// Asks which intent a charge belongs to, if any.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn intent_of_charge(&self, id: &str) -> Result<Answer<Option<String>>, StripeError> {
        let call = self.call("retrieve_charge");
        let charge = RetrieveCharge::new(id).customize().send(&call).await?;
        Ok(call.answered(charge.payment_intent.map(|intent| intent.into_id().to_string())))
    }
}

fn report(dispute: Dispute) -> DisputeReport {
    DisputeReport {
        stripe_id: dispute.id.to_string(),
        status: DisputeStatus::from(dispute.status.as_str()),
        amount: Money(dispute.amount),
        reason: Some(dispute.reason),
        intent: dispute.payment_intent.map(|intent| intent.into_id().to_string()),
        charge: Some(dispute.charge.into_id().to_string()),
    }
}
