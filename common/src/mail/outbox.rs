//! The rows of the outbox.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Kind, Outgoing, load::load_with};
use crate::{
    cause, db,
    id::{EmailId, MovementId, PasswordResetId, RefundId, UserId},
    jobs::{self, CompleteError, Lease, SendEmail},
    order::Order,
};

/// Announces something about an order to its shopper, in the caller's transaction. The same thing is told once, however often
/// this is called; what was not told because it was no longer so is told where it is so again.
pub(crate) async fn enqueue(tx: &mut PgConnection, kind: Kind, order: &Order) -> sqlx::Result<()> {
    write(tx, kind, order.id.0, Recipient::User(order.user_id)).await
}

/// Sends a user the link that resets the password, in the transaction that writes the reset.
pub(crate) async fn enqueue_password_reset(
    tx: &mut PgConnection,
    reset: PasswordResetId,
    user: UserId,
) -> sqlx::Result<()> {
    write(tx, Kind::PasswordReset, reset.0, Recipient::User(user)).await
}

/// Tells a shopper of money that was given back, in the transaction that learns of it.
pub(crate) async fn enqueue_refunded(tx: &mut PgConnection, refund: RefundId, user: UserId) -> sqlx::Result<()> {
    write(tx, Kind::Refunded, refund.0, Recipient::User(user)).await
}

/// Tells an operator of a sale that has left little in stock, in the transaction that books it; `movement` is its row in the ledger.
pub(crate) async fn enqueue_low_stock(tx: &mut PgConnection, movement: MovementId, to: &str) -> sqlx::Result<()> {
    write(tx, Kind::LowStock, movement.0, Recipient::Address(to)).await
}

/// Whom a mail is for.
#[derive(Clone, Copy)]
enum Recipient<'a> {
    /// Somebody with an account.
    User(UserId),
    /// Somebody else.
    Address(&'a str),
}

async fn write(tx: &mut PgConnection, kind: Kind, object: Uuid, to: Recipient<'_>) -> sqlx::Result<()> {
    let id = EmailId::new();
    let (user, address) = match to {
        Recipient::User(user) => (Some(user.0), None),
        Recipient::Address(address) => (None, Some(address)),
    };
    let written = sqlx::query_scalar!(
        r#"INSERT INTO emails (id, kind, object_id, "to", dedupe_key, request_id, trace_id)
           VALUES ($1, $2::text, $3, coalesce($5::text, (SELECT email::text FROM users WHERE id = $4)),
                   $2::text || ':' || $3::uuid, $6, $7)
           ON CONFLICT (dedupe_key) DO UPDATE SET status = 'pending' WHERE emails.status = 'withdrawn'
           RETURNING id AS "id: EmailId""#,
        id.0,
        kind.name(),
        object,
        user,
        address,
        cause::request_id(),
        cause::trace_id(),
    )
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(email_id) = written {
        jobs::enqueue(tx, &SendEmail { email_id }).await?;
    }
    Ok(())
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

/// Gives up a mail that is no longer true, and completes the job. One that has become true since it was read is given back as it is now:
/// it still has to be sent. Whoever announces the same thing meanwhile is waited for, or finds it given up and has it sent anew.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn withdraw(pool: &PgPool, lease: &Lease, mail: &Outgoing) -> Result<Option<Outgoing>, CompleteError> {
    let mut tx = db::begin(pool).await?;
    sqlx::query!("SELECT id FROM emails WHERE id = $1 FOR NO KEY UPDATE", mail.id.0).fetch_optional(&mut *tx).await?;
    if let Some(now) = load_with(&mut tx, mail.id).await?.filter(|now| !now.is_moot()) {
        tx.rollback().await?;
        return Ok(Some(now));
    }
    sqlx::query!("UPDATE emails SET status = 'withdrawn' WHERE id = $1 AND status = 'pending'", mail.id.0)
        .execute(&mut *tx)
        .await?;
    mail.record(&mut tx, "mail.withdrawn").await?;
    lease.complete(&mut tx).await?;
    tx.commit().await?;
    Ok(None)
}

/// Notes that a mail that still has to be sent never will be, in the transaction in which its job dies.
pub(crate) async fn failed(tx: &mut PgConnection, id: EmailId, error: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE emails SET status = 'failed', error = $2, dismissed_at = NULL WHERE id = $1 AND status = 'pending'",
        id.0,
        error
    )
    .execute(tx)
    .await
    .map(|_| ())
}

/// Counts a mail no more that was given up.
pub(crate) async fn dismiss(tx: &mut PgConnection, id: EmailId) -> sqlx::Result<()> {
    sqlx::query!("UPDATE emails SET dismissed_at = now() WHERE id = $1 AND status = 'failed'", id.0)
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
    mail.record(&mut tx, "mail.sent").await?;
    lease.complete(&mut tx).await?;
    Ok(tx.commit().await?)
}
