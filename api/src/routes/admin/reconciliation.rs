//! `/admin/reconciliation`: comparisons of our books with Stripe's.

use axum::{Json, extract::State};
use common::{
    actor::Actor,
    id::ReconciliationId,
    page::Page,
    reconciliation::{self, Enqueued, ListedDifference, Run},
};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{Admin, NoMembers, OptionalBody, Paging, PathId, Unfiltered},
    problem::Problem,
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(differences))
        .routes(routes!(run))
        .routes(routes!(dismiss))
}

/// List reconciliations with Stripe, the newest first
///
/// `GET /admin/reconciliation/{id}/differences` lists what one found.
#[utoipa::path(
    get, path = "/admin/reconciliation", operation_id = "list_reconciliations", tag = "administration",
    params(Paging),
    responses((status = 200, description = "A page of them.", body = Page<Run>)),
    security(("bearer" = ["admin"]))
)]
async fn list(
    State(app): State<AppState>,
    _: Admin,
    Unfiltered(paging): Unfiltered,
) -> Result<Json<Page<Run>>, Problem> {
    Ok(Json(reconciliation::runs(&app.pool, paging.before()?, paging.limit).await?))
}

/// List the differences that a reconciliation found, the newest first
#[utoipa::path(
    get, path = "/admin/reconciliation/{id}/differences", operation_id = "list_differences", tag = "administration",
    params(("id" = ReconciliationId, Path, description = "Of a reconciliation."), Paging),
    responses((status = 200, description = "A page of it.", body = Page<ListedDifference>)),
    security(("bearer" = ["admin"]))
)]
async fn differences(
    State(app): State<AppState>,
    _: Admin,
    PathId(run): PathId<ReconciliationId>,
    Unfiltered(paging): Unfiltered,
) -> Result<Json<Page<ListedDifference>>, Problem> {
    let found = reconciliation::differences(&app.pool, run, paging.before()?, paging.limit).await?;
    found.map(Json).ok_or_else(Problem::not_found)
}

/// Run a reconciliation with Stripe now
///
/// The worker does it, as it does by itself now and then. Where it is about to, or does already, nothing is added.
#[utoipa::path(
    post, path = "/admin/reconciliation/run", operation_id = "reconcile", tag = "administration",
    request_body = Option<NoMembers>,
    responses((status = 202, description = "The job that does it.", body = Enqueued)),
    security(("bearer" = ["admin"]))
)]
async fn run(
    State(app): State<AppState>,
    Admin(admin): Admin,
    _: OptionalBody<NoMembers>,
) -> Result<(StatusCode, Json<Enqueued>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(reconciliation::enqueue(&app.pool, Actor::User(admin.id)).await?)))
}

/// Put aside what was left of an object of Stripe's
///
/// Another shop's on the same account, say: no comparison could mend it. It is kept, no longer counted, and counts anew where it changes at
/// Stripe.
#[utoipa::path(
    post, path = "/admin/reconciliation/differences/{stripe_object_id}/dismiss", operation_id = "dismiss_difference",
    tag = "administration",
    params(("stripe_object_id" = String, Path, description = "Stripe's id of what was left: `pi_…`, `re_…` or `dp_…`.")),
    request_body = Option<NoMembers>,
    responses((status = 204, description = "It is no longer counted.")),
    security(("bearer" = ["admin"]))
)]
async fn dismiss(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(object): PathId<String>,
    _: OptionalBody<NoMembers>,
) -> Result<StatusCode, Problem> {
    let was_left = reconciliation::dismiss(&app.pool, Actor::User(admin.id), &object).await?;
    if was_left { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}
