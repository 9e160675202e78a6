//! Putting aside a refund whose money stays with the shop.

use serde_json::json;
use sqlx::PgPool;

use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db::{self, AsDatabaseError},
    id::{OrderId, RefundId},
    payment::{self, RefundStatus},
};

/// Why a refund can't be dismissed.
#[derive(Debug, thiserror::Error)]
pub enum DismissRefundError {
    /// There is no such refund.
    #[error("there is no such refund")]
    NotFound,
    /// Its money has gone back, or is on its way.
    #[error("a refund that is {} is not dismissed", .0.name())]
    NotOff(RefundStatus),
    /// Somebody did so before.
    #[error("it was dismissed before")]
    AlreadyDismissed,
    /// Nobody knows whether it was made.
    #[error("nobody knows whether it was made: run its job again, so that Stripe is asked")]
    OutcomeUnknown,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl AsDatabaseError for DismissRefundError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        if let Self::Database(error) = self { Some(error) } else { None }
    }
}

/// Notes that nobody waits for a refund any more that has failed, or was canceled: its money went back in another way, or stays by agreement.
/// The refund is kept as it is, and no longer counted. Tells whose order it is of.
///
/// # Errors
/// See [`DismissRefundError`].
pub async fn dismiss_refund(pool: &PgPool, actor: Actor, id: RefundId) -> Result<OrderId, DismissRefundError> {
    db::retrying(|| dismiss_once(pool, actor, id)).await
}

async fn dismiss_once(pool: &PgPool, actor: Actor, id: RefundId) -> Result<OrderId, DismissRefundError> {
    let mut tx = db::begin(pool).await?;
    let refund = payment::lock_refund(&mut tx, id).await?.ok_or(DismissRefundError::NotFound)?;
    if refund.outcome_unknown {
        return Err(DismissRefundError::OutcomeUnknown);
    }
    if !refund.status.is_off() {
        return Err(DismissRefundError::NotOff(refund.status));
    }
    if refund.is_dismissed {
        return Err(DismissRefundError::AlreadyDismissed);
    }
    payment::dismiss_refund(&mut tx, id).await?;
    let act = Act {
        action: Action::OrderRefundDismissed,
        object: Object::Order(refund.order_id),
        before: None,
        after: Some(json!({ "refund_id": id })),
    };
    audit::record(&mut tx, actor, act).await?;
    tx.commit().await?;
    Ok(refund.order_id)
}
