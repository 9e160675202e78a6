//! `image.remove`: the objects of an image that was taken away, then its row.

use std::sync::Arc;

use common::{images, jobs::RemoveImage};

use super::Context;
use crate::runtime::{Job, JobError};

/// Removes them; those that are gone already are as good as removed.
///
/// # Errors
/// For another try.
pub async fn run(job: Job<RemoveImage>, context: Arc<Context>) -> Result<(), JobError> {
    let Some(keys) = images::to_remove(&context.pool, job.payload.image_id).await? else {
        return Ok(());
    };
    for key in keys {
        context.storage.delete(&key).await.map_err(|error| context.without_store(error, job.age))?;
    }
    Ok(images::gone(&context.pool, &job.lease, job.payload.image_id).await?)
}
