//! `image.process`: of an upload is made what is shown.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use common::{
    images::{self, Finished, Keys, ToProcess},
    jobs::{Lease, ProcessImage},
};
use tokio::task::spawn_blocking;

use super::Context;
use crate::{
    metrics::IMAGES,
    picture::{self, Picture, SMALL_THUMBNAIL, THUMBNAIL},
    runtime::{Job, JobError},
};

/// Decodes the upload, writes it anew in three sizes, and has it shown. A try that comes to the same upload again writes the same
/// objects again.
///
/// # Errors
/// For another try. An upload that can't be decoded is no error: the image has failed, and the job is done.
pub async fn run(job: Job<ProcessImage>, context: Arc<Context>) -> Result<(), JobError> {
    let Some(wanted) = images::to_process(&context.pool, job.payload.image_id).await? else {
        return Ok(());
    };
    let read = context.storage.read(&wanted.original).await;
    let Some(bytes) = read.map_err(|error| context.without_store(error, job.age))? else {
        // Perhaps it is another folder: the upload is not given up for that.
        return Err(JobError::retry(anyhow!("the upload is not in the store of images")));
    };
    let turn = Arc::clone(&context.decoding).lock_owned().await;
    let max_pixels = context.max_pixels;
    let made = spawn_blocking(move || {
        let _turn = turn;
        picture::make(&bytes, max_pixels)
    });
    let picture = match made.await.context("the decoder broke").map_err(JobError::retry)? {
        Ok(picture) => picture,
        Err(error) => return refuse(&context, &job.lease, &wanted, &error.to_string()).await,
    };
    let finished = Finished {
        keys: Keys::of(&wanted.original, picture.format, THUMBNAIL, SMALL_THUMBNAIL),
        width: picture.width,
        height: picture.height,
    };
    store(&context, &finished.keys, picture).await.map_err(|error| context.without_store(error, job.age))?;
    if images::ready(&context.pool, &job.lease, wanted.id, &finished).await? {
        count("ready");
    } else {
        count("removed");
        for key in finished.keys.all() {
            context.storage.forget(key).await;
        }
    }
    context.storage.forget(&wanted.original).await;
    Ok(())
}

async fn store(context: &Context, keys: &Keys, picture: Picture) -> Result<(), images::StorageError> {
    context.storage.put(&keys.image, picture.image.into()).await?;
    context.storage.put(&keys.thumbnail, picture.thumbnail.into()).await?;
    context.storage.put(&keys.small_thumbnail, picture.small_thumbnail.into()).await
}

async fn refuse(context: &Context, lease: &Lease, wanted: &ToProcess, why: &str) -> Result<(), JobError> {
    tracing::info!(image_id = %wanted.id, why, "an upload can't be shown");
    images::refuse(&context.pool, lease, wanted.id, why).await?;
    count("refused");
    context.storage.forget(&wanted.original).await;
    Ok(())
}

fn count(outcome: &'static str) {
    metrics::counter!(IMAGES, "outcome" => outcome).increment(1);
}
