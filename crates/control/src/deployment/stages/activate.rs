//! The point of no return: passed only when real requests were answered by the new release
//! through the ingress, and its instances stayed up meanwhile.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::deployment::DeploymentKind;
use domain::failure::{Cause, Failure};
use domain::health::Probe;
use domain::instance::InstanceState;
use domain::phase::Phase;
use domain::plan::Change;
use domain::route::PathPrefix;
use domain::smoke::Moment;
use domain::spec::AppSpec;
use ingress::{EnvironmentRoutes, Route};
use saga::{Kind, Retry, Stage, Step};

use super::prepare_routes::routes;
use super::start::{printed, smoke_test};
use super::{ACTIVATE, store_retry};
use crate::deployment::explain::{Explain, Outlook, Scene, Undo};
use crate::deployment::{Deploying, State, World, fail};

const PHASE: Phase = Phase::HealthCheck;

/// Good answers in a row that prove a route.
const PROOFS: u32 = 3;
/// A route that was not proved by then won't be.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

pub(crate) struct Activate;

#[async_trait]
impl<G: Deploying> Stage<G> for Activate {
    fn name(&self) -> &'static str {
        ACTIVATE
    }

    fn kind(&self) -> Kind {
        Kind::Pivot
    }

    /// Only what a smoke test could not ask, of the database or the ingress, is worth it: what was seen is seen again.
    fn retry(&self) -> Retry {
        store_retry()
    }

    async fn run(&self, world: &World, mut state: State, step: &Step) -> Result<State, saga::Failure<Failure>> {
        let begun = Instant::now();
        let routes = routes(world, &state).map_err(saga::Failure::permanent)?;
        for route in &routes.routes {
            prove(world, &state, &routes, route, step).await?;
        }
        // A rollback goes to what was good before, and is in a hurry.
        let watch = if state.order.kind == DeploymentKind::Rollback { Duration::ZERO } else { world.watch };
        smoke_test(world, &mut state, Moment::After, step).await?;
        while !state.placements.is_empty() && begun.elapsed() < watch {
            alive(world, &state)?;
            pause(step).await?;
        }
        alive(world, &state)?;
        Ok(state)
    }
}

impl Explain for Activate {
    fn outlook(&self, scene: &Scene) -> Outlook {
        let tests = if scene.spec.smoke_tests.is_empty() || scene.kind == DeploymentKind::Rollback {
            ""
        } else {
            ", the smoke tests pass"
        };
        let asked = if scene.routes.is_empty() { "" } else { ", requests through the ingress reach it on each route" };
        Outlook::run(format!("the point of no return: passed when its instances stay up{asked}{tests}"))
            .touching(scene.new_routes(|_| Change::Uses))
    }

    fn taken_back(&self, _: &Scene) -> Undo {
        Undo::nothing()
    }
}

/// Sends requests through the ingress until enough in a row came from this release.
async fn prove(
    world: &World,
    state: &State,
    routes: &EnvironmentRoutes,
    route: &Route,
    step: &Step,
) -> Result<(), saga::Failure<Failure>> {
    let path = state.spec.as_ref().map_or_else(|| route.path.clone(), |spec| probe_path(spec, route));
    let (begun, mut streak, mut last) = (Instant::now(), 0, String::new());
    while streak < PROOFS {
        alive(world, state)?;
        match world.ingress.verify(&route.host, &path).await {
            Ok(seen) if seen.release == routes.release && seen.status < 500 => {
                streak += 1;
                continue;
            }
            Ok(seen) if seen.release == routes.release => last = format!("it answers with status {}", seen.status),
            Ok(_) => last = "another release answered in its place".to_owned(),
            Err(e) => last = e.to_string(),
        }
        streak = 0;
        if begun.elapsed() > PATIENCE {
            break;
        }
        pause(step).await?;
    }
    if streak == PROOFS {
        return Ok(());
    }
    let message = format!("requests to {}{path} don't get through to the new release: {last}", route.host);
    let hint = "see what the app prints when it gets a request; a `[components.NAME.health] path` is asked instead of the route's own path";
    Err(saga::Failure::permanent(fail::failure(PHASE, Cause::Verification, message, hint)))
}

/// The health path where it lies below the route, as the app is known to answer there.
fn probe_path(spec: &AppSpec, route: &Route) -> PathPrefix {
    let health = spec.component(&route.component).map(|c| &c.health.probe);
    match health {
        Some(Probe::Http { path }) if route.path.matches(path) => path.parse().unwrap_or_else(|_| route.path.clone()),
        _ => route.path.clone(),
    }
}

/// No instance of the deployment has ended since it was started.
fn alive(world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
    for placement in &state.placements {
        let name = placement.key.name();
        let status = world.runtime.status(&name);
        let running =
            status.as_ref().is_some_and(|s| s.restarts == 0 && matches!(s.state, InstanceState::Running { .. }));
        if running {
            continue;
        }
        let exit = world.runtime.last_exit(&name).unwrap_or_else(|| "it is gone".to_owned());
        let sink = world.sink(&state.order.deployment, PHASE, None);
        let output = printed(world, &name, &sink);
        let message = format!("`{}` crashed after it got traffic: {exit}", placement.key.component);
        let hint = "see its last lines; the traffic is back with the previous release";
        let failure = fail::with_output(fail::failure(PHASE, Cause::Start, message, hint), output);
        return Err(saga::Failure::permanent(failure));
    }
    Ok(())
}

async fn pause(step: &Step) -> Result<(), saga::Failure<Failure>> {
    tokio::select! {
        () = tokio::time::sleep(LOOK) => Ok(()),
        () = step.cancel.cancelled() => Err(saga::Failure::cancelled(fail::cancelled(PHASE))),
    }
}
