//! The rows of the outbox.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::Kind;
use crate::{
    actor::Actor,
    db,
    id::{EmailId, OrderId},
    jobs::{self, CompleteError, Lease, SendEmail},
    money::Money,
    order::{Order, Status, timeline},
};

/// Announces something about an order to its shopper, in the caller's transaction. The same thing is told once, however often
/// this is called.
pub(crate) async fn enqueue(tx: &mut PgConnection, kind: Kind, order: &Order) -> sqlx::Result<()> {
    let id = EmailId::new();
    let written = sqlx::query!(
        r#"INSERT INTO emails (id, kind, object_id, "to", dedupe_key)
           SELECT $1, $2::text, $3, email, $2::text || ':' || $3::uuid FROM users WHERE id = $4
           ON CONFLICT (dedupe_key) DO NOTHING"#,
        id.0,
        kind.name(),
        order.id.0,
        order.user_id.0,
    )
    .execute(&mut *tx)
    .await?;
    if written.rows_affected() == 1 {
        jobs::enqueue(tx, &SendEmail { email_id: id }).await?;
    }
    Ok(())
}

/// A mail that waits to be sent, with what it tells of.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its row.
    pub id: EmailId,
    /// What it tells.
    pub kind: Kind,
    /// Whom.
    pub to: String,
    /// What the shopper is called.
    pub name: Option<String>,
    /// The order that it is about.
    pub order_id: OrderId,
    /// What people call the order.
    pub number: i64,
    /// Where the order stands now.
    pub order_status: Status,
    /// Its total, in minor units.
    pub total: Money,
    /// Until when it can be paid.
    pub expires_at: DateTime<Utc>,
    /// What the shopper was told of the declined payment.
    pub declined_because: Option<String>,
    /// The order's lines: name, units, minor units for all.
    pub lines: Vec<(String, i32, Money)>,
}

impl Outgoing {
    /// Whether it is no longer true: a shopper who has paid since must not be asked to pay again.
    pub fn is_moot(&self) -> bool {
        self.kind == Kind::PaymentFailed && self.order_status != Status::PaymentFailed
    }
}

/// A mail that still has to be sent.
///
/// # Errors
/// The database's.
pub async fn load(pool: &PgPool, id: EmailId) -> sqlx::Result<Option<Outgoing>> {
    let Some(row) = sqlx::query!(
        r#"SELECT e.kind AS "kind: Kind", e."to", u.name, o.id AS "order_id: OrderId", o.number, o.status AS "status: Status", o.total AS "total: Money",
                  o.expires_at,
                  (SELECT last_error_message FROM payment_intents p
                   WHERE p.order_id = o.id ORDER BY generation DESC LIMIT 1) AS declined_because
           FROM emails e JOIN orders o ON o.id = e.object_id JOIN users u ON u.id = o.user_id
           WHERE e.id = $1 AND e.status = 'pending'"#,
        id.0
    )
    .fetch_optional(pool)
    .await?
    else {
        return Ok(None);
    };
    let lines = sqlx::query!(
        "SELECT name_snapshot, quantity, price_snapshot FROM order_items WHERE order_id = $1 ORDER BY id",
        row.order_id.0
    )
    .fetch_all(pool)
    .await?;
    Ok(Some(Outgoing {
        id,
        kind: row.kind,
        to: row.to,
        name: row.name,
        order_id: row.order_id,
        number: row.number,
        order_status: row.status,
        total: row.total,
        expires_at: row.expires_at,
        declined_because: row.declined_because,
        lines: lines
            .into_iter()
            .map(|l| (l.name_snapshot, l.quantity, Money(l.price_snapshot * i64::from(l.quantity))))
            .collect(),
    }))
}

/// Notes a try that failed, and why; whether there will be another is the job's to say.
///
/// # Errors
/// The database's.
pub async fn attempted(pool: &PgPool, id: EmailId, error: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE emails SET attempts = attempts + 1, error = $2 WHERE id = $1 AND status = 'pending'",
        id.0,
        error
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// Gives up a mail that is no longer true, and completes the job.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn withdraw(pool: &PgPool, lease: &Lease, mail: &Outgoing) -> Result<(), CompleteError> {
    let mut tx = db::begin(pool).await?;
    sqlx::query!("UPDATE emails SET status = 'withdrawn' WHERE id = $1 AND status = 'pending'", mail.id.0)
        .execute(&mut *tx)
        .await?;
    let data = json!({ "kind": mail.kind.name(), "email_id": mail.id });
    timeline::record(&mut tx, mail.order_id, "mail.withdrawn", Actor::System, data).await?;
    lease.complete(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// Notes that a mail that still has to be sent never will be, in the transaction in which its job dies.
pub(crate) async fn failed(tx: &mut PgConnection, id: EmailId, error: &str) -> sqlx::Result<()> {
    sqlx::query!("UPDATE emails SET status = 'failed', error = $2 WHERE id = $1 AND status = 'pending'", id.0, error)
        .execute(tx)
        .await
        .map(|_| ())
}

/// Has a mail that was given up wait again; false where it was sent, or is no longer wanted.
pub(crate) async fn wait_again(tx: &mut PgConnection, id: EmailId) -> sqlx::Result<bool> {
    let waits =
        sqlx::query!("UPDATE emails SET status = 'pending' WHERE id = $1 AND status IN ('failed', 'pending')", id.0)
            .execute(tx)
            .await?;
    Ok(waits.rows_affected() == 1)
}

/// Notes that a mail was taken over by the mail server, and completes the job.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn sent(
    pool: &PgPool,
    lease: &Lease,
    mail: &Outgoing,
    subject: &str,
    message_id: &str,
) -> Result<(), CompleteError> {
    let mut tx = db::begin(pool).await?;
    sqlx::query!(
        "UPDATE emails SET status = 'sent', sent_at = now(), attempts = attempts + 1, error = NULL, subject = $2, message_id = $3
         WHERE id = $1 AND status = 'pending'",
        mail.id.0,
        subject,
        message_id,
    )
    .execute(&mut *tx)
    .await?;
    let data = json!({ "kind": mail.kind.name(), "email_id": mail.id });
    timeline::record(&mut tx, mail.order_id, "mail.sent", Actor::System, data).await?;
    lease.complete(&mut tx).await?;
    Ok(tx.commit().await?)
}
