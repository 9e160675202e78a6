//! `webhook.process`: one event of Stripe's, applied to the order that it is about.

use std::{sync::Arc, time::Duration};

use common::{
    id::OrderId,
    jobs::ProcessWebhook,
    order::{Applied, News, Source},
    payment::{self, NamedOrder, Seen},
    webhook::{self, Class, Inbound, IntentEvent},
};

use super::context::{Context, stale};
use crate::{
    metrics::{EVENT_AGE_WHEN_SETTLED, EVENT_CREATED_TO_SETTLED, EVENTS_PARKED, EVENTS_SETTLED},
    owner::{NotOurs, Owner, OwnerError},
    runtime::{Job, JobError},
};

/// Applies the event.
///
/// # Errors
/// For another try; after a day the event is given up and kept as `failed`.
pub async fn run(job: Job<ProcessWebhook>, context: Arc<Context>) -> Result<(), JobError> {
    let Some(event) = webhook::begin_attempt(&context.pool, job.payload.webhook_log_id).await? else {
        return Ok(());
    };
    let this = Processing { job: &job, context: &context, event: &event };
    match event.classify(context.livemode) {
        Class::OtherMode => {
            tracing::error!(event = %event.id, livemode = event.livemode, "an event of the other mode came: check the endpoint");
            this.ignore("its livemode is not our key's").await
        }
        Class::Unused => this.ignore("we have no use for this type").await,
        Class::Intent(intent) => this.intent(intent).await,
        Class::Refund(id) => this.refund(this.named(id)?).await,
        Class::Dispute(id) => this.dispute(this.named(id)?).await,
    }
}

/// One event on its way.
#[derive(Clone, Copy)]
struct Processing<'a> {
    job: &'a Job<ProcessWebhook>,
    context: &'a Context,
    event: &'a Inbound,
}

impl Processing<'_> {
    async fn intent(self, intent: IntentEvent<'_>) -> Result<(), JobError> {
        let pool = &self.context.pool;
        let known = match intent.stripe_id {
            Some(id) => payment::known_intent(pool, id).await?,
            None => None,
        };
        let seen = known.as_ref().map(|known| known.seen);
        // One that we know is of the order that we know it of, whatever its metadata say.
        let order_id = match (known, intent.order) {
            (Some(known), _) => known.order_id,
            (None, NamedOrder::Id(order)) => order,
            (None, NamedOrder::None) => return self.not_ours(NotOurs::NamesNoOrder).await,
            (None, NamedOrder::Unreadable) => return self.not_ours(NotOurs::UnknownOrder).await,
        };
        let (report, request_id) = match intent.proof {
            Some(told) => (told, None),
            None => {
                let id = self.named(intent.stripe_id)?;
                match self.context.stripe.retrieve_intent(id).await {
                    Ok(answer) => (answer.report, answer.request_id),
                    Err(e) => return Err(self.context.failed_call("retrieve_intent", None, Some(id), e).await),
                }
            }
        };
        self.apply(order_id, News::Intent(&report), request_id.as_deref(), seen).await
    }

    async fn refund(self, id: &str) -> Result<(), JobError> {
        let known = payment::known_refund(&self.context.pool, id).await?;
        let answer = match self.context.stripe.retrieve_refund(id).await {
            Ok(answer) => answer,
            Err(e) => return Err(self.context.failed_call("retrieve_refund", None, Some(id), e).await),
        };
        let report = &answer.report;
        let owner = match self.owner(report.intent.as_deref(), report.charge.as_deref()).await? {
            Ok(owner) => owner,
            Err(why) => return self.not_ours(why).await,
        };
        let news = News::Refund(report, owner.payment());
        self.apply(owner.order, news, answer.request_id.as_deref(), known.and_then(|k| k.seen)).await
    }

    async fn dispute(self, id: &str) -> Result<(), JobError> {
        let known = payment::known_dispute(&self.context.pool, id).await?;
        let answer = match self.context.stripe.retrieve_dispute(id).await {
            Ok(answer) => answer,
            Err(e) => return Err(self.context.failed_call("retrieve_dispute", None, Some(id), e).await),
        };
        let report = &answer.report;
        let owner = match self.owner(report.intent.as_deref(), report.charge.as_deref()).await? {
            Ok(owner) => owner,
            Err(why) => return self.not_ours(why).await,
        };
        let news = News::Dispute(report, owner.payment());
        self.apply(owner.order, news, answer.request_id.as_deref(), known.and_then(|k| k.seen)).await
    }

    async fn owner(self, intent: Option<&str>, charge: Option<&str>) -> Result<Result<Owner, NotOurs>, JobError> {
        match Owner::find(&self.context.pool, &self.context.stripe, intent, charge).await {
            Ok(found) => Ok(found),
            Err(OwnerError::Database(error)) => Err(error.into()),
            Err(OwnerError::Stripe { operation, object, error }) => {
                Err(self.context.failed_call(operation, None, Some(&object), error).await)
            }
        }
    }

    async fn apply(
        self,
        order: OrderId,
        news: News<'_>,
        stripe_request_id: Option<&str>,
        seen: Seen,
    ) -> Result<(), JobError> {
        let operation = format!("event:{}", self.event.kind);
        let source = Source { operation: &operation, stripe_request_id, seen };
        let (pool, policy) = (&self.context.pool, self.context.unfulfillable);
        match webhook::apply(pool, &self.job.lease, self.event.id, order, news, source, policy).await? {
            Applied::To(_) => {
                self.settled("processed");
                Ok(())
            }
            Applied::UnknownOrder => self.not_ours(NotOurs::UnknownOrder).await,
            Applied::Stale => Err(stale()),
        }
    }

    /// The id of the event's object, which no event of Stripe's lacks.
    fn named(self, id: Option<&str>) -> Result<&str, JobError> {
        id.ok_or_else(|| JobError::retry(anyhow::anyhow!("the event's object has no id")))
    }

    async fn not_ours(self, why: NotOurs) -> Result<(), JobError> {
        match why {
            NotOurs::NamesNoOrder => self.ignore("its payment names no order").await,
            NotOurs::UnknownOrder => self.park("its payment names an order that we don't know").await,
        }
    }

    async fn ignore(self, reason: &str) -> Result<(), JobError> {
        webhook::ignore(&self.context.pool, &self.job.lease, self.event.id, reason).await?;
        self.settled("ignored");
        Ok(())
    }

    /// What the event is about may turn up yet: looked at again later, until it is too old.
    async fn park(self, reason: &'static str) -> Result<(), JobError> {
        webhook::park(&self.context.pool, self.event.id, reason).await?;
        metrics::counter!(EVENTS_PARKED).increment(1);
        if self.job.age > self.context.limits.give_up_after {
            return Err(JobError::give_up(anyhow::anyhow!(reason)));
        }
        Err(JobError::not_yet(anyhow::anyhow!(reason)))
    }

    fn settled(self, outcome: &'static str) {
        metrics::counter!(EVENTS_SETTLED, "outcome" => outcome).increment(1);
        metrics::histogram!(EVENT_AGE_WHEN_SETTLED)
            .record(Duration::try_from_secs_f64(self.event.age_seconds).unwrap_or_default().as_secs_f64());
        if let Some(ago) = self.event.created_seconds_ago {
            metrics::histogram!(EVENT_CREATED_TO_SETTLED).record(ago);
        }
    }
}
