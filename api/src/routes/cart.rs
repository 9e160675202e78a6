//! `/cart`: what the caller means to buy.

use axum::{Json, extract::State, response::IntoResponse};
use common::{
    cart::{self, CartView, ChangeError, Quantity},
    id::{CartItemId, ProductId},
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{Body, Caller, IdempotencyKey, PathId, whole_number},
    openapi::{Problems, tells},
    problem::{Invalid, Problem, kinds},
    respond::replayed,
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(view)).routes(routes!(add)).routes(routes!(set_quantity, remove))
}

/// The caller's cart
///
/// At today's prices; `problem` says why checkout would refuse a line.
#[utoipa::path(
    get, path = "/cart", operation_id = "get_cart", tag = "cart",
    responses((status = 200, description = "The cart.", body = CartView)),
    security(("bearer" = []))
)]
async fn view(State(app): State<AppState>, caller: Caller) -> Result<Json<CartView>, Problem> {
    Ok(Json(cart::view(&app.pool, caller.id(), app.config.currency, &app.config.uploads.links).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Addition {
    product_id: ProductId,
    #[schema(value_type = Quantity)]
    #[serde(deserialize_with = "whole_number")]
    quantity: i64,
}

/// Put units of a product into the cart
///
/// They are added to its line, if there is one.
#[utoipa::path(
    post, path = "/cart/items", operation_id = "add_to_cart", tag = "cart",
    params(IdempotencyKey),
    request_body = Addition,
    responses(
        (status = 201, description = "The cart.", body = CartView, headers(("Idempotency-Replayed"))),
        Problems<ChangeError>,
    ),
    security(("bearer" = []))
)]
async fn add(
    State(app): State<AppState>,
    caller: Caller,
    key: IdempotencyKey,
    body: Body<Addition>,
) -> Result<impl IntoResponse, Problem> {
    let quantity = quantity(body.value.quantity)?;
    let key = key.request(&body.raw);
    let done_before = cart::add(&app.pool, caller.id(), body.value.product_id, quantity, key.as_ref()).await?;
    Ok((StatusCode::CREATED, replayed(done_before), view(State(app), caller).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewQuantity {
    #[schema(value_type = Quantity)]
    #[serde(deserialize_with = "whole_number")]
    quantity: i64,
}

/// Change how many units a line has
#[utoipa::path(
    put, path = "/cart/items/{id}", operation_id = "set_quantity", tag = "cart",
    params(("id" = CartItemId, Path, description = "Of a line of the caller's cart.")),
    request_body = NewQuantity,
    responses((status = 200, description = "The cart.", body = CartView), Problems<ChangeError>),
    security(("bearer" = []))
)]
async fn set_quantity(
    State(app): State<AppState>,
    caller: Caller,
    PathId(item): PathId<CartItemId>,
    body: Body<NewQuantity>,
) -> Result<Json<CartView>, Problem> {
    let quantity = quantity(body.value.quantity)?;
    cart::set_quantity(&app.pool, caller.id(), item, quantity).await?;
    view(State(app), caller).await
}

/// Take a line out of the cart
#[utoipa::path(
    delete, path = "/cart/items/{id}", operation_id = "remove_from_cart", tag = "cart",
    params(("id" = CartItemId, Path, description = "Of a line of the caller's cart.")),
    responses((status = 204, description = "It is gone.")),
    security(("bearer" = []))
)]
async fn remove(
    State(app): State<AppState>,
    caller: Caller,
    PathId(item): PathId<CartItemId>,
) -> Result<StatusCode, Problem> {
    cart::remove(&app.pool, caller.id(), item).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn quantity(number: i64) -> Result<Quantity, Problem> {
    let mut invalid = Invalid::default();
    invalid.field("/quantity", Quantity::try_from(number)).ok_or_else(|| invalid.into())
}

tells! { ChangeError: kinds::NOT_FOUND, kinds::INSUFFICIENT_STOCK { available: i64 } }

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NoSuchProduct | ChangeError::NoSuchItem => Self::not_found(),
            ChangeError::InsufficientStock { available } => {
                Self::new(kinds::INSUFFICIENT_STOCK, format!("The cart may hold {available} of this at most."))
                    .with("available", available)
            }
            ChangeError::TooMany => Self::invalid("/quantity", "would make more than 999 in the cart"),
            ChangeError::Key(error) => error.into(),
            ChangeError::Database(error) => error.into(),
        }
    }
}
