//! The audit log: what operators did, each act in the transaction that does it. An act that fails leaves nothing here, nor does the
//! replay of one that was done before.

mod list;

use std::fmt;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

pub use list::{Filter, Listed, page};

use crate::{
    actor::Actor,
    cause,
    id::{JobId, OrderId, ProductId, ReconciliationId, UserId, WebhookLogId},
};

/// What was done. The names are permanent: rows keep them for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Money is to go back.
    OrderRefundRequested,
    /// Nobody waits any more for a refund that has failed.
    OrderRefundDismissed,
    /// The money of an order in review was taken as it is.
    OrderAccepted,
    /// The goods were sent.
    OrderFulfilled,
    /// An unpaid order was ended.
    OrderCanceled,
    /// A product was made.
    ProductCreated,
    /// Its fields were changed, its stock among them.
    ProductEdited,
    /// It was taken out of sale.
    ProductArchived,
    /// So many units came or went, for a reason.
    ProductStockAdjusted,
    /// It got an image.
    ProductImageAdded,
    /// It lost one.
    ProductImageRemoved,
    /// A user may do something else now.
    UserRoleChanged,
    /// An administrator was made at the command line, with a password that was set there.
    UserMadeAdmin,
    /// An event of Stripe's is looked at again.
    WebhookReplayed,
    /// A dead job is run again.
    JobRetried,
    /// A dead job was put aside.
    JobDismissed,
    /// The worker is to compare our books with Stripe's.
    ReconciliationRequested,
    /// What a comparison could not mend was put aside.
    DifferenceDismissed,
    /// They are compared from the command line.
    ReconciliationStarted,
}

impl Action {
    /// Its name in the database and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::OrderRefundRequested => "order.refund_requested",
            Self::OrderRefundDismissed => "order.refund_dismissed",
            Self::OrderAccepted => "order.accepted",
            Self::OrderFulfilled => "order.fulfilled",
            Self::OrderCanceled => "order.canceled",
            Self::ProductCreated => "product.created",
            Self::ProductEdited => "product.edited",
            Self::ProductArchived => "product.archived",
            Self::ProductStockAdjusted => "product.stock_adjusted",
            Self::ProductImageAdded => "product.image_added",
            Self::ProductImageRemoved => "product.image_removed",
            Self::UserRoleChanged => "user.role_changed",
            Self::UserMadeAdmin => "user.made_admin",
            Self::WebhookReplayed => "webhook.replayed",
            Self::JobRetried => "job.retried",
            Self::JobDismissed => "job.dismissed",
            Self::ReconciliationRequested => "reconciliation.requested",
            Self::DifferenceDismissed => "reconciliation.difference_dismissed",
            Self::ReconciliationStarted => "reconciliation.started",
        }
    }
}

/// What it was done to. Its text is what is kept: `order:…`, `product:…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// An order.
    Order(OrderId),
    /// A product, with all that belongs to it.
    Product(ProductId),
    /// A user.
    User(UserId),
    /// An event of Stripe's.
    Webhook(WebhookLogId),
    /// A job.
    Job(JobId),
    /// A comparison with Stripe.
    Reconciliation(ReconciliationId),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(id) => write!(f, "order:{id}"),
            Self::Product(id) => write!(f, "product:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
            Self::Webhook(id) => write!(f, "webhook:{id}"),
            Self::Job(id) => write!(f, "job:{id}"),
            Self::Reconciliation(id) => write!(f, "reconciliation:{id}"),
        }
    }
}

/// An act of an operator's.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// What was done.
    pub action: Action,
    /// To what.
    pub object: Object,
    /// What changed, as it was: an object with these members only. `None` where nothing was there.
    pub before: Option<Value>,
    /// The same members, as they are now. `None` where nothing is there any more.
    pub after: Option<Value>,
}

/// Writes an act down in the caller's transaction. `before` and `after` hold no secrets and no addresses.
///
/// # Errors
/// The database's.
pub async fn record(tx: &mut PgConnection, actor: Actor, act: Act) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO audit_log (id, actor, action, object, before, after, request_id, trace_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        Uuid::now_v7(),
        actor.to_string(),
        act.action.name(),
        act.object.to_string(),
        act.before,
        act.after,
        cause::request_id(),
        cause::trace_id(),
    )
    .execute(tx)
    .await
    .map(|_| ())
}

/// What differs between two objects of JSON with the same members: as it was, and as it is.
pub(crate) fn difference(before: Value, after: &Value) -> (Value, Value) {
    let (mut was, mut is) = (serde_json::Map::new(), serde_json::Map::new());
    if let Value::Object(members) = before {
        for (name, old) in members {
            let new = after.get(&name).cloned().unwrap_or_default();
            if old != new {
                was.insert(name.clone(), old);
                is.insert(name, new);
            }
        }
    }
    (Value::Object(was), Value::Object(is))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_two_objects_only_what_differs_is_kept() {
        let (old, new) =
            (json!({ "name": "Mug", "price": 500, "slug": "mug" }), json!({ "name": "Cup", "price": 500 }));
        assert_eq!(
            difference(old, &new),
            (json!({ "name": "Mug", "slug": "mug" }), json!({ "name": "Cup", "slug": null }))
        );
        assert_eq!(difference(json!({ "a": 1 }), &json!({ "a": 1 })), (json!({}), json!({})));
    }
}
