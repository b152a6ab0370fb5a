//! Making a plan: the world is looked at, and nothing of it is touched but a scratch folder.

mod compare;
mod downtime;
mod measure;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::TimeDelta;
use domain::deployment::DeploymentKind;
use domain::plan::{
    Action, Basis, BasisStep, Fact, Plan, PlannedRelease, Step, StepKind, digest_of_spec, digest_of_variables,
};
use domain::promotion::{Finding, FindingCode, Severity, Version};
use domain::release::{Digest, Release, release_digest};
use domain::source::{Commit, Source};
use domain::spec::AppSpec;
use domain::{DeploymentId, EnvironmentId};
use operations::{Error, ErrorKind};
use saga::{Kind, Stage};
use store::apps::App;
use store::environments::Environment;
use ulid::Ulid;

use crate::Control;
use crate::access::Admitted;
use crate::deployment::explain::{Before, Explained, PlannedRoute, Scene};
use crate::deployment::promise::{routes_refused, serving, would_be};
use crate::deployment::stages::{Told, fetch, look, phase_of, routes};
use crate::deployment::state::Order;
use crate::deployment::{Along, Path, State, World, path};
use crate::environment::{Variables, data_key};
use crate::error::{store_error, variables_error};
use crate::forecast::foresee_new;
use crate::scratch::Scratch;

use measure::Measured;

/// A plan can be carried out for so long; its source, an upload above all, may be gone then.
const KEPT: TimeDelta = TimeDelta::hours(24);

/// Of the source; clients wait no more than two minutes for an answer.
const PATIENCE: Duration = Duration::from_secs(100);

/// What is to be planned.
pub(crate) enum Wanted {
    Deploy { source: Source },
    Rollback { release: Box<Release> },
}

/// What would be deployed, as far as it was found out.
struct Found {
    kind: DeploymentKind,
    source: Option<Source>,
    reference: Option<String>,
    commit: Option<Commit>,
    tree: Option<Digest>,
    spec: AppSpec,
    notes: Vec<String>,
    /// Those that the release would run with.
    variables: Variables,
    /// Of the environment's variables; a rollback does not ask for them.
    variables_digest: Option<Digest>,
    digest: Digest,
    /// The release of that digest, if it is there with its files.
    existing: Option<Release>,
}

impl Control {
    pub(crate) async fn plan(
        &self,
        app: &App,
        environment: &Environment,
        wanted: Wanted,
        who: &Admitted,
    ) -> Result<Plan, Error> {
        let found = match wanted {
            Wanted::Deploy { source } => self.look_at(app, environment, source).await?,
            Wanted::Rollback { release } => self.look_back(environment, *release).await?,
        };
        // The fetching may have taken long: what serves is looked at after it.
        let environment = store::environments::get(self.store(), &environment.id).await.map_err(store_error)?;
        let world = self.world();
        let state = imagined_state(app, &environment, &found);
        let live = match &environment.active_release {
            Some(id) => Some(store::releases::get(self.store(), id).await.map_err(store_error)?),
            None => None,
        };
        let scene = self.scene(&environment, live.as_ref(), &found, &state).await?;
        let measured = measure::measure(self.store(), &environment.id, found.kind, found.existing.is_some()).await?;
        let steps = steps(&scene, &measured);

        let basis = Basis {
            kind: found.kind,
            app: app.id.clone(),
            environment: environment.id.clone(),
            source: found.source.clone(),
            tree: found.tree.clone(),
            spec: digest_of_spec(&found.spec),
            variables: found.variables_digest.clone(),
            release: found.digest.clone(),
            exists: found.existing.as_ref().map(|release| release.number),
            routes: listed(&scene.routes),
            steps: steps.iter().map(|s| BasisStep { stage: s.stage.clone(), action: s.action }).collect(),
            serving: serving(self.store(), &environment).await.map_err(store_error)?,
        };
        let differences = self.differences(app, &environment, live.as_ref(), &found, &scene).await?;
        let mut findings = Vec::new();
        if let Some(why) = routes_refused(world, &state).await.map_err(|failure| refused(&failure))? {
            findings.push(Finding {
                severity: Severity::Blocking,
                code: FindingCode::RoutesRefused,
                message: format!("the ingress would not take the routes: {why}"),
                hint: "choose another host or path, or remove what has it".to_owned(),
                variables: Vec::new(),
            });
        }
        findings.extend(compare::goes_back(found.kind, &differences));
        findings.extend(self.others_first(&environment).await?);
        // Windows hold no rollback.
        let past_windows = found.kind == DeploymentKind::Rollback;
        let start = foresee_new(&self.inner, &environment, past_windows).await.map_err(store_error)?;
        let nothing_to_do = nothing_to_do(live.as_ref(), &found);
        let now = store::time::micros(store::clock::now());
        Ok(Plan {
            digest: basis.digest(),
            app: app.name.clone(),
            environment: environment.name.clone(),
            kind: found.kind,
            source: found.source,
            reference: found.reference,
            commit: found.commit,
            release: PlannedRelease {
                digest: found.digest,
                release: found.existing.as_ref().map(|release| release.id.clone()),
                number: found.existing.as_ref().map(|release| release.number),
            },
            live: live.as_ref().map(version),
            nothing_to_do,
            findings,
            approval: self.approval_of(who, &app.id, &environment.name, found.kind).await?,
            start: start.into(),
            duration: measured.whole,
            downtime: downtime::downtime(&scene, live.as_ref().map(|live| &live.spec)),
            steps,
            differences,
            notes: found.notes,
            spec: found.spec,
            basis,
            created_by: who.name.clone(),
            created_at: now,
            expires_at: now + KEPT,
        })
    }

    /// Says so if somebody else will act on the environment first. What has switched the traffic already changes nothing more.
    async fn others_first(&self, environment: &Environment) -> Result<Option<Finding>, Error> {
        let at_work = environment.running.clone().filter(|id| environment.active_deployment.as_ref() != Some(id));
        let first = match at_work {
            Some(id) => Some(id),
            None => {
                store::queue::head_of(self.store(), &environment.id, store::clock::now()).await.map_err(store_error)?
            }
        };
        Ok(first.map(|id| Finding {
            severity: Severity::Warning,
            code: FindingCode::OthersFirst,
            message: format!(
                "{id} goes first in {}: if it changes what serves, this plan does not hold any more",
                environment.name
            ),
            hint: format!("plan again when it has ended, or cancel it: `plimsoll cancel {id}`"),
            variables: Vec::new(),
        }))
    }

    /// Fetches the source into a scratch folder, and finds out what a deployment would.
    async fn look_at(&self, app: &App, environment: &Environment, source: Source) -> Result<Found, Error> {
        let world = self.world();
        let scratch = Scratch::new(self)?;
        let folder = scratch.path().join("source");
        let mut notes = Vec::new();
        let mut quiet = |_: Told<'_>| {};
        let cancel = self.inner.stopping.child_token();
        // Who gave up waiting leaves no copy behind that goes on.
        let _over = cancel.clone().drop_guard();
        let fetching = tokio::time::timeout(PATIENCE, fetch(world, &source, &folder, &mut quiet, &cancel));
        let fetched = fetching.await.map_err(|_| too_slow())?.map_err(|f| refused(&f))?;
        let detected = look(world, &folder).await.map_err(|f| refused(&f))?;
        notes.extend(detected.notes);

        let key = {
            let tx = self.store().write().await.map_err(store_error)?;
            let key = data_key(&tx, &world.vault, &environment.id).await.map_err(variables_error)?;
            tx.commit().await.map_err(store_error)?;
            key
        };
        let variables = Variables::load(self.store(), &world.vault, &environment.id).await.map_err(variables_error)?;
        let values = variables.to_map();
        let digest = release_digest(&fetched.tree, &detected.app, &values, &key.digest_key());
        let known = store::releases::find_by_digest(self.store(), &app.id, &digest).await.map_err(store_error)?;
        let existing = known.filter(|_| world.layout.release(&app.id, &digest).is_dir());
        let (source, reference) = pinned(source, fetched.commit.as_ref());
        Ok(Found {
            kind: DeploymentKind::Deploy,
            source: Some(source),
            reference,
            commit: fetched.commit,
            tree: Some(fetched.tree),
            spec: detected.app,
            notes,
            variables_digest: Some(digest_of_variables(&values, &key.digest_key())),
            variables,
            digest,
            existing,
        })
    }

    async fn look_back(&self, environment: &Environment, release: Release) -> Result<Found, Error> {
        let variables = self.world().release_variables(&environment.id, &release.id).await.map_err(variables_error)?;
        Ok(Found {
            kind: DeploymentKind::Rollback,
            source: None,
            reference: None,
            commit: release.commit.clone(),
            tree: None,
            spec: release.spec.clone(),
            notes: Vec::new(),
            variables,
            variables_digest: None,
            digest: release.digest.clone(),
            existing: Some(release),
        })
    }

    async fn scene(
        &self,
        environment: &Environment,
        live: Option<&Release>,
        found: &Found,
        state: &State,
    ) -> Result<Scene, Error> {
        let world = self.world();
        let rows = store::instances::list_by_environment(self.store(), &environment.id).await.map_err(store_error)?;
        let table = world.ingress.table().await.map_err(|e| Error::unavailable(e.to_string()))?;
        let before = table.environments.get(&environment.id);
        let served = before.map(|routes| planned_routes(&routes.routes)).unwrap_or_default();
        let sites = live.iter().flat_map(|live| &live.spec.components);
        let sites = sites.filter(|c| matches!(c.serve, domain::spec::Serve::Static { .. })).map(|c| c.name.clone());
        Ok(Scene {
            kind: found.kind,
            environment: environment.name.clone(),
            source: found.source.clone(),
            commit: found.commit.clone(),
            spec: found.spec.clone(),
            digest: found.digest.clone(),
            existing: found.existing.as_ref().map(|release| release.number),
            routes: would_be_routes(world, state)?,
            before: Before {
                serving: live.map(|release| release.number),
                instances: rows
                    .into_iter()
                    .filter(|row| !row.retired)
                    .map(|row| (row.key.name(), row.key.component))
                    .collect(),
                routes: served,
                sites: sites.collect(),
            },
        })
    }

    /// What of a plan can be looked at before a deployment is accepted, but for the routes; in the transaction that accepts it.
    pub(crate) async fn facts(
        &self,
        tx: &store::Tx,
        basis: &Basis,
        environment: &Environment,
    ) -> Result<Vec<Fact>, Error> {
        let world = self.world();
        let mut facts = vec![
            Fact::Stages(stages_of(basis.kind)),
            Fact::Serving(serving(tx, environment).await.map_err(store_error)?),
        ];
        if basis.variables.is_some() {
            let key = data_key(tx, &world.vault, &environment.id).await.map_err(variables_error)?;
            let variables = Variables::load(tx, &world.vault, &environment.id).await.map_err(variables_error)?;
            facts.push(Fact::Variables(digest_of_variables(&variables.to_map(), &key.digest_key())));
        }
        if self.is_here(environment) {
            let known = store::releases::find_by_digest(tx, &basis.app, &basis.release).await.map_err(store_error)?;
            let kept = known.filter(|release| world.layout.release(&basis.app, &release.artifact).is_dir());
            facts.push(Fact::Exists(kept.map(|release| release.number)));
        }
        Ok(facts)
    }

    /// Whether the ingress would still take the routes of a plan. Before the transaction, as none waits for another process.
    pub(crate) async fn route_facts(&self, plan: &Plan, app: &App, environment: &Environment) -> Result<Fact, Error> {
        let order = imagined_order(plan.kind, app, environment);
        let state =
            State { spec: Some(plan.spec.clone()), digest: Some(plan.release.digest.clone()), ..State::deploy(order) };
        let why = routes_refused(self.world(), &state).await.map_err(|failure| refused(&failure))?;
        Ok(Fact::RoutesRefused(why))
    }
}

/// The stages of the deployment, explained and with the time that they take.
pub(crate) fn steps(scene: &Scene, measured: &Measured) -> Vec<Step> {
    fn of<P: Path>(scene: &Scene, measured: &Measured) -> Vec<Step> {
        P::stages::<Along<P>>().iter().map(|stage| step(stage.as_ref(), scene, measured)).collect()
    }
    match scene.kind {
        DeploymentKind::Deploy => of::<path::Deploy>(scene, measured),
        DeploymentKind::Rollback => of::<path::Rollback>(scene, measured),
        DeploymentKind::Promotion => of::<path::Promotion>(scene, measured),
    }
}

fn step<P: Path>(stage: &dyn Explained<Along<P>>, scene: &Scene, measured: &Measured) -> Step {
    let name = Stage::<Along<P>>::name(stage);
    let outlook = stage.outlook(scene);
    let kind = match Stage::<Along<P>>::kind(stage) {
        Kind::Undoable => StepKind::Undoable,
        Kind::Pivot => StepKind::Pivot,
        Kind::ForwardOnly => StepKind::ForwardOnly,
    };
    let back = stage.taken_back(scene);
    let mut undo = back.text.unwrap_or_else(|| "nothing is taken back".to_owned());
    if !back.stays.is_empty() && outlook.action == Action::Run {
        undo = format!("{undo}; what stays: {}", back.stays.join(", "));
    }
    Step {
        stage: name.to_owned(),
        phase: phase_of(name),
        kind,
        action: outlook.action,
        reason: outlook.reason,
        touches: outlook.touches,
        duration: measured.stage(name),
        undo,
    }
}

/// A scene for a plan that is kept, to be simulated: what was there before is what the plan found.
pub(crate) fn scene_of(plan: &Plan) -> Scene {
    use domain::plan::{Change, Touch};
    let touches = || plan.steps.iter().flat_map(|step| &step.touches);
    let routes = |wanted: &dyn Fn(Change) -> bool| -> Vec<PlannedRoute> {
        let mut found: Vec<_> = touches()
            .filter_map(|touch| match touch {
                Touch::Route { host, path, component, change } if wanted(*change) => {
                    Some(PlannedRoute { host: host.clone(), path: path.clone(), component: component.clone() })
                }
                _ => None,
            })
            .collect();
        found.sort();
        found.dedup();
        found
    };
    let instances = touches().filter_map(|touch| match touch {
        Touch::Instance { name, component, change: Change::Removes } => Some((name.clone(), component.clone())),
        _ => None,
    });
    let sites = touches().filter_map(|touch| match touch {
        Touch::StaticLink { component, change: Change::Switches } => Some(component.clone()),
        _ => None,
    });
    Scene {
        kind: plan.kind,
        environment: plan.environment.clone(),
        source: plan.source.clone(),
        commit: plan.commit.clone(),
        spec: plan.spec.clone(),
        digest: plan.release.digest.clone(),
        existing: plan.release.number,
        routes: routes(&|change| change != Change::Removes),
        before: Before {
            serving: plan.live.as_ref().map(|live| live.number),
            instances: instances.collect(),
            routes: routes(&|change| matches!(change, Change::Switches | Change::Removes)),
            sites: sites.collect(),
        },
    }
}

/// The names of a deployment's stages in this version of the program.
fn stages_of(kind: DeploymentKind) -> Vec<String> {
    fn of<P: Path>() -> Vec<String> {
        let stages = P::stages::<Along<P>>();
        stages.iter().map(|stage| Stage::<Along<P>>::name(stage.as_ref()).to_owned()).collect()
    }
    match kind {
        DeploymentKind::Deploy => of::<path::Deploy>(),
        DeploymentKind::Rollback => of::<path::Rollback>(),
        DeploymentKind::Promotion => of::<path::Promotion>(),
    }
}

/// The very commit instead of a branch that may move, and what was asked for.
pub(crate) fn pinned(source: Source, commit: Option<&Commit>) -> (Source, Option<String>) {
    match (source, commit) {
        (Source::Git { url, reference }, Some(commit)) => {
            (Source::Git { url, reference: Some(commit.sha.clone()) }, reference)
        }
        (source, _) => (source, None),
    }
}

fn imagined_order(kind: DeploymentKind, app: &App, environment: &Environment) -> Order {
    Order {
        kind,
        deployment: DeploymentId::from_ulid(Ulid::generate()),
        app: app.id.clone(),
        app_name: app.name.clone(),
        environment: EnvironmentId::clone(&environment.id),
        environment_name: environment.name.clone(),
        generation: environment.generation + 1,
        source: None,
        labels: Default::default(),
        promotion: None,
        plan: None,
        approval: None,
    }
}

fn imagined_state(app: &App, environment: &Environment, found: &Found) -> State {
    State {
        spec: Some(found.spec.clone()),
        digest: Some(found.digest.clone()),
        ..State::deploy(imagined_order(found.kind, app, environment))
    }
}

fn would_be_routes(world: &World, state: &State) -> Result<Vec<PlannedRoute>, Error> {
    let offered = routes(world, &would_be(state)).map_err(|f| Error::unprocessable(f.message).hint(f.hint))?;
    Ok(planned_routes(&offered.routes))
}

fn planned_routes(routes: &[ingress::Route]) -> Vec<PlannedRoute> {
    let mut planned: Vec<_> = routes
        .iter()
        .map(|r| PlannedRoute { host: r.host.clone(), path: r.path.clone(), component: r.component.clone() })
        .collect();
    planned.sort();
    planned
}

fn listed(routes: &[PlannedRoute]) -> Vec<String> {
    routes.iter().map(|r| format!("{}{} {}", r.host, r.path, r.component)).collect()
}

fn version(release: &Release) -> Version {
    let Release { id, number, artifact, commit, .. } = release;
    Version { release: id.clone(), number: *number, artifact: artifact.clone(), commit: commit.clone() }
}

fn nothing_to_do(live: Option<&Release>, found: &Found) -> Option<String> {
    let live = live.filter(|live| live.digest == found.digest)?;
    Some(format!(
        "v{} serves already, and was made of the same source, configuration and variables; carried out all the same, its instances \
         are replaced by new ones",
        live.number
    ))
}

fn too_slow() -> Error {
    Error::unavailable(format!("the source could not be fetched within {} s", PATIENCE.as_secs()))
        .hint("deploy it without a plan, which may take longer, and plan the next version")
}

/// What a stage says of a failure, said to whoever asked for the plan.
fn refused(failure: &saga::Failure<domain::failure::Failure>) -> Error {
    use domain::failure::Cause;
    let error = &failure.error;
    let kind = match (failure.verdict, error.cause) {
        (saga::Verdict::Permanent, Cause::Internal) => ErrorKind::Unavailable,
        (saga::Verdict::Permanent, _) => ErrorKind::Unprocessable,
        (saga::Verdict::Retry | saga::Verdict::Cancelled, _) => ErrorKind::Unavailable,
    };
    Error::new(kind, error.message.clone()).hint(error.hint.clone())
}
