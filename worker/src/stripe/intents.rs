//! The calls about PaymentIntents.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    id::OrderId,
    money::Money,
    payment::{IntentReport, IntentStatus, IntentToCreate, LastPaymentError, NamedOrder},
};
use stripe::{IdempotencyKey, RequestStrategy, StripeRequest as _};
use stripe_core::{
    PaymentIntent,
    payment_intent::{
        CancelPaymentIntent, CreatePaymentIntent, CreatePaymentIntentAutomaticPaymentMethods, ListPaymentIntent,
        RetrievePaymentIntent,
    },
};
use stripe_types::{Currency, RangeQueryTs};

use super::{Answer, PAGE, Page, Stripe, StripeError};

impl Stripe {
    /// Creates an order's intent, under an idempotency key made of the order's id and the generation: however often this is
    /// called, there is one.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn create_intent(&self, wanted: &IntentToCreate) -> Result<Answer<IntentReport>, StripeError> {
        let call = self.call("create_intent");
        let currency: Currency = wanted.currency.parse().unwrap_or_else(|_| Currency::Unknown(wanted.currency.clone()));
        let metadata = HashMap::from([
            ("order_id".to_owned(), wanted.order_id.to_string()),
            ("generation".to_owned(), wanted.generation.to_string()),
        ]);
        let intent = CreatePaymentIntent::new(wanted.amount.0, currency)
            .automatic_payment_methods(CreatePaymentIntentAutomaticPaymentMethods::new(true))
            .description(format!("Order {}", wanted.number))
            .metadata(metadata)
            .customize()
            .request_strategy(RequestStrategy::Idempotent(key(wanted)))
            .send(&call)
            .await?;
        Ok(call.answered(report(intent)))
    }

    /// Asks how an intent stands.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn retrieve_intent(&self, id: &str) -> Result<Answer<IntentReport>, StripeError> {
        let call = self.call("retrieve_intent");
        let intent = RetrievePaymentIntent::new(id).customize().send(&call).await?;
        Ok(call.answered(report(intent)))
    }

    /// Cancels an intent. Under no idempotency key: a repeat does no harm, and a saved error would stand in the way of a cancel that
    /// has become possible.
    ///
    /// # Errors
    /// `payment_intent_unexpected_state` where it has ended or is processing; see [`StripeError`].
    pub async fn cancel_intent(&self, id: &str) -> Result<Answer<IntentReport>, StripeError> {
        let call = self.call("cancel_intent");
        let intent = CancelPaymentIntent::new(id).customize().send(&call).await?;
        Ok(call.answered(report(intent)))
    }

    /// Intents that were created since `since`, the newest first, after the one with the id `after`.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn list_intents(
        &self,
        since: DateTime<Utc>,
        after: Option<String>,
    ) -> Result<Answer<Page<IntentReport>>, StripeError> {
        let call = self.call("list_intents");
        let mut request = ListPaymentIntent::new().limit(PAGE).created(RangeQueryTs::gte(since.timestamp()));
        if let Some(after) = after {
            request = request.starting_after(after);
        }
        let list = request.customize().send(&call).await?;
        Ok(call.answered(Page::of(list, |intent| intent.id.to_string(), report)))
    }

    /// Looks for an intent of an order among all that were created since it was placed. Stripe's List can't filter by metadata,
    /// and its Search lags behind.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn find_intent(
        &self,
        order: OrderId,
        placed_at: DateTime<Utc>,
    ) -> Result<Option<Answer<IntentReport>>, StripeError> {
        let since = placed_at - TimeDelta::hours(2); // our clock may be wrong
        let mut after = None;
        loop {
            let Answer { report: page, request_id } = self.list_intents(since, after).await?;
            if let Some(report) = page.items.into_iter().find(|intent| intent.order == NamedOrder::Id(order)) {
                return Ok(Some(Answer { report, request_id }));
            }
            after = page.next;
            if after.is_none() {
                return Ok(None);
            }
        }
    }
}

fn key(wanted: &IntentToCreate) -> IdempotencyKey {
    let key = format!("order:{}:intent:{}", wanted.order_id, wanted.generation);
    IdempotencyKey::new(key).expect("it is short and not empty")
}

fn report(intent: PaymentIntent) -> IntentReport {
    let last_error = intent.last_payment_error.map(|error| {
        let code = error.code.map_or_else(|| error.type_.as_str().to_owned(), |code| code.as_str().to_owned());
        LastPaymentError::new(Some(error.decline_code.unwrap_or(code)), error.message)
    });
    IntentReport {
        stripe_id: intent.id.to_string(),
        status: IntentStatus::from(intent.status.as_str()),
        amount: Money(intent.amount),
        amount_received: Money(intent.amount_received),
        currency: intent.currency.to_string().to_lowercase(),
        client_secret: intent.client_secret,
        last_error,
        generation: intent.metadata.get("generation").and_then(|g| g.parse().ok()),
        order: NamedOrder::read(intent.metadata.get("order_id").map(String::as_str)),
    }
}
