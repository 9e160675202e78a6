//! From anything that belongs to an order to the order: for people who hold a dead job, an event or an id of Stripe's in their hands.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::Clue;
use crate::{db, id::OrderId, jobs, webhook};

/// An order, as the shop names it and as people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its id.
    pub id: OrderId,
    /// What people call it.
    pub number: i64,
}

/// Where a clue leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// To these orders, by number: to one, unless it is a trace or a request with several.
    Orders(Vec<Named>),
    /// To something that is no order's: `mail`, `event`, `job`, …
    NoOrder(&'static str),
    /// Nowhere.
    Nothing,
}

/// Which order a clue leads to. What has no index of its own (a trace, a charge, a request at Stripe) is looked for in whole tables, which
/// is for somebody at a command line, and for nobody on the way of a request.
///
/// # Errors
/// The database's.
pub async fn find(pool: &PgPool, clue: &Clue) -> sqlx::Result<Found> {
    let mut tx = db::begin_list(pool).await?;
    let mut kind = None;
    let objects = match clue {
        Clue::Number(number) => {
            sqlx::query_scalar!("SELECT id FROM orders WHERE number = $1", number).fetch_all(&mut *tx).await?
        }
        Clue::Id(id) => match payload(&mut tx, *id).await? {
            Some(payload) => {
                kind = Some("job");
                jobs::object(&payload).into_iter().collect()
            }
            None => vec![*id],
        },
        Clue::Stripe(id) => of_stripes(&mut tx, id).await?,
        Clue::Trace(trace) => of_trace(&mut tx, &trace.to_string()).await?,
    };
    let owned = owners(&mut tx, &objects).await?;
    let orders: BTreeMap<i64, Named> =
        owned.values().filter_map(|owned| owned.order).map(|order| (order.number, order)).collect();
    if !orders.is_empty() {
        return Ok(Found::Orders(orders.into_values().collect()));
    }
    let kind = kind.or_else(|| owned.into_values().next().map(|object| object.kind));
    Ok(kind.map_or(Found::Nothing, Found::NoOrder))
}

/// The payload of the job of this id.
async fn payload(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Value>> {
    sqlx::query_scalar!("SELECT job FROM jobs WHERE id = $1", id).fetch_optional(tx).await
}

/// Our rows of what Stripe calls so; where there is none, what was logged of it.
async fn of_stripes(tx: &mut PgConnection, id: &str) -> sqlx::Result<Vec<Uuid>> {
    let rows = sqlx::query_scalar!(
        r#"SELECT id AS "id!" FROM payment_intents WHERE stripe_id = $1
           UNION ALL SELECT id FROM refunds WHERE stripe_refund_id = $1
           UNION ALL SELECT id FROM disputes WHERE stripe_dispute_id = $1
           UNION ALL SELECT id FROM webhook_logs WHERE stripe_event_id = $1"#,
        id
    )
    .fetch_all(&mut *tx)
    .await?;
    if !rows.is_empty() {
        return Ok(rows);
    }
    sqlx::query_scalar!(
        r#"SELECT order_id AS "id!" FROM payment_logs WHERE order_id IS NOT NULL AND (stripe_object_id = $1 OR stripe_request_id = $1)
           UNION SELECT id FROM webhook_logs WHERE strpos(payload, '"' || $1 || '"') > 0"#,
        id
    )
    .fetch_all(tx)
    .await
}

/// What a trace has left its mark on, as far as that is kept.
async fn of_trace(tx: &mut PgConnection, trace: &str) -> sqlx::Result<Vec<Uuid>> {
    let mut objects = sqlx::query_scalar!(
        r#"SELECT order_id AS "id!" FROM order_events WHERE trace_id = $1
           UNION SELECT order_id FROM payment_logs WHERE trace_id = $1 AND order_id IS NOT NULL
           UNION SELECT id FROM webhook_logs WHERE trace_id = $1
           UNION SELECT id FROM emails WHERE trace_id = $1
           UNION SELECT substr(object, 7)::uuid FROM audit_log WHERE trace_id = $1 AND object LIKE 'order:%'"#,
        trace
    )
    .fetch_all(&mut *tx)
    .await?;
    let jobs =
        sqlx::query_scalar!("SELECT job FROM jobs WHERE split_part(trace, '-', 2) = $1", trace).fetch_all(tx).await?;
    objects.extend(jobs.iter().filter_map(jobs::object));
    Ok(objects)
}

/// A row of ours, and whose it is.
struct Owned {
    kind: &'static str,
    order: Option<Named>,
}

/// The orders that jobs of these payloads are about, in their order.
pub(crate) async fn of_payloads(
    conn: &mut PgConnection,
    payloads: impl Iterator<Item = &Value>,
) -> sqlx::Result<Vec<Option<Named>>> {
    let objects: Vec<Option<Uuid>> = payloads.map(jobs::object).collect();
    let known: Vec<Uuid> = objects.iter().flatten().copied().collect();
    let owned = if known.is_empty() { HashMap::new() } else { owners(conn, &known).await? };
    Ok(objects.into_iter().map(|object| owned.get(&object?)?.order).collect())
}

/// Those of these rows that orders have, or might have. No two rows of the shop have the same id, whatever they are.
async fn owners(conn: &mut PgConnection, objects: &[Uuid]) -> sqlx::Result<HashMap<Uuid, Owned>> {
    let rows = sqlx::query!(
        r#"SELECT f.id AS "id!", f.kind AS "kind!", f.payload, o.id AS "order_id?: OrderId", o.number AS "number?"
           FROM (
             SELECT id, 'order' AS kind, id AS order_id, NULL AS payload FROM orders WHERE id = ANY($1)
             UNION ALL SELECT id, 'payment', order_id, NULL FROM payment_intents WHERE id = ANY($1)
             UNION ALL SELECT id, 'refund', order_id, NULL FROM refunds WHERE id = ANY($1)
             UNION ALL SELECT id, 'dispute', order_id, NULL FROM disputes WHERE id = ANY($1)
             UNION ALL SELECT e.id, 'mail', coalesce(r.order_id, e.object_id), NULL
                       FROM emails e LEFT JOIN refunds r ON r.id = e.object_id WHERE e.id = ANY($1)
             -- Of one that was not applied only what Stripe has sent says whose it is.
             UNION ALL SELECT id, 'event', order_id, CASE WHEN order_id IS NULL THEN payload END
                       FROM webhook_logs WHERE id = ANY($1)
           ) f LEFT JOIN orders o ON o.id = f.order_id"#,
        objects
    )
    .fetch_all(&mut *conn)
    .await?;
    let (mut owned, mut events) = (HashMap::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let kind = match row.kind.as_str() {
            "order" => "order",
            "payment" => "payment",
            "refund" => "refund",
            "dispute" => "dispute",
            "mail" => "mail",
            _ => "event",
        };
        let order = row.order_id.zip(row.number).map(|(id, number)| Named { id, number });
        owned.insert(row.id, Owned { kind, order });
        events.extend(row.payload.map(|payload| (row.id, payload)));
    }
    for (event, order) in of_events(conn, &events).await? {
        owned.insert(event, Owned { kind: "event", order: Some(order) });
    }
    Ok(owned)
}

/// The orders that events name which were not applied: by their payment, else by its metadata.
async fn of_events(conn: &mut PgConnection, events: &[(Uuid, String)]) -> sqlx::Result<Vec<(Uuid, Named)>> {
    if events.is_empty() {
        return Ok(vec![]);
    }
    let (mut ids, mut intents, mut stated) = (Vec::new(), Vec::new(), Vec::new());
    for (id, payload) in events {
        let (intent, order) = webhook::names(payload);
        ids.push(*id);
        intents.push(intent);
        stated.push(order.map(|order| order.0));
    }
    let rows = sqlx::query!(
        r#"SELECT e.id AS "event!", o.id AS "id: OrderId", o.number
           FROM unnest($1::uuid[], $2::text[], $3::uuid[]) e(id, intent, stated)
           JOIN orders o ON o.id = coalesce((SELECT order_id FROM payment_intents WHERE stripe_id = e.intent), e.stated)"#,
        &ids,
        &intents as &[Option<String>],
        &stated as &[Option<Uuid>],
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.event, Named { id: row.id, number: row.number })).collect())
}
