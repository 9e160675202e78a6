//! Images of products. What an admin uploads is looked at by its head, stored under a key of ours, and processed by the worker: decoded
//! within limits, written anew without what cameras note beside the picture, and made small twice. Shoppers see what is ready.
//!
//! The store comes first, then the row: whatever dies between leaves an object that no row names, and [`sweep`] finds it a day later.
//! Rows go the other way, first from what is shown, then with their objects.

mod add;
mod inspect;
mod key;
mod process;
mod remove;
mod rows;
mod storage;
mod sweep;
mod view;
mod webp;

pub use add::{AddError, Added, Alt, MAX_PER_PRODUCT, NotAnAlt, Upload, add};
pub use inspect::{Format, MAX_SIDE, NotAnImage, inspect};
pub use key::{Key, Keys, NotAKey, Written};
pub use process::{Finished, ToProcess, ready, refuse, to_process};
pub(crate) use process::{failed, wait_again};
pub use remove::{RemoveError, gone, remove, to_remove};
pub(crate) use storage::describe_metrics;
pub use storage::{Object, OpenError, Storage, StorageError};
pub use sweep::{SweepError, sweep};
pub use view::{Image, ImageStatus, ImageView, Links};
