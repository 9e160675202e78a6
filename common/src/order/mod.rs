//! Orders: how one is placed, what may happen to it, and what its shopper sees of it.
//!
//! `status` is the rule; the operations here are the only ones that move an order, each in one transaction with the jobs
//! and mails that follow.

mod accept;
mod admin_view;
mod advance;
mod apply;
mod cancel;
mod clue;
mod dismiss_refund;
mod dispute;
mod fulfil;
mod intent;
mod metrics;
mod place;
mod reference;
mod refund;
mod search;
mod shortfall;
mod status;
mod store;
pub mod timeline;
mod trail;
mod unfulfillable;
mod view;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

pub use accept::{AcceptError, accept};
pub use admin_view::{AdminOrderView, DisputeView, RefundView, ShipmentView, Shopper, admin_view};
pub use apply::{Applied, News, Payment, Source, apply};
pub(crate) use apply::{Booked, book};
pub use cancel::{CancelError, Expiry, cancel, cancel_as_operator, expire};
pub use clue::{Clue, NotAClue};
pub use dismiss_refund::{DismissRefundError, dismiss_refund};
pub use fulfil::{Fulfil, FulfilError, Fulfilled, NotAShippingLabel, ShippingLabel, fulfil};
pub use intent::{intent_to_cancel_or_done, refuse};
pub(crate) use metrics::describe_metrics;
pub use place::{OpenOrder, PlaceError, PlaceOrder, Placed, place};
pub use reference::{NotAnOrder, OrderRef};
pub use refund::{RefundError, RefundRequested, RequestRefund, Restock, refuse_refund, request_refund};
pub(crate) use refund::{refund_again, refund_failed};
pub use search::{Filter, OrderQuery, page};
pub use shortfall::Shortfall;
pub use status::{Event, Next, Status, UnknownStatus};
pub(crate) use store::{commit, lock};
pub(crate) use trail::of_payloads;
pub use trail::{Found, Named, find};
pub use unfulfillable::{Unfulfillable, UnknownPolicy};
pub use view::{LastError, OrderItemView, OrderView, PaymentView, list, moved, view};

use crate::{
    id::{OrderId, UserId},
    money::Money,
    payment::{DisputeStatus, RefundOrigin, RefundStatus},
};

/// The channel on which the database tells that an order has changed; the payload is its id.
pub const CHANGES: &str = "orders";

/// An order whose row the caller has locked.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub user_id: UserId,
    /// What people call it.
    pub number: i64,
    /// Where it stands.
    pub status: Status,
    /// What is to be paid.
    pub total: Money,
    /// In which currency.
    pub currency: String,
    /// Until when it holds its stock unpaid.
    pub expires_at: DateTime<Utc>,
    /// Why it is being canceled, or was.
    pub cancel_reason: Option<CancelReason>,
    /// From where to where it moved in this transaction.
    moves: Vec<(Status, Status)>,
    /// What became of disputes over it in this transaction.
    disputes: Vec<DisputeStatus>,
    /// What became of refunds of it in this transaction.
    refunds: Vec<Settled>,
    /// Whether it had been paid before it went to review, which it leaves as a paid one in this transaction.
    was_paid: bool,
    /// What found its payment in this transaction, where no event had told of it.
    found_paid_by: Option<FoundBy>,
}

/// What finds a payment that no event has told of, a comparison with Stripe's books aside.
#[derive(Clone, Copy, Debug)]
enum FoundBy {
    /// Its intent was being canceled: because its order was, or because the order, paid by another intent, needs it no more. That one is a
    /// second payment.
    Cancel,
    /// Its order had expired.
    Expiry,
}

/// What became of a refund.
#[derive(Clone, Debug)]
struct Settled {
    origin: RefundOrigin,
    before: Option<RefundStatus>,
    status: RefundStatus,
    amount: Money,
    /// That of the payment, which may be another than the order's.
    currency: String,
}

/// Why an order was canceled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum CancelReason {
    /// Its shopper wished it: the lines go back into the cart.
    Shopper,
    /// It was not paid in time.
    Expired,
    /// An operator wished it.
    Operator,
    /// Stripe refused it for good.
    Refused,
    /// Its intent was canceled at Stripe.
    IntentCanceled,
}
