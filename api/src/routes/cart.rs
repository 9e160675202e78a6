//! `/cart`: what the caller means to buy.

use axum::{
    Json, Router,
    extract::State,
    response::IntoResponse,
    routing::{get, post, put},
};
use common::{
    cart::{self, CartView, ChangeError, Quantity},
    id::{CartItemId, ProductId},
};
use http::StatusCode;
use serde::Deserialize;

use crate::{
    extract::{Body, Caller, IdempotencyKey, PathId},
    problem::{Invalid, Problem, kinds},
    respond::replayed,
    state::AppState,
};

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/cart", get(view))
        .route("/cart/items", post(add))
        .route("/cart/items/{id}", put(set_quantity).delete(remove))
}

async fn view(State(app): State<AppState>, caller: Caller) -> Result<Json<CartView>, Problem> {
    Ok(Json(cart::view(&app.pool, caller.id(), app.config.currency, &app.config.uploads.links).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Addition {
    product_id: ProductId,
    quantity: i64,
}

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewQuantity {
    quantity: i64,
}

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
