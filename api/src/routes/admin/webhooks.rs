//! `/admin/webhooks`: what Stripe has told the shop, and what became of it.

use axum::{Json, extract::State};
use common::{
    actor::Actor,
    page::Page,
    webhook::{self, EventStatus, Filter, Listed, Replay, ReplayError, Shown},
};
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{FilterText, text};
use crate::{
    extract::{Admin, Filtered, NoMembers, OptionalBody, Paging, PathId},
    openapi::{Problems, tells},
    problem::{Invalid, Kind, Problem},
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(view)).routes(routes!(replay))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filters {
    /// Only with this status.
    #[param(value_type = Option<EventStatus>)]
    status: Option<String>,
    /// Only of this type, such as `payment_intent.succeeded`.
    #[serde(rename = "type")]
    #[param(value_type = Option<FilterText>)]
    kind: Option<String>,
}

/// List webhook events, the newest first
#[utoipa::path(
    get, path = "/admin/webhooks", operation_id = "list_webhooks", tag = "administration",
    params(Filters, Paging),
    responses((status = 200, description = "A page of them.", body = Page<Listed>)),
    security(("bearer" = ["admin"]))
)]
async fn list(
    State(app): State<AppState>,
    _: Admin,
    Filtered(paging, filters): Filtered<Filters>,
) -> Result<Json<Page<Listed>>, Problem> {
    let mut invalid = Invalid::default();
    let status = invalid.optional("/status", filters.status.map(|status| status.parse::<EventStatus>()));
    let kind = invalid.field("/type", text(filters.kind));
    let (Some(status), Some(kind)) = (status, kind) else { return Err(invalid.into()) };
    let filter = Filter { status, kind, before: paging.before()?, limit: paging.limit };
    Ok(Json(webhook::page(&app.pool, &filter).await?))
}

async fn find(app: &AppState, id: &str) -> Result<Json<Shown>, Problem> {
    webhook::show(&app.pool, id).await?.map(Json).ok_or_else(Problem::not_found)
}

/// Show a webhook event with its payload
///
/// Secrets in it are withheld.
#[utoipa::path(
    get, path = "/admin/webhooks/{id}", operation_id = "get_webhook", tag = "administration",
    params(("id" = String, Path, description = "Our id of the event, or Stripe's (`evt_…`).")),
    responses((status = 200, description = "The event.", body = Shown)),
    security(("bearer" = ["admin"]))
)]
async fn view(State(app): State<AppState>, _: Admin, PathId(id): PathId<String>) -> Result<Json<Shown>, Problem> {
    find(&app, &id).await
}

/// Replay a webhook event
///
/// It is looked at again as if it had just come. One that was applied is left alone: what it said counts.
#[utoipa::path(
    post, path = "/admin/webhooks/{id}/replay", operation_id = "replay_webhook", tag = "administration",
    params(("id" = String, Path, description = "Our id of the event, or Stripe's (`evt_…`).")),
    request_body = Option<NoMembers>,
    responses((status = 202, description = "The event.", body = Shown), Problems<ReplayError>),
    security(("bearer" = ["admin"]))
)]
async fn replay(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(id): PathId<String>,
    _: OptionalBody<NoMembers>,
) -> Result<(StatusCode, Json<Shown>), Problem> {
    let event = webhook::find(&app.pool, &id).await?.ok_or_else(Problem::not_found)?;
    match webhook::replay(&app.pool, Actor::User(admin.id), event.id).await? {
        Replay::Enqueued => Ok((StatusCode::ACCEPTED, find(&app, &id).await?)),
        Replay::AppliedAlready => Err(Problem::new(ALREADY_APPLIED, "What it said counts already.")),
        Replay::UnderWay => Err(Problem::new(UNDER_WAY, "See in a moment what became of it.")),
    }
}

const ALREADY_APPLIED: Kind = Kind::new(StatusCode::CONFLICT, "already_applied", "The event was applied already");
const UNDER_WAY: Kind = Kind::new(StatusCode::CONFLICT, "under_way", "The event is being looked at in this moment");

tells! { ReplayError: ALREADY_APPLIED, UNDER_WAY }

impl From<ReplayError> for Problem {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::NotFound => Self::not_found(),
            ReplayError::Database(error) => error.into(),
        }
    }
}
