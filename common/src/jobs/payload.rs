//! What each job is about: ids, never data, so that a job sees its rows as they are when it runs.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::queue::Queue;
use crate::id::{EmailId, ImageId, OrderId, PaymentIntentId, RefundId, WebhookLogId};

/// The payload of a job. Its JSON is stored: fields may be added as optional ones, never renamed.
pub trait Payload: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {
    /// The queue that it goes through.
    const QUEUE: Queue;

    /// Of two jobs with the same key in one queue, the second is not enqueued while the first is unfinished.
    fn dedupe_key(&self) -> Option<String>;
}

/// The row that a job is about: whatever its queue, its payload names one, or none.
pub(crate) fn object(payload: &Value) -> Option<Uuid> {
    payload.as_object()?.values().find_map(|value| value.as_str()?.parse().ok())
}

macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident { $(#[$field_doc:meta])* $field:ident: $id:ty } => $queue:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            $(#[$field_doc])*
            pub $field: $id,
        }

        impl Payload for $name {
            const QUEUE: Queue = Queue::$queue;

            fn dedupe_key(&self) -> Option<String> {
                Some(self.$field.to_string())
            }
        }
    )*};
}

/// A job of the shop's housekeeping: about nothing in particular, so that one that waits is as good as the next.
macro_rules! chores {
    ($($(#[$doc:meta])* $name:ident => $queue:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {}

        impl Payload for $name {
            const QUEUE: Queue = Queue::$queue;

            fn dedupe_key(&self) -> Option<String> {
                Some("the one".to_owned())
            }
        }
    )*};
}

chores! {
    /// Compares our books with Stripe's.
    Reconcile => RECONCILE;
    /// Removes what nobody will ask for again.
    Prune => PRUNE;
    /// Removes objects that no image names.
    SweepImages => SWEEP_IMAGES;
}

payloads! {
    /// Creates the PaymentIntent of an order and stores it.
    CreateIntent {
        /// The order to be paid.
        order_id: OrderId
    } => CREATE_INTENT;
    /// Cancels a PaymentIntent at Stripe; then its order is canceled, or paid if Stripe was faster.
    CancelIntent {
        /// Ours, not Stripe's.
        payment_intent_id: PaymentIntentId
    } => CANCEL_INTENT;
    /// Makes a refund at Stripe.
    RefundPayment {
        /// Ours, not Stripe's.
        refund_id: RefundId
    } => REFUND;
    /// Applies an event from the inbox.
    ProcessWebhook {
        /// The row of the inbox.
        webhook_log_id: WebhookLogId
    } => PROCESS_WEBHOOK;
    /// Books the sale of a paid order's held items.
    DecrementInventory {
        /// The paid order.
        order_id: OrderId
    } => DECREMENT_INVENTORY;
    /// Starts the cancel of an order that is still unpaid at its `expires_at`.
    ExpireOrder {
        /// The order.
        order_id: OrderId
    } => EXPIRE_ORDER;
    /// Renders and sends a mail from the outbox.
    SendEmail {
        /// The row of the outbox.
        email_id: EmailId
    } => SEND_EMAIL;
    /// Makes of an upload what is shown.
    ProcessImage {
        /// The image.
        image_id: ImageId
    } => PROCESS_IMAGE;
    /// Removes the objects of an image that was taken away.
    RemoveImage {
        /// The image.
        image_id: ImageId
    } => REMOVE_IMAGE;
}
