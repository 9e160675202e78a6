//! `/orders`: the caller's own orders.

use std::time::Duration;

use axum::{Json, extract::State, response::Response};
use common::{
    id::{OrderId, UserId},
    order::{self, CancelError, OrderView, Status},
    page::{Page, decode_cursor},
};
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{Caller, IfNoneMatch, NoMembers, OptionalBody, Paging, PathId, Prefer, Query},
    openapi::{Problems, tells},
    problem::{Invalid, Kind, Problem},
    respond::tagged,
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(view)).routes(routes!(cancel))
}

/// An order of the user's; another user's is not there.
pub(super) async fn find(app: &AppState, user: UserId, id: OrderId) -> Result<OrderView, Problem> {
    order::view(&app.pool, user, id, &app.config.stripe_publishable_key).await?.ok_or_else(Problem::not_found)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filters {
    /// Only orders that stand there.
    #[param(value_type = Option<Status>)]
    status: Option<String>,
}

/// The caller's orders, the newest first
#[utoipa::path(
    get, path = "/orders", operation_id = "list_orders", tag = "orders",
    params(Filters, Paging),
    responses((status = 200, description = "A page of them.", body = Page<OrderView>)),
    security(("bearer" = []))
)]
async fn list(
    State(app): State<AppState>,
    caller: Caller,
    paging: Paging,
    Query(filters): Query<Filters>,
) -> Result<Json<Page<OrderView>>, Problem> {
    let status = status("/status", filters.status)?;
    let before: Option<OrderId> = paging.cursor.as_deref().map(decode_cursor).transpose()?;
    let key = &app.config.stripe_publishable_key;
    Ok(Json(order::list(&app.pool, caller.id(), status, before, paging.limit, key).await?))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Wish {
    /// With `Prefer: wait=N`: where the client knows it to stand. The answer comes as soon as it stands elsewhere.
    #[param(value_type = Option<Status>)]
    status_not: Option<String>,
}

/// One of the caller's orders
#[utoipa::path(
    get, path = "/orders/{id}", operation_id = "get_order", tag = "orders",
    params(("id" = OrderId, Path, description = "Of an order of the caller's."), Wish, Prefer, IfNoneMatch),
    responses(
        (status = 200, description = "The order.", body = OrderView, headers(("ETag"))),
        (status = 304, description = "The client has it already.", headers(("ETag"))),
    ),
    security(("bearer" = []))
)]
async fn view(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId<OrderId>,
    Query(wish): Query<Wish>,
    prefer: Prefer,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let unwanted = status("/status_not", wish.status_not)?;
    let patience = if unwanted.is_some() { prefer.wait.unwrap_or_default() } else { Duration::ZERO };
    let order =
        app.waiters.until(id, patience, || find(&app, caller.id(), id), |order| Some(order.status) != unwanted).await?;
    tagged(&order, &known) // a declined payment changes what is shown, but not the order's own row
}

fn status(pointer: &str, name: Option<String>) -> Result<Option<Status>, Problem> {
    let mut invalid = Invalid::default();
    invalid.optional(pointer, name.map(|name| name.parse::<Status>())).ok_or_else(|| invalid.into())
}

/// Cancel an order that is not paid
///
/// Its lines are back in the cart once it is `canceled`. An order that is canceled stays as it is, and one that is being canceled goes on to be.
#[utoipa::path(
    post, path = "/orders/{id}/cancel", operation_id = "cancel_order", tag = "orders",
    params(("id" = OrderId, Path, description = "Of an order of the caller's.")),
    request_body = Option<NoMembers>,
    responses((status = 202, description = "The order, `canceling` or `canceled`.", body = OrderView), Problems<CancelError>),
    security(("bearer" = []))
)]
async fn cancel(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId<OrderId>,
    _: OptionalBody<NoMembers>,
) -> Result<(StatusCode, Json<OrderView>), Problem> {
    order::cancel(&app.pool, caller.id(), id).await?;
    app.answers.forget(); // more may be available
    Ok((StatusCode::ACCEPTED, Json(find(&app, caller.id(), id).await?)))
}

const NOT_CANCELABLE: Kind = Kind::new(StatusCode::CONFLICT, "not_cancelable", "This order can't be canceled");

tells! { CancelError: NOT_CANCELABLE { order_status: Status } }

impl From<CancelError> for Problem {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::NotFound => Self::not_found(),
            CancelError::NotCancelable(status) => {
                Self::new(NOT_CANCELABLE, format!("It is {status}.")).with("order_status", status)
            }
            CancelError::Database(error) => error.into(),
        }
    }
}
