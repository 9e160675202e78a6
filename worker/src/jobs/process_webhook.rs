//! `webhook.process`: one event of Stripe's, applied to the order that it is about.

use std::{sync::Arc, time::Duration};

use common::{
    id::OrderId,
    jobs::ProcessWebhook,
    order::{Applied, Source},
    payment::{self, IntentReport},
    webhook::{self, Inbound},
};

use super::context::{Context, stale};
use crate::{
    figures,
    runtime::{Job, JobError},
};

const UNKNOWN_ORDER: &str = "the intent names an order that we don't know";

/// Applies the event.
///
/// # Errors
/// For another try; after a day the event is given up and kept as `failed`.
pub async fn run(job: Job<ProcessWebhook>, context: Arc<Context>) -> Result<(), JobError> {
    let Some(event) = webhook::begin_attempt(&context.pool, job.payload.webhook_log_id).await? else {
        return Ok(());
    };
    if event.livemode != context.livemode {
        tracing::error!(event = %event.id, livemode = event.livemode, "an event of the other mode came: check the endpoint");
        return ignore(&job, &context, &event, "its livemode is not our key's").await;
    }
    match event.kind.as_str() {
        "payment_intent.succeeded"
        | "payment_intent.payment_failed"
        | "payment_intent.processing"
        | "payment_intent.canceled" => payment_intent(&job, &context, &event).await,
        _ => ignore(&job, &context, &event, "we have no use for this type").await,
    }
}

async fn payment_intent(job: &Job<ProcessWebhook>, context: &Context, event: &Inbound) -> Result<(), JobError> {
    let object = &event.object;
    let known = match object["id"].as_str() {
        Some(id) => payment::known_intent(&context.pool, id).await?,
        None => None,
    };
    let seen = known.as_ref().map(|known| known.seen);
    let order_id = match (known, object["metadata"]["order_id"].as_str()) {
        (Some(known), _) => known.order_id,
        (None, None) => return ignore(job, context, event, "the intent names no order").await,
        (None, Some(named)) => match named.parse::<OrderId>() {
            Ok(order) => order,
            Err(_) => return park(job, context, event, UNKNOWN_ORDER).await,
        },
    };
    // Success is final and applied as it comes. The order in which the others arrive proves nothing: Stripe is asked how the
    // intent stands now. So it is where we can't read the event: what it tells of our order must not be lost.
    let (report, request_id) = match IntentReport::from_event_object(object) {
        Some(told) if event.kind == "payment_intent.succeeded" => (told, None),
        _ => {
            let id = object["id"].as_str();
            let id = id.ok_or_else(|| JobError::retry(anyhow::anyhow!("the event's intent has no id")))?;
            match context.stripe.retrieve_intent(id).await {
                Ok(answer) => (answer.report, answer.request_id),
                Err(e) => return Err(context.failed_call("retrieve_intent", None, Some(id), e).await),
            }
        }
    };
    let operation = format!("event:{}", event.kind);
    let source = Source { operation: &operation, stripe_request_id: request_id.as_deref(), seen };
    match webhook::apply_intent(&context.pool, &job.lease, event.id, order_id, &report, source).await? {
        Applied::To(_) => {
            settled(event, "processed");
            Ok(())
        }
        Applied::UnknownOrder => park(job, context, event, UNKNOWN_ORDER).await,
        Applied::Stale => Err(stale()),
    }
}

async fn ignore(job: &Job<ProcessWebhook>, context: &Context, event: &Inbound, reason: &str) -> Result<(), JobError> {
    webhook::ignore(&context.pool, &job.lease, event.id, reason).await?;
    settled(event, "ignored");
    Ok(())
}

/// What the event is about may turn up yet: looked at again later, until it is too old.
async fn park(
    job: &Job<ProcessWebhook>,
    context: &Context,
    event: &Inbound,
    reason: &'static str,
) -> Result<(), JobError> {
    webhook::park(&context.pool, event.id, reason).await?;
    metrics::counter!(figures::EVENTS_PARKED).increment(1);
    if job.age > context.limits.give_up_after {
        return Err(JobError::give_up(anyhow::anyhow!(reason)));
    }
    Err(JobError::not_yet(anyhow::anyhow!(reason)))
}

fn settled(event: &Inbound, outcome: &'static str) {
    metrics::counter!(figures::EVENTS_SETTLED, "outcome" => outcome).increment(1);
    metrics::histogram!(figures::EVENT_AGE_WHEN_SETTLED)
        .record(Duration::try_from_secs_f64(event.age_seconds).unwrap_or_default().as_secs_f64());
}
