//! From a request to the shop's own types. Whatever is wrong with a request is told as a problem.

mod attempt;
mod body;
mod caller;
mod conditional;
pub(crate) mod key;
mod page;
mod path;
pub(crate) mod prefer;
mod query;
mod upload;

pub(crate) use attempt::Attempt;
pub(crate) use body::{BODY_LIMIT, Body, NoMembers, OptionalBody, RawBody, whole_number, whole_number_not_null};
pub(crate) use caller::{Admin, Caller, OptionalCaller};
pub(crate) use conditional::{IfMatch, IfNoneMatch};
pub(crate) use key::{IdempotencyKey, RequiredIdempotencyKey};
pub(crate) use page::Paging;
pub(crate) use path::{PathId, PathIds};
pub(crate) use prefer::Prefer;
pub(crate) use query::{Filtered, Query, Unfiltered};
pub(crate) use upload::Upload;
