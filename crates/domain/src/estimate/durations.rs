//! How long deployments take, from how long they took.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AppId, EnvironmentId};

/// The newest so many successful deployments of an environment are looked at.
pub const SAMPLES: usize = 20;

/// With fewer samples than this the next wider group says more.
const ENOUGH: usize = 3;

/// What to assume of a platform that has never deployed anything.
const UNKNOWN: Took = Took {
    p10: TimeDelta::seconds(10),
    p50: TimeDelta::seconds(60),
    p90: TimeDelta::seconds(300),
    basis: Basis::Guess,
    samples: 0,
};

/// How long a deployment probably takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    pub p10: TimeDelta,
    pub p50: TimeDelta,
    pub p90: TimeDelta,
    pub basis: Basis,
    pub samples: u32,
}

/// What an estimate was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "EstimateBasis")]
pub enum Basis {
    /// Deployments to the same environment.
    Environment,
    /// Deployments of the same app.
    App,
    /// All deployments.
    All,
    /// Nothing was measured yet.
    Guess,
}

/// Measured durations of successful deployments.
#[derive(Debug, Clone, Default)]
pub struct Durations {
    environments: BTreeMap<EnvironmentId, Vec<TimeDelta>>,
    apps: BTreeMap<AppId, Vec<TimeDelta>>,
    all: Vec<TimeDelta>,
}

impl Durations {
    /// Adds one; the newest first. What took no time or less tells nothing.
    pub fn add(&mut self, app: &AppId, environment: &EnvironmentId, took: TimeDelta) {
        if took <= TimeDelta::zero() {
            return;
        }
        let put = |samples: &mut Vec<TimeDelta>, most: usize| {
            if samples.len() < most {
                samples.push(took);
            }
        };
        put(self.environments.entry(environment.clone()).or_default(), SAMPLES);
        put(self.apps.entry(app.clone()).or_default(), SAMPLES * 2);
        put(&mut self.all, SAMPLES * 10);
    }

    /// Adds one whose environment is known better.
    pub fn add_to_all(&mut self, app: &AppId, took: TimeDelta) {
        if took <= TimeDelta::zero() {
            return;
        }
        self.apps.entry(app.clone()).or_default().push(took);
        self.all.push(took);
    }

    /// The estimate of the environment; of its app or of all, when too few were measured.
    pub fn of(&self, app: &AppId, environment: &EnvironmentId) -> Took {
        let enough = |samples: Option<&Vec<TimeDelta>>, basis| {
            samples.filter(|s| s.len() >= ENOUGH).map(|samples| summary(samples, basis))
        };
        let few = || {
            let any = [
                (self.environments.get(environment), Basis::Environment),
                (self.apps.get(app), Basis::App),
                (Some(&self.all), Basis::All),
            ];
            any.into_iter().find_map(|(samples, basis)| Some(summary(samples.filter(|s| !s.is_empty())?, basis)))
        };
        enough(self.environments.get(environment), Basis::Environment)
            .or_else(|| enough(self.apps.get(app), Basis::App))
            .or_else(|| enough(Some(&self.all), Basis::All))
            .or_else(few)
            .unwrap_or(UNKNOWN)
    }
}

fn summary(samples: &[TimeDelta], basis: Basis) -> Took {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    // The nearest rank: always a duration that was measured.
    let at = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).clamp(1, sorted.len()) - 1];
    let samples = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    Took { p10: at(10), p50: at(50), p90: at(90), basis, samples }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> ulid::Ulid {
        ulid::Ulid::from_parts(1, n)
    }

    #[test]
    fn the_nearest_group_with_enough_samples_decides() {
        let (app, other) = (AppId::from_ulid(id(1)), AppId::from_ulid(id(2)));
        let (live, test) = (EnvironmentId::from_ulid(id(1)), EnvironmentId::from_ulid(id(2)));
        let mut durations = Durations::default();
        assert_eq!(durations.of(&app, &live), UNKNOWN);
        durations.add(&other, &test, TimeDelta::seconds(7));
        durations.add(&other, &test, TimeDelta::zero());
        assert_eq!(durations.of(&app, &live).basis, Basis::All);
        for n in 1..=30 {
            durations.add(&app, &live, TimeDelta::seconds(n));
        }
        let took = durations.of(&app, &live);
        let s = TimeDelta::seconds;
        let want = Took { p10: s(2), p50: s(10), p90: s(18), basis: Basis::Environment, samples: 20 };
        assert_eq!(took, want);
        assert_eq!(durations.of(&app, &test).basis, Basis::App);
        let new = EnvironmentId::from_ulid(id(3));
        assert_eq!(durations.of(&other, &new).basis, Basis::All);
    }
}
