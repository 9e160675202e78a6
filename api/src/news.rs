//! What the database tells this process: one LISTEN connection for all who want to hear.

use common::{
    catalog,
    listen::{self, Heard},
    order,
};

use crate::state::AppState;

/// Listens for ever.
pub(crate) async fn listen(app: AppState) {
    listen::listen(&app.pool, &[order::CHANGES, catalog::CHANGES], |heard| {
        if let Heard::Lost(error) = heard {
            tracing::warn!(%error, "can't listen for changes; those who wait poll, and answers are kept for a moment all the same");
        }
        app.waiters.hear(&heard);
        app.answers.hear(&heard);
    })
    .await;
}
