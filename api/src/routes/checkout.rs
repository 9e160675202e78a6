//! `POST /checkout`: the cart becomes an order.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use common::{
    money::Money,
    order::{self, OpenOrder, OrderView, PlaceError, PlaceOrder, Placed, Shortfall},
};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::orders::find;
use crate::{
    extract::{Caller, IdempotencyKey, OptionalBody, Prefer, whole_number_not_null},
    openapi::{Problems, tells},
    problem::{Invalid, Kind, Problem, kinds},
    respond::replayed,
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(checkout))
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Checkout {
    /// What the shopper was shown, in minor units: refused with `total_changed` where it is another by now.
    #[serde(default, deserialize_with = "whole_number_not_null")]
    #[schema(value_type = i64, required = false, minimum = 0)]
    expected_total: Option<i64>,
}

impl Checkout {
    fn parse(self) -> Result<Option<Money>, Problem> {
        let mut invalid = Invalid::default();
        let total =
            self.expected_total.map(|total| if total < 0 { Err("must not be negative") } else { Ok(Money(total)) });
        invalid.optional("/expected_total", total).ok_or_else(|| invalid.into())
    }
}

/// Turn the cart into an order
///
/// Its stock is held until `expires_at`. Without `Prefer` the answer is 202, and the PaymentIntent follows within moments; with
/// `Prefer: wait=N` it is 201 as soon as that is there. Pay it by Stripe's own means, with the order's `payment`.
#[utoipa::path(
    post, path = "/checkout", operation_id = "check_out", tag = "orders",
    params(IdempotencyKey, Prefer),
    request_body = Option<Checkout>,
    responses(
        (status = 201, description = "It can be paid.", body = OrderView, headers(("Location"), ("Idempotency-Replayed"))),
        (
            status = 202, description = "It can't be paid yet: ask for it again.", body = OrderView,
            headers(("Location"), ("Retry-After"), ("Idempotency-Replayed")),
        ),
        Problems<PlaceError>,
    ),
    security(("bearer" = []))
)]
async fn checkout(
    State(app): State<AppState>,
    caller: Caller,
    key: IdempotencyKey,
    prefer: Prefer,
    body: OptionalBody<Checkout>,
) -> Result<Response, Problem> {
    app.limits.check_out(caller.id())?;
    let request = PlaceOrder {
        user: caller.id(),
        expected_total: body.value.parse()?,
        key: key.request(&body.raw),
        currency: app.config.currency,
        reservation: app.config.reservation,
        max_unpaid_orders: app.config.max_unpaid_orders,
    };
    let (id, done_before) = match order::place(&app.pool, &request).await? {
        Placed::New(id) => (id, false),
        Placed::Replayed(id) => (id, true),
    };
    app.answers.forget(); // less is available
    let order =
        app.waiters.until(id, prefer.wait.unwrap_or_default(), || find(&app, request.user, id), is_payable).await?;
    Ok((replayed(done_before), answer(order)).into_response())
}

/// Once its intent is there, or never will be.
fn is_payable(order: &OrderView) -> bool {
    order.payment.intent_id.is_some() || order.status != order::Status::Pending
}

fn answer(order: OrderView) -> Response {
    let location = [(header::LOCATION, format!("/orders/{}", order.id))];
    if order.payment.intent_id.is_some() {
        return (StatusCode::CREATED, location, Json(order)).into_response();
    }
    if order.status != order::Status::Pending {
        return (StatusCode::ACCEPTED, location, Json(order)).into_response(); // it will never have one
    }
    let soon = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
    (StatusCode::ACCEPTED, location, soon, Json(order)).into_response()
}

const CART_EMPTY: Kind = Kind::new(StatusCode::CONFLICT, "cart_empty", "The cart is empty");
const TOTAL_CHANGED: Kind = Kind::new(StatusCode::CONFLICT, "total_changed", "The total has changed");
const TOO_MANY_OPEN_ORDERS: Kind =
    Kind::new(StatusCode::CONFLICT, "too_many_open_orders", "There are too many unpaid orders");
const TOTAL_OUT_OF_RANGE: Kind =
    Kind::new(StatusCode::UNPROCESSABLE_ENTITY, "total_out_of_range", "The total can't be charged");

tells! {
    PlaceError:
        CART_EMPTY,
        kinds::INSUFFICIENT_STOCK { lines: Vec<Shortfall>, orders: Vec<OpenOrder> },
        TOTAL_CHANGED { total: Money },
        TOO_MANY_OPEN_ORDERS { orders: Vec<OpenOrder> },
        TOTAL_OUT_OF_RANGE { total: Money },
}

impl From<PlaceError> for Problem {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::CartEmpty => {
                Self::new(CART_EMPTY, "Put something into it first; another checkout may have taken it.")
            }
            PlaceError::InsufficientStock { lines, orders } => Self::new(
                kinds::INSUFFICIENT_STOCK,
                "See `lines` for what fell short, and `orders` for your own that hold some.",
            )
            .with("lines", lines)
            .with("orders", orders),
            PlaceError::TotalChanged { total } => {
                Self::new(TOTAL_CHANGED, "Prices have changed since: show the new total, and check out with that.")
                    .with("total", total)
            }
            PlaceError::TooManyOpenOrders { orders } => {
                Self::new(TOO_MANY_OPEN_ORDERS, "Pay or cancel one of `orders` first.").with("orders", orders)
            }
            PlaceError::TotalOutOfRange { total, least } => {
                let problem = Self::new(
                    TOTAL_OUT_OF_RANGE,
                    format!("The total must be from {} to {} minor units.", least.0, common::money::MAX_CHARGE.0),
                );
                match total {
                    Some(total) => problem.with("total", total),
                    None => problem,
                }
            }
            PlaceError::Key(error) => error.into(),
            PlaceError::Database(error) => error.into(),
        }
    }
}
