//! `webhook.process`: one event of Stripe's, applied to the order that it is about.

use std::{sync::Arc, time::Duration};

use common::{
    jobs::ProcessWebhook,
    order::{Applied, Source},
    payment,
    webhook::{self, Class, Inbound, IntentEvent, NamedOrder},
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
    match event.classify(context.livemode) {
        Class::OtherMode => {
            tracing::error!(event = %event.id, livemode = event.livemode, "an event of the other mode came: check the endpoint");
            ignore(&job, &context, &event, "its livemode is not our key's").await
        }
        Class::Unused => ignore(&job, &context, &event, "we have no use for this type").await,
        Class::Intent(intent) => payment_intent(&job, &context, &event, intent).await,
    }
}

async fn payment_intent(
    job: &Job<ProcessWebhook>,
    context: &Context,
    event: &Inbound,
    intent: IntentEvent<'_>,
) -> Result<(), JobError> {
    let known = match intent.stripe_id {
        Some(id) => payment::known_intent(&context.pool, id).await?,
        None => None,
    };
    let seen = known.as_ref().map(|known| known.seen);
    // One that we know is of the order that we know it of, whatever its metadata say.
    let order_id = match (known, intent.order) {
        (Some(known), _) => known.order_id,
        (None, NamedOrder::Id(order)) => order,
        (None, NamedOrder::None) => return ignore(job, context, event, "the intent names no order").await,
        (None, NamedOrder::Unreadable) => return park(job, context, event, UNKNOWN_ORDER).await,
    };
    let (report, request_id) = match intent.proof {
        Some(told) => (told, None),
        None => {
            let id =
                intent.stripe_id.ok_or_else(|| JobError::retry(anyhow::anyhow!("the event's intent has no id")))?;
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
