//! Accepting an order in review.

use axum::{Json, extract::State};
use common::{
    id::OrderId,
    order::{self, AcceptError, AdminOrderView, Shortfall},
};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{DISPUTED, disputed, find, refund_under_way};
use crate::{
    extract::{Admin, NoMembers, OptionalBody, PathId},
    openapi::{Problems, tells},
    problem::{Kind, Problem, kinds},
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(accept))
}

/// Accept an order in review
///
/// Its money is taken as it is: the order is paid then, its stock reserved again.
#[utoipa::path(
    post, path = "/admin/orders/{id}/accept", operation_id = "accept_order", tag = "administration",
    params(("id" = OrderId, Path, description = "Of an order in `payment_review`.")),
    request_body = Option<NoMembers>,
    responses((status = 200, description = "The order.", body = AdminOrderView), Problems<AcceptError>),
    security(("bearer" = ["admin"]))
)]
async fn accept(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(id): PathId<OrderId>,
    _: OptionalBody<NoMembers>,
) -> Result<Json<AdminOrderView>, Problem> {
    order::accept(&app.pool, admin.id, id).await?;
    app.answers.forget(); // it may have reserved units again
    find(&app, id).await
}

const NOT_ACCEPTABLE: Kind = Kind::new(StatusCode::CONFLICT, "not_acceptable", "This order can't be accepted");

tells! {
    AcceptError: NOT_ACCEPTABLE, DISPUTED, kinds::INSUFFICIENT_STOCK { lines: Vec<Shortfall> },
}

impl From<AcceptError> for Problem {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::NotFound => Self::not_found(),
            AcceptError::NotInReview(status) => {
                Self::new(NOT_ACCEPTABLE, format!("It is {status}, not in review.")).with("order_status", status)
            }
            AcceptError::RefundUnderWay => refund_under_way(NOT_ACCEPTABLE),
            AcceptError::Disputed => disputed(),
            AcceptError::Underpaid => Self::new(
                NOT_ACCEPTABLE,
                "What was received for it, less what was given back, is below its total, or of another currency.",
            ),
            AcceptError::Restocked => Self::new(
                NOT_ACCEPTABLE,
                "Units of it came back into the stock with a refund: they may have been sold to somebody else. Refund it.",
            ),
            AcceptError::InsufficientStock(lines) => {
                Self::new(kinds::INSUFFICIENT_STOCK, "See `lines` for what fell short.").with("lines", lines)
            }
            AcceptError::Database(error) => error.into(),
        }
    }
}
