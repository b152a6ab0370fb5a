//! The deployment as a saga.
//!
//! Three sagas share one state and most stages: [`Deploy`] goes from source to traffic,
//! [`Rollback`] gives the traffic to a release that exists, [`Promotion`] brings the release of
//! another environment. Everything up to `activate` is undone when a later stage fails or
//! somebody cancels; `activate` is the pivot, which passes only when real requests have reached
//! the new release; `retire` cleans up behind it.

pub(crate) mod explain;
pub(crate) mod fail;
#[cfg(test)]
mod harness;
pub(crate) mod journal;
pub(crate) mod project;
pub(crate) mod promise;
pub(crate) mod rehearse;
pub(crate) mod runner;
pub(crate) mod smoke;
pub(crate) mod stages;
pub(crate) mod state;
pub(crate) mod strand;
pub(crate) mod world;

use std::marker::PhantomData;
use std::time::Duration;

use domain::deployment::DeploymentKind;
use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use saga::{Saga, Stage};

use explain::Explained;
pub(crate) use state::State;
pub(crate) use world::World;

/// A saga over the deployment's state.
pub(crate) trait Deploying: Saga<World = World, State = State, Error = Failure> {}

/// What such a saga writes before its first effect.
pub(crate) type Begun = saga::Begun<State, Failure>;

/// Source to release to traffic.
pub(crate) type Deploy = Along<path::Deploy>;
/// An earlier release gets the traffic again.
pub(crate) type Rollback = Along<path::Rollback>;
/// The release of another environment gets the traffic of this one.
pub(crate) type Promotion = Along<path::Promotion>;

/// What tells the sagas apart.
pub(crate) trait Path: Send + Sync + 'static {
    const KIND: DeploymentKind;
    const VERSION: u32;

    /// The one list of stages: of what runs, and of what plans and simulations tell.
    fn stages<G: Deploying>() -> Vec<Box<dyn Explained<G>>>;
}

/// The saga that goes along a path.
pub(crate) struct Along<P>(PhantomData<P>);

pub(crate) mod path {
    use super::{Deploying, DeploymentKind, Explained, Path, stages};

    pub(crate) enum Deploy {}
    pub(crate) enum Rollback {}
    pub(crate) enum Promotion {}

    impl Path for Deploy {
        const KIND: DeploymentKind = DeploymentKind::Deploy;
        const VERSION: u32 = 1;

        fn stages<G: Deploying>() -> Vec<Box<dyn Explained<G>>> {
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
    }

    impl Path for Rollback {
        const KIND: DeploymentKind = DeploymentKind::Rollback;
        const VERSION: u32 = 1;

        fn stages<G: Deploying>() -> Vec<Box<dyn Explained<G>>> {
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
    }

    impl Path for Promotion {
        const KIND: DeploymentKind = DeploymentKind::Promotion;
        const VERSION: u32 = 1;

        fn stages<G: Deploying>() -> Vec<Box<dyn Explained<G>>> {
            vec![
                Box::new(stages::Claim),
                Box::new(stages::ReleaseCommand),
                Box::new(stages::Promote),
                Box::new(stages::Link),
                Box::new(stages::PrepareRoutes),
                Box::new(stages::Start),
                Box::new(stages::Cutover),
                Box::new(stages::Activate),
                Box::new(stages::Retire),
            ]
        }
    }
}

impl<P: Path> Saga for Along<P> {
    type World = World;
    type State = State;
    type Error = Failure;
    const NAME: &'static str = P::KIND.as_str();
    const VERSION: u32 = P::VERSION;

    fn stages() -> Vec<Box<dyn Stage<Self>>> {
        P::stages::<Self>().into_iter().map(|stage| stage as Box<dyn Stage<Self>>).collect()
    }

    fn timed_out(stage: &str, limit: Duration) -> Failure {
        fail::failure(
            stages::phase_of(stage).unwrap_or(Phase::Queued),
            Cause::Timeout,
            format!("`{stage}` took longer than {} s", limit.as_secs()),
            "see what the output stopped at; raise the limit in plimsoll.toml if it is too low",
        )
    }

    fn panicked(stage: &str, message: String) -> Failure {
        tracing::error!(stage, message, "a stage of a deployment panicked");
        fail::internal(stages::phase_of(stage).unwrap_or(Phase::Queued), format!("`{stage}` failed inside Plimsoll"))
    }
}

impl<P: Path> Deploying for Along<P> {}
