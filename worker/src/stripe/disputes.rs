//! The calls about disputes, and about the charges that older objects name in place of an intent.

use common::{
    money::Money,
    payment::{DisputeReport, DisputeStatus},
};
use stripe::StripeRequest as _;
use stripe_core::{Dispute, charge::RetrieveCharge, dispute::RetrieveDispute};

use super::{Answer, Stripe, StripeError};

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

pub(super) fn report(dispute: Dispute) -> DisputeReport {
    DisputeReport {
        stripe_id: dispute.id.to_string(),
        status: DisputeStatus::from(dispute.status.as_str()),
        amount: Money(dispute.amount),
        reason: Some(dispute.reason),
        intent: dispute.payment_intent.map(|intent| intent.into_id().to_string()),
        charge: Some(dispute.charge.into_id().to_string()),
    }
}
