//! Putting aside a refund whose money stays with the shop.

use axum::{Json, extract::State};
use common::{
    actor::Actor,
    id::RefundId,
    order::{self, AdminOrderView, DismissRefundError},
    payment::RefundStatus,
};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::find;
use crate::{
    extract::{Admin, NoMembers, OptionalBody, PathId},
    openapi::{Problems, tells},
    problem::{Kind, Problem},
    routes::admin::OUTCOME_UNKNOWN,
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(dismiss))
}

/// Put aside a refund that has failed
///
/// Or one that was canceled. Its money went back in another way, or stays by agreement. It is kept as it is, and no longer counted. Nothing
/// is given back.
#[utoipa::path(
    post, path = "/admin/refunds/{id}/dismiss", operation_id = "dismiss_refund", tag = "administration",
    params(("id" = RefundId, Path, description = "Of a refund that is `failed` or `canceled`.")),
    request_body = Option<NoMembers>,
    responses((status = 200, description = "Its order.", body = AdminOrderView), Problems<DismissRefundError>),
    security(("bearer" = ["admin"]))
)]
async fn dismiss(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(id): PathId<RefundId>,
    _: OptionalBody<NoMembers>,
) -> Result<Json<AdminOrderView>, Problem> {
    let order = order::dismiss_refund(&app.pool, Actor::User(admin.id), id).await?;
    find(&app, order).await
}

const REFUND_NOT_FAILED: Kind = Kind::new(StatusCode::CONFLICT, "refund_not_failed", "The refund has not failed");
const ALREADY_DISMISSED: Kind =
    Kind::new(StatusCode::CONFLICT, "already_dismissed", "The refund was put aside already");

tells! { DismissRefundError: REFUND_NOT_FAILED { refund_status: RefundStatus }, ALREADY_DISMISSED, OUTCOME_UNKNOWN }

impl From<DismissRefundError> for Problem {
    fn from(error: DismissRefundError) -> Self {
        match error {
            DismissRefundError::NotFound => Self::not_found(),
            DismissRefundError::NotOff(status) => {
                Self::new(REFUND_NOT_FAILED, format!("It is {}.", status.name())).with("refund_status", status)
            }
            DismissRefundError::AlreadyDismissed => Self::new(ALREADY_DISMISSED, "Nothing is left to be done."),
            DismissRefundError::OutcomeUnknown => {
                Self::new(OUTCOME_UNKNOWN, "Run its job again, so that Stripe is asked.")
            }
            DismissRefundError::Database(error) => error.into(),
        }
    }
}
