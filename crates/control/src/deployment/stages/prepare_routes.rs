//! Makes the routes of the release and asks the ingress whether it could serve them.
//! Nothing is switched yet.

use std::net::{Ipv4Addr, SocketAddr};

use async_trait::async_trait;
use domain::failure::{Cause, Failure};
use domain::health::Probe;
use domain::limit::Span;
use domain::limits::Bytes;
use domain::phase::Phase;
use domain::plan::Change;
use domain::route::Host;
use domain::spec::{Component, Serve};
use ingress::{ChangeError, EnvironmentRoutes, Gate, Refused, Route, RouteLimits, Standby, Target};
use saga::{Retry, Stage, Step};

use super::claim::superseded;
use super::{PREPARE_ROUTES, ingress_away, ingress_retry, store_away};
use crate::certificates::Shown;
use crate::deployment::explain::{Explain, Outlook, Scene, Undo};
use crate::deployment::{Deploying, State, World, fail};
use crate::reconcile::correct_one;
use crate::urls::urls;

const PHASE: Phase = Phase::UpdatingRoutes;

pub(crate) struct PrepareRoutes;

#[async_trait]
impl<G: Deploying> Stage<G> for PrepareRoutes {
    fn name(&self) -> &'static str {
        PREPARE_ROUTES
    }

    fn retry(&self) -> Retry {
        ingress_retry()
    }

    async fn run(&self, world: &World, mut state: State, _: &Step) -> Result<State, saga::Failure<Failure>> {
        // Nobody else changes this environment's routes: the claim is ours. So what is served
        // now is what a failure has to come back to. One that was abandoned may have left its own; where those can't be put right,
        // they are what there is to come back to.
        let environment = store::environments::get(&world.store, &state.order.environment).await;
        let environment = environment.map_err(|e| store_away(PHASE, e))?;
        if let Err(e) = correct_one(world, &environment).await {
            tracing::warn!(deployment = %state.order.deployment, "can't correct what is served: {e}");
        }
        let table = world.ingress.table().await.map_err(|e| ingress_away(PHASE, e))?;
        state.previous = table.environments.get(&state.order.environment).cloned();
        let routes = routes(world, &state).map_err(saga::Failure::permanent)?;
        // Asked here alone: what serves already goes on, whatever the server is called by now.
        not_our_own(&routes, &world.own_hosts).map_err(saga::Failure::permanent)?;
        world.ingress.prepare(&routes).await.map_err(|e| match e {
            ChangeError::Refused(refused) => saga::Failure::permanent(refusal(refused, state.generation())),
            other => ingress_away(PHASE, other),
        })?;
        let status = world.ingress.status().await.map_err(|e| ingress_away(PHASE, e))?;
        state.urls = urls(&routes, &status, &Shown::ask(&world.ingress).await);
        Ok(state)
    }
}

impl Explain for PrepareRoutes {
    fn outlook(&self, scene: &Scene) -> Outlook {
        Outlook::run("asks the ingress whether it could serve the routes, and notes what it serves now")
            .touching(scene.new_routes(|_| Change::Uses))
    }

    fn taken_back(&self, _: &Scene) -> Undo {
        Undo::nothing()
    }
}

/// What the environment is to serve, with the previous release as the standby.
pub(crate) fn routes(world: &World, state: &State) -> Result<EnvironmentRoutes, Failure> {
    let (Some(spec), Some(release)) = (&state.spec, &state.release) else {
        return Err(fail::internal(PHASE, "there is no release to route to"));
    };
    let order = &state.order;
    let default = Host::default_for(&order.app_name, &order.environment_name, &world.domain).map_err(|e| {
        let hint = "choose a shorter name, or give the component routes in plimsoll.toml";
        fail::failure(PHASE, Cause::Configuration, format!("the default host is not usable: {e}"), hint)
    })?;
    let mut routes = Vec::new();
    for component in &spec.components {
        for pattern in &component.routes {
            let host = pattern.host.clone().unwrap_or_else(|| default.clone());
            let target = target(world, state, component);
            let limits = RouteLimits {
                response_head: component.request_timeout.map(Span::get),
                max_body: component.max_body.map(Bytes::get),
            };
            routes.push(Route { host, path: pattern.path.clone(), component: component.name.clone(), target, limits });
        }
    }
    Ok(EnvironmentRoutes {
        environment: order.environment.clone(),
        app: order.app_name.clone(),
        environment_name: order.environment_name.clone(),
        generation: state.generation(),
        deployment: order.deployment.clone(),
        release: release.id.clone(),
        routes,
    })
}

/// Browsers send a cookie to a name, whatever the port: an app that answers at the server's own would get those of people who are signed in,
/// and could set some.
fn not_our_own(routes: &EnvironmentRoutes, own: &[Host]) -> Result<(), Failure> {
    let Some(route) = routes.routes.iter().find(|route| own.contains(&route.host)) else { return Ok(()) };
    let message = format!(
        "`{}` is where people call this server itself, so no app answers there: browsers would send it their sessions",
        route.host
    );
    let hint = format!("give the component `{}` another host, such as a name below it", route.component);
    Err(fail::failure(PHASE, Cause::Configuration, message, hint))
}

fn target(world: &World, state: &State, component: &Component) -> Target {
    match &component.serve {
        Serve::Static { single_page, .. } => {
            let link = format!("g{}", state.generation());
            let root = world.layout.sites().join(state.site(&component.name)).join(link);
            Target::Static { root, single_page: *single_page }
        }
        Serve::Process { .. } => {
            let ports = state.placements_of(&component.name).filter_map(|p| p.port);
            Target::Upstreams {
                upstreams: ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).collect(),
                standby: standby(state, component),
                gate: gate(component),
            }
        }
    }
}

/// The instances of the previous release, which run until the new one has proved itself.
fn standby(state: &State, component: &Component) -> Vec<Standby> {
    let Some(previous) = &state.previous else { return Vec::new() };
    let same = previous.routes.iter().find(|r| r.component == component.name);
    match same.map(|r| &r.target) {
        Some(Target::Upstreams { upstreams, .. }) => {
            upstreams.iter().map(|address| Standby { address: *address, release: previous.release.clone() }).collect()
        }
        _ => Vec::new(),
    }
}

fn gate(component: &Component) -> Gate {
    match &component.health.probe {
        Probe::Http { path } => Gate::Http { path: path.clone(), timeout: component.health.timeout.get() },
        _ => Gate::Tcp,
    }
}

pub(super) fn refusal(refused: Refused, own: u64) -> Failure {
    match refused {
        Refused::OlderGeneration { current, .. } => superseded(PHASE, current, own),
        Refused::Conflict { .. } => {
            let text = refused.to_string();
            let (message, hint) = text.split_once("; ").unwrap_or((&text, "choose another host or path"));
            fail::failure(PHASE, Cause::RouteConflict, message, hint)
        }
        Refused::Invalid { .. } => {
            fail::failure(PHASE, Cause::Configuration, refused.to_string(), "correct the routes in plimsoll.toml")
        }
    }
}
