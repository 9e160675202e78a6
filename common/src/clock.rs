//! The wall clock as a value, so that a test can set it. What the database stores is dated by the database's own clock.

use chrono::{DateTime, Utc};

/// Tells the time of day.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Always this moment.
    Fixed(DateTime<Utc>),
}

impl Clock {
    /// Now, as this clock sees it.
    pub fn now(self) -> DateTime<Utc> {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
            Self::System => Utc::now(),
            Self::Fixed(moment) => moment,
        }
    }
}
