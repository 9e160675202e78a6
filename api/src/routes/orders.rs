//! `/orders`: the caller's own orders.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    response::Response,
    routing::{get, post},
};
use common::{
    id::{OrderId, UserId},
    order::{self, CancelError, OrderView, Status},
    page::{Page, decode_cursor},
};
use http::StatusCode;
use serde::Deserialize;

use crate::{
    extract::{Caller, IfNoneMatch, NoMembers, OptionalBody, Paging, PathId, Prefer, Query},
    problem::{Invalid, Kind, Problem},
    respond::tagged,
    state::AppState,
};

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/orders", get(list))
        .route("/orders/{id}", get(view))
        .route("/orders/{id}/cancel", post(cancel))
}

/// An order of the user's; another user's is not there.
pub(super) async fn find(app: &AppState, user: UserId, id: OrderId) -> Result<OrderView, Problem> {
    order::view(&app.pool, user, id, &app.config.stripe_publishable_key).await?.ok_or_else(Problem::not_found)
}

#[derive(Deserialize)]
struct Filters {
    status: Option<String>,
    status_not: Option<String>,
}

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

async fn view(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId<OrderId>,
    Query(filters): Query<Filters>,
    prefer: Prefer,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let unwanted = status("/status_not", filters.status_not)?;
    let patience = if unwanted.is_some() { prefer.wait.unwrap_or_default() } else { Duration::ZERO };
    let order =
        app.waiters.until(id, patience, || find(&app, caller.id(), id), |order| Some(order.status) != unwanted).await?;
    tagged(&order, &known) // a declined payment changes what is shown, but not the order's own row
}

fn status(pointer: &str, name: Option<String>) -> Result<Option<Status>, Problem> {
    let mut invalid = Invalid::default();
    invalid.optional(pointer, name.map(|name| name.parse::<Status>())).ok_or_else(|| invalid.into())
}

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
