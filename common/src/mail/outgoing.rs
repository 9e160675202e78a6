//! A mail that waits to be sent, with what it tells of as that is now.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

use super::Kind;
use crate::{
    actor::Actor,
    id::{EmailId, OrderId, PasswordResetId, ProductId},
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
    /// Money of an order's that was given back.
    Refund(OrderFacts, RefundFacts),
    /// What was sent of an order.
    Shipment(OrderFacts, ShipmentFacts),
    /// A link that resets a password.
    PasswordReset(ResetFacts),
    /// A product of which little is left.
    Stock(StockFacts),
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
    /// Whether money has come for it, whatever became of that.
    pub was_charged: bool,
    /// What the shopper was told of the declined payment.
    pub declined_because: Option<String>,
    /// Its lines: name, units, minor units for all.
    pub lines: Vec<(String, i32, Money)>,
}

/// What a mail tells of a refund.
#[derive(Clone, Debug)]
pub struct RefundFacts {
    /// How much it was, in minor units.
    pub amount: Money,
    /// Lower-case ISO 4217 code: that of the payment, which may be another than the order's.
    pub currency: String,
    /// What the order has given back in all.
    pub refunded_total: Money,
    /// Whether it gave back a second payment of one order.
    pub of_duplicate: bool,
    /// Whether the money is still with the shopper.
    pub has_succeeded: bool,
}

/// What a mail tells of a shipment.
#[derive(Clone, Debug, Default)]
pub struct ShipmentFacts {
    /// Who brings it.
    pub carrier: Option<String>,
    /// Under which number the carrier knows it.
    pub tracking_number: Option<String>,
}

/// What a mail tells of a product, as it is now.
#[derive(Clone, Debug)]
pub struct StockFacts {
    /// The product.
    pub id: ProductId,
    /// What it is called.
    pub name: String,
    /// How many there are.
    pub stock: i64,
    /// How many of these are promised to nobody.
    pub available: i64,
    /// Whether it is still for sale.
    pub is_for_sale: bool,
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

impl About {
    /// The order that it is about, if it is about one.
    pub(super) fn order(&self) -> Option<&OrderFacts> {
        match self {
            Self::Order(order) | Self::Refund(order, _) | Self::Shipment(order, _) => Some(order),
            Self::PasswordReset(_) | Self::Stock(_) => None,
        }
    }
}

impl Outgoing {
    /// Whether it is no longer true, or of use to nobody: a shopper who has paid since must not be asked to pay again, nor told that nothing
    /// was charged, nor of money that came back to the shop, nor that an order is confirmed whose money has gone back; a parcel of which
    /// all has come back is on no way; a link may be spent; of what isn't for sale any more, little is enough.
    pub fn is_moot(&self) -> bool {
        match &self.about {
            About::Order(order) => match self.kind {
                Kind::PaymentFailed => order.status != Status::PaymentFailed,
                Kind::OrderCanceled => order.status != Status::Canceled || order.was_charged,
                _ => !matches!(order.status, Status::Paid | Status::Fulfilled),
            },
            About::Refund(_, refund) => !refund.has_succeeded,
            About::Shipment(order, _) => order.lines.is_empty(),
            About::PasswordReset(reset) => !reset.is_open,
            About::Stock(stock) => !stock.is_for_sale,
        }
    }

    /// Writes what became of it to the timeline of its order, if it is about one.
    pub(super) async fn record(&self, tx: &mut PgConnection, event: &str) -> sqlx::Result<()> {
        let Some(order) = self.about.order() else { return Ok(()) };
        let data = json!({ "kind": self.kind.name(), "email_id": self.id });
        timeline::record(tx, order.id, event, Actor::System, data).await
    }
}
