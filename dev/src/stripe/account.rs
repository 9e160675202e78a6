//! The account and its one webhook endpoint: where the simulator sends events, as the account's owner would see it at Stripe.

use serde_json::{Value, json};

use super::{
    desk::Desk,
    errors::ApiError,
    form::Form,
    lists::Page,
    webhooks::{Plan, Status},
};

/// What the account is called by in messages.
pub(crate) const ID: &str = "acct_1SimulatorOfKassa";
const ENDPOINT: &str = "we_1SimulatorOfKassa";

/// `GET /v1/account`.
pub(crate) fn retrieve(desk: &Desk<'_>) -> Value {
    json!({
        "id": ID,
        "object": "account",
        "business_profile": { "name": "Kassa's simulator", "support_email": null, "url": null },
        "business_type": null,
        "capabilities": { "card_payments": "active", "transfers": "active" },
        "charges_enabled": true,
        "country": "US",
        "created": desk.now(),
        "default_currency": "usd",
        "details_submitted": true,
        "email": "owner@kassa.example",
        "metadata": {},
        "payouts_enabled": true,
        "settings": { "dashboard": { "display_name": "Kassa's simulator", "timezone": "Etc/UTC" } },
        "type": "standard",
    })
}

/// `GET /v1/webhook_endpoints`: the one that leads to the target, if there is a target.
///
/// # Errors
/// 400 for a limit outside 1–100, 404 for a cursor that names nothing.
pub(crate) fn list_endpoints(desk: &Desk<'_>, form: &Form) -> Result<Value, ApiError> {
    let (after, before) = (form.text("starting_after")?, form.text("ending_before")?);
    Page::read(form)?;
    for (cursor, param) in [(&after, "starting_after"), (&before, "ending_before")] {
        if let Some(unknown) = cursor.as_ref().filter(|id| *id != ENDPOINT) {
            return Err(ApiError::missing("webhook endpoint", unknown, param));
        }
    }
    let is_first_page = after.is_none() && before.is_none();
    let data: Vec<Value> = show(desk, desk.plan).into_iter().filter(|_| is_first_page).collect();
    Ok(json!({ "object": "list", "data": data, "has_more": false, "url": "/v1/webhook_endpoints" }))
}

/// `GET /v1/webhook_endpoints/{id}`.
///
/// # Errors
/// 404 for another id.
pub(crate) fn retrieve_endpoint(desk: &Desk<'_>, id: &str) -> Result<Value, ApiError> {
    show(desk, desk.plan).filter(|_| id == ENDPOINT).ok_or_else(|| ApiError::missing("webhook endpoint", id, "id"))
}

fn show(desk: &Desk<'_>, plan: &Plan) -> Option<Value> {
    let target = plan.target.as_ref()?;
    Some(json!({
        "id": ENDPOINT,
        "object": "webhook_endpoint",
        "api_version": desk.settings.api_version,
        "application": null,
        "created": desk.now(),
        "description": null,
        "enabled_events": plan.enabled_events,
        "livemode": false,
        "metadata": {},
        "status": match plan.status {
            Status::Enabled => "enabled",
            Status::Disabled => "disabled",
        },
        "url": target.as_str(),
    }))
}
