//! `payment.cancel_intent`: nobody shall be able to pay for an order that is being canceled; only then its stock is released.

use std::sync::Arc;

use common::{
    jobs::CancelIntent,
    order::{self, Source},
    payment::{self, IntentStatus, IntentToCancel},
};

use super::State;
use crate::{
    runtime::{Job, JobError},
    stripe::{Answer, StripeError},
};

/// Cancels the intent at Stripe. Where it has succeeded all the same, the order is paid; where it is processing, it is looked at
/// again later.
///
/// # Errors
/// Always for another try: this job ends when Stripe says that the intent has ended.
pub async fn run(job: Job<CancelIntent>, state: Arc<State>) -> Result<(), JobError> {
    let Some(intent) = payment::intent_to_cancel(&state.pool, job.payload.payment_intent_id).await? else {
        return Ok(());
    };
    let answer = match state.stripe.cancel_intent(&intent.stripe_id).await {
        Err(e) if e.is_code("payment_intent_unexpected_state") => {
            state.log_failure("cancel_intent", Some(intent.order_id), Some(&intent.stripe_id), &e).await;
            answered(&state, &intent, "retrieve_intent", state.stripe.retrieve_intent(&intent.stripe_id).await).await?
        }
        answer => answered(&state, &intent, "cancel_intent", answer).await?,
    };
    let ended = matches!(answer.report.status, IntentStatus::Canceled | IntentStatus::Succeeded);
    let source = Source { operation: "cancel_intent", stripe_request_id: answer.request_id.as_deref() };
    order::apply_intent(&state.pool, ended.then_some(&job.lease), intent.order_id, &answer.report, source).await?;
    if ended {
        return Ok(());
    }
    let why = anyhow::anyhow!("the intent is {} and can't be canceled yet", answer.report.status.as_str());
    Err(JobError::not_yet(why, state.pause(job.lease.attempt())))
}

async fn answered(
    state: &State,
    intent: &IntentToCancel,
    operation: &str,
    answer: Result<Answer, StripeError>,
) -> Result<Answer, JobError> {
    match answer {
        Ok(answer) => Ok(answer),
        Err(e) => Err(state.failed_call(operation, Some(intent.order_id), Some(&intent.stripe_id), e).await),
    }
}
