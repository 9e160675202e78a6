//! `/admin/orders`: any shopper's orders, their refunds and their reviews.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use common::{
    id::{OrderId, OrderItemId},
    inventory::RestockError,
    money::Money,
    order::{self, AcceptError, AdminOrderView, RefundError, RefundRequested, RequestRefund, Restock, Shortfall},
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{
        Admin, IdempotencyKey, NoMembers, OptionalBody, PathId, RequiredIdempotencyKey, whole_number,
        whole_number_not_null,
    },
    openapi::{Problems, tells},
    problem::{Invalid, Kind, Problem, kinds},
    respond::replayed,
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(view)).routes(routes!(refund)).routes(routes!(accept))
}

async fn find(app: &AppState, id: OrderId) -> Result<Json<AdminOrderView>, Problem> {
    let key = &app.config.stripe_publishable_key;
    order::admin_view(&app.pool, id, key).await?.map(Json).ok_or_else(Problem::not_found)
}

/// Any shopper's order
#[utoipa::path(
    get, path = "/admin/orders/{id}", operation_id = "get_any_order", tag = "administration",
    params(("id" = OrderId, Path, description = "Of any order.")),
    responses((status = 200, description = "The order.", body = AdminOrderView)),
    security(("bearer" = ["admin"]))
)]
async fn view(
    State(app): State<AppState>,
    _: Admin,
    PathId(id): PathId<OrderId>,
) -> Result<Json<AdminOrderView>, Problem> {
    find(&app, id).await
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RefundRequest {
    /// In minor units; all that is left where there is none.
    #[serde(default, deserialize_with = "whole_number_not_null")]
    #[schema(value_type = i64, required = false, minimum = 1)]
    amount: Option<i64>,
    /// For the books.
    #[schema(max_length = 500, pattern = r"^[^\u0000]*$")]
    reason: Option<String>,
    /// What comes back into the stock.
    #[serde(default)]
    restock: Vec<RestockLine>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RestockLine {
    order_item_id: OrderItemId,
    #[serde(deserialize_with = "whole_number")]
    #[schema(minimum = 1)]
    quantity: i64,
}

/// Longest reason of an operator's, in characters.
const MAX_REASON: usize = 500;

/// An amount, a reason and what comes back, all fit.
struct Parsed {
    amount: Option<Money>,
    reason: Option<String>,
    restock: Vec<Restock>,
}

impl RefundRequest {
    fn parse(self) -> Result<Parsed, Problem> {
        let mut invalid = Invalid::default();
        let amount = self.amount.map(|amount| if amount < 1 { Err("must be at least 1") } else { Ok(Money(amount)) });
        let amount = invalid.optional("/amount", amount);
        let reason = invalid.optional("/reason", self.reason.map(fit_reason));
        let mut restock: Vec<Restock> = Vec::with_capacity(self.restock.len());
        for (i, line) in self.restock.into_iter().enumerate() {
            if restock.iter().any(|other| other.item == line.order_item_id) {
                invalid.field(&format!("/restock/{i}/order_item_id"), Err::<(), _>("is named twice"));
            }
            if line.quantity < 1 {
                invalid.field(&format!("/restock/{i}/quantity"), Err::<(), _>("must be at least 1"));
            }
            // No line has nearly as many units: that is told once the order is known.
            let quantity = i32::try_from(line.quantity).unwrap_or(i32::MAX);
            restock.push(Restock { item: line.order_item_id, quantity });
        }
        match (amount, reason) {
            (Some(amount), Some(reason)) if invalid.is_empty() => Ok(Parsed { amount, reason, restock }),
            _ => Err(invalid.into()),
        }
    }
}

fn fit_reason(reason: String) -> Result<String, String> {
    if reason.chars().count() > MAX_REASON {
        return Err(format!("must be at most {MAX_REASON} characters long"));
    }
    if reason.contains('\0') {
        return Err("must not contain NUL".into());
    }
    Ok(reason)
}

/// Give money back
///
/// The refund is booked, and made at Stripe soon.
#[utoipa::path(
    post, path = "/admin/orders/{id}/refund", operation_id = "refund_order", tag = "administration",
    params(("id" = OrderId, Path, description = "Of any order."), RequiredIdempotencyKey),
    request_body = Option<RefundRequest>,
    responses(
        (status = 202, description = "The order.", body = AdminOrderView, headers(("Idempotency-Replayed"))),
        Problems<RefundError>,
    ),
    security(("bearer" = ["admin"]))
)]
async fn refund(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(id): PathId<OrderId>,
    key: IdempotencyKey,
    body: OptionalBody<RefundRequest>,
) -> Result<Response, Problem> {
    let Parsed { amount, reason, restock } = body.value.parse()?;
    let key = key.required(&body.raw)?;
    let request = RequestRefund { order: id, admin: admin.id, key, amount, reason, restock };
    let requested = order::request_refund(&app.pool, &request).await?;
    app.answers.forget(); // units may have come back
    let done_before = matches!(requested, RefundRequested::Replayed(_));
    Ok((StatusCode::ACCEPTED, replayed(done_before), find(&app, id).await?).into_response())
}

/// Take the money of an order in review as it is
///
/// The order is paid then, its stock reserved again.
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

const REFUND_TOO_LARGE: Kind =
    Kind::new(StatusCode::CONFLICT, "refund_too_large", "More is asked for than can be refunded");
const DISPUTED: Kind = Kind::new(StatusCode::CONFLICT, "disputed", "The payment is disputed");
const NOT_ACCEPTABLE: Kind = Kind::new(StatusCode::CONFLICT, "not_acceptable", "This order can't be accepted");
const RESTOCK_TOO_LARGE: Kind =
    Kind::new(StatusCode::CONFLICT, "restock_too_large", "More units are to come back than were sold");

fn disputed() -> Problem {
    Problem::new(DISPUTED, "Stripe refuses refunds while a dispute is open, or once it is lost. Answer it there first.")
}

tells! {
    RefundError:
        REFUND_TOO_LARGE { refundable: Money },
        DISPUTED,
        RESTOCK_TOO_LARGE { order_item_id: OrderItemId, left: i32 },
}

impl From<RefundError> for Problem {
    fn from(error: RefundError) -> Self {
        match error {
            RefundError::NotFound => Self::not_found(),
            RefundError::TooLarge { refundable } => {
                Self::new(REFUND_TOO_LARGE, format!("{} minor units can be refunded.", refundable.0))
                    .with("refundable", refundable)
            }
            RefundError::Disputed => disputed(),
            RefundError::Restock(RestockError::NoSuchLine(item)) => {
                Self::invalid("/restock", format!("{item} is no line of this order"))
            }
            RefundError::Restock(RestockError::TooMany { item, left }) => {
                Self::new(RESTOCK_TOO_LARGE, format!("{left} units of the line {item} can come back into the stock."))
                    .with("order_item_id", item)
                    .with("left", left)
            }
            RefundError::Restock(RestockError::Database(error)) | RefundError::Database(error) => error.into(),
            RefundError::Key(error) => error.into(),
        }
    }
}

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
            AcceptError::RefundUnderWay => Self::new(
                NOT_ACCEPTABLE,
                "Its money is on its way back, or may be: wait until the refund has failed or succeeded. One whose `outcome_unknown` is \
                 true waits for its job to be run again.",
            ),
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
