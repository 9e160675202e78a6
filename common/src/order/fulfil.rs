//! An operator has sent the goods of a paid order.

use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use utoipa::ToSchema;

use super::{Event, Next, Status, advance::advance, store};
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db::{self, AsDatabaseError, retrying},
    id::{OrderId, UserId},
    idempotency::{Claim, ClaimError, KeyedRequest},
    inventory, payment,
};

/// A carrier's name or a tracking number: 1 to 100 characters in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(
    min_length = 1,
    max_length = 100,
    pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u001f\u007f-\u009f\s][^\u0000-\u001f\u007f-\u009f]*$"
)]
pub struct ShippingLabel(String);

/// Neither a carrier's name nor a tracking number.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 100 characters, no control characters among them")]
pub struct NotAShippingLabel;

impl ShippingLabel {
    /// Parses a text; blanks around it are taken off.
    ///
    /// # Errors
    /// When it isn't one.
    pub fn parse(raw: &str) -> Result<Self, NotAShippingLabel> {
        let label = raw.trim();
        let fits = (1..=100).contains(&label.chars().count()) && !label.chars().any(char::is_control);
        if fits { Ok(Self(label.to_owned())) } else { Err(NotAShippingLabel) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an administrator tells of a shipment.
#[derive(Clone, Debug)]
pub struct Fulfil {
    /// Which order.
    pub order: OrderId,
    /// Who says so.
    pub admin: UserId,
    /// The client's idempotency key, if it sent one.
    pub key: Option<KeyedRequest>,
    /// Who brings it.
    pub carrier: Option<ShippingLabel>,
    /// Under which number the carrier knows it.
    pub tracking_number: Option<ShippingLabel>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fulfilled {
    /// The order is fulfilled, and its shopper is told.
    Now,
    /// The key had been used for it before.
    Replayed,
}

/// Why an order was not fulfilled. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum FulfilError {
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// It isn't paid, or was fulfilled before.
    #[error("an order that is {0} can't be fulfilled")]
    NotPaid(Status),
    /// Its units have not left the stock yet.
    #[error("a line is still held")]
    StillHeld,
    /// All that was bought came back into the stock, and may have been sold to others since.
    #[error("all its units came back into the stock")]
    NothingLeft,
    /// Its money is about to go back.
    #[error("a refund is under way")]
    RefundUnderWay,
    /// A dispute is open, or lost.
    #[error("the payment is disputed")]
    Disputed,
    /// The idempotency key forbids it.
    #[error(transparent)]
    Key(#[from] ClaimError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl AsDatabaseError for FulfilError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(e) | Self::Key(ClaimError::Database(e)) => Some(e),
            _ => None,
        }
    }
}

/// Books that the goods of a paid order were sent, and has its shopper told; once, with or without a key.
///
/// # Errors
/// See [`FulfilError`].
pub async fn fulfil(pool: &PgPool, request: &Fulfil) -> Result<Fulfilled, FulfilError> {
    retrying(|| fulfil_once(pool, request)).await
}

async fn fulfil_once(pool: &PgPool, request: &Fulfil) -> Result<Fulfilled, FulfilError> {
    let mut tx = db::begin(pool).await?;
    if let Some(key) = &request.key
        && let Claim::Replay(_) = key.claim(&mut tx, request.admin).await?
    {
        return Ok(Fulfilled::Replayed);
    }
    let mut order = store::lock(&mut tx, request.order).await?.ok_or(FulfilError::NotFound)?;
    if order.status.next(Event::Fulfil) == Next::Refused {
        return Err(FulfilError::NotPaid(order.status));
    }
    if payment::is_blocked(&mut tx, order.id).await? {
        return Err(FulfilError::Disputed);
    }
    if payment::balance(&mut tx, order.id).await?.refund_under_way {
        return Err(FulfilError::RefundUnderWay);
    }
    if inventory::holds(&mut tx, order.id).await? {
        return Err(FulfilError::StillHeld);
    }
    if !inventory::has_units_left(&mut tx, order.id).await? {
        return Err(FulfilError::NothingLeft);
    }
    insert(&mut tx, request).await?;
    let (actor, before) = (Actor::User(request.admin), json!({ "status": order.status }));
    advance(&mut tx, &mut order, Event::Fulfil, actor).await?;
    let act = Act {
        action: Action::OrderFulfilled,
        object: Object::Order(order.id),
        before: Some(before),
        after: Some(json!({
            "status": order.status, "carrier": request.carrier, "tracking_number": request.tracking_number,
        })),
    };
    audit::record(&mut tx, actor, act).await?;
    if let Some(key) = &request.key {
        key.keep(&mut tx, request.admin, order.id.0).await?;
    }
    store::commit(tx, &order).await?;
    Ok(Fulfilled::Now)
}

/// One that was refunded after its fulfilment, and accepted after its refund had failed, has been sent before.
async fn insert(tx: &mut PgConnection, request: &Fulfil) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO shipments AS s (order_id, carrier, tracking_number) VALUES ($1, $2, $3)
         ON CONFLICT (order_id) DO UPDATE SET carrier = coalesce(excluded.carrier, s.carrier),
           tracking_number = coalesce(excluded.tracking_number, s.tracking_number)",
        request.order.0,
        request.carrier.as_ref().map(ShippingLabel::as_str),
        request.tracking_number.as_ref().map(ShippingLabel::as_str),
    )
    .execute(tx)
    .await
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_line() {
        assert_eq!(ShippingLabel::parse(" JD 0146 ").expect("a label").as_str(), "JD 0146");
        assert!(ShippingLabel::parse(&"ü".repeat(100)).is_ok());
        for wrong in ["", " ", "a\nb", "a\0", &"x".repeat(101)] {
            assert_eq!(ShippingLabel::parse(wrong), Err(NotAShippingLabel), "{wrong:?}");
        }
    }
}
