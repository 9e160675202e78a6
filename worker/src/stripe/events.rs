//! The calls about events. They are passed on as Stripe wrote them, for the inbox takes events of any type and API version.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{PAGE, Stripe, StripeError};

/// A page of events, the newest first.
#[derive(Debug, Deserialize)]
pub struct EventPage {
    /// Each as Stripe would have sent it.
    pub data: Vec<Box<RawValue>>,
    /// Whether there are older ones.
    pub has_more: bool,
}

impl Stripe {
    /// Events since `since` that Stripe could not deliver to all endpoints, older than the event `before` (`evt_…`).
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn undelivered_events(
        &self,
        since: DateTime<Utc>,
        before: Option<&str>,
    ) -> Result<EventPage, StripeError> {
        let mut query = format!("delivery_success=false&limit={PAGE}&created[gte]={}", since.timestamp());
        if let Some(before) = before {
            query = format!("{query}&starting_after={before}");
        }
        let body = self.call("list_events").get("/events", query).await?;
        serde_json::from_slice(&body).map_err(|_| StripeError::Unreadable)
    }
}
