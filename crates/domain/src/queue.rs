//! The queue of deployments: in which order they go, and which of them may start now.
//!
//! Each entry has a rank, made once when it is accepted: the time of that less the advance of its priority. Lower goes
//! first. So within a priority it is first come, first served, and a low one only lets those of a higher priority go
//! before it that came within a fixed time: nothing starves.
//!
//! Between apps the queue is fair: see [`turn`].

mod choose;
mod waiting;

pub use choose::{Candidate, Choice, Facts, Start, choose, turn};
pub use waiting::{Closed, Waiting};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Deployments of one app at work at the same time, unless the app says otherwise.
pub const CONCURRENCY: u32 = 2;

/// How much a deployment matters beside others that wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Goes before normal ones that came up to a day earlier; may pass a freeze, which is recorded.
    Critical,
    /// Goes before normal ones that came up to an hour earlier.
    High,
    #[default]
    Normal,
    /// Lets normal ones go before that come up to an hour later.
    Low,
}

/// There is no priority of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no priority: expected critical, high, normal or low")]
pub struct UnknownPriority(String);

impl Priority {
    pub const ALL: [Priority; 4] = [Priority::Critical, Priority::High, Priority::Normal, Priority::Low];

    pub const fn as_str(self) -> &'static str {
        match self {
            Priority::Critical => "critical",
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
        }
    }

    /// Microseconds that it is counted as having come earlier.
    pub const fn advance(self) -> i64 {
        const HOUR: i64 = 3_600_000_000;
        match self {
            Priority::Critical => 24 * HOUR,
            Priority::High => HOUR,
            Priority::Normal => 0,
            Priority::Low => -HOUR,
        }
    }

    pub fn is_normal(&self) -> bool {
        *self == Priority::Normal
    }
}

impl std::fmt::Display for Priority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Priority {
    type Err = UnknownPriority;

    fn from_str(text: &str) -> Result<Self, UnknownPriority> {
        let known = Priority::ALL.into_iter().find(|priority| priority.as_str() == text);
        known.ok_or_else(|| UnknownPriority(text.chars().take(40).collect()))
    }
}

/// What becomes of queued deployments of a branch when a newer one of the same branch is accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Supersede {
    /// Each of them runs.
    #[default]
    RunAll,
    /// They end as superseded, without running.
    SkipQueued,
}

impl Supersede {
    pub const fn as_str(self) -> &'static str {
        match self {
            Supersede::RunAll => "run_all",
            Supersede::SkipQueued => "skip_queued",
        }
    }
}

impl std::str::FromStr for Supersede {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Supersede::RunAll, Supersede::SkipQueued].into_iter().find(|policy| policy.as_str() == text);
        known.ok_or_else(|| "expected run_all or skip_queued".to_owned())
    }
}

/// The place in the queue of what is accepted at `at`: lower goes first.
///
/// What is not to start before a later time is ranked as if it came then: it does not stand in the way until it may go.
pub fn rank(at: DateTime<Utc>, not_before: Option<DateTime<Utc>>, priority: Priority) -> i64 {
    let at = not_before.map_or(at, |later| later.max(at));
    at.timestamp_micros().saturating_sub(priority.advance())
}

/// A rank between two neighbours, either of which may be missing; `None` when there is no room left.
pub fn between(before: Option<i64>, after: Option<i64>) -> Option<i64> {
    /// Wide enough to move thousands of entries to one place.
    const STEP: i64 = 60_000_000;
    match (before, after) {
        (None, None) => Some(0),
        (None, Some(after)) => after.checked_sub(STEP),
        (Some(before), None) => before.checked_add(STEP),
        (Some(before), Some(after)) => {
            let middle = i128::midpoint(i128::from(before), i128::from(after));
            i64::try_from(middle).ok().filter(|middle| before < *middle && *middle < after)
        }
    }
}

/// The rank of what is to start next, before all others, of which the first has the rank `first`; `None` when there is no room
/// left. It is so far before them that turns which its app had meanwhile do not put it back: see [`turn`].
pub fn before_all(first: i64) -> Option<i64> {
    /// Longer than anything waits, in microseconds.
    const YEAR: i64 = 366 * 24 * 3_600_000_000;
    first.checked_sub(YEAR)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for priority in Priority::ALL {
            assert_eq!(priority.as_str().parse(), Ok(priority));
            assert_eq!(serde_json::to_value(priority).unwrap(), priority.as_str());
        }
        for bad in ["urgent", "", "HIGH", "normal "] {
            assert!(bad.parse::<Priority>().unwrap_err().to_string().contains("critical, high, normal or low"));
        }
    }

    #[test]
    fn a_priority_is_worth_a_fixed_time() {
        let hour = 3600;
        let normal = rank(at(0), None, Priority::Normal);
        assert!(rank(at(hour - 1), None, Priority::High) < normal);
        assert!(rank(at(hour + 1), None, Priority::High) > normal);
        assert!(rank(at(24 * hour - 1), None, Priority::Critical) < normal);
        assert!(rank(at(-hour - 1), None, Priority::Low) < normal, "a low one's turn comes");
        assert!(rank(at(0), Some(at(60)), Priority::Normal) > normal, "later is later");
        assert_eq!(rank(at(0), Some(at(-60)), Priority::Normal), normal, "the past brings nothing");
    }

    #[test]
    fn there_is_a_rank_between_neighbours_until_they_touch() {
        assert_eq!(between(Some(1), Some(2)), None);
        assert_eq!(between(Some(1), Some(3)), Some(2));
        assert_eq!(between(Some(i64::MAX), None), None);
        assert_eq!(between(None, Some(i64::MIN)), None);
        assert_eq!(before_all(i64::MIN), None);
        assert_eq!(between(Some(3), Some(1)), None);
    }

    proptest! {
        #[test]
        fn first_come_first_served_within_a_priority(mut times in proptest::collection::vec(-1_000_000i64..1_000_000, 2..50), which in 0usize..4) {
            times.sort_unstable();
            let ranks: Vec<_> = times.iter().map(|t| rank(at(*t), None, Priority::ALL[which])).collect();
            prop_assert!(ranks.is_sorted());
        }

        #[test]
        fn what_is_between_is_between(a in any::<i64>(), b in any::<i64>()) {
            if let Some(middle) = between(Some(a), Some(b)) {
                prop_assert!(a < middle && middle < b);
            }
        }
    }
}
