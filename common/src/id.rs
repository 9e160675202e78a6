//! The ids of the shop: one type for each kind of row, so that an order's id is never taken for a product's.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, ToSchema)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id (UUIDv7, RFC 9562): ids made later sort later, which keeps their indexes dense.
            #[expect(clippy::new_without_default, reason = "each call gives another id, which a default must not")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// A row of `users`.
    UserId
    /// A row of `password_resets`.
    PasswordResetId
    /// A row of `products`.
    ProductId
    /// A row of `product_images`.
    ImageId
    /// A row of `stock_movements`.
    MovementId
    /// A row of `cart_items`.
    CartItemId
    /// A row of `orders`.
    OrderId
    /// A row of `order_items`.
    OrderItemId
    /// A row of `payment_intents`: ours, not Stripe's `pi_…`.
    PaymentIntentId
    /// A row of `refunds`: ours, not Stripe's `re_…`.
    RefundId
    /// A row of `disputes`: ours, not Stripe's `dp_…`.
    DisputeId
    /// A row of `webhook_logs`: ours, not Stripe's `evt_…`.
    WebhookLogId
    /// A row of `payment_logs`.
    PaymentLogId
    /// A row of `reconciliation_runs`.
    ReconciliationId
    /// A row of `reconciliation_differences`.
    DifferenceId
    /// A row of `audit_log`.
    AuditId
    /// A row of `emails`.
    EmailId
    /// A row of `jobs`.
    JobId
}
