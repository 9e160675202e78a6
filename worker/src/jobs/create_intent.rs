//! `payment.create_intent`: the order gets its PaymentIntent at Stripe, one however often this is tried.

use std::sync::Arc;

use common::{
    jobs::{CreateIntent, Lease},
    order::{self, Source},
    payment::{self, IntentToCreate},
};

use super::State;
use crate::{
    runtime::{Job, JobError},
    stripe::{Answer, StripeError, Verdict},
};

/// Creates the intent and stores it.
///
/// # Errors
/// Always for another try: this job ends when an intent is stored, or the order is canceled.
pub async fn run(job: Job<CreateIntent>, state: Arc<State>) -> Result<(), JobError> {
    let order_id = job.payload.order_id;
    let Some(wanted) = payment::intent_to_create(&state.pool, order_id).await? else {
        return Ok(());
    };
    let answer = if wanted.key_may_be_forgotten {
        match find(&state, &wanted).await? {
            Some(found) => Ok(found),
            None => state.stripe.create_intent(&wanted).await,
        }
    } else {
        state.stripe.create_intent(&wanted).await
    };
    match answer {
        Ok(answer) => store(&state, &job.lease, &wanted, &answer).await,
        Err(e) => after_failure(&state, &job.lease, &wanted, e).await,
    }
}

async fn store(state: &State, lease: &Lease, wanted: &IntentToCreate, answer: &Answer) -> Result<(), JobError> {
    let source = Source { operation: "create_intent", stripe_request_id: answer.request_id.as_deref() };
    order::apply_intent(&state.pool, Some(lease), wanted.order_id, &answer.report, source).await?;
    Ok(())
}

async fn after_failure(
    state: &State,
    lease: &Lease,
    wanted: &IntentToCreate,
    error: StripeError,
) -> Result<(), JobError> {
    match error.verdict() {
        Verdict::Never => {
            state.log_failure("create_intent", Some(wanted.order_id), None, &error).await;
            tracing::error!(order_id = %wanted.order_id, %error, "Stripe refuses this order; it is canceled");
            order::refuse(&state.pool, lease, wanted.order_id, &error.to_string()).await?;
            Ok(())
        }
        // Nothing else will ever come back under this key: look for what it may have made, and only then take another.
        Verdict::KeySpent => {
            state.log_failure("create_intent", Some(wanted.order_id), None, &error).await;
            match find(state, wanted).await? {
                Some(found) => store(state, lease, wanted, &found).await,
                None => {
                    payment::raise_generation(&state.pool, wanted).await?;
                    Err(JobError::retry(error))
                }
            }
        }
        Verdict::Later | Verdict::OurConfiguration => {
            Err(state.failed_call("create_intent", Some(wanted.order_id), None, error).await)
        }
    }
}

async fn find(state: &State, wanted: &IntentToCreate) -> Result<Option<Answer>, JobError> {
    match state.stripe.find_intent(wanted.order_id, wanted.placed_at).await {
        Ok(found) => Ok(found),
        Err(e) => Err(state.failed_call("list_intents", Some(wanted.order_id), None, e).await),
    }
}
