//! An administrator corrects a product's stock: by so many units, for a reason, with a row in the ledger.

use serde_json::json;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::{
    history::{MovementView, movement},
    ledger::{Movement, record},
};
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    catalog::Stock,
    db::{self, AsDatabaseError},
    id::{MovementId, ProductId, UserId},
    idempotency::{Claim, ClaimError, KeyedRequest},
    reason::Reason,
};

/// Units that come or go: not none, and never more than [`Stock::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = i64, minimum = -1_000_000_000, maximum = 1_000_000_000)]
pub struct Delta(i64);

/// Not a change of stock.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be from -{max} to {max}, and not 0", max = Stock::MAX)]
pub struct NotADelta;

impl Delta {
    /// Takes a number of units, negative for those that went.
    ///
    /// # Errors
    /// When it is nothing, or more than there can be.
    pub fn parse(units: i64) -> Result<Self, NotADelta> {
        let fits = units != 0 && (-Stock::MAX..=Stock::MAX).contains(&units);
        if fits { Ok(Self(units)) } else { Err(NotADelta) }
    }

    /// The number.
    pub fn units(self) -> i64 {
        self.0
    }
}

/// What an administrator asks for.
#[derive(Clone, Debug)]
pub struct Adjustment {
    /// Which product's stock.
    pub product: ProductId,
    /// Who asks.
    pub admin: UserId,
    /// The client's idempotency key.
    pub key: KeyedRequest,
    /// How many units come or go.
    pub delta: Delta,
    /// For the books.
    pub reason: Reason,
}

/// A stock that was corrected: now, or by an earlier request with the same idempotency key.
#[derive(Clone, Debug)]
pub struct Adjusted {
    /// The row of the ledger.
    pub movement: MovementView,
    /// How many units there are now.
    pub stock: i64,
    /// How many of these are promised to orders that aren't paid yet.
    pub reserved: i64,
    /// Whether an earlier request did it.
    pub replayed: bool,
}

/// Why a stock was not corrected. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum AdjustError {
    /// There is no such product.
    #[error("there is no such product")]
    NotFound,
    /// So many units are promised to orders.
    #[error("{reserved} units are promised to orders")]
    StockReserved {
        /// How many.
        reserved: i64,
    },
    /// There would be more than any shop has.
    #[error("there are {stock} units already")]
    TooMany {
        /// How many there are.
        stock: i64,
    },
    /// The idempotency key stands in the way.
    #[error(transparent)]
    Key(#[from] ClaimError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl AsDatabaseError for AdjustError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) | Self::Key(ClaimError::Database(error)) => Some(error),
            _ => None,
        }
    }
}

/// Changes a product's stock by so many units, however many there are at that moment, and books it as an adjustment.
///
/// # Errors
/// See [`AdjustError`].
pub async fn adjust(pool: &PgPool, wanted: &Adjustment) -> Result<Adjusted, AdjustError> {
    db::retrying(|| adjust_once(pool, wanted)).await
}

async fn adjust_once(pool: &PgPool, wanted: &Adjustment) -> Result<Adjusted, AdjustError> {
    let mut tx = db::begin(pool).await?;
    let claim = wanted.key.claim(&mut tx, wanted.admin).await?;
    let now = sqlx::query!("SELECT stock, reserved FROM products WHERE id = $1 FOR NO KEY UPDATE", wanted.product.0)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(AdjustError::NotFound)?;
    if let Claim::Replay(id) = claim {
        let movement = movement(&mut tx, MovementId(id)).await?;
        return Ok(Adjusted { movement, stock: now.stock, reserved: now.reserved, replayed: true });
    }
    let stock = now.stock + wanted.delta.units(); // both are far from the ends of i64
    if stock < now.reserved {
        return Err(AdjustError::StockReserved { reserved: now.reserved });
    }
    if Stock::parse(stock).is_err() {
        return Err(AdjustError::TooMany { stock: now.stock });
    }
    sqlx::query!("UPDATE products SET stock = $2 WHERE id = $1", wanted.product.0, stock).execute(&mut *tx).await?;
    let adjustment = Movement::Adjustment { reason: Some(wanted.reason.as_str()) };
    let (delta, actor) = (wanted.delta.units(), Actor::User(wanted.admin));
    let id = record(&mut tx, wanted.product, delta, adjustment, actor).await?;
    let act = Act {
        action: Action::ProductStockAdjusted,
        object: Object::Product(wanted.product),
        before: Some(json!({ "stock": now.stock })),
        after: Some(json!({ "stock": stock, "reason": wanted.reason.as_str() })),
    };
    audit::record(&mut tx, actor, act).await?;
    wanted.key.keep(&mut tx, wanted.admin, id.0).await?;
    let movement = movement(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Adjusted { movement, stock, reserved: now.reserved, replayed: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_not_none() {
        for none in [0, 1_000_000_001, -1_000_000_001, i64::MIN, i64::MAX] {
            assert_eq!(Delta::parse(none), Err(NotADelta), "{none}");
        }
        assert_eq!(Delta::parse(-3).map(Delta::units), Ok(-3));
    }
}
