//! `/admin`: what administrators do.

mod orders;

use utoipa_axum::router::OpenApiRouter;

use crate::state::AppState;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    orders::routes()
}
