//! A deployment that carries out a plan holds what it finds against the plan, before it has touched anything.

use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::plan::{Agreed, Fact, Serving};
use domain::release::Digest;
use store::environments::Environment;
use store::{Session, StoreError};

use super::explain::imagined;
use super::fail;
use super::stages::routes;
use super::state::{Order, Placement};
use super::{State, World};

/// Refuses if one of the facts is not as it was planned. Without a plan all facts are welcome.
pub(crate) fn keep(order: &Order, phase: Phase, facts: &[Fact]) -> Result<(), saga::Failure<Failure>> {
    let Some(Agreed { plan, basis, .. }) = &order.plan else { return Ok(()) };
    let changed = basis.changed(facts);
    if changed.is_empty() {
        return Ok(());
    }
    let message = broken(plan, &changed);
    Err(saga::Failure::permanent(fail::failure(phase, Cause::PlanChanged, message, HINT)))
}

pub(crate) const HINT: &str = "make a new plan with `plimsoll plan`, and look at it again";

/// What people are told when a plan does not hold any more.
pub(crate) fn broken(plan: &Digest, changed: &[String]) -> String {
    format!("the plan {} does not hold any more: {}", plan.short(), changed.join("; "))
}

/// What an environment serves, as far as a plan rests on it.
pub(crate) async fn serving(session: &impl Session, environment: &Environment) -> Result<Option<Serving>, StoreError> {
    let (Some(deployment), Some(release)) = (&environment.active_deployment, &environment.active_release) else {
        return Ok(None);
    };
    let number = store::releases::get(session, release).await?.number;
    Ok(Some(Serving { deployment: deployment.clone(), generation: environment.active_generation, number }))
}

/// Why the ingress would not take the routes of what is planned, if so. The instances and their ports are made up: only who a
/// route belongs to and what it looks like is asked.
pub(crate) async fn routes_refused(world: &World, state: &State) -> Result<Option<String>, saga::Failure<Failure>> {
    let offered = match routes(world, &would_be(state)) {
        Ok(offered) => offered,
        Err(failure) => return Ok(Some(failure.message)),
    };
    match world.ingress.prepare(&offered).await {
        Ok(()) => Ok(None),
        // Whose turn it is, the claim says.
        Err(ingress::ChangeError::Refused(ingress::Refused::OlderGeneration { .. })) => Ok(None),
        Err(ingress::ChangeError::Refused(refused)) => Ok(Some(refused.to_string())),
        Err(error) => Err(super::stages::ingress_away(Phase::UpdatingRoutes, error)),
    }
}

/// The state as it would be once instances have their places.
pub(crate) fn would_be(state: &State) -> State {
    let digest = state.digest.clone().unwrap_or_else(|| Digest(String::new()));
    let release = state.release.clone().unwrap_or_else(|| imagined(&digest));
    let components = state.spec.iter().flat_map(|spec| &spec.components);
    let placements = components.filter_map(|component| match component.serve {
        domain::spec::Serve::Process { listens: true, .. } => Some(Placement {
            key: domain::instance::InstanceKey {
                environment: state.order.environment.clone(),
                deployment: state.order.deployment.clone(),
                release: release.id.clone(),
                generation: state.order.generation,
                component: component.name.clone(),
                index: 0,
            },
            port: Some(1),
        }),
        _ => None,
    });
    State { placements: placements.collect(), release: Some(release.clone()), ..state.clone() }
}
