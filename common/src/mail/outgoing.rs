//! A mail that waits to be sent, with what it tells of as that is now.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::Kind;
use crate::{
    actor::Actor,
    id::{EmailId, OrderId, PasswordResetId},
    money::Money,
    order::{Status, timeline},
};

/// See the module.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its row.
    pub id: EmailId,
    /// What it tells.
    pub kind: Kind,
    /// Whom.
    pub to: String,
    /// What they are called.
    pub name: Option<String>,
    /// What it tells of.
    pub about: About,
}

/// What a mail tells of.
#[derive(Clone, Debug)]
pub enum About {
    /// An order.
    Order(OrderFacts),
    /// A link that resets a password.
    PasswordReset(ResetFacts),
}

/// What a mail may tell of an order.
#[derive(Clone, Debug)]
pub struct OrderFacts {
    /// The order.
    pub id: OrderId,
    /// What people call it.
    pub number: i64,
    /// Where it stands now.
    pub status: Status,
    /// Its total, in minor units.
    pub total: Money,
    /// Until when it can be paid.
    pub expires_at: DateTime<Utc>,
    /// What the shopper was told of the declined payment.
    pub declined_because: Option<String>,
    /// Its lines: name, units, minor units for all.
    pub lines: Vec<(String, i32, Money)>,
}

/// What a mail tells of a password reset. Its token is made when the mail is rendered.
#[derive(Clone, Debug)]
pub struct ResetFacts {
    /// The reset.
    pub id: PasswordResetId,
    /// Until when its link is good.
    pub expires_at: DateTime<Utc>,
    /// Whether it is still good: not expired, and not used.
    pub is_open: bool,
}

impl Outgoing {
    /// Whether it is no longer true: a shopper who has paid since must not be asked to pay again, and a link that is spent is of use
    /// to nobody.
    pub fn is_moot(&self) -> bool {
        match &self.about {
            About::Order(order) => self.kind == Kind::PaymentFailed && order.status != Status::PaymentFailed,
            About::PasswordReset(reset) => !reset.is_open,
        }
    }

    /// Writes what became of it to the timeline of its order, if it is about one.
    pub(super) async fn record(&self, tx: &mut PgConnection, event: &str) -> sqlx::Result<()> {
        let About::Order(order) = &self.about else { return Ok(()) };
        let data = json!({ "kind": self.kind.name(), "email_id": self.id });
        timeline::record(tx, order.id, event, Actor::System, data).await
    }
}

/// A mail that still has to be sent.
///
/// # Errors
/// The database's.
pub async fn load(pool: &PgPool, id: EmailId) -> sqlx::Result<Option<Outgoing>> {
    let row = sqlx::query!(
        r#"SELECT kind AS "kind: Kind", object_id, "to" FROM emails WHERE id = $1 AND status = 'pending'"#,
        id.0
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (name, about) = match row.kind {
        Kind::OrderConfirmed | Kind::PaymentFailed | Kind::OrderCanceled => order(pool, OrderId(row.object_id)).await?,
        Kind::PasswordReset => password_reset(pool, PasswordResetId(row.object_id)).await?,
    };
    Ok(Some(Outgoing { id, kind: row.kind, to: row.to, name, about }))
}

async fn order(pool: &PgPool, id: OrderId) -> sqlx::Result<(Option<String>, About)> {
    let row = sqlx::query!(
        r#"SELECT u.name, o.number, o.status AS "status: Status", o.total AS "total: Money", o.expires_at,
                  (SELECT last_error_message FROM payment_intents p
                   WHERE p.order_id = o.id ORDER BY generation DESC LIMIT 1) AS declined_because
           FROM orders o JOIN users u ON u.id = o.user_id WHERE o.id = $1"#,
        id.0
    )
    .fetch_one(pool)
    .await?;
    let lines = sqlx::query!(
        "SELECT name_snapshot, quantity, price_snapshot FROM order_items WHERE order_id = $1 ORDER BY id",
        id.0
    )
    .fetch_all(pool)
    .await?;
    let facts = OrderFacts {
        id,
        number: row.number,
        status: row.status,
        total: row.total,
        expires_at: row.expires_at,
        declined_because: row.declined_because,
        lines: lines
            .into_iter()
            .map(|l| (l.name_snapshot, l.quantity, Money(l.price_snapshot * i64::from(l.quantity))))
            .collect(),
    };
    Ok((row.name, About::Order(facts)))
}

async fn password_reset(pool: &PgPool, id: PasswordResetId) -> sqlx::Result<(Option<String>, About)> {
    let row = sqlx::query!(
        r#"SELECT u.name, r.expires_at, (r.used_at IS NULL AND r.expires_at > now()) AS "is_open!"
           FROM password_resets r JOIN users u ON u.id = r.user_id WHERE r.id = $1"#,
        id.0
    )
    .fetch_optional(pool)
    .await?;
    // It goes with its user, and when it has been over for a while.
    let (name, expires_at, is_open) =
        row.map_or((None, DateTime::UNIX_EPOCH, false), |row| (row.name, row.expires_at, row.is_open));
    Ok((name, About::PasswordReset(ResetFacts { id, expires_at, is_open })))
}
