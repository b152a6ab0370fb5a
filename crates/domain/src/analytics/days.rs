//! The figures of each day.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::report::{Counted, Dora, Outcomes, Window, report};
use super::{day_of, facts};

/// How deployments went on one day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FiguresDay")]
pub struct Day {
    /// Its beginning, in UTC.
    pub at: DateTime<Utc>,
    /// Deploys and promotions that ended, together.
    pub changes: Outcomes,
    pub dora: Dora,
}

/// Each day of the window, the oldest first, those on which nothing ended as well. `counted` is by the number of the day, as
/// [`day_of`] has it.
pub fn days(window: Window, counted: impl IntoIterator<Item = (i32, Counted)>) -> Vec<Day> {
    let mut by_day: BTreeMap<i32, Vec<Counted>> = BTreeMap::new();
    for (day, counted) in counted {
        by_day.entry(day).or_default().push(counted);
    }
    let all = day_of(window.since)..=day_of(window.until);
    all.map(|day| {
        let since = facts::beginning_of(day);
        let window = Window { since, until: since + TimeDelta::days(1) };
        let found = report(window, by_day.remove(&day).unwrap_or_default(), Vec::new());
        Day { at: since, changes: found.changes, dora: found.dora }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::{Bucket, Ending, Measure};
    use crate::deployment::DeploymentKind;

    #[test]
    fn days_add_up_to_the_whole_and_none_is_left_out() {
        let since = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let window = Window { since, until: since + TimeDelta::hours(60) };
        let deploy = Measure::Whole(DeploymentKind::Deploy);
        let counted = |measure, ending, times| Counted { measure, ending, bucket: Bucket::of(1000), times };
        let rows = [
            (20_000, counted(deploy, Ending::Good, 3)),
            (20_000, counted(deploy, Ending::Failed, 1)),
            (20_002, counted(deploy, Ending::Good, 2)),
            (20_002, counted(Measure::Restore, Ending::Good, 1)),
        ];
        let found = days(window, rows);
        assert_eq!(found.iter().map(|day| day.changes.total).collect::<Vec<_>>(), [4, 0, 2]);
        assert_eq!(found.iter().map(|day| day.at).collect::<Vec<_>>(), [0, 1, 2].map(|n| since + TimeDelta::days(n)));
        assert_eq!(found[0].dora.deployments_per_day, 3.0);
        assert_eq!((found[1].dora.change_failure_rate, found[2].dora.change_failure_rate), (None, Some(0.5)));
        let whole = report(window, rows.map(|(_, counted)| counted), Vec::new());
        assert_eq!(found.iter().map(|day| day.changes.active).sum::<u64>(), whole.changes.active);
        assert_eq!(found.iter().map(|day| day.dora.failed_changes).sum::<u64>(), whole.dora.failed_changes);
    }
}
