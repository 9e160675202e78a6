//! `/admin/orders`: any shopper's orders, their refunds and their reviews.

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use common::{
    id::{OrderId, OrderItemId},
    inventory::RestockError,
    money::Money,
    order::{self, AcceptError, AdminOrderView, RefundError, RefundRequested, RequestRefund, Restock},
};
use http::StatusCode;
use serde::Deserialize;

use crate::{
    extract::{Admin, IdempotencyKey, NoMembers, OptionalBody, PathId, not_null},
    problem::{Invalid, Kind, Problem, kinds},
    respond::replayed,
    state::AppState,
};

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/admin/orders/{id}", get(view))
        .route("/admin/orders/{id}/refund", post(refund))
        .route("/admin/orders/{id}/accept", post(accept))
}

async fn find(app: &AppState, id: OrderId) -> Result<Json<AdminOrderView>, Problem> {
    let key = &app.config.stripe_publishable_key;
    order::admin_view(&app.pool, id, key).await?.map(Json).ok_or_else(Problem::not_found)
}

async fn view(
    State(app): State<AppState>,
    _: Admin,
    PathId(id): PathId<OrderId>,
) -> Result<Json<AdminOrderView>, Problem> {
    find(&app, id).await
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refund {
    #[serde(default, deserialize_with = "not_null")]
    amount: Option<i64>,
    reason: Option<String>,
    #[serde(default)]
    restock: Vec<RestockLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestockLine {
    order_item_id: OrderItemId,
    quantity: i32,
}

/// Longest reason of an operator's, in characters.
const MAX_REASON: usize = 500;

/// An amount, a reason and what comes back, all fit.
struct Parsed {
    amount: Option<Money>,
    reason: Option<String>,
    restock: Vec<Restock>,
}

impl Refund {
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
            restock.push(Restock { item: line.order_item_id, quantity: line.quantity });
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

async fn refund(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(id): PathId<OrderId>,
    key: IdempotencyKey,
    body: OptionalBody<Refund>,
) -> Result<Response, Problem> {
    let Parsed { amount, reason, restock } = body.value.parse()?;
    let key = key.required(&body.raw)?;
    let request = RequestRefund { order: id, admin: admin.id, key, amount, reason, restock };
    let requested = order::request_refund(&app.pool, &request).await?;
    app.answers.forget(); // units may have come back
    let done_before = matches!(requested, RefundRequested::Replayed(_));
    Ok((StatusCode::ACCEPTED, replayed(done_before), find(&app, id).await?).into_response())
}

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
