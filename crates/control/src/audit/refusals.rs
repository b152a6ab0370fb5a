//! Who was refused what. Asking costs nothing, so that it must not fill the log: once a minute for each who and what.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use operations::{Error, Place};

use super::{commit, noted};
use crate::Control;
use crate::access::Admitted;
use crate::caller::Caller;

/// Between two records of the same.
const APART: Duration = Duration::from_secs(60);
/// Pairs that are remembered.
const MOST: usize = 10_000;

/// When each was last recorded, in memory alone.
#[derive(Default)]
pub(crate) struct Refusals {
    seen: Mutex<HashMap<(String, &'static str), Seen>>,
}

struct Seen {
    recorded: Instant,
    /// Refusals since, which no record tells of yet.
    since: u64,
}

impl Refusals {
    /// How many refusals a record has to tell of, if it is time for one.
    fn due(&self, principal: &str, operation: &'static str, now: Instant) -> Option<u64> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = seen.get_mut(&(principal.to_owned(), operation)) {
            known.since += 1;
            if now.saturating_duration_since(known.recorded) < APART {
                return None;
            }
            let times = known.since;
            *known = Seen { recorded: now, since: 0 };
            return Some(times);
        }
        if seen.len() >= MOST {
            seen.retain(|_, known| now.saturating_duration_since(known.recorded) < APART);
        }
        if seen.len() < MOST {
            seen.insert((principal.to_owned(), operation), Seen { recorded: now, since: 0 });
        }
        Some(1)
    }
}

impl Control {
    /// Somebody was not let through. What can't be recorded is only told to the server's log: refused it is all the same.
    pub(crate) async fn refused(&self, caller: &Caller, operation: &'static str, place: Place<'_>, why: &Error) {
        let Some(times) = self.inner.refusals.due(caller.principal.id(), operation, Instant::now()) else { return };
        match self.about(caller, place).await {
            Ok(about) => self.record_refusal(noted::refusal(caller, operation, about, why, times)).await,
            Err(e) => tracing::warn!(operation, "a refusal is not in the audit log: {e}"),
        }
    }

    /// The same for somebody who was let through, but not to all that was asked for.
    pub async fn refused_within(&self, who: &Admitted, why: &Error) {
        let noted = who.noted();
        let due = self.inner.refusals.due(who.principal.id(), noted.operation(), Instant::now());
        if let Some(times) = due {
            self.record_refusal(noted.refusal(who, why, times)).await;
        }
    }

    /// In a task of its own: whoever asks and leaves at once is recorded, too.
    async fn record_refusal(&self, draft: domain::audit::Draft) {
        let control = self.clone();
        let operation = draft.operation.clone();
        let written = tokio::spawn(async move {
            let tx = control.write().await?;
            let recorded = control.record(&tx, draft).await?;
            commit(tx, recorded).await
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!(operation, "a refusal is not in the audit log: {e}"),
            Err(e) => tracing::error!(operation, "recording a refusal failed: {e}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_recorded_once_a_minute_with_a_count() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let due = |who, what, seconds| refusals.due(who, what, start + Duration::from_secs(seconds));
        assert_eq!(due("tok_1", "apps.create", 0), Some(1));
        assert_eq!(due("tok_1", "apps.create", 1), None);
        assert_eq!(due("tok_1", "apps.create", 59), None);
        // Somebody else, something else.
        assert_eq!(due("tok_2", "apps.create", 2), Some(1));
        assert_eq!(due("tok_1", "apps.delete", 2), Some(1));
        assert_eq!(due("tok_1", "apps.create", 60), Some(3), "with those that no record tells of");
        assert_eq!(due("tok_1", "apps.create", 61), None);
        assert_eq!(due("tok_1", "apps.create", 121), Some(2));
    }

    #[test]
    fn memory_is_bounded_and_nobody_is_left_out() {
        let refusals = Refusals::default();
        let start = Instant::now();
        for n in 0..MOST + 10 {
            assert_eq!(refusals.due(&format!("tok_{n}"), "apps.create", start), Some(1));
        }
        assert_eq!(refusals.seen.lock().unwrap().len(), MOST);
        assert_eq!(refusals.due("tok_x", "apps.create", start + APART), Some(1));
        assert_eq!(refusals.seen.lock().unwrap().len(), 1);
    }
}
