//! The endpoints, one file for each part of the shop. A handler extracts, calls one operation, and answers.

mod admin;
mod auth;
mod cart;
mod checkout;
mod images;
mod orders;
mod products;
mod webhooks;

use utoipa_axum::router::OpenApiRouter;

pub(crate) use images::UPLOADS;
pub(crate) use webhooks::{PATH as WEBHOOKS, describe};

use crate::state::AppState;

/// All endpoints. A new part of the shop is merged in here; the layers of `server` then hold for it, too.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(auth::routes())
        .merge(products::routes())
        .merge(images::routes())
        .merge(cart::routes())
        .merge(checkout::routes())
        .merge(orders::routes())
        .merge(admin::routes())
        .merge(webhooks::routes())
}
