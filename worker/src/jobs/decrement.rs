//! `inventory.decrement`: what a paid order holds leaves the stock.

use std::sync::Arc;

use common::{inventory, jobs::DecrementInventory};

use super::State;
use crate::runtime::{Job, JobError};

/// Takes the order's lines out of the stock, once.
///
/// # Errors
/// The database's, for another try.
pub async fn run(job: Job<DecrementInventory>, state: Arc<State>) -> Result<(), JobError> {
    Ok(inventory::decrement(&state.pool, &job.lease, job.payload.order_id).await?)
}
