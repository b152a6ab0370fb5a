//! Which deployments at work have come to a stand: nobody gives signs of life for them, or they do nothing.
//!
//! Clocks of several machines are not compared. A [`Watch`] notes by its own clock, which only goes forward, since when
//! it has seen the same signs; what another machine wrote as a time is only looked at for having changed.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::DeploymentId;
use crate::limit::Span;
use crate::phase::Phase;

/// What is seen of a deployment at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    pub phase: Phase,
    /// When a step was last journaled.
    pub step_at: DateTime<Utc>,
    /// When its owner last gave a sign of life.
    pub beat_at: Option<DateTime<Utc>>,
    /// When it last printed something.
    pub output_at: Option<DateTime<Utc>>,
    /// It waits for its turn, or for an operator: nothing is to be seen of it.
    pub waits: bool,
}

/// When a deployment is taken for stalled, and what is done then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StallPolicy {
    /// The longest without a sign of life of the server that drives it.
    #[serde(default = "five_minutes")]
    pub heartbeat: Span,
    /// The longest without a step and without a line of output.
    #[serde(default = "five_minutes")]
    pub silence: Span,
    /// The same for single phases.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<Phase, Span>,
    #[serde(default)]
    pub then: Remedy,
}

/// What is done about a stalled deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// An event, a metric and the doctor tell of it.
    #[default]
    Report,
    /// It is taken back, and has failed.
    Fail,
    /// Its step is run again.
    Resume,
}

impl Remedy {
    pub const ALL: [Remedy; 3] = [Remedy::Report, Remedy::Fail, Remedy::Resume];

    pub fn as_str(self) -> &'static str {
        match self {
            Remedy::Report => "report",
            Remedy::Fail => "fail",
            Remedy::Resume => "resume",
        }
    }
}

const fn five_minutes() -> Span {
    Span::secs(300)
}

/// Signs come every two seconds: less than a few of them would be noise.
const SHORTEST: Duration = Duration::from_secs(10);

impl Default for StallPolicy {
    fn default() -> Self {
        Self { heartbeat: five_minutes(), silence: five_minutes(), phases: BTreeMap::new(), then: Remedy::default() }
    }
}

/// The limit is too short, or of a phase in which nothing works.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStallPolicy {
    #[error("{0} is too short for a limit of stalled deployments: 10s is the least")]
    TooShort(Span),
    #[error("a deployment that is {0} can't stall, so there is no limit for it")]
    Phase(Phase),
}

impl StallPolicy {
    pub fn check(&self) -> Result<(), InvalidStallPolicy> {
        if let Some(phase) = self.phases.keys().find(|phase| phase.is_end() || **phase == Phase::Queued) {
            return Err(InvalidStallPolicy::Phase(*phase));
        }
        let short = [self.heartbeat, self.silence].into_iter().chain(self.phases.values().copied());
        match short.into_iter().find(|limit| limit.get() < SHORTEST) {
            Some(limit) => Err(InvalidStallPolicy::TooShort(limit)),
            None => Ok(()),
        }
    }

    fn silence(&self, phase: Phase) -> Span {
        match phase {
            // It waits for requests in flight, and for instances that may take their time to stop, and prints nothing.
            Phase::Active => self.silence.max(five_minutes()),
            _ => self.phases.get(&phase).copied().unwrap_or(self.silence),
        }
    }
}

/// Why a deployment is taken for stalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stall {
    /// No server says that it drives it.
    NoHeartbeat { limit: Span },
    /// A server drives it, and nothing happens.
    Silent { phase: Phase, limit: Span },
}

impl std::fmt::Display for Stall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stall::NoHeartbeat { limit } => write!(f, "no server has given a sign of life for it for {limit}"),
            Stall::Silent { phase: Phase::Active, limit } => {
                write!(f, "it is active, and has made no step in cleaning up for {limit}")
            }
            Stall::Silent { phase, limit } => {
                write!(f, "no step and no output for {limit} in {}", phase.as_str().replace('_', " "))
            }
        }
    }
}

/// What a look at a deployment came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// It has made a step or printed something since the last look.
    Moves,
    /// It has not, and not for too long, as far as is known.
    Still,
    Stalled(Stall),
}

/// Remembers signs, and since when they are the same.
#[derive(Debug, Default)]
pub struct Watch {
    seen: HashMap<DeploymentId, Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    signs: Signs,
    beat_since: Duration,
    step_since: Duration,
}

impl Watch {
    /// Looks at a deployment at `now`, a time that only goes forward.
    pub fn look(&mut self, id: &DeploymentId, signs: Signs, policy: &StallPolicy, now: Duration) -> Look {
        let new = Seen { signs, beat_since: now, step_since: now };
        let seen = self.seen.entry(id.clone()).or_insert(new);
        let idle = |signs: &Signs| (signs.phase, signs.step_at, signs.output_at);
        if seen.signs.beat_at != signs.beat_at || signs.waits {
            seen.beat_since = now;
        }
        let moves = idle(&seen.signs) != idle(&signs);
        if moves || signs.waits {
            seen.step_since = now;
        }
        seen.signs = signs;
        let silence = policy.silence(signs.phase);
        if now.saturating_sub(seen.beat_since) >= policy.heartbeat.get() {
            return Look::Stalled(Stall::NoHeartbeat { limit: policy.heartbeat });
        }
        if now.saturating_sub(seen.step_since) >= silence.get() {
            return Look::Stalled(Stall::Silent { phase: signs.phase, limit: silence });
        }
        if moves { Look::Moves } else { Look::Still }
    }

    /// Forgets all but these.
    pub fn keep(&mut self, there: impl Fn(&DeploymentId) -> bool) {
        self.seen.retain(|id, _| there(id));
    }

    /// What was not looked at for a while has not stood still for that while: observation begins anew.
    pub fn restart(&mut self) {
        self.seen.clear();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn signs(step: i64, beat: i64, output: Option<i64>) -> Signs {
        Signs {
            phase: Phase::Building,
            step_at: at(step),
            beat_at: Some(at(beat)),
            output_at: output.map(at),
            waits: false,
        }
    }

    fn policy() -> StallPolicy {
        StallPolicy {
            heartbeat: Span::secs(60),
            silence: Span::secs(100),
            phases: BTreeMap::from([(Phase::Migrating, Span::secs(20))]),
            then: Remedy::Report,
        }
    }

    #[test]
    fn signs_that_stay_the_same_for_too_long_are_noticed() {
        let id = DeploymentId::from_ulid(ulid::Ulid::from_parts(1, 1));
        let (mut watch, policy) = (Watch::default(), policy());
        let mut look = |signs, now| watch.look(&id, signs, &policy, Duration::from_secs(now));
        assert_eq!(look(signs(0, 0, None), 1000), Look::Still, "the times themselves mean nothing");
        assert_eq!(look(signs(0, 0, None), 1059), Look::Still);
        assert_eq!(look(signs(0, 0, None), 1060), Look::Stalled(Stall::NoHeartbeat { limit: Span::secs(60) }));
        // The owner is back, and its clock behind.
        assert_eq!(look(signs(0, -5000, None), 1061), Look::Still);
        let silent = Look::Stalled(Stall::Silent { phase: Phase::Building, limit: Span::secs(100) });
        assert_eq!(look(signs(0, 1, None), 1100), silent);
        assert_eq!(look(signs(0, 2, Some(7)), 1101), Look::Moves, "it printed something");
        assert_eq!(look(signs(0, 3, Some(7)), 1150), Look::Still);
        assert_eq!(look(signs(0, 4, Some(7)), 1201), silent);
        let waiting = Signs { waits: true, ..signs(0, 4, Some(7)) };
        assert_eq!(look(waiting, 9000), Look::Still);
        let migrating = |step| Signs { phase: Phase::Migrating, ..signs(step, 5, Some(7)) };
        assert_eq!(look(migrating(1), 9001), Look::Moves);
        assert!(matches!(look(migrating(1), 9021), Look::Stalled(Stall::Silent { phase: Phase::Migrating, .. })));
        assert_eq!(look(migrating(2), 9022), Look::Moves, "a step was journaled");
    }

    #[test]
    fn what_is_active_has_time_to_clean_up() {
        let id = DeploymentId::from_ulid(ulid::Ulid::from_parts(1, 1));
        let (mut watch, policy) = (Watch::default(), policy());
        let mut look = |beat, now| {
            let signs = Signs { phase: Phase::Active, ..signs(0, beat, None) };
            watch.look(&id, signs, &policy, Duration::from_secs(now))
        };
        for now in (0..300).step_by(50) {
            assert_eq!(look(now, now as u64), Look::Still);
        }
        let stalled = Stall::Silent { phase: Phase::Active, limit: Span::secs(300) };
        assert_eq!(look(300, 300), Look::Stalled(stalled));
        assert_eq!(stalled.to_string(), "it is active, and has made no step in cleaning up for 5m");
        assert_eq!(look(300, 360), Look::Stalled(Stall::NoHeartbeat { limit: Span::secs(60) }));
        let longer = StallPolicy { silence: Span::secs(900), ..StallPolicy::default() };
        assert_eq!(longer.silence(Phase::Active), Span::secs(900));
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        assert_eq!(policy().check(), Ok(()));
        assert_eq!(StallPolicy::default().check(), Ok(()));
        let short = StallPolicy { silence: Span::secs(9), ..policy() };
        assert_eq!(short.check(), Err(InvalidStallPolicy::TooShort(Span::secs(9))));
        for phase in [Phase::Queued, Phase::Active] {
            let wrong = StallPolicy { phases: BTreeMap::from([(phase, Span::secs(60))]), ..policy() };
            assert_eq!(wrong.check(), Err(InvalidStallPolicy::Phase(phase)));
        }
        assert!(serde_json::from_str::<StallPolicy>(r#"{"silence":"0s"}"#).is_err());
        assert_eq!(serde_json::from_str::<StallPolicy>("{}").unwrap(), StallPolicy::default());
    }
}
