//! Runs the build commands in the workspace.

use std::time::Instant;

use async_trait::async_trait;
use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::spec::{AppSpec, Serve};
use operations::logs::Stream;
use runtime::{Command, ExecError};
use saga::{Stage, Step};

use super::{BUILD, blocking};
use crate::deployment::{Deploying, State, World, fail};
use crate::environment::{Variables, complete, complete_build};
use crate::output::Sink;

const PHASE: Phase = Phase::Building;

pub(crate) struct Build;

#[async_trait]
impl<G: Deploying> Stage<G> for Build {
    fn name(&self) -> &'static str {
        BUILD
    }

    async fn run(&self, world: &World, state: State, step: &Step) -> Result<State, saga::Failure<Failure>> {
        let (Some(spec), false) = (&state.spec, state.reused) else { return Ok(state) };
        let variables = snapshot(world, &state).await?;
        let sink = world.sink(&state.order.deployment, PHASE, Some(&variables));
        for build in &spec.builds {
            run(world, &state, build, &variables, &sink, step).await?;
        }
        published(spec, &world.layout.workspace(&state.order.deployment).source())?;
        Ok(state)
    }

    async fn undo(&self, world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
        world.executor.sweep(state.order.deployment.as_str()).await;
        Ok(())
    }
}

async fn run(
    world: &World,
    state: &State,
    build: &domain::spec::Build,
    variables: &Variables,
    sink: &Sink,
    step: &Step,
) -> Result<(), saga::Failure<Failure>> {
    let workspace = world.layout.workspace(&state.order.deployment);
    let (home, cache) = (workspace.home(), world.layout.cache(&state.order.app));
    let folders = [home.clone(), cache.clone()];
    blocking(PHASE, move || folders.iter().try_for_each(std::fs::create_dir_all))
        .await?
        .map_err(|e| saga::Failure::permanent(fail::internal(PHASE, format!("can't make the build's folders: {e}"))))?;

    let directory = workspace.source().join(&build.root);
    let begun = Instant::now();
    for command in &build.commands {
        sink.say(&format!("$ {}", headline(command)));
        let mut env = variables.to_map();
        complete(&mut env, &directory);
        complete_build(&mut env, &home, &cache);
        let command = Command {
            command: command.clone(),
            directory: directory.clone(),
            env,
            limit: build.timeout.get().saturating_sub(begun.elapsed()),
            marker: state.order.deployment.to_string(),
        };
        let print = |line: runtime::Line| sink.line(stream(line.stream), &line.text);
        match world.executor.run(&command, print, &step.cancel).await {
            Ok(exit) if exit.success() => {}
            Ok(exit) => {
                let message = format!("`{}` ended with {exit}", headline(&command.command));
                return Err(failed(message, "correct the build, commit, and deploy again", sink));
            }
            Err(ExecError::Cancelled) => return Err(saga::Failure::cancelled(fail::cancelled(PHASE))),
            Err(ExecError::TimedOut(_)) => {
                let message = format!("the build took longer than {}", build.timeout);
                let hint = "make it faster, or raise `build_timeout` in plimsoll.toml";
                let failure = fail::failure(PHASE, Cause::Timeout, message, hint);
                return Err(saga::Failure::permanent(fail::with_output(failure, sink.tail())));
            }
            Err(e) => return Err(failed(e.to_string(), "check that the folder of the component exists", sink)),
        }
    }
    Ok(())
}

/// The variables as the snapshot in the workspace has them.
pub(super) async fn snapshot(world: &World, state: &State) -> Result<Variables, saga::Failure<Failure>> {
    let internal = |e: String| saga::Failure::permanent(fail::internal(PHASE, e));
    let path = world.layout.workspace(&state.order.deployment).snapshot();
    let sealed = blocking(PHASE, move || std::fs::read(path))
        .await?
        .map_err(|e| internal(format!("can't read the environment snapshot: {e}")))?;
    Variables::open_snapshot(&world.store, &world.vault, &state.order.environment, &sealed)
        .await
        .map_err(|e| internal(e.to_string()))
}

/// The folder of a static component must be there after the build.
fn published(spec: &AppSpec, source: &std::path::Path) -> Result<(), saga::Failure<Failure>> {
    for component in &spec.components {
        if let Serve::Static { publish, .. } = &component.serve
            && !source.join(&component.root).join(publish).is_dir()
        {
            let message = format!("the build left no folder `{}` for `{}`", publish.display(), component.name);
            let hint = "name the folder with the built files as `publish` in plimsoll.toml";
            return Err(saga::Failure::permanent(fail::failure(PHASE, Cause::Build, message, hint)));
        }
    }
    Ok(())
}

fn failed(message: String, hint: &str, sink: &Sink) -> saga::Failure<Failure> {
    saga::Failure::permanent(fail::with_output(fail::failure(PHASE, Cause::Build, message, hint), sink.tail()))
}

/// A command of several lines is named by its first.
pub(super) fn headline(command: &str) -> &str {
    command.lines().next().unwrap_or_default()
}

pub(super) fn stream(stream: runtime::Stream) -> Stream {
    match stream {
        runtime::Stream::Stdout => Stream::Stdout,
        runtime::Stream::Stderr => Stream::Stderr,
        runtime::Stream::System => Stream::Plimsoll,
    }
}
