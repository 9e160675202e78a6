//! Giving money back.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use common::{
    id::{OrderId, OrderItemId},
    inventory::RestockError,
    money::Money,
    order::{self, AdminOrderView, RefundError, RefundRequested, RequestRefund, Restock},
    reason::Reason,
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{DISPUTED, disputed, find};
use crate::{
    extract::{
        Admin, IdempotencyKey, OptionalBody, PathId, RequiredIdempotencyKey, whole_number, whole_number_not_null,
    },
    openapi::{Problems, tells},
    problem::{Invalid, Kind, Problem},
    respond::replayed,
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(refund))
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RefundRequest {
    /// In minor units; all that is left where there is none.
    #[serde(default, deserialize_with = "whole_number_not_null")]
    #[schema(value_type = i64, required = false, minimum = 1)]
    amount: Option<i64>,
    /// For the books.
    #[schema(value_type = Option<Reason>)]
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

/// An amount, a reason and what comes back, all fit.
struct Parsed {
    amount: Option<Money>,
    reason: Option<Reason>,
    restock: Vec<Restock>,
}

impl RefundRequest {
    fn parse(self) -> Result<Parsed, Problem> {
        let mut invalid = Invalid::default();
        let amount = self.amount.map(|amount| if amount < 1 { Err("must be at least 1") } else { Ok(Money(amount)) });
        let amount = invalid.optional("/amount", amount);
        let reason = invalid.optional("/reason", self.reason.as_deref().map(Reason::parse));
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

/// Refund an order
///
/// In whole or in part. The refund is booked, and made at Stripe soon.
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

const REFUND_TOO_LARGE: Kind =
    Kind::new(StatusCode::CONFLICT, "refund_too_large", "More is asked for than can be refunded");
const RESTOCK_TOO_LARGE: Kind =
    Kind::new(StatusCode::CONFLICT, "restock_too_large", "More units are to come back than were sold");

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
