//! What will happen in the hours to come, as intervals of time.

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{DeploymentId, ScheduleId, WindowId};
use crate::name::Name;
use crate::schedule::Cron;
use crate::window::{self, Rule};

/// At most so many runs of one schedule are shown; a line each minute tells nobody anything.
const RUNS: usize = 48;

/// Something that lasts from one instant to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    pub from: DateTime<Utc>,
    /// Estimated for deployments; absent when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Of all apps when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// All of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    #[serde(flatten)]
    pub what: What,
}

/// What it is that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A deployment at work.
    AtWork { deployment: DeploymentId },
    /// One that waits, from its estimated start.
    Queued { deployment: DeploymentId, early: DateTime<Utc>, late: DateTime<Utc> },
    /// A run of a schedule.
    Scheduled { schedule: ScheduleId, name: Name },
    /// A deploy window is open.
    DeployWindow { window: WindowId },
    /// Nothing may be deployed.
    Freeze { window: WindowId, reason: String },
}

/// The planned runs of a schedule in the time between, each with the length of a usual deployment.
pub fn runs(
    cron: &Cron,
    next: Option<DateTime<Utc>>,
    until: DateTime<Utc>,
    usual: TimeDelta,
) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    std::iter::successors(next, |last| cron.next_after(*last))
        .take_while(|at| *at < until)
        .take(RUNS)
        .map(|at| (at, at + usual))
        .collect()
}

/// The spans of a rule in the time between.
pub fn of_window(
    id: &WindowId,
    rule: &Rule,
    app: Option<&Name>,
    environment: Option<&Name>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<Span> {
    let what = match rule {
        Rule::Deploy(_) => What::DeployWindow { window: id.clone() },
        Rule::Freeze(freeze) => What::Freeze { window: id.clone(), reason: freeze.reason.clone() },
    };
    let span = |interval: window::Interval| Span {
        from: interval.from,
        until: interval.until,
        app: app.cloned(),
        environment: environment.cloned(),
        what: what.clone(),
    };
    window::intervals(rule, from, until).into_iter().map(span).collect()
}

/// In the order of their begins; what begins together stays in the order in which it came.
pub fn sorted(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| span.from);
    spans
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn runs_go_on_to_the_end_of_the_time_and_are_not_without_number() {
        let cron: Cron = "0 */6 * * * UTC".parse().unwrap();
        let next = "2026-11-21T12:00:00Z".parse().unwrap();
        let until = next + TimeDelta::hours(24);
        assert_eq!(runs(&cron, Some(next), until, TimeDelta::seconds(30)).len(), 4);
        assert_eq!(runs(&cron, None, until, TimeDelta::zero()), []);
        let often: Cron = "* * * * * UTC".parse().unwrap();
        assert_eq!(runs(&often, Some(next), until, TimeDelta::zero()).len(), RUNS);
    }

    #[test]
    fn a_span_is_flat_in_json() {
        let what = What::Scheduled {
            schedule: ScheduleId::from_ulid(ulid::Ulid::from_parts(1, 1)),
            name: "n".parse().unwrap(),
        };
        let span = Span { from: DateTime::UNIX_EPOCH, until: None, app: None, environment: None, what };
        let json = serde_json::to_value(&span).unwrap();
        assert_eq!((json["kind"].as_str(), json["name"].as_str()), (Some("scheduled"), Some("n")));
        assert_eq!(serde_json::from_value::<Span>(json).unwrap(), span);
    }
}
