//! `payment.refund`: a refund that was booked is made at Stripe, once however often this is tried.

use std::sync::Arc;

use common::{
    jobs::{Lease, RefundPayment},
    order::{self, News, Payment, Source},
    payment::{self, RefundReport, RefundToMake},
};

use super::context::{Context, booked};
use crate::{
    runtime::{Job, JobError},
    stripe::{Answer, Failure, StripeError},
};

/// Makes the refund and books what Stripe says.
///
/// # Errors
/// For another try; after a day the refund is given up, and somebody has to look at it.
pub async fn run(job: Job<RefundPayment>, context: Arc<Context>) -> Result<(), JobError> {
    let Some(wanted) = payment::refund_to_make(&context.pool, job.payload.refund_id).await? else {
        return Ok(());
    };
    if wanted.key_may_be_forgotten
        && let Some(found) = find(&context, &wanted).await?
    {
        return store(&context, &job.lease, &wanted, &found).await;
    }
    match context.stripe.create_refund(&wanted).await {
        Ok(answer) => store(&context, &job.lease, &wanted, &answer).await,
        Err(e) => after_failure(&context, &job.lease, &wanted, e).await,
    }
}

async fn store(
    context: &Context,
    lease: &Lease,
    wanted: &RefundToMake,
    answer: &Answer<RefundReport>,
) -> Result<(), JobError> {
    let news = News::Refund(&answer.report, Payment { intent: &wanted.intent, unknown: None });
    let source = Source { operation: "create_refund", stripe_request_id: answer.request_id.as_deref(), seen: None };
    booked(order::apply(&context.pool, Some(lease), wanted.order_id, news, source, context.unfulfillable).await?)
}

async fn after_failure(
    context: &Context,
    lease: &Lease,
    wanted: &RefundToMake,
    error: StripeError,
) -> Result<(), JobError> {
    let (order, intent) = (Some(wanted.order_id), Some(wanted.intent.as_str()));
    match error.failure() {
        Failure::Never => {
            context.log_failure("create_refund", order, intent, &error).await;
            Ok(order::refuse_refund(&context.pool, lease, wanted.id, &error.to_string()).await?)
        }
        // Nothing else will ever come back under this key: look for what it may have made, and only then take another.
        Failure::KeySpent => {
            context.log_failure("create_refund", order, intent, &error).await;
            match find(context, wanted).await? {
                Some(found) => store(context, lease, wanted, &found).await,
                None => {
                    payment::raise_refund_generation(&context.pool, wanted).await?;
                    Err(JobError::retry(error))
                }
            }
        }
        Failure::Later | Failure::OurConfiguration => {
            Err(context.failed_call("create_refund", order, intent, error).await)
        }
    }
}

async fn find(context: &Context, wanted: &RefundToMake) -> Result<Option<Answer<RefundReport>>, JobError> {
    match context.stripe.find_refund(wanted).await {
        Ok(found) => Ok(found),
        Err(e) => Err(context.failed_call("list_refunds", Some(wanted.order_id), Some(&wanted.intent), e).await),
    }
}
