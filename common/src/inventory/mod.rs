//! Stock: what is reserved for whom, and the ledger of what came and went.
//!
//! Rows of products are locked in ascending id order everywhere, so that two transactions cannot deadlock.

mod adjust;
mod decrement;
mod history;
mod ledger;
mod low_stock;
mod reserve;
mod restock;

pub use adjust::{AdjustError, Adjusted, Adjustment, Delta, NotADelta, adjust};
pub use decrement::decrement;
pub(crate) use decrement::sell_held;
pub use history::{Filter, Ledger, MovementKind, MovementView, UnknownKind, ledger, movement};
pub(crate) use ledger::{Movement, record};
pub use low_stock::LowStock;
pub(crate) use reserve::{Reserved, hold_again, holds, release, released, reserve};
pub use restock::RestockError;
pub(crate) use restock::{has_come_back, has_units_left, restock};

use crate::id::ProductId;

/// So many units of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which product.
    pub product_id: ProductId,
    /// How many units, at least one.
    pub quantity: i32,
}
