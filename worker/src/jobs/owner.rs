//! Whose money a refund or a dispute is about: the order of its intent, or of its charge's. Their own metadata are often empty.

use common::{
    id::OrderId,
    order::Payment,
    payment::{self, IntentReport, NamedOrder},
};

use super::context::Context;
use crate::runtime::JobError;

/// The order that a payment belongs to.
pub(super) struct Owner {
    pub(super) order: OrderId,
    /// `pi_…`
    intent: String,
    /// What Stripe says of the intent, where our tables didn't know it.
    unknown: Option<IntentReport>,
}

/// Why a payment belongs to no order of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotOurs {
    /// It isn't of this shop.
    NamesNoOrder,
    /// It may be of this shop, but the order is not there, or not yet.
    UnknownOrder,
}

impl Owner {
    /// Looks in our tables first; what they don't know, Stripe is asked.
    ///
    /// # Errors
    /// For another try.
    pub(super) async fn find(
        context: &Context,
        intent: Option<&str>,
        charge: Option<&str>,
    ) -> Result<Result<Self, NotOurs>, JobError> {
        let intent = match (intent, charge) {
            (Some(intent), _) => Some(intent.to_owned()),
            (None, Some(charge)) => match context.stripe.intent_of_charge(charge).await {
                Ok(answer) => answer.report,
                Err(e) => return Err(context.failed_call("retrieve_charge", None, Some(charge), e).await),
            },
            (None, None) => None,
        };
        let Some(intent) = intent else { return Ok(Err(NotOurs::NamesNoOrder)) };
        if let Some(known) = payment::known_intent(&context.pool, &intent).await? {
            return Ok(Ok(Self { order: known.order_id, intent, unknown: None }));
        }
        let report = match context.stripe.retrieve_intent(&intent).await {
            Ok(answer) => answer.report,
            Err(e) => return Err(context.failed_call("retrieve_intent", None, Some(&intent), e).await),
        };
        Ok(match report.order {
            NamedOrder::Id(order) => Ok(Self { order, intent, unknown: Some(report) }),
            NamedOrder::None => Err(NotOurs::NamesNoOrder),
            NamedOrder::Unreadable => Err(NotOurs::UnknownOrder),
        })
    }

    /// As it is booked.
    pub(super) fn payment(&self) -> Payment<'_> {
        Payment { intent: &self.intent, unknown: self.unknown.as_ref() }
    }
}
