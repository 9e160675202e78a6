//! `payment.cancel_intent`: nobody shall be able to pay for an order that is being canceled; only then its stock is released.

use std::sync::Arc;

use common::{
    jobs::CancelIntent,
    order::{self, News, Source},
    payment::{IntentReport, KnownIntent},
};

use super::context::{Context, booked};
use crate::{
    runtime::{Job, JobError},
    stripe::{Answer, StripeError},
};

/// Cancels the intent at Stripe. Where it has succeeded all the same, the order is paid; where it is processing, it is looked at
/// again later.
///
/// # Errors
/// Always for another try: this job ends when Stripe says that the intent has ended.
pub async fn run(job: Job<CancelIntent>, context: Arc<Context>) -> Result<(), JobError> {
    let id = job.payload.payment_intent_id;
    let Some(intent) = order::intent_to_cancel_or_done(&context.pool, &job.lease, id).await? else {
        return Ok(());
    };
    let answer = match context.stripe.cancel_intent(&intent.stripe_id).await {
        Err(e) if e.is_code("payment_intent_unexpected_state") => {
            context.log_failure("cancel_intent", Some(intent.order_id), Some(&intent.stripe_id), &e).await;
            answered(&context, &intent, "retrieve_intent", context.stripe.retrieve_intent(&intent.stripe_id).await)
                .await?
        }
        answer => answered(&context, &intent, "cancel_intent", answer).await?,
    };
    let ended = answer.report.status.is_final();
    let source =
        Source { operation: "cancel_intent", stripe_request_id: answer.request_id.as_deref(), seen: Some(intent.seen) };
    let lease = ended.then_some(&job.lease);
    let news = News::Intent(&answer.report);
    booked(order::apply(&context.pool, lease, intent.order_id, news, source, context.unfulfillable).await?)?;
    if ended {
        return Ok(());
    }
    let why = anyhow::anyhow!("the intent is {} and can't be canceled yet", answer.report.status.as_str());
    Err(JobError::not_yet(why))
}

async fn answered(
    context: &Context,
    intent: &KnownIntent,
    operation: &str,
    answer: Result<Answer<IntentReport>, StripeError>,
) -> Result<Answer<IntentReport>, JobError> {
    match answer {
        Ok(answer) => Ok(answer),
        Err(e) => Err(context.failed_call(operation, Some(intent.order_id), Some(&intent.stripe_id), e).await),
    }
}
