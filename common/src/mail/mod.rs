//! Mails: an outbox that is written in the transaction of what it tells, and what each mail says. The worker sends them.

mod list;
mod load;
mod outbox;
mod outgoing;
mod plain;
mod render;

pub use list::{Filter, Listed, Status, UnknownStatus, page};
pub use load::load;
pub use outbox::{attempted, sent, withdraw};
pub(crate) use outbox::{
    dismiss, enqueue, enqueue_low_stock, enqueue_password_reset, enqueue_refunded, failed, wait_again,
};
pub use outgoing::{About, OrderFacts, Outgoing, RefundFacts, ResetFacts, ShipmentFacts, StockFacts};
pub use render::{Rendered, Sender, render};

/// What a mail tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Kind {
    /// The order is paid.
    OrderConfirmed,
    /// A payment was declined; the shopper can try again.
    PaymentFailed,
    /// The order ended without payment.
    OrderCanceled,
    /// Some of the order's money, or all of it, was given back.
    Refunded,
    /// The goods were sent.
    Shipped,
    /// A sale has left little of a product in stock: for an operator.
    LowStock,
    /// Somebody has asked for a link that resets the password.
    PasswordReset,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::OrderConfirmed,
        Self::PaymentFailed,
        Self::OrderCanceled,
        Self::Refunded,
        Self::Shipped,
        Self::LowStock,
        Self::PasswordReset,
    ];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::OrderConfirmed => "order_confirmed",
            Self::PaymentFailed => "payment_failed",
            Self::OrderCanceled => "order_canceled",
            Self::Refunded => "refunded",
            Self::Shipped => "shipped",
            Self::LowStock => "low_stock",
            Self::PasswordReset => "password_reset",
        }
    }
}
