//! Gives the traffic to the new release. The previous one keeps running as the standby, so
//! this can still be taken back.

use std::time::Duration;

use async_trait::async_trait;
use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::plan::Change;
use ingress::{ChangeError, CutoverError, EnvironmentRoutes, Gate, Target};
use saga::{Retry, Stage, Step};

use super::prepare_routes::{refusal, routes};
use super::{CUTOVER, ingress_away, ingress_retry};
use crate::deployment::explain::{Explain, Outlook, PlannedRoute, Scene, Undo};
use crate::deployment::{Deploying, State, World, fail};

const PHASE: Phase = Phase::HealthCheck;

/// Requests in flight to a release that is taken back get this long.
const DRAIN: Duration = Duration::from_secs(10);

pub(crate) struct Cutover;

#[async_trait]
impl<G: Deploying> Stage<G> for Cutover {
    fn name(&self) -> &'static str {
        CUTOVER
    }

    fn retry(&self) -> Retry {
        ingress_retry()
    }

    fn undo_retry(&self) -> Retry {
        ingress_retry()
    }

    async fn run(&self, world: &World, mut state: State, _: &Step) -> Result<State, saga::Failure<Failure>> {
        let routes = routes(world, &state).map_err(saga::Failure::permanent)?;
        let report = world.ingress.cutover(routes).await.map_err(|e| match e {
            CutoverError::Refused(refused) => saga::Failure::permanent(refusal(refused, state.generation())),
            CutoverError::GateFailed { component, upstream, reason } => saga::Failure::permanent(fail::failure(
                PHASE,
                Cause::HealthCheck,
                format!("the ingress could not reach `{component}` at {upstream}: {reason}"),
                "it was healthy a moment ago: see whether it crashed or listens on another address",
            )),
            other => ingress_away(PHASE, other),
        })?;
        world
            .sink(&state.order.deployment, PHASE, None)
            .say(&format!("traffic switched in {} ms", report.took.as_millis()));
        state.switched = true;
        Ok(state)
    }

    /// Puts back what was served before, under our own generation, as the older one would be refused.
    async fn undo(&self, world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
        let order = &state.order;
        let table = world.ingress.table().await.map_err(|e| ingress_away(PHASE, e))?;
        let ours = table.environments.get(&order.environment).is_some_and(|e| e.deployment == order.deployment);
        if !ours {
            return Ok(());
        }
        match &state.previous {
            Some(previous) => {
                let back = EnvironmentRoutes {
                    generation: state.generation(),
                    deployment: order.deployment.clone(),
                    ..ungated(previous.clone())
                };
                world.ingress.cutover(back).await.map_err(|e| ingress_away(PHASE, e))?;
            }
            None => match world.ingress.remove(&order.environment, state.generation()).await {
                Ok(()) | Err(ChangeError::Refused(_)) => {}
                Err(e) => return Err(ingress_away(PHASE, e)),
            },
        }
        world.ingress.drain(&order.deployment, DRAIN).await.map_err(|e| ingress_away(PHASE, e))?;
        Ok(())
    }
}

impl Explain for Cutover {
    fn outlook(&self, scene: &Scene) -> Outlook {
        let change = |route: &PlannedRoute| if scene.had_route(route) { Change::Switches } else { Change::Makes };
        let (new, lost) = (scene.new_routes(change), scene.lost_routes());
        if new.is_empty() && lost.is_empty() {
            return Outlook::skip("no component has a route");
        }
        let standby = scene.serving().map(|old| format!("; {old} stands by")).unwrap_or_default();
        Outlook::run(format!("all routes go to {} at once{standby}", scene.brings())).touching(new).touching(lost)
    }

    fn taken_back(&self, scene: &Scene) -> Undo {
        match scene.serving() {
            Some(old) => Undo::of(format!("the routes go to {old} again; requests in flight get 10 s")),
            None => Undo::of("the routes are removed again; requests in flight get 10 s"),
        }
    }

    fn rehearse(&self, state: State) -> State {
        State { switched: true, ..state }
    }
}

/// Routes to what is known to serve: no gate, no standby.
pub(crate) fn ungated(mut routes: EnvironmentRoutes) -> EnvironmentRoutes {
    for route in &mut routes.routes {
        if let Target::Upstreams { standby, gate, .. } = &mut route.target {
            standby.clear();
            *gate = Gate::None;
        }
    }
    routes
}
