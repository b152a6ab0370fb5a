//! The stages of a deployment, one a file, in their order.
//!
//! Each may be run again after a crash: it finds what it made under a name that follows
//! from the deployment alone, and adopts or replaces it.

mod activate;
mod build;
mod claim;
mod create_release;
mod cutover;
mod detect;
mod link;
mod prepare_routes;
mod promote;
mod published;
mod pull_source;
mod release_command;
mod retire;
mod start;

use domain::phase::Phase;

pub(crate) use activate::Activate;
pub(crate) use build::Build;
pub(crate) use claim::{Claim, superseded};
pub(crate) use create_release::CreateRelease;
pub(crate) use cutover::Cutover;
pub(crate) use cutover::ungated;
pub(crate) use detect::{Detect, look};
pub(crate) use link::Link;
pub(crate) use prepare_routes::PrepareRoutes;
pub(crate) use prepare_routes::routes;
pub(crate) use promote::Promote;
pub(crate) use pull_source::{PullSource, Told, fetch};
pub(crate) use release_command::ReleaseCommand;
pub(crate) use retire::Retire;
pub(crate) use start::Start;
pub(crate) use start::target;

pub(crate) const PULL_SOURCE: &str = "pull_source";
pub(crate) const DETECT: &str = "detect";
pub(crate) const BUILD: &str = "build";
pub(crate) const CLAIM: &str = "claim";
pub(crate) const RELEASE_COMMAND: &str = "release_command";
pub(crate) const CREATE_RELEASE: &str = "create_release";
pub(crate) const LINK: &str = "link";
pub(crate) const PREPARE_ROUTES: &str = "prepare_routes";
pub(crate) const START: &str = "start";
pub(crate) const CUTOVER: &str = "cutover";
pub(crate) const ACTIVATE: &str = "activate";
pub(crate) const RETIRE: &str = "retire";

/// The phase in which people see a stage. `claim` waits in whatever phase it finds.
pub(crate) fn phase_of(stage: &str) -> Option<Phase> {
    match stage {
        PULL_SOURCE => Some(Phase::PullingSource),
        DETECT | BUILD => Some(Phase::Building),
        RELEASE_COMMAND => Some(Phase::Migrating),
        CREATE_RELEASE => Some(Phase::CopyingFiles),
        LINK => Some(Phase::CreatingSymlinks),
        PREPARE_ROUTES => Some(Phase::UpdatingRoutes),
        START | CUTOVER | ACTIVATE => Some(Phase::HealthCheck),
        RETIRE => Some(Phase::Active),
        _ => None,
    }
}

/// An answer of the ingress that did not come: it may be restarting, so it is worth another attempt.
pub(crate) fn ingress_away(phase: Phase, error: impl std::fmt::Display) -> saga::Failure<domain::failure::Failure> {
    saga::Failure::retry(super::fail::internal(phase, error.to_string()))
}

/// How often and how long the ingress is waited for: about half a minute.
pub(crate) fn ingress_retry() -> saga::Retry {
    saga::Retry::attempts(12).base(std::time::Duration::from_millis(250)).cap(std::time::Duration::from_secs(4))
}

pub(crate) fn store_away(phase: Phase, error: store::StoreError) -> saga::Failure<domain::failure::Failure> {
    saga::Failure::retry(super::fail::internal(phase, error.to_string()))
}

pub(crate) fn store_retry() -> saga::Retry {
    saga::Retry::attempts(10).base(std::time::Duration::from_millis(200)).cap(std::time::Duration::from_secs(5))
}

/// Who the app's commands run as.
pub(crate) async fn user(
    world: &super::World,
    app: &domain::AppId,
    phase: Phase,
) -> Result<Option<u32>, saga::Failure<domain::failure::Failure>> {
    world.user(app).await.map_err(|e| match e {
        super::world::UserError::Store(e) => store_away(phase, e),
        other => saga::Failure::permanent(super::fail::internal(phase, other.to_string())),
    })
}

/// Lets the app's user through to a folder of its own, where it has no view in which it is found anyway.
pub(crate) fn open_way(
    world: &super::World,
    folder: &std::path::Path,
    phase: Phase,
) -> Result<(), saga::Failure<domain::failure::Failure>> {
    world.host.open_way(folder).map_err(|e| {
        saga::Failure::permanent(super::fail::internal(phase, format!("can't open {}: {e}", folder.display())))
    })
}

/// Runs blocking file work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    phase: Phase,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, saga::Failure<domain::failure::Failure>> {
    let lost = |_| saga::Failure::permanent(super::fail::internal(phase, "a task of the server was lost"));
    tokio::task::spawn_blocking(work).await.map_err(lost)
}
