//! Reads the timeline: what the tables of the shop's parts tell of one order, in one list.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db,
    id::OrderId,
    jobs::{Queue, State},
    page::{BadCursor, Limit, Page, TimePlace},
};

/// Who tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Source {
    /// The order: it was placed, moved, refunded, told of.
    Order,
    /// The queue: a job about it, as the job is now. A job that is done is forgotten after `JOB_RETENTION_DAYS`.
    Job,
    /// The log of payments: a call to Stripe, or an event that was applied.
    Payment,
    /// The inbox: an event that Stripe has sent, as it stands now. A settled one is forgotten after `WEBHOOK_RETENTION_DAYS`.
    Webhook,
    /// The stock ledger.
    Stock,
    /// The outbox: a mail, as it stands now.
    Mail,
    /// The audit log: what an operator did.
    Audit,
}

impl Source {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Job => "job",
            Self::Payment => "payment",
            Self::Webhook => "webhook",
            Self::Stock => "stock",
            Self::Mail => "mail",
            Self::Audit => "audit",
        }
    }
}

/// Something that happened to an order, or on its behalf.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
pub struct Entry {
    /// Its own: of the job, the mail, and so on.
    pub id: Uuid,
    /// When it happened, or began.
    pub created_at: DateTime<Utc>,
    /// Who tells of it.
    pub source: Source,
    /// What it is: `order.paid`, the queue of a job, the operation at Stripe, the type of an event, …
    pub kind: String,
    /// Who did it: `user:…`, `stripe`, `system`.
    pub actor: String,
    /// The request that it follows from.
    pub request_id: Option<String>,
    /// The trace that it is part of (W3C Trace Context), 32 digits in hex.
    pub trace_id: Option<String>,
    /// What else is known of it: its members depend on the source and the kind.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// The place behind an entry. What one transaction wrote has one time: by its rank what follows from something stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(TimePlace, i32)", into = "(TimePlace, i32)")]
pub struct Place {
    at: TimePlace,
    rank: i32,
}

impl From<Place> for (TimePlace, i32) {
    fn from(place: Place) -> Self {
        (place.at, place.rank)
    }
}

impl TryFrom<(TimePlace, i32)> for Place {
    type Error = BadCursor;

    fn try_from((at, rank): (TimePlace, i32)) -> Result<Self, BadCursor> {
        if (0..=2).contains(&rank) { Ok(Self { at, rank }) } else { Err(BadCursor) }
    }
}

impl From<&Entry> for Place {
    fn from(entry: &Entry) -> Self {
        // As the query has it.
        let rank = match entry.source {
            Source::Mail => 1,
            Source::Job => 2,
            Source::Order | Source::Payment | Source::Webhook | Source::Stock | Source::Audit => 0,
        };
        Self { at: TimePlace { time: entry.created_at, id: entry.id }, rank }
    }
}

/// What happened to an order, the oldest first: `limit` entries behind `after`; `None` where there is no such order. What one
/// transaction wrote has one time: first stands what happened, then the mails that tell of it, then the jobs that follow, each as
/// they were written.
///
/// # Errors
/// The database's.
pub async fn page(
    pool: &PgPool,
    order: OrderId,
    after: Option<Place>,
    limit: Limit,
) -> sqlx::Result<Option<Page<Entry>>> {
    let mut tx = db::begin_snapshot(pool).await?;
    let exists = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM orders WHERE id = $1) AS "exists!""#, order.0);
    if !exists.fetch_one(&mut *tx).await? {
        return Ok(None);
    }
    let rows = entries(&mut tx, order, after, limit.one_more()).await?;
    Ok(Some(Page::from_rows(rows, limit, |entry| Place::from(entry))))
}

/// A job's trace is kept as `00-TRACE-SPAN-FLAGS`. Jobs that live are looked for in each queue by its name, as their index has them.
async fn entries(tx: &mut PgConnection, order: OrderId, after: Option<Place>, rows: i64) -> sqlx::Result<Vec<Entry>> {
    let queues = Queue::ALL.map(Queue::name);
    let mut entries = sqlx::query_as!(
        Entry,
        r#"WITH its AS (
             SELECT $1::uuid AS id
             UNION ALL SELECT id FROM payment_intents WHERE order_id = $1
             UNION ALL SELECT id FROM refunds WHERE order_id = $1
           ), mails AS (
             SELECT e.* FROM emails e WHERE e.object_id IN (SELECT id FROM its)
           ), events AS (
             SELECT w.* FROM webhook_logs w WHERE w.order_id = $1
           ), keys AS (
             SELECT id::text AS key FROM its UNION ALL SELECT id::text FROM mails UNION ALL SELECT id::text FROM events
           ), tasks AS (
             SELECT j.* FROM jobs j WHERE j.done_at IS NOT NULL AND j.dedupe_key IN (SELECT key FROM keys)
             UNION ALL
             SELECT j.* FROM jobs j
             WHERE j.done_at IS NULL AND j.dedupe_key IN (SELECT key FROM keys)
               AND j.job_type = ANY($5)
           ), entries AS (
             SELECT id, created_at AS time, 'order' AS source, kind, actor, request_id, trace_id, data
             FROM order_events WHERE order_id = $1
             UNION ALL
             SELECT id, created_at, 'job', job_type, 'system', request_id, split_part(trace, '-', 2),
                    jsonb_build_object(
                      'status', status,
                      'attempts', attempts, 'failures', failures, 'crashes', crashes, 'last_error', last_error, 'run_at', run_at,
                      'done_at', done_at, 'payload', job)
             FROM tasks
             UNION ALL
             SELECT id, created_at, 'payment', operation, CASE WHEN operation LIKE 'event:%' THEN 'stripe' ELSE 'system' END,
                    request_id, trace_id,
                    jsonb_build_object(
                      'outcome', outcome, 'stripe_object_id', stripe_object_id, 'amount', amount, 'currency', currency,
                      'error_type', error_type, 'decline_code', decline_code, 'stripe_request_id', stripe_request_id)
             FROM payment_logs WHERE order_id = $1
             UNION ALL
             SELECT id, created_at, 'webhook', type, 'stripe', request_id, trace_id,
                    jsonb_build_object(
                      'stripe_event_id', stripe_event_id, 'status', status, 'attempts', attempts, 'last_error', error,
                      'processed_at', processed_at)
             FROM events
             UNION ALL
             SELECT m.id, m.created_at, 'stock', m.kind, m.actor, m.request_id, m.trace_id,
                    jsonb_build_object('product_id', m.product_id, 'order_item_id', i.id, 'delta', m.delta, 'reason', m.reason)
             FROM order_items i JOIN stock_movements m ON m.order_item_id = i.id WHERE i.order_id = $1
             UNION ALL
             SELECT id, created_at, 'mail', kind, 'system', request_id, trace_id,
                    jsonb_build_object(
                      'status', status, 'subject', subject, 'attempts', attempts, 'last_error', error, 'sent_at', sent_at)
             FROM mails
             UNION ALL
             SELECT id, created_at, 'audit', action, actor, request_id, trace_id,
                    jsonb_build_object('before', before, 'after', after)
             FROM audit_log
             WHERE object = ANY (ARRAY(SELECT 'order:' || $1::uuid
                                       UNION ALL SELECT 'job:' || id FROM tasks
                                       UNION ALL SELECT 'webhook:' || id FROM events))
           )
           SELECT id AS "id!", time AS "created_at!", source AS "source!: Source", kind AS "kind!", actor AS "actor!", request_id,
                  trace_id, data AS "data!"
           FROM entries, LATERAL (SELECT CASE source WHEN 'mail' THEN 1 WHEN 'job' THEN 2 ELSE 0 END AS rank) r
           WHERE $2::timestamptz IS NULL OR (time, rank, id) > ($2, $6, $3)
           ORDER BY time, rank, id LIMIT $4"#,
        order.0,
        after.map(|place| place.at.time),
        after.map(|place| place.at.id),
        rows,
        &queues as &[&str],
        after.map(|place| place.rank),
    )
    .fetch_all(tx)
    .await?;
    entries.iter_mut().for_each(tell_state);
    Ok(entries)
}

/// A job's columns, as people are told of them.
fn tell_state(entry: &mut Entry) {
    let (Source::Job, Some(data)) = (entry.source, entry.data.as_object_mut()) else { return };
    let went_wrong = ["failures", "crashes"].iter().any(|count| data[*count].as_i64().is_some_and(|count| count > 0));
    if let Some(Value::String(status)) = data.remove("status") {
        data.insert("state".to_owned(), json!(State::from_columns(&status, went_wrong)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_tells_its_state_and_others_their_status() {
        let told = |source, data| {
            let (id, time) = (Uuid::now_v7(), DateTime::UNIX_EPOCH);
            let (kind, actor) = (String::new(), String::new());
            let mut entry = Entry { id, created_at: time, source, kind, actor, request_id: None, trace_id: None, data };
            tell_state(&mut entry);
            entry.data
        };
        for (status, failures, crashes, state) in [
            ("Pending", 0, 0, "pending"),
            ("Pending", 1, 0, "retrying"),
            ("Pending", 0, 1, "retrying"),
            ("Running", 1, 1, "running"),
            ("Killed", 1, 0, "dead"),
            ("Done", 1, 0, "done"),
        ] {
            let data = json!({ "status": status, "failures": failures, "crashes": crashes });
            assert_eq!(told(Source::Job, data), json!({ "state": state, "failures": failures, "crashes": crashes }));
        }
        let mail = json!({ "status": "sent" });
        assert_eq!(told(Source::Mail, mail.clone()), mail);
    }
}
