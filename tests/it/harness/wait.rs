//! Waiting for something that will be so.

use std::time::{Duration, Instant};

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(30);
/// The same where times are as they are shipped: a lease, and what comes after it.
const DEADLINE_WITH_DEFAULTS: Duration = Duration::from_secs(180);
/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(10);

/// Whether leases, backoffs and time limits are as they are shipped, which a run of many minutes asks for by `KASSA_TEST_DEFAULTS`
/// (see tests/recorded/defaults).
pub(crate) fn with_defaults() -> bool {
    std::env::var_os("KASSA_TEST_DEFAULTS").is_some()
}

/// Looks until `look` finds what it looks for, and gives that.
///
/// # Panics
/// When it doesn't within 30 seconds; 180 where times are as they are shipped.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(if with_defaults() { DEADLINE_WITH_DEFAULTS } else { DEADLINE }, what, look).await
}

/// As [`eventually`], within so much time.
pub(crate) async fn within<T>(deadline: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < deadline, "waited for {} s in vain: {what}", deadline.as_secs());
        tokio::time::sleep(INTERVAL).await;
    }
}
