//! `/admin`: what administrators do.
//!
//! An empty filter is refused like any other that doesn't fit. With nothing begins everything: so an empty `q` or `email` filters nothing.

mod audit;
mod emails;
mod jobs;
mod orders;
mod payments;
mod products;
mod reconciliation;
mod users;
mod webhooks;

use chrono::{DateTime, Utc};
use http::StatusCode;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{problem::Kind, state::AppState};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(orders::routes())
        .merge(products::routes())
        .merge(users::routes())
        .merge(webhooks::routes())
        .merge(jobs::routes())
        .merge(payments::routes())
        .merge(emails::routes())
        .merge(reconciliation::routes())
        .merge(audit::routes())
}

const OUTCOME_UNKNOWN: Kind =
    Kind::new(StatusCode::CONFLICT, "outcome_unknown", "Nobody knows whether the refund was made");

/// In the document: a text that a filter takes, to be compared as it is.
#[derive(ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 200, pattern = r"^[^\u0000]*$")]
struct FilterText(#[expect(dead_code, reason = "only its schema is of interest")] String);

/// The text of a filter. No column holds a NUL, and Postgres would refuse it.
fn text(value: Option<String>) -> Result<Option<String>, &'static str> {
    match value {
        Some(text) if text.is_empty() || text.chars().count() > 200 => Err("must have 1 to 200 characters"),
        Some(text) if text.contains('\0') => Err("must not contain NUL"),
        fit => Ok(fit),
    }
}

/// A time of a filter.
fn time(value: Option<&str>) -> Result<Option<DateTime<Utc>>, &'static str> {
    let parse = |text| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    value
        .map(parse)
        .transpose()
        .map_err(|_| "must be a time such as 2026-11-23T18:42:44Z (RFC 3339; `+` is `%2B` in a URL)")
}
