//! `maintenance.prune`: what nobody will ask for again is removed.

use std::sync::Arc;

use common::{jobs::Prune, prune};

use super::Context;
use crate::runtime::{Job, JobError};

/// Removes it.
///
/// # Errors
/// The database's, for another try.
pub async fn run(_: Job<Prune>, context: Arc<Context>) -> Result<(), JobError> {
    let pruned = prune::prune(&context.pool, context.retention).await?;
    tracing::info!(?pruned, "what nobody will ask for again was removed");
    Ok(())
}
