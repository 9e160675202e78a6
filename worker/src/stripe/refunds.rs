//! The calls about refunds.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use common::{
    money::Money,
    payment::{RefundOrigin, RefundReport, RefundStatus, RefundToMake},
};
use stripe::{IdempotencyKey, RequestStrategy, StripeRequest as _};
use stripe_core::{
    Refund,
    refund::{CreateRefund, CreateRefundReason, ListRefund, RetrieveRefund},
};
use stripe_types::RangeQueryTs;

use super::{Answer, PAGE, Page, Stripe, StripeError};

impl Stripe {
    /// Makes a refund, under an idempotency key made of our id and the generation: however often this is called, there is one.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn create_refund(&self, wanted: &RefundToMake) -> Result<Answer<RefundReport>, StripeError> {
        let call = self.call("create_refund");
        let metadata = HashMap::from([
            ("order_id".to_owned(), wanted.order_id.to_string()),
            ("refund_id".to_owned(), wanted.id.to_string()),
        ]);
        let request =
            CreateRefund::new().payment_intent(&wanted.intent).amount(wanted.amount.0).metadata(metadata).reason(
                match wanted.origin {
                    RefundOrigin::Duplicate => CreateRefundReason::Duplicate,
                    _ => CreateRefundReason::RequestedByCustomer,
                },
            );
        let key = IdempotencyKey::new(format!("refund:{}:{}", wanted.id, wanted.generation));
        let strategy = RequestStrategy::Idempotent(key.expect("it is short and not empty"));
        let refund = request.customize().request_strategy(strategy).send(&call).await?;
        Ok(call.answered(report(refund)))
    }

    /// Asks how a refund stands.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn retrieve_refund(&self, id: &str) -> Result<Answer<RefundReport>, StripeError> {
        let call = self.call("retrieve_refund");
        let refund = RetrieveRefund::new(id).customize().send(&call).await?;
        Ok(call.answered(report(refund)))
    }

    /// Refunds that were created since `since`, of all intents, the newest first, after the one with the id `after`.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn list_refunds(
        &self,
        since: DateTime<Utc>,
        after: Option<String>,
    ) -> Result<Page<RefundReport>, StripeError> {
        let mut request = ListRefund::new().limit(PAGE).created(RangeQueryTs::gte(since.timestamp()));
        if let Some(after) = after {
            request = request.starting_after(after);
        }
        let list = request.customize().send(&self.call("list_refunds")).await?;
        Ok(Page::of(list, |refund| refund.id.to_string(), report))
    }

    /// Looks for one of our refunds among all of its intent's.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn find_refund(&self, wanted: &RefundToMake) -> Result<Option<Answer<RefundReport>>, StripeError> {
        let mut after = None;
        loop {
            let call = self.call("list_refunds");
            let mut request = ListRefund::new().payment_intent(&wanted.intent).limit(PAGE);
            if let Some(after) = after {
                request = request.starting_after(after);
            }
            let page = Page::of(request.customize().send(&call).await?, |refund| refund.id.to_string(), report);
            if let Some(found) = page.items.into_iter().find(|refund| refund.refund_id == Some(wanted.id)) {
                return Ok(Some(call.answered(found)));
            }
            after = page.next;
            if after.is_none() {
                return Ok(None);
            }
        }
    }
}

fn report(refund: Refund) -> RefundReport {
    let refund_id = refund.metadata.as_ref().and_then(|metadata| metadata.get("refund_id")?.parse().ok());
    RefundReport {
        stripe_id: refund.id.to_string(),
        status: RefundStatus::from(refund.status.as_deref().unwrap_or("pending")),
        amount: Money(refund.amount),
        intent: refund.payment_intent.map(|intent| intent.into_id().to_string()),
        charge: refund.charge.map(|charge| charge.into_id().to_string()),
        refund_id,
        failure_reason: refund.failure_reason,
    }
}
