//! `order.expire`: an order that was not paid in time lets go of its stock.

use std::sync::Arc;

use common::{
    jobs::ExpireOrder,
    order::{self, Expiry, News, Source},
    payment,
};

use super::context::{Context, booked};
use crate::runtime::{Job, JobError};

/// Starts the end of an unpaid order. One whose payment is under way is asked about at Stripe, and looked at again later.
///
/// # Errors
/// For another try, or because it isn't time yet.
pub async fn run(job: Job<ExpireOrder>, context: Arc<Context>) -> Result<(), JobError> {
    let order_id = job.payload.order_id;
    match order::expire(&context.pool, &job.lease, order_id).await? {
        Expiry::Done => Ok(()),
        Expiry::NotBefore(left) => Err(JobError::not_before(anyhow::anyhow!("the order has not expired yet"), left)),
        Expiry::AskStripe => {
            if let Some(intent) = payment::intent_under_way(&context.pool, order_id).await? {
                match context.stripe.retrieve_intent(&intent.stripe_id).await {
                    Ok(answer) => {
                        let source = Source {
                            operation: "retrieve_intent",
                            stripe_request_id: answer.request_id.as_deref(),
                            seen: Some(intent.seen),
                        };
                        let (news, policy) = (News::Intent(&answer.report), context.unfulfillable);
                        booked(order::apply(&context.pool, None, order_id, news, source, policy).await?)?;
                    }
                    Err(e) => {
                        return Err(context
                            .failed_call("retrieve_intent", Some(order_id), Some(&intent.stripe_id), e)
                            .await);
                    }
                }
            }
            Err(JobError::not_yet(anyhow::anyhow!("the payment is under way")))
        }
    }
}
