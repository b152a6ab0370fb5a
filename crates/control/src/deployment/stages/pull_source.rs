//! Fetches the source into the deployment's workspace.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use domain::failure::{Cause, Failure};
use domain::limits::Size;
use domain::phase::Phase;
use domain::source::Source;
use forge::archive::Unpacked;
use forge::{ArchiveError, DirectoryError, GitError};
use operations::logs::Stream;
use saga::{Retry, Stage, Step};

use super::{PULL_SOURCE, blocking};
use crate::deployment::{Deploying, State, World, fail};
use crate::layout::{Workspace, remove_dir};
use crate::tree;

const PHASE: Phase = Phase::PullingSource;

pub(crate) struct PullSource;

#[async_trait]
impl<G: Deploying> Stage<G> for PullSource {
    fn name(&self) -> &'static str {
        PULL_SOURCE
    }

    fn retry(&self) -> Retry {
        Retry::attempts(3).base(Duration::from_secs(1))
    }

    fn limit(&self, _: &State) -> Option<Duration> {
        Some(Duration::from_secs(20 * 60))
    }

    async fn run(&self, world: &World, mut state: State, step: &Step) -> Result<State, saga::Failure<Failure>> {
        let order = &state.order;
        let sink = world.sink(&order.deployment, PHASE, None);
        let workspace = world.layout.workspace(&order.deployment);
        clear(world, &state).await?;
        let dir = workspace.dir().to_owned();
        blocking(PHASE, move || std::fs::create_dir_all(dir)).await?.map_err(|e| disk(workspace.dir(), &e))?;

        match &order.source {
            Some(Source::Git { url, reference }) => {
                let mut print = |line: &str| sink.line(Stream::Stderr, line);
                let commit = world
                    .git
                    .checkout(url, reference.as_deref(), &workspace.source(), &mut print, &step.cancel)
                    .await
                    .map_err(git_failure)?;
                sink.say(&format!("commit {} by {}: {}", commit.short(), commit.author, commit.summary));
                state.commit = Some(commit);
            }
            Some(Source::Directory { path }) => {
                let (from, to, cancel) = (path.clone(), workspace.source(), step.cancel.clone());
                let copied = blocking(PHASE, move || forge::directory::copy(&from, &to, &cancel))
                    .await?
                    .map_err(directory_failure)?;
                sink.say(&format!("{} files from {}", copied.files, path.display()));
                copied.notes.iter().for_each(|note| sink.say(note));
            }
            Some(Source::Archive { upload }) => {
                let (from, to) = (world.layout.upload(upload), workspace.source());
                let (limits, cancel) = (world.archives.clone(), step.cancel.clone());
                let unpacked = blocking(PHASE, move || forge::archive::unpack_file(&from, &to, &limits, &cancel))
                    .await?
                    .map_err(archive_failure)?;
                let Unpacked { format, files, bytes, notes } = unpacked;
                sink.say(&format!("{files} files, {} from a {format}, {upload}", Size(bytes)));
                notes.iter().for_each(|note| sink.say(note));
            }
            None => return Err(permanent("the app has no source", "set one with `plimsoll apps set-source`")),
        }
        let source = workspace.source();
        let tree = blocking(PHASE, move || tree::digest(&source)).await?;
        state.tree = Some(tree.map_err(|e| disk(workspace.dir(), &e))?.digest);
        Ok(state)
    }

    async fn undo(&self, world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
        clear(world, state).await
    }
}

/// Removes the workspace and whatever still runs in it.
pub(super) async fn clear(world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
    world.executor.sweep(state.order.deployment.as_str()).await;
    let workspace: Workspace = world.layout.workspace(&state.order.deployment);
    let dir = workspace.dir().to_owned();
    let removed = blocking(PHASE, move || remove_dir(&dir)).await?;
    removed.map_err(|e| {
        let message = format!("can't remove the workspace {}: {e}", workspace.dir().display());
        saga::Failure::retry(fail::internal(PHASE, message))
    })
}

fn git_failure(error: GitError) -> saga::Failure<Failure> {
    let text = error.to_string();
    // The error says what to do behind its last semicolon.
    let (message, hint) = text.rsplit_once("; ").unwrap_or((&text, "check the source of the app, then deploy again"));
    let failure = fail::failure(PHASE, Cause::Source, message, hint);
    match error {
        GitError::Unreachable { .. } | GitError::TimedOut { .. } => saga::Failure::retry(failure),
        GitError::Cancelled => saga::Failure::cancelled(fail::cancelled(PHASE)),
        GitError::Failed { last, .. } => saga::Failure::permanent(fail::with_output(failure, last)),
        _ => saga::Failure::permanent(failure),
    }
}

fn directory_failure(error: DirectoryError) -> saga::Failure<Failure> {
    match error {
        DirectoryError::Cancelled => saga::Failure::cancelled(fail::cancelled(PHASE)),
        error => permanent(error.to_string(), "check the folder, then deploy again"),
    }
}

fn archive_failure(error: ArchiveError) -> saga::Failure<Failure> {
    match error {
        ArchiveError::Cancelled => saga::Failure::cancelled(fail::cancelled(PHASE)),
        ArchiveError::Io { .. } => saga::Failure::permanent(fail::internal(PHASE, error.to_string())),
        error => {
            let text = error.to_string();
            let (message, hint) = text.rsplit_once("; ").unwrap_or((&text, "pack the app's folder again"));
            permanent(message, hint)
        }
    }
}

fn permanent(message: impl Into<String>, hint: &str) -> saga::Failure<Failure> {
    saga::Failure::permanent(fail::failure(PHASE, Cause::Source, message, hint))
}

fn disk(path: &Path, error: &std::io::Error) -> saga::Failure<Failure> {
    saga::Failure::permanent(fail::internal(PHASE, format!("can't write to {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use saga::Verdict;

    use super::*;

    #[test]
    fn a_cancel_is_told_as_one_wherever_the_source_comes_from() {
        let cancelled = [
            git_failure(GitError::Cancelled),
            directory_failure(DirectoryError::Cancelled),
            archive_failure(ArchiveError::Cancelled),
        ];
        for failure in cancelled {
            assert_eq!((failure.verdict, failure.error.cause), (Verdict::Cancelled, Cause::Cancelled));
        }
        assert_eq!(directory_failure(DirectoryError::NotFound("/a".into())).error.cause, Cause::Source);
    }
}
