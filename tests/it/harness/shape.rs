//! What stands in a snapshot for values that differ from run to run, once they have been looked at.

use chrono::DateTime;
use insta::{dynamic_redaction, internals::Redaction};
use uuid::Uuid;

/// An id: a UUID.
pub(crate) fn id() -> Redaction {
    dynamic_redaction(|value, path| {
        let id = value.as_str().and_then(|id| id.parse::<Uuid>().ok());
        assert!(id.is_some(), "{path:?}: {value:?}");
        "[id]"
    })
}

/// A time: RFC 3339, in UTC.
pub(crate) fn time() -> Redaction {
    dynamic_redaction(|value, path| {
        let is_utc = |time: &str| time.ends_with('Z') && DateTime::parse_from_rfc3339(time).is_ok();
        assert!(value.as_str().is_some_and(is_utc), "{path:?}: {value:?}");
        "[time]"
    })
}
