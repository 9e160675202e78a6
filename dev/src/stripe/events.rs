//! Events: list and retrieve.

use serde_json::Value;

use super::{
    desk::Desk,
    errors::ApiError,
    form::Form,
    lists::{Page, Range},
    objects::Event,
};

/// Stripe lists the events of the last 30 days.
const KEPT_SECONDS: i64 = 30 * 24 * 3600;

/// `GET /v1/events/{id}`.
pub(crate) fn retrieve(desk: &Desk<'_>, id: &str) -> Result<Value, ApiError> {
    Ok(desk.books.events.get(id).ok_or_else(|| ApiError::missing("event", id, "id"))?.show())
}

/// `GET /v1/events`, newest first. `delivery_success=false` gives those that were not taken by every listener.
pub(crate) fn list(desk: &Desk<'_>, form: &Form) -> Result<Value, ApiError> {
    let page = Page::read(form)?;
    let created = Range::read(form)?;
    let types = form.list("types")?;
    let kind = form.text("type")?;
    if kind.is_some() && !types.is_empty() {
        let message = "You may only specify one of these parameters: type, types.";
        return Err(ApiError::parameter(None, "types", message));
    }
    let types: Vec<String> = types.into_iter().chain(kind).collect();
    let delivered = form.boolean("delivery_success")?;
    let oldest = desk.now() - KEPT_SECONDS;
    let wanted = |event: &Event| {
        event.created >= oldest
            && created.holds(event.created)
            && (types.is_empty() || types.iter().any(|pattern| fits(pattern, &event.kind)))
            && delivered.is_none_or(|success| success == (event.pending_webhooks == 0))
    };
    page.cut(&desk.books.events, "/v1/events", "event", wanted, Event::show)
}

/// `charge.*` stands for every type that begins with `charge.`.
fn fits(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => pattern == kind,
    }
}
