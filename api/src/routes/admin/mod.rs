//! `/admin`: what administrators do.

mod orders;

use axum::Router;

use crate::state::AppState;

pub(super) fn routes() -> Router<AppState> {
    orders::routes()
}
