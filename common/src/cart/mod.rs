//! Carts: what a shopper means to buy. A cart reserves nothing; checkout does.

mod change;
mod view;

pub use change::{ChangeError, MAX_QUANTITY, Quantity, add, remove, set_quantity};
pub(crate) use change::{put_back, take};
pub use view::{CartItemView, CartProduct, CartView, Problem, view};
