//! Runs the app's release command (its migrations, usually) before anything of it starts.

use std::time::Duration;

use async_trait::async_trait;
use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::plan::Touch;
use domain::spec::Component;
use runtime::isolation::ownership;
use runtime::{Command, ExecError};
use saga::{Retry, Stage, Step};

use super::build::{headline, hint, sandbox, snapshot, stream};
use super::promote::promised;
use super::published::published;
use super::pull_source::clear;
use super::{RELEASE_COMMAND, blocking, open_way, store_retry, user};
use crate::deployment::explain::{Explain, Outlook, Scene, Undo, listed};
use crate::deployment::{Deploying, State, World, fail};
use crate::environment::{complete, complete_command, identify};

const PHASE: Phase = Phase::Migrating;
const LIMIT: Duration = Duration::from_secs(30 * 60);

pub(crate) struct ReleaseCommand;

#[async_trait]
impl<G: Deploying> Stage<G> for ReleaseCommand {
    fn name(&self) -> &'static str {
        RELEASE_COMMAND
    }

    /// Only what needs the database is worth it: a release command that failed is not run again.
    fn retry(&self) -> Retry {
        store_retry()
    }

    async fn run(&self, world: &World, state: State, step: &Step) -> Result<State, saga::Failure<Failure>> {
        let Some(spec) = &state.spec else { return Ok(state) };
        let commands: Vec<_> = spec.components.iter().filter_map(|c| Some((c, c.release_command.as_ref()?))).collect();
        if commands.is_empty() {
            return Ok(state);
        }
        let order = &state.order;
        let variables = match &order.promotion {
            Some(_) => promised(world, &state, PHASE).await?.0,
            None => snapshot(world, &state).await?,
        };
        let sink = world.sink(&order.deployment, PHASE, Some(&variables));
        // A reused release was never built in this workspace: its own files are complete.
        let files = match (&state.release, &order.promotion) {
            (Some(release), _) => world.layout.release(&order.app, release.artifact()),
            (None, Some(promotion)) => world.layout.release(&order.app, &promotion.artifact),
            (None, None) => world.layout.workspace(&order.deployment).source(),
        };
        let user = user(world, &order.app, PHASE).await?;
        let workspace = world.layout.workspace(&order.deployment);
        let (home, temp) = (workspace.home(), workspace.temp());
        let sandbox = sandbox(world, &state, spec, user);
        let is_release = state.release.is_some() || order.promotion.is_some();
        let sandbox = if is_release { sandbox.reading(&files) } else { sandbox.writing(&files) };
        // A promotion has fetched nothing, so it has no workspace yet.
        let own = workspace.dir().to_owned();
        blocking(PHASE, move || std::fs::create_dir_all(own))
            .await?
            .map_err(|e| saga::Failure::permanent(fail::internal(PHASE, format!("can't make its workspace: {e}"))))?;
        for folder in [&files, &home, &temp] {
            open_way(world, folder, PHASE)?;
        }
        let folders = [home.clone(), temp.clone()];
        blocking(PHASE, move || folders.iter().try_for_each(|folder| ownership::folder_for(folder, user)))
            .await?
            .map_err(|e| saga::Failure::permanent(fail::internal(PHASE, format!("can't make its folders: {e}"))))?;
        for (component, command) in commands {
            let directory = files.join(&component.root);
            let mut env = component.env.clone();
            env.extend(variables.to_map());
            complete(&mut env, &directory);
            complete_command(&mut env, &home, &temp);
            identify(&mut env, order.app_name.as_str());
            sink.say(&format!("$ {}", headline(command)));
            let marker = order.deployment.to_string();
            let sandbox = Some(sandbox.clone());
            let command = Command { command: command.clone(), directory, env, limit: LIMIT, marker, sandbox };
            let print = |line: runtime::Line| sink.line(stream(line.stream), &line.text);
            match world.executor.run(&command, print, &step.cancel).await {
                Ok(exit) if exit.success() => {}
                Err(ExecError::Cancelled) => return Err(saga::Failure::cancelled(fail::cancelled(PHASE))),
                Err(ExecError::Exceeded(exceeded)) => {
                    let command = headline(&command.command);
                    let message =
                        format!("the release command `{command}` of `{}` {exceeded}, and was killed", component.name);
                    let failure = fail::failure(PHASE, Cause::Limit, message, hint(&exceeded, false));
                    return Err(saga::Failure::permanent(fail::with_output(failure, sink.tail())));
                }
                ended => {
                    let how = ended.map_or_else(|e| e.to_string(), |exit| exit.to_string());
                    let message =
                        format!("the release command `{}` of `{}`: {how}", headline(&command.command), component.name);
                    let hint = "see what it printed; it may have changed the database before it failed";
                    let failure = fail::failure(PHASE, Cause::ReleaseCommand, message, hint);
                    return Err(saga::Failure::permanent(fail::with_output(failure, sink.tail())));
                }
            }
        }
        published(PHASE, spec, &files, "the release command").await?;
        Ok(state)
    }

    async fn undo(&self, world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
        if state.order.promotion.is_some() {
            return clear(world, state).await;
        }
        world.executor.sweep(state.order.deployment.as_str()).await;
        Ok(())
    }
}

impl Explain for ReleaseCommand {
    fn outlook(&self, scene: &Scene) -> Outlook {
        let commands = scene.release_commands();
        if commands.is_empty() {
            return Outlook::skip("no component has a release command");
        }
        let touch = |(component, command): &(&Component, &str)| Touch::Command {
            component: Some(component.name.clone()),
            command: headline(command).to_owned(),
        };
        Outlook::run("runs the release command (migrations, usually) before anything of the release starts")
            .touching(commands.iter().map(touch))
    }

    fn taken_back(&self, scene: &Scene) -> Undo {
        let commands: Vec<_> =
            scene.release_commands().iter().map(|(_, command)| format!("`{}`", headline(command))).collect();
        Undo::nothing().leaving(format!("whatever {} changed, in a database usually", listed(&commands)))
    }
}
