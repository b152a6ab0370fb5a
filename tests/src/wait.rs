//! Waiting for a fact, never for a time.

use std::time::{Duration, Instant};

/// Looks again and again until there is something.
///
/// # Panics
/// When there is nothing after `limit`; `what` is named.
pub async fn wait_for<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain for {what}", limit.as_secs());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
