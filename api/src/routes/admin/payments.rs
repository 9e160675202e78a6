//! `/admin/payments`: each call to Stripe, and each payment event that was applied.

use axum::{Json, extract::State};
use common::{
    order::OrderRef,
    page::Page,
    payment::{self, Filter, LoggedPayment},
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{FilterText, text};
use crate::{
    extract::{Admin, Filtered, Paging},
    problem::{Invalid, Problem},
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filters {
    /// Only of this order: its number (`1002` or `#1002`), or its id.
    #[param(pattern = r"^(#?[0-9]{1,18}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$")]
    order: Option<String>,
    /// Only of this operation: `create_intent`, `event:payment_intent.succeeded`, …
    #[param(value_type = Option<FilterText>)]
    operation: Option<String>,
    /// Only with this outcome: `ok`, `declined`, `error`, …
    #[param(value_type = Option<FilterText>)]
    outcome: Option<String>,
    /// Only with this type of error.
    #[param(value_type = Option<FilterText>)]
    error_type: Option<String>,
}

/// List the payment log, the newest first
#[utoipa::path(
    get, path = "/admin/payments", operation_id = "list_payments", tag = "administration",
    params(Filters, Paging),
    responses((status = 200, description = "A page of it.", body = Page<LoggedPayment>)),
    security(("bearer" = ["admin"]))
)]
async fn list(
    State(app): State<AppState>,
    _: Admin,
    Filtered(paging, filters): Filtered<Filters>,
) -> Result<Json<Page<LoggedPayment>>, Problem> {
    let mut invalid = Invalid::default();
    let order = invalid.optional("/order", filters.order.map(|order| order.parse::<OrderRef>()));
    let operation = invalid.field("/operation", text(filters.operation));
    let outcome = invalid.field("/outcome", text(filters.outcome));
    let error_type = invalid.field("/error_type", text(filters.error_type));
    let (Some(order), Some(operation), Some(outcome), Some(error_type)) = (order, operation, outcome, error_type)
    else {
        return Err(invalid.into());
    };
    let (before, limit) = (paging.before()?, paging.limit);
    let filter = Filter { order, operation, outcome, error_type, before, limit };
    Ok(Json(payment::page(&app.pool, &filter).await?))
}
