//! Where the audit log ends, said in the server's own log each midnight UTC: logs are often kept elsewhere, and whoever writes the
//! database anew can't reach what is there.

use std::sync::Weak;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::Control;
use crate::control::Inner;

/// Between two looks at the clock, which may jump.
const LOOK: Duration = Duration::from_secs(60);

/// Until the server stops.
pub(crate) async fn tell(inner: Weak<Inner>, stopping: CancellationToken) {
    let mut told = store::clock::now().date_naive();
    while stopping.run_until_cancelled(tokio::time::sleep(wait(store::clock::now()))).await.is_some() {
        let today = store::clock::now().date_naive();
        if today == told {
            continue;
        }
        let Some(inner) = inner.upgrade() else { return };
        match stopping.run_until_cancelled(Control { inner }.tell_audit_head()).await {
            None => return,
            Some(Ok(())) => told = today,
            // Said a minute later, then.
            Some(Err(e)) => tracing::warn!("the end of the audit log can't be read: {e}"),
        }
    }
}

/// Until midnight, or until the next look.
fn wait(now: DateTime<Utc>) -> Duration {
    let midnight = now.date_naive().checked_add_days(Days::new(1)).map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let left = midnight.and_then(|midnight| (midnight - now).to_std().ok());
    left.map_or(LOOK, |left| left.min(LOOK))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn midnight_is_not_slept_through() {
        let wait = |text: &str| wait(text.parse().unwrap());
        assert_eq!(wait("2026-11-21T12:00:00Z"), LOOK);
        assert_eq!(wait("2026-11-21T23:59:59.250Z"), Duration::from_millis(750));
        assert_eq!(wait("2026-11-22T00:00:00Z"), LOOK);
    }
}
