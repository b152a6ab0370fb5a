//! Fetches the source into the deployment's workspace.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use domain::failure::{Cause, Failure};
use domain::limits::Size;
use domain::phase::Phase;
use domain::plan::{Change, Touch};
use domain::release::Digest;
use domain::source::{Commit, Source};
use forge::archive::Unpacked;
use forge::{ArchiveError, DirectoryError, GitError};
use operations::logs::Stream;
use saga::{Retry, Stage, Step};
use tokio_util::sync::CancellationToken;

use super::{PULL_SOURCE, blocking};
use crate::deployment::explain::{Explain, Outlook, Scene, Undo};
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

        let Some(source) = &order.source else {
            return Err(permanent("the app has no source", "set one with `plimsoll apps set-source`"));
        };
        let mut tell = |told: Told<'_>| match told {
            Told::Git(line) => sink.line(Stream::Stderr, line),
            Told::Note(line) => sink.say(line),
        };
        let fetched = fetch(world, source, &workspace.source(), &mut tell, &step.cancel).await?;
        if order.approval.is_some() {
            as_approved(source, fetched.commit.as_ref())?;
        }
        state.commit = fetched.commit;
        state.tree = Some(fetched.tree);
        Ok(state)
    }

    async fn undo(&self, world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
        clear(world, state).await
    }
}

impl Explain for PullSource {
    fn outlook(&self, scene: &Scene) -> Outlook {
        let what = match (&scene.source, &scene.commit) {
            (_, Some(commit)) => format!("fetches commit {} of the repository", commit.short()),
            (Some(Source::Directory { .. }), _) => "copies the folder as it is".to_owned(),
            (Some(Source::Archive { .. }), _) => "unpacks the archive".to_owned(),
            _ => "fetches the source".to_owned(),
        };
        Outlook::run(what).touching([Touch::Workspace { change: Change::Makes }])
    }

    fn taken_back(&self, _: &Scene) -> Undo {
        Undo::of("the workspace is removed")
    }
}

/// What was fetched.
pub(crate) struct Fetched {
    pub commit: Option<Commit>,
    pub tree: Digest,
}

/// A line while something is fetched: git's own words, or what a person should know.
pub(crate) enum Told<'a> {
    Git(&'a str),
    Note(&'a str),
}

/// Writes the files of a source to `to`, which must not exist. A plan and its deployment fetch alike, so that the digests of the
/// same files are the same.
pub(crate) async fn fetch(
    world: &World,
    source: &Source,
    to: &Path,
    tell: &mut (dyn FnMut(Told<'_>) + Send),
    cancel: &CancellationToken,
) -> Result<Fetched, saga::Failure<Failure>> {
    let mut commit = None;
    match source {
        Source::Git { url, reference } => {
            let mut print = |line: &str| tell(Told::Git(line));
            let checkout = world.git.checkout(url, reference.as_deref(), to, &mut print, cancel);
            let found = checkout.await.map_err(git_failure)?;
            tell(Told::Note(&format!("commit {} by {}: {}", found.short(), found.author, found.summary)));
            commit = Some(found);
        }
        Source::Directory { path } => {
            let (from, to, cancel) = (path.clone(), to.to_owned(), cancel.clone());
            let copied = blocking(PHASE, move || forge::directory::copy(&from, &to, &cancel))
                .await?
                .map_err(directory_failure)?;
            tell(Told::Note(&format!("{} files from {}", copied.files, path.display())));
            copied.notes.iter().for_each(|note| tell(Told::Note(note)));
        }
        Source::Archive { upload } => {
            let (from, to) = (world.layout.upload(upload), to.to_owned());
            let (limits, cancel) = (world.archives.clone(), cancel.clone());
            let unpacked = blocking(PHASE, move || forge::archive::unpack_file(&from, &to, &limits, &cancel))
                .await?
                .map_err(archive_failure)?;
            let Unpacked { format, files, bytes, notes } = unpacked;
            tell(Told::Note(&format!("{files} files, {} from a {format}, {upload}", Size(bytes))));
            notes.iter().for_each(|note| tell(Told::Note(note)));
        }
    }
    let dir = to.to_owned();
    let tree = blocking(PHASE, move || tree::digest(&dir)).await?.map_err(|e| disk(to, &e))?;
    Ok(Fetched { commit, tree: tree.digest })
}

/// Looks whether the repository gave the very commit that others have approved of.
fn as_approved(pinned: &Source, found: Option<&Commit>) -> Result<(), saga::Failure<Failure>> {
    let (Source::Git { reference: Some(approved), .. }, Some(found)) = (pinned, found) else { return Ok(()) };
    match *approved == found.sha {
        true => Ok(()),
        false => Err(permanent(
            format!("the repository gave {} where {approved} was approved of", found.sha),
            "deploy again, and have it approved",
        )),
    }
}

/// Removes the workspace and whatever still runs in it.
pub(super) async fn clear(world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
    let workspace: Workspace = world.layout.workspace(&state.order.deployment);
    let dir = workspace.dir().to_owned();
    // No command is run before there is one, and it goes after they have ended: without it there is nothing to look for.
    if !dir.exists() {
        return Ok(());
    }
    world.executor.sweep(state.order.deployment.as_str()).await;
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
    fn nothing_runs_but_the_commit_that_was_approved_of() {
        let commit = |sha: &str| Commit { sha: sha.repeat(40), summary: String::new(), author: String::new(), time: 0 };
        let pinned = Source::Git { url: "https://h/a".to_owned(), reference: Some("a".repeat(40)) };
        assert!(as_approved(&pinned, Some(&commit("a"))).is_ok());
        let refused = as_approved(&pinned, Some(&commit("b"))).unwrap_err();
        assert_eq!((refused.verdict, refused.error.cause), (Verdict::Permanent, Cause::Source));
        assert!(refused.error.message.contains(&"b".repeat(40)), "{}", refused.error.message);
    }

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
