//! When an instance counts as healthy: the check's settings, and a judge that
//! turns probe results into a verdict. The probing itself is the runtime's.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limit::Span;

/// How to ask an instance whether it is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Probe {
    /// `GET path` answers with a status from 200 to 399.
    Http { path: String },
    /// The port accepts a connection.
    Tcp,
    /// The command, run like the app itself, exits with 0.
    Command { command: String },
    /// The process runs; for components that listen on no port.
    Running,
}

/// Settings of a health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    pub probe: Probe,
    /// Between the start of one probe and the next.
    pub interval: Span,
    /// Of one probe.
    pub timeout: Span,
    /// Successes in a row that make it healthy.
    pub threshold: u32,
    /// Time from the start within which it must become healthy.
    pub grace: Span,
}

impl HealthCheck {
    pub fn new(probe: Probe) -> Self {
        Self { probe, interval: Span::millis(100), timeout: Span::secs(5), threshold: 1, grace: Span::secs(60) }
    }
}

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    Passed,
    /// Why not, in one line.
    Failed(String),
    /// The process is gone; no further probe can help.
    Exited(String),
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Healthy,
    /// Probe again after this long.
    Wait(Duration),
    /// It will not become healthy; the reason in one line.
    Unhealthy(String),
}

/// Counts observations of one instance that is starting.
#[derive(Debug, Clone, Default)]
pub struct Judge {
    streak: u32,
    last_failure: Option<String>,
}

impl Judge {
    /// `elapsed` since the instance was started, `took` by this probe.
    pub fn observe(&mut self, check: &HealthCheck, seen: Observation, elapsed: Duration, took: Duration) -> Verdict {
        match seen {
            Observation::Exited(why) => return Verdict::Unhealthy(why),
            Observation::Passed => {
                self.streak += 1;
                if self.streak >= check.threshold.max(1) {
                    return Verdict::Healthy;
                }
            }
            Observation::Failed(why) => {
                self.streak = 0;
                self.last_failure = Some(why);
            }
        }
        if elapsed >= check.grace.get() {
            let why = self.last_failure.as_deref().unwrap_or("too few successes in a row");
            return Verdict::Unhealthy(format!("not healthy within {}: {why}", check.grace));
        }
        Verdict::Wait(check.interval.get().saturating_sub(took))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(threshold: u32) -> HealthCheck {
        HealthCheck { threshold, grace: Span::secs(10), ..HealthCheck::new(Probe::Tcp) }
    }

    #[test]
    fn needs_successes_in_a_row() {
        let (mut judge, check) = (Judge::default(), check(2));
        let t = Duration::from_millis;
        assert!(matches!(judge.observe(&check, Observation::Passed, t(100), t(1)), Verdict::Wait(_)));
        assert!(matches!(judge.observe(&check, Observation::Failed("refused".into()), t(200), t(1)), Verdict::Wait(_)));
        assert!(matches!(judge.observe(&check, Observation::Passed, t(300), t(1)), Verdict::Wait(_)));
        assert_eq!(judge.observe(&check, Observation::Passed, t(400), t(1)), Verdict::Healthy);
    }

    #[test]
    fn gives_up_after_the_grace_with_the_last_reason() {
        let (mut judge, check) = (Judge::default(), check(1));
        let verdict =
            judge.observe(&check, Observation::Failed("status 500".into()), Duration::from_secs(11), Duration::ZERO);
        assert_eq!(verdict, Verdict::Unhealthy("not healthy within 10s: status 500".into()));
    }

    #[test]
    fn an_exit_ends_it_at_once() {
        let (mut judge, check) = (Judge::default(), check(1));
        let verdict =
            judge.observe(&check, Observation::Exited("exit status 1".into()), Duration::ZERO, Duration::ZERO);
        assert_eq!(verdict, Verdict::Unhealthy("exit status 1".into()));
    }
}
