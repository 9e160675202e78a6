//! `inventory.decrement`: what a paid order holds leaves the stock.

use std::sync::Arc;

use common::{inventory, jobs::DecrementInventory};

use super::Context;
use crate::runtime::{Job, JobError};

/// Takes the order's lines out of the stock, once.
///
/// # Errors
/// The database's, for another try.
pub async fn run(job: Job<DecrementInventory>, context: Arc<Context>) -> Result<(), JobError> {
    Ok(inventory::decrement(&context.pool, &job.lease, job.payload.order_id, context.low_stock.as_ref()).await?)
}
