//! Waiting for something that will be so.

use std::time::{Duration, Instant};

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(10);

/// Looks until `look` finds what it looks for, and gives that.
///
/// # Panics
/// When it doesn't within 30 seconds.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "waited for {} s in vain: {what}", DEADLINE.as_secs());
        tokio::time::sleep(INTERVAL).await;
    }
}
