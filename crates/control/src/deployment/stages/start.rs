//! Starts the instances in dependency order; each component is healthy before the next begins.

use async_trait::async_trait;
use domain::deployment::DeploymentKind;
use domain::failure::{Cause, Failure};
use domain::health::{HealthCheck, Observation, Probe};
use domain::phase::Phase;
use domain::plan::Change;
use domain::smoke::Moment;
use domain::spec::Component;
use operations::logs::Stream;
use runtime::{InstanceSpec, NotHealthy, StartError, Target};
use saga::{Retry, Stage, Step, Verdict};

use super::claim::superseded;
use super::{START, open_way, store_away, store_retry, user};
use crate::deployment::explain::{Explain, Outlook, Scene, Undo};
use crate::deployment::{Deploying, State, World, fail, smoke};
use crate::environment::{Variables, VariablesError};
use crate::output::Sink;

const PHASE: Phase = Phase::HealthCheck;

/// A process without a port counts as healthy when it ran through this many looks in a row: one would
/// only say that it could be started.
const LOOKS: u32 = 10;

pub(crate) struct Start;

#[async_trait]
impl<G: Deploying> Stage<G> for Start {
    fn name(&self) -> &'static str {
        START
    }

    /// Only what needs the database is worth it: an app that does not start is not tried again.
    fn retry(&self) -> Retry {
        store_retry()
    }

    async fn run(&self, world: &World, mut state: State, step: &Step) -> Result<State, saga::Failure<Failure>> {
        let Some(spec) = &state.spec else { return Ok(state) };
        let variables = variables(world, &state).await?;
        let sink = world.sink(&state.order.deployment, PHASE, Some(&variables));
        for component in &spec.components {
            component_up(world, &state, component, &variables, &sink, step).await?;
        }
        smoke_test(world, &mut state, Moment::Before, step).await?;
        Ok(state)
    }

    async fn undo(&self, world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
        for placement in &state.placements {
            world
                .runtime
                .remove(&placement.key.name())
                .await
                .map_err(|e| saga::Failure::retry(fail::internal(PHASE, format!("can't stop an instance: {e}"))))?;
        }
        Ok(())
    }
}

impl Explain for Start {
    fn outlook(&self, scene: &Scene) -> Outlook {
        let tests = scene.spec.smoke_tests.len();
        match (scene.processes().next(), tests) {
            (None, 0) => Outlook::skip("no component is a process, and there is no smoke test"),
            (None, _) => Outlook::run("runs the smoke tests against the new release"),
            (Some(_), _) => {
                let tests =
                    if tests > 0 && scene.kind != DeploymentKind::Rollback { ", then the smoke tests" } else { "" };
                let beside = scene.serving().map(|old| format!(", beside {old}")).unwrap_or_default();
                Outlook::run(format!("starts the instances{beside}, and waits until each is healthy{tests}"))
                    .touching(scene.new_instances(Change::Makes))
            }
        }
    }

    fn taken_back(&self, scene: &Scene) -> Undo {
        match scene.processes().next() {
            Some(_) => Undo::of(format!("the instances of {} are stopped and removed", scene.brings())),
            None => Undo::nothing(),
        }
    }
}

/// Runs the release's smoke tests and keeps their results. A rollback runs none: it goes to what passed them, and in a
/// hurry.
pub(super) async fn smoke_test(
    world: &World,
    state: &mut State,
    moment: Moment,
    step: &Step,
) -> Result<(), saga::Failure<Failure>> {
    if state.order.kind == DeploymentKind::Rollback || smoke::tests(state, moment).next().is_none() {
        return Ok(());
    }
    let variables = variables(world, state).await?;
    let sink = world.sink(&state.order.deployment, PHASE, Some(&variables));
    match smoke::prove(world, state, moment, &variables, &sink, &step.cancel).await {
        Ok(results) => {
            state.smoke_tests.extend(results);
            Ok(())
        }
        Err(failure) => {
            if failure.verdict == Verdict::Permanent {
                for placement in &state.placements {
                    printed(world, &placement.key.name(), &sink);
                }
            }
            Err(failure)
        }
    }
}

async fn variables(world: &World, state: &State) -> Result<Variables, saga::Failure<Failure>> {
    let internal =
        |e: String| saga::Failure::permanent(fail::internal(PHASE, format!("can't open the release's variables: {e}")));
    let release = state.release.as_ref().ok_or_else(|| internal("there is no release".to_owned()))?;
    world.release_variables(&state.order.environment, &release.id).await.map_err(|e| match e {
        VariablesError::Store(e) => store_away(PHASE, e),
        other => internal(other.to_string()),
    })
}

async fn component_up(
    world: &World,
    state: &State,
    component: &Component,
    variables: &Variables,
    sink: &Sink,
    step: &Step,
) -> Result<(), saga::Failure<Failure>> {
    let mut specs = Vec::new();
    let user = user(world, &state.order.app, PHASE).await?;
    if let Some(release) = &state.release {
        let files = world.layout.release(&state.order.app, release.artifact());
        open_way(world, &files, PHASE)?;
    }
    for placement in state.placements_of(&component.name) {
        let Some(spec) = world.instance(state, component, &placement.key, placement.port, variables, user) else {
            continue;
        };
        world.runtime.start(&spec).await.map_err(|e| not_started(component, e))?;
        specs.push(spec);
    }
    for spec in specs {
        healthy(world, component, &spec, sink, step).await?;
        sink.say(&format!("{} {} is healthy", component.name, spec.key.index));
    }
    Ok(())
}

async fn healthy(
    world: &World,
    component: &Component,
    spec: &InstanceSpec,
    sink: &Sink,
    step: &Step,
) -> Result<(), saga::Failure<Failure>> {
    let name = spec.key.name();
    let target = target(world, spec);
    let check = patient(&component.health);
    let mut last = None;
    let tell = |seen: &Observation, _| {
        if let Observation::Failed(why) = seen
            && last.as_ref() != Some(why)
        {
            sink.say(&format!("{}: not yet healthy: {why}", component.name));
            last = Some(why.clone());
        }
    };
    let exited = || world.runtime.last_exit(&name);
    match runtime::wait_healthy(&check, &target, exited, tell, &step.cancel).await {
        Ok(()) => Ok(()),
        Err(NotHealthy::Cancelled) => Err(saga::Failure::cancelled(fail::cancelled(PHASE))),
        Err(NotHealthy::Unhealthy(why)) => {
            let output = printed(world, &name, sink);
            let failure = match world.runtime.last_exit(&name) {
                Some(exit) => fail::failure(
                    PHASE,
                    Cause::Start,
                    format!("`{}` ended right after its start: {exit}", component.name),
                    "see its last lines; try its start command by hand",
                ),
                None => fail::failure(
                    PHASE,
                    Cause::HealthCheck,
                    format!("`{}` did not become healthy: {why}", component.name),
                    hint(&component.health.probe),
                ),
            };
            Err(saga::Failure::permanent(fail::with_output(failure, output)))
        }
    }
}

/// What a probe of the instance is aimed at.
pub(crate) fn target(world: &World, spec: &InstanceSpec) -> Target {
    Target {
        addr: spec.port.map(|port| std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port))),
        host: "localhost".to_owned(),
        directory: spec.directory.clone(),
        env: spec.env.clone(),
        secrets: spec.secrets.clone(),
        marker: spec.key.deployment.to_string(),
        sandbox: world.runtime.sandbox(spec),
        executor: world.executor.clone(),
    }
}

fn patient(check: &HealthCheck) -> HealthCheck {
    match check.probe {
        Probe::Running => HealthCheck { threshold: check.threshold.max(LOOKS), ..check.clone() },
        _ => check.clone(),
    }
}

/// The last lines of the instance, which are kept with the deployment as its own log goes with it.
pub(super) fn printed(world: &World, name: &str, sink: &Sink) -> Vec<String> {
    let lines = world.runtime.logs().tail(name, 20).unwrap_or_default();
    for line in &lines {
        let stream = if line.stream == runtime::Stream::Stdout { Stream::Stdout } else { Stream::Stderr };
        sink.line(stream, &line.text);
    }
    sink.tail()
}

fn not_started(component: &Component, error: StartError) -> saga::Failure<Failure> {
    saga::Failure::permanent(match error {
        StartError::OlderGeneration { generation, current, .. } => superseded(PHASE, current, generation),
        other => fail::failure(
            PHASE,
            Cause::Start,
            format!("`{}` could not be started: {other}", component.name),
            "check its start command and its folder",
        ),
    })
}

fn hint(probe: &Probe) -> &'static str {
    match probe {
        Probe::Http { .. } => "the path must answer with a status from 200 to 399 on the port given as PORT",
        Probe::Tcp => "the app must listen on 127.0.0.1 (or all addresses) on the port given as PORT",
        Probe::Command { .. } => "the health command must end with status 0",
        Probe::Running => "the process must keep running",
    }
}
