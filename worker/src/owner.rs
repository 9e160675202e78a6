//! Whose money a refund or a dispute is about: the order of its intent, or of its charge's. Their own metadata are often empty.

use common::{
    id::OrderId,
    order::Payment,
    payment::{self, IntentReport, NamedOrder},
};
use sqlx::PgPool;

use crate::stripe::{Stripe, StripeError};

/// The order that a payment belongs to.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) order: OrderId,
    /// `pi_…`
    intent: String,
    /// What Stripe says of the intent, where our tables didn't know it.
    unknown: Option<IntentReport>,
}

/// Why a payment belongs to no order of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotOurs {
    /// It isn't of this shop.
    NamesNoOrder,
    /// It may be of this shop, but the order is not there, or not yet.
    UnknownOrder,
}

/// Why it could not be found out.
#[derive(Debug)]
pub(crate) enum OwnerError {
    /// Stripe failed.
    Stripe {
        /// What it was asked.
        operation: &'static str,
        /// About which object.
        object: String,
        /// How it failed.
        error: StripeError,
    },
    /// The database failed.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for OwnerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl Owner {
    /// Looks in our tables first; what they don't know, Stripe is asked.
    pub(crate) async fn find(
        pool: &PgPool,
        stripe: &Stripe,
        intent: Option<&str>,
        charge: Option<&str>,
    ) -> Result<Result<Self, NotOurs>, OwnerError> {
        let failed = |operation, object: &str| {
            let object = object.to_owned();
            move |error| OwnerError::Stripe { operation, object, error }
        };
        let intent = match (intent, charge) {
            (Some(intent), _) => Some(intent.to_owned()),
            (None, Some(charge)) => {
                stripe.intent_of_charge(charge).await.map_err(failed("retrieve_charge", charge))?.report
            }
            (None, None) => None,
        };
        let Some(intent) = intent else { return Ok(Err(NotOurs::NamesNoOrder)) };
        if let Some(known) = payment::known_intent(pool, &intent).await? {
            return Ok(Ok(Self { order: known.order_id, intent, unknown: None }));
        }
        let report = stripe.retrieve_intent(&intent).await.map_err(failed("retrieve_intent", &intent))?.report;
        Ok(match report.order {
            NamedOrder::Id(order) => Ok(Self { order, intent, unknown: Some(report) }),
            NamedOrder::None => Err(NotOurs::NamesNoOrder),
            NamedOrder::Unreadable => Err(NotOurs::UnknownOrder),
        })
    }

    /// As it is booked.
    pub(crate) fn payment(&self) -> Payment<'_> {
        Payment { intent: &self.intent, unknown: self.unknown.as_ref() }
    }
}
