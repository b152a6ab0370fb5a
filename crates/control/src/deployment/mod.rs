//! The deployment as a saga.
//!
//! Two sagas share one state and most stages: [`Deploy`] goes from source to traffic,
//! [`Rollback`] gives the traffic to a release that exists. Everything up to `activate`
//! is undone when a later stage fails or somebody cancels; `activate` is the pivot, which
//! passes only when real requests have reached the new release; `retire` cleans up behind it.

pub(crate) mod fail;
#[cfg(test)]
mod harness;
pub(crate) mod journal;
pub(crate) mod project;
pub(crate) mod runner;
pub(crate) mod stages;
pub(crate) mod state;
pub(crate) mod world;

use std::time::Duration;

use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use saga::{Saga, Stage};

pub(crate) use state::State;
pub(crate) use world::World;

/// A saga over the deployment's state.
pub(crate) trait Deploying: Saga<World = World, State = State, Error = Failure> {}

/// Source to release to traffic.
pub(crate) enum Deploy {}

/// An earlier release gets the traffic again.
pub(crate) enum Rollback {}

impl Saga for Deploy {
    type World = World;
    type State = State;
    type Error = Failure;
    const NAME: &'static str = "deploy";
    const VERSION: u32 = 1;

    fn stages() -> Vec<Box<dyn Stage<Self>>> {
        vec![
            Box::new(stages::PullSource),
            Box::new(stages::Detect),
            Box::new(stages::Build),
            Box::new(stages::Claim),
            Box::new(stages::ReleaseCommand),
            Box::new(stages::CreateRelease),
            Box::new(stages::Link),
            Box::new(stages::PrepareRoutes),
            Box::new(stages::Start),
            Box::new(stages::Cutover),
            Box::new(stages::Activate),
            Box::new(stages::Retire),
        ]
    }

    fn timed_out(stage: &str, limit: Duration) -> Failure {
        timed_out(stage, limit)
    }

    fn panicked(stage: &str, message: String) -> Failure {
        panicked(stage, &message)
    }
}

impl Saga for Rollback {
    type World = World;
    type State = State;
    type Error = Failure;
    const NAME: &'static str = "rollback";
    const VERSION: u32 = 1;

    fn stages() -> Vec<Box<dyn Stage<Self>>> {
        vec![
            Box::new(stages::Claim),
            Box::new(stages::Link),
            Box::new(stages::PrepareRoutes),
            Box::new(stages::Start),
            Box::new(stages::Cutover),
            Box::new(stages::Activate),
            Box::new(stages::Retire),
        ]
    }

    fn timed_out(stage: &str, limit: Duration) -> Failure {
        timed_out(stage, limit)
    }

    fn panicked(stage: &str, message: String) -> Failure {
        panicked(stage, &message)
    }
}

impl Deploying for Deploy {}
impl Deploying for Rollback {}

fn timed_out(stage: &str, limit: Duration) -> Failure {
    Failure {
        phase: stages::phase_of(stage).unwrap_or(Phase::Queued),
        cause: Cause::Timeout,
        message: format!("`{stage}` took longer than {} s", limit.as_secs()),
        output: Vec::new(),
        hint: "see what the output stopped at; raise the limit in plimsoll.toml if it is too low".to_owned(),
    }
}

fn panicked(stage: &str, message: &str) -> Failure {
    tracing::error!(stage, message, "a stage of a deployment panicked");
    fail::internal(stages::phase_of(stage).unwrap_or(Phase::Queued), format!("`{stage}` failed inside Plimsoll"))
}
