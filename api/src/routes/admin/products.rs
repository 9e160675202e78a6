//! `/admin/products`: what came and went of a product's stock, and corrections of it.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use common::{
    catalog::Stock,
    id::ProductId,
    inventory::{self, AdjustError, Adjustment, Delta, Filter, Ledger, MovementKind, MovementView},
    reason::Reason,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::time;
use crate::{
    extract::{Admin, Body, Filtered, IdempotencyKey, Paging, PathId, RequiredIdempotencyKey, whole_number},
    openapi::{Problems, tells},
    problem::{Invalid, Problem},
    respond::replayed,
    routes::products::STOCK_RESERVED,
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(ledger)).routes(routes!(adjust))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filters {
    /// The ledger and the stock as of this time; as they are now where it is left out.
    #[param(value_type = Option<DateTime<Utc>>)]
    as_of: Option<String>,
    /// Only of this kind. The stock is the sum of all kinds.
    #[param(value_type = Option<MovementKind>)]
    kind: Option<String>,
}

/// Show the stock ledger of a product
///
/// What came and went, the newest first, with the stock that it adds up to: as it is, or as it was at some time.
#[utoipa::path(
    get, path = "/admin/products/{id}/ledger", operation_id = "get_ledger", tag = "administration",
    params(("id" = ProductId, Path, description = "Of a product."), Filters, Paging),
    responses((status = 200, description = "A page of it.", body = Ledger)),
    security(("bearer" = ["admin"]))
)]
async fn ledger(
    State(app): State<AppState>,
    _: Admin,
    PathId(product): PathId<ProductId>,
    Filtered(paging, filters): Filtered<Filters>,
) -> Result<Json<Ledger>, Problem> {
    let mut invalid = Invalid::default();
    let as_of = invalid.field("/as_of", time(filters.as_of.as_deref()));
    let kind = invalid.optional("/kind", filters.kind.map(|kind| kind.parse::<MovementKind>()));
    let (Some(as_of), Some(kind)) = (as_of, kind) else { return Err(invalid.into()) };
    let before = paging.before()?;
    let wanted = Filter { product, as_of, kind, before, limit: paging.limit };
    inventory::ledger(&app.pool, &wanted).await?.map(Json).ok_or_else(Problem::not_found)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StockChange {
    /// How many units come; negative for those that go. Not 0.
    #[serde(deserialize_with = "whole_number")]
    #[schema(value_type = Delta)]
    delta: i64,
    /// For the books.
    #[schema(value_type = Reason)]
    reason: String,
}

/// The row of the ledger, with what there is of the product now.
#[derive(Serialize, ToSchema)]
struct StockAdjustment {
    #[serde(flatten)]
    movement: MovementView,
    /// How many there are now.
    stock: i64,
    /// What of these can still be bought.
    available: i64,
}

/// Adjust a product's stock
///
/// By so many units, however many there are: nobody has to know that to book a delivery or a loss. It is in the ledger as an
/// adjustment.
#[utoipa::path(
    post, path = "/admin/products/{id}/stock", operation_id = "adjust_stock", tag = "administration",
    params(("id" = ProductId, Path, description = "Of a product."), RequiredIdempotencyKey),
    request_body = StockChange,
    responses(
        (
            status = 201, description = "The row of the ledger, with the stock as it is now.", body = StockAdjustment,
            headers(("Idempotency-Replayed")),
        ),
        Problems<AdjustError>,
    ),
    security(("bearer" = ["admin"]))
)]
async fn adjust(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(product): PathId<ProductId>,
    key: IdempotencyKey,
    body: Body<StockChange>,
) -> Result<Response, Problem> {
    let mut invalid = Invalid::default();
    let delta = invalid.field("/delta", Delta::parse(body.value.delta));
    let reason = invalid.field("/reason", Reason::parse(&body.value.reason));
    let (Some(delta), Some(reason)) = (delta, reason) else { return Err(invalid.into()) };
    let key = key.required(&body.raw)?;
    let adjusted = inventory::adjust(&app.pool, &Adjustment { product, admin: admin.id, key, delta, reason }).await?;
    app.answers.forget();
    let available = adjusted.stock - adjusted.reserved;
    let shown = StockAdjustment { movement: adjusted.movement, stock: adjusted.stock, available };
    Ok((StatusCode::CREATED, replayed(adjusted.replayed), Json(shown)).into_response())
}

tells! { AdjustError: STOCK_RESERVED { reserved: i64 } }

impl From<AdjustError> for Problem {
    fn from(error: AdjustError) -> Self {
        match error {
            AdjustError::NotFound => Self::not_found(),
            AdjustError::StockReserved { reserved } => {
                Self::new(STOCK_RESERVED, format!("`stock` can't fall below {reserved}.")).with("reserved", reserved)
            }
            AdjustError::TooMany { stock } => Self::invalid(
                "/delta",
                format!("there are {stock} units already, and there can't be more than {}", Stock::MAX),
            ),
            AdjustError::Key(error) => error.into(),
            AdjustError::Database(error) => error.into(),
        }
    }
}
