//! Runs the build commands in the workspace.

use std::time::Instant;

use async_trait::async_trait;
use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::plan::{Change, Touch};
use domain::spec::AppSpec;
use operations::logs::Stream;
use runtime::isolation::ownership;
use runtime::{Command, Exceeded, ExecError, Sandbox};
use saga::{Retry, Stage, Step};

use super::published::published;
use super::{BUILD, blocking, open_way, store_away, store_retry, user};
use crate::deployment::explain::{Explain, Outlook, Scene, Undo};
use crate::deployment::{Deploying, State, World, fail};
use crate::environment::{Variables, VariablesError, complete, complete_build, complete_command, identify};
use crate::layout::remove_dir;
use crate::output::Sink;

const PHASE: Phase = Phase::Building;

pub(crate) struct Build;

#[async_trait]
impl<G: Deploying> Stage<G> for Build {
    fn name(&self) -> &'static str {
        BUILD
    }

    /// Only what needs the database is worth it: what the app's own commands do wrong is for good.
    fn retry(&self) -> Retry {
        store_retry()
    }

    async fn run(&self, world: &World, state: State, step: &Step) -> Result<State, saga::Failure<Failure>> {
        let (Some(spec), false) = (&state.spec, state.reused) else { return Ok(state) };
        let variables = snapshot(world, &state).await?;
        let sink = world.sink(&state.order.deployment, PHASE, Some(&variables));
        let user = user(world, &state.order.app, PHASE).await?;
        let runs_commands = spec.builds.iter().any(|b| !b.commands.is_empty())
            || spec.components.iter().any(|c| c.release_command.is_some());
        if runs_commands {
            hand_over(world, &state, user).await?;
        }
        let sandbox = sandbox(world, &state, spec, user)
            .writing(world.layout.workspace(&state.order.deployment).source())
            .writing(world.layout.cache(&state.order.app));
        for build in &spec.builds {
            run(world, &state, build, &sandbox, &variables, &sink, step).await?;
        }
        published(PHASE, spec, &world.layout.workspace(&state.order.deployment).source(), "the build").await?;
        Ok(state)
    }

    async fn undo(&self, world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
        world.executor.sweep(state.order.deployment.as_str()).await;
        Ok(())
    }
}

impl Explain for Build {
    fn outlook(&self, scene: &Scene) -> Outlook {
        if let Some(number) = scene.existing {
            return Outlook::skip(format!("v{number} was made of the same source, configuration and variables"));
        }
        let commands: Vec<&String> = scene.spec.builds.iter().flat_map(|build| &build.commands).collect();
        if commands.is_empty() {
            return Outlook::skip("the app has no build commands");
        }
        let command = |command: &&String| Touch::Command { component: None, command: headline(command).to_owned() };
        Outlook::run("builds it: there is no release of this source, configuration and variables")
            .touching([Touch::Workspace { change: Change::Uses }])
            .touching(commands.iter().map(command))
    }

    fn taken_back(&self, _: &Scene) -> Undo {
        Undo::nothing().leaving("what package managers keep in the app's build cache")
    }
}

/// The workspace becomes the app's user's, with a home, a place for temporary files and the app's cache.
async fn hand_over(world: &World, state: &State, user: Option<u32>) -> Result<(), saga::Failure<Failure>> {
    let workspace = world.layout.workspace(&state.order.deployment);
    let (source, cache) = (workspace.source(), world.layout.cache(&state.order.app));
    let folders = [workspace.home(), workspace.temp(), cache];
    for folder in folders.iter().chain([&source]) {
        open_way(world, folder, PHASE)?;
    }
    let given = move || {
        folders.iter().try_for_each(|folder| ownership::folder_for(folder, user))?;
        user.map_or(Ok(()), |user| ownership::give(&source, user))
    };
    blocking(PHASE, given)
        .await?
        .map_err(|e| saga::Failure::permanent(fail::internal(PHASE, format!("can't make the build's folders: {e}"))))
}

/// What a command of a deployment may reach and use.
pub(super) fn sandbox(world: &World, state: &State, spec: &AppSpec, user: Option<u32>) -> Sandbox {
    let workspace = world.layout.workspace(&state.order.deployment);
    let sandbox = world.host.sandbox(user, spec.build_limits.or(world.most));
    Sandbox { background: true, ..sandbox }.writing(workspace.home()).with_temp(workspace.temp())
}

async fn run(
    world: &World,
    state: &State,
    build: &domain::spec::Build,
    sandbox: &Sandbox,
    variables: &Variables,
    sink: &Sink,
    step: &Step,
) -> Result<(), saga::Failure<Failure>> {
    let workspace = world.layout.workspace(&state.order.deployment);
    let cache = world.layout.cache(&state.order.app);
    let directory = workspace.source().join(&build.root);
    let begun = Instant::now();
    for command in &build.commands {
        sink.say(&format!("$ {}", headline(command)));
        let mut env = variables.to_map();
        complete(&mut env, &directory);
        complete_command(&mut env, &workspace.home(), &workspace.temp());
        complete_build(&mut env, &cache);
        identify(&mut env, state.order.app_name.as_str());
        let command = Command {
            command: command.clone(),
            directory: directory.clone(),
            env,
            limit: build.timeout.get().saturating_sub(begun.elapsed()),
            marker: state.order.deployment.to_string(),
            sandbox: Some(sandbox.clone()),
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
            Err(ExecError::Exceeded(exceeded)) => {
                let message = format!("`{}` {exceeded}, and was killed", headline(&command.command));
                let cache = emptied(world, state, &exceeded).await;
                let failure = fail::failure(PHASE, Cause::Limit, message, hint(&exceeded, cache));
                return Err(saga::Failure::permanent(fail::with_output(failure, sink.tail())));
            }
            Err(e) => return Err(failed(e.to_string(), "check that the folder of the component exists", sink)),
        }
    }
    Ok(())
}

/// Package managers only ever add to their caches. One that takes half of what a build may use is emptied when there was
/// not enough, or no later build could do better.
async fn emptied(world: &World, state: &State, exceeded: &Exceeded) -> bool {
    let Exceeded::Disk { limit, .. } = *exceeded else { return false };
    let cache = world.layout.cache(&state.order.app);
    let empty = move || ownership::size(&cache) > limit / 2 && remove_dir(&cache).is_ok();
    blocking(PHASE, empty).await.unwrap_or(false)
}

pub(super) fn hint(exceeded: &Exceeded, cache_emptied: bool) -> String {
    let key = exceeded.key();
    match exceeded {
        Exceeded::Nested => "make fewer levels of folders, and deploy again".to_owned(),
        Exceeded::Floor { .. } => "free some space on the server's disk, and deploy again".to_owned(),
        _ if cache_emptied => "the app's build cache took most of it and was emptied: deploy again".to_owned(),
        _ => format!(
            "make it use less, or raise `{key}` in [build.limits] of plimsoll.toml (the server's own limit is --max-{key})"
        ),
    }
}

/// The variables as the snapshot in the workspace has them.
pub(super) async fn snapshot(world: &World, state: &State) -> Result<Variables, saga::Failure<Failure>> {
    let internal = |e: String| saga::Failure::permanent(fail::internal(PHASE, e));
    let path = world.layout.workspace(&state.order.deployment).snapshot();
    let sealed = blocking(PHASE, move || std::fs::read(path))
        .await?
        .map_err(|e| internal(format!("can't read the environment snapshot: {e}")))?;
    Variables::open_snapshot(&world.store, &world.vault, &state.order.environment, &sealed).await.map_err(|e| match e {
        VariablesError::Store(e) => store_away(PHASE, e),
        other => internal(other.to_string()),
    })
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
