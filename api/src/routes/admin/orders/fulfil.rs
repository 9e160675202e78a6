//! Telling that the goods were sent.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use common::{
    id::OrderId,
    order::{self, AdminOrderView, Fulfil, FulfilError, Fulfilled, ShippingLabel},
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{DISPUTED, find, refund_under_way};
use crate::{
    extract::{Admin, IdempotencyKey, OptionalBody, PathId},
    openapi::{Problems, tells},
    problem::{Invalid, Kind, Problem},
    respond::replayed,
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(fulfil))
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Fulfilment {
    /// Who brings it.
    #[schema(value_type = Option<ShippingLabel>)]
    carrier: Option<String>,
    /// Under which number the carrier knows it.
    #[schema(value_type = Option<ShippingLabel>)]
    tracking_number: Option<String>,
}

impl Fulfilment {
    fn parse(self) -> Result<(Option<ShippingLabel>, Option<ShippingLabel>), Problem> {
        let mut invalid = Invalid::default();
        let carrier = invalid.optional("/carrier", self.carrier.as_deref().map(ShippingLabel::parse));
        let number = invalid.optional("/tracking_number", self.tracking_number.as_deref().map(ShippingLabel::parse));
        match (carrier, number) {
            (Some(carrier), Some(number)) => Ok((carrier, number)),
            _ => Err(invalid.into()),
        }
    }
}

/// Fulfil a paid order
///
/// Its goods were sent: it is fulfilled then, and its shopper gets a mail; once: without a key, a repeat is told that the order is
/// `fulfilled`. What there is to send of a line is its `quantity` less what was `restocked`, even where the refund that it was restocked
/// with has failed; an order of which nothing is left can't be fulfilled.
#[utoipa::path(
    post, path = "/admin/orders/{id}/fulfill", operation_id = "fulfill_order", tag = "administration",
    params(("id" = OrderId, Path, description = "Of an order that is `paid`."), IdempotencyKey),
    request_body = Option<Fulfilment>,
    responses(
        (status = 200, description = "The order.", body = AdminOrderView, headers(("Idempotency-Replayed"))),
        Problems<FulfilError>,
    ),
    security(("bearer" = ["admin"]))
)]
async fn fulfil(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(id): PathId<OrderId>,
    key: IdempotencyKey,
    body: OptionalBody<Fulfilment>,
) -> Result<Response, Problem> {
    let (carrier, tracking_number) = body.value.parse()?;
    let request = Fulfil { order: id, admin: admin.id, key: key.request(&body.raw), carrier, tracking_number };
    let fulfilled = order::fulfil(&app.pool, &request).await?;
    let order = find(&app, id).await?;
    Ok((replayed(fulfilled == Fulfilled::Replayed), order).into_response())
}

const NOT_FULFILLABLE: Kind = Kind::new(StatusCode::CONFLICT, "not_fulfillable", "This order can't be fulfilled");

tells! { FulfilError: NOT_FULFILLABLE, DISPUTED }

impl From<FulfilError> for Problem {
    fn from(error: FulfilError) -> Self {
        match error {
            FulfilError::NotFound => Self::not_found(),
            FulfilError::NotPaid(status) => {
                Self::new(NOT_FULFILLABLE, format!("It is {status}, not paid.")).with("order_status", status)
            }
            FulfilError::StillHeld => {
                Self::new(NOT_FULFILLABLE, "Its units are about to leave the stock: try again in a moment.")
            }
            FulfilError::NothingLeft => Self::new(
                NOT_FULFILLABLE,
                "All its units came back into the stock, and may have been sold to others since: give its money back.",
            ),
            FulfilError::RefundUnderWay => refund_under_way(NOT_FULFILLABLE),
            FulfilError::Disputed => Self::new(
                DISPUTED,
                "Nothing is to be sent while a dispute is open, or once it is lost. Answer it at Stripe first.",
            ),
            FulfilError::Key(error) => error.into(),
            FulfilError::Database(error) => error.into(),
        }
    }
}
