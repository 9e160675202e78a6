//! `maintenance.sweep_images`: objects that no image names are removed.

use std::{sync::Arc, time::Duration};

use common::{images, jobs::SweepImages};

use super::Context;
use crate::runtime::{Job, JobError};

/// Far longer than any upload takes between its object and its row.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes them.
///
/// # Errors
/// For another try.
pub async fn run(_: Job<SweepImages>, context: Arc<Context>) -> Result<(), JobError> {
    let removed = images::sweep(&context.pool, &context.storage, OLD).await.map_err(JobError::retry)?;
    tracing::info!(removed, "the store of images was swept");
    Ok(())
}
