//! Mails: an outbox that is written in the transaction of what it tells, and what each mail says. The worker sends them.

mod list;
mod outbox;
mod outgoing;
mod render;

pub use list::{Filter, Listed, Status, UnknownStatus, page};
pub use outbox::{attempted, sent, withdraw};
pub(crate) use outbox::{enqueue, enqueue_password_reset, failed, wait_again};
pub use outgoing::{About, OrderFacts, Outgoing, ResetFacts, load};
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
    /// Somebody has asked for a link that resets the password.
    PasswordReset,
}

impl Kind {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::OrderConfirmed => "order_confirmed",
            Self::PaymentFailed => "payment_failed",
            Self::OrderCanceled => "order_canceled",
            Self::PasswordReset => "password_reset",
        }
    }
}
