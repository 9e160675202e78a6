//! `payment.create_intent`: the order gets its PaymentIntent at Stripe, one however often this is tried.

use std::sync::Arc;

use common::{
    jobs::{CreateIntent, Lease},
    order::{self, News, Source},
    payment::{self, IntentReport, IntentToCreate},
};

use super::context::{Context, booked};
use crate::{
    runtime::{Job, JobError},
    stripe::{Answer, Failure, StripeError},
};

/// Creates the intent and stores it.
///
/// # Errors
/// Always for another try: this job ends when an intent is stored, or the order is canceled.
pub async fn run(job: Job<CreateIntent>, context: Arc<Context>) -> Result<(), JobError> {
    let order_id = job.payload.order_id;
    let Some(wanted) = payment::intent_to_create(&context.pool, order_id).await? else {
        return Ok(());
    };
    let answer = if wanted.key_may_be_forgotten {
        match find(&context, &wanted).await? {
            Some(found) => Ok(found),
            None => context.stripe.create_intent(&wanted).await,
        }
    } else {
        context.stripe.create_intent(&wanted).await
    };
    match answer {
        Ok(answer) => store(&context, &job.lease, &wanted, &answer).await,
        Err(e) => after_failure(&context, &job.lease, &wanted, e).await,
    }
}

async fn store(
    context: &Context,
    lease: &Lease,
    wanted: &IntentToCreate,
    answer: &Answer<IntentReport>,
) -> Result<(), JobError> {
    let source = Source { operation: "create_intent", stripe_request_id: answer.request_id.as_deref(), seen: None };
    let news = News::Intent(&answer.report);
    booked(order::apply(&context.pool, Some(lease), wanted.order_id, news, source, context.unfulfillable).await?)
}

async fn after_failure(
    context: &Context,
    lease: &Lease,
    wanted: &IntentToCreate,
    error: StripeError,
) -> Result<(), JobError> {
    match error.failure() {
        Failure::Never => {
            context.log_failure("create_intent", Some(wanted.order_id), None, &error).await;
            tracing::error!(order_id = %wanted.order_id, %error, "Stripe refuses this order; it is canceled");
            order::refuse(&context.pool, lease, wanted.order_id, &error.to_string()).await?;
            Ok(())
        }
        // Nothing else will ever come back under this key: look for what it may have made, and only then take another.
        Failure::KeySpent => {
            context.log_failure("create_intent", Some(wanted.order_id), None, &error).await;
            match find(context, wanted).await? {
                Some(found) => store(context, lease, wanted, &found).await,
                None => {
                    payment::raise_generation(&context.pool, wanted).await?;
                    Err(JobError::retry(error))
                }
            }
        }
        Failure::Later | Failure::OurConfiguration => {
            Err(context.failed_call("create_intent", Some(wanted.order_id), None, error).await)
        }
    }
}

async fn find(context: &Context, wanted: &IntentToCreate) -> Result<Option<Answer<IntentReport>>, JobError> {
    match context.stripe.find_intent(wanted.order_id, wanted.placed_at).await {
        Ok(Some(found)) => {
            // One that we know is of another order, whatever its metadata say.
            let known = payment::known_intent(&context.pool, &found.report.stripe_id).await?;
            Ok(known.is_none_or(|known| known.order_id == wanted.order_id).then_some(found))
        }
        Ok(None) => Ok(None),
        Err(e) => Err(context.failed_call("list_intents", Some(wanted.order_id), None, e).await),
    }
}
