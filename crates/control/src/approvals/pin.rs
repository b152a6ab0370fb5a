//! What exactly is asked about.

use std::time::Duration;

use domain::approval::Pin;
use domain::deployment::DeploymentKind;
use domain::limits::Size;
use domain::source::{Commit, Source};
use operations::Error;
use operations::deployments::DeployRequest;
use store::Tx;
use store::deployments::Record;

use crate::Control;
use crate::access::{Admitted, missing, sources};
use crate::deployment::State;
use crate::error::store_error;
use crate::handlers::order::source;
use crate::handlers::sources::git_error;
use crate::handlers::{check_reference, check_source, environment_named};

/// Whoever deploys waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

impl Control {
    /// The commit that a deployment is of, where others approve of it: a branch may move while they think. `None` where nobody
    /// is asked, and for what needs no look at a repository.
    ///
    /// # Errors
    /// `Unprocessable` when there is no such commit, `Unavailable` when the repository can't be asked.
    pub(crate) async fn pin(&self, who: &Admitted, request: &DeployRequest) -> Result<Option<Commit>, Error> {
        let store = self.store();
        let (app, environment) = environment_named(store, &request.app, &request.environment).await?;
        let policy = store::approval_policies::find(store, &app.id, &environment.name).await.map_err(store_error)?;
        if policy.is_none() || request.plan.is_some() {
            return Ok(None);
        }
        request.source.as_ref().map_or(Ok(()), check_source)?;
        request.reference.as_deref().map_or(Ok(()), check_reference)?;
        if let Some(asked) = &request.source {
            sources::check(who, store, asked, app.source.as_ref()).await?;
        }
        match source(&app, request.source.clone(), request.reference.clone())? {
            Source::Git { url, reference } => {
                let git = self.world().git.clone().with_limit(PATIENCE);
                let cancel = self.inner.stopping.child_token();
                git.resolve(&url, reference.as_deref(), &cancel).await.map(Some).map_err(git_error)
            }
            Source::Directory { .. } | Source::Archive { .. } => Ok(None),
        }
    }
}

/// What is asked, for votes and for people.
pub(super) async fn subject(tx: &Tx, record: &Record, state: &State) -> Result<(Pin, String), Error> {
    let deployment = &record.deployment;
    if let Some(Source::Directory { path }) = &deployment.source {
        let what = format!("the folder {} may be another one when it is approved", path.display());
        return Err(Error::unprocessable(format!("{what}, so nobody can approve of it"))
            .hint("deploy from a git repository, or send an archive with `plimsoll deploy --archive FILE`"));
    }
    if let Some(plan) = &deployment.metadata.plan {
        let what = match state.commit.as_ref().or(deployment.metadata.commit.as_ref()) {
            Some(commit) => format!(", {}", told(commit)),
            None => String::new(),
        };
        let kind = deployment.kind.as_str();
        return Ok((Pin::Plan(plan.clone()), format!("the plan {}: {kind}{what}", plan.short())));
    }
    match (deployment.kind, &deployment.source) {
        (DeploymentKind::Deploy, Some(Source::Git { .. })) => {
            let commit = state.commit.as_ref().ok_or_else(|| {
                Error::conflict("since you asked, deployments to this environment wait for approval")
                    .hint("deploy again")
            })?;
            let of = deployment.metadata.reference.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
            Ok((Pin::Commit(commit.sha.clone()), format!("{}{of}", told(commit))))
        }
        (DeploymentKind::Deploy, Some(Source::Archive { upload })) => {
            let found = store::uploads::find(tx, upload).await.map_err(store_error)?;
            let found = found.ok_or_else(|| missing::upload(upload))?;
            let note = format!("the archive {} ({}), {}", found.name, Size(found.size), found.digest);
            Ok((Pin::Upload { upload: upload.clone(), digest: found.digest }, note))
        }
        (DeploymentKind::Promotion, _) => {
            let promotion = state.order.promotion.as_ref().ok_or_else(Error::internal)?;
            let (release, artifact) = (promotion.record.release.clone(), promotion.artifact.clone());
            let note = format!("v{} as it serves in {}{}", promotion.record.number, promotion.record.from, of(state));
            Ok((Pin::Release { release, artifact }, note))
        }
        (DeploymentKind::Rollback, _) => {
            let release = state.release.as_ref().ok_or_else(Error::internal)?;
            let note = format!("back to v{}{}", release.number, of(state));
            Ok((Pin::Release { release: release.id.clone(), artifact: release.artifact().clone() }, note))
        }
        (DeploymentKind::Deploy, _) => Err(Error::internal()),
    }
}

fn of(state: &State) -> String {
    state.commit.as_ref().map(|commit| format!(", {}", told(commit))).unwrap_or_default()
}

/// Its beginning, as people know it.
fn told(commit: &Commit) -> String {
    match commit.summary.is_empty() {
        true => format!("commit {}", commit.short()),
        false => format!("commit {} by {}: {}", commit.short(), commit.author, commit.summary),
    }
}
