//! Canceling an order at an operator's wish.

use axum::{Json, extract::State};
use common::{
    id::OrderId,
    order::{self, AdminOrderView, CancelError},
};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::find;
use crate::{
    extract::{Admin, NoMembers, OptionalBody, PathId},
    openapi::Problems,
    problem::Problem,
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(cancel))
}

/// Cancel any shopper's unpaid order
///
/// Its stock is free once it is `canceled`; its lines don't go back into the cart. An order that is canceled or being canceled stays as
/// it is.
#[utoipa::path(
    post, path = "/admin/orders/{id}/cancel", operation_id = "cancel_any_order", tag = "administration",
    params(("id" = OrderId, Path, description = "Of any order.")),
    request_body = Option<NoMembers>,
    responses((status = 202, description = "The order, `canceling` or `canceled`.", body = AdminOrderView), Problems<CancelError>),
    security(("bearer" = ["admin"]))
)]
async fn cancel(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(id): PathId<OrderId>,
    _: OptionalBody<NoMembers>,
) -> Result<(StatusCode, Json<AdminOrderView>), Problem> {
    order::cancel_as_operator(&app.pool, admin.id, id).await?;
    app.answers.forget(); // more may be available
    Ok((StatusCode::ACCEPTED, find(&app, id).await?))
}
