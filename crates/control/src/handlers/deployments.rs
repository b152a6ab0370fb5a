//! Deployments that exist: looking at them, cancelling, helping them on.

use domain::DeploymentId;
use domain::deployment::Deployment;
use domain::phase::Phase;
use operations::deployments::{Cancel, DeploymentRequest, Get, List, ListRequest, Output, OutputRequest, Resume};
use operations::logs::LogPage;
use operations::{Error, ErrorKind, Operation, Page};
use saga::{CancelRefused, EngineError};
use store::deployments::Filter;

use super::{app_named, commit, deployment_with, page_cursor, page_limit};
use crate::Control;
use crate::caller::{Caller, Handle};
use crate::error::{io_error, store_error};

impl Handle<List> for Control {
    async fn handle(&self, _: &Caller, request: ListRequest) -> Result<Page<Deployment>, Error> {
        let limit = page_limit(request.limit)?;
        let before = page_cursor::<DeploymentId>(request.cursor.as_deref())?;
        let mut filter = Filter { phase: request.phase, ..Filter::default() };
        match (&request.app, &request.environment) {
            (Some(app), Some(environment)) => {
                filter.environment = Some(super::environment_named(self.store(), app, environment).await?.1.id);
            }
            (Some(app), None) => filter.app = Some(app_named(self.store(), app).await?.id),
            (None, Some(_)) => {
                return Err(Error::unprocessable("an environment belongs to an app, and none is named")
                    .hint("name the app too"));
            }
            (None, None) => {}
        }
        let records = store::deployments::list(self.store(), &filter, before.as_ref(), u64::from(limit) + 1).await;
        let deployments = records.map_err(store_error)?.into_iter().map(|record| record.deployment).collect();
        Ok(Page::of(deployments, limit, |deployment: &Deployment| deployment.id.to_string()))
    }
}

impl Handle<Get> for Control {
    async fn handle(&self, _: &Caller, request: DeploymentRequest) -> Result<Deployment, Error> {
        Ok(deployment_with(self.store(), &request.deployment).await?.deployment)
    }
}

impl Handle<Cancel> for Control {
    async fn handle(&self, caller: &Caller, request: DeploymentRequest) -> Result<Deployment, Error> {
        let deployment = deployment_with(self.store(), &request.deployment).await?.deployment;
        if deployment.phase.is_end() {
            return Err(ended(&deployment));
        }
        if deployment.stuck.is_some() {
            return Err(Error::conflict("the deployment is stuck and can't be taken back by itself")
                .hint(format!("see to the reason, then `plimsoll resume {}`", deployment.id)));
        }
        let Err(refused) = self.inner.runner.cancel(&deployment.id, &caller.name).await else {
            return self.answer::<Cancel>(caller, &deployment.id).await;
        };
        let now = deployment_with(self.store(), &deployment.id).await?.deployment;
        Err(match refused {
            CancelRefused::PastPivot => active(&now),
            CancelRefused::Ended if now.phase.is_end() => ended(&now),
            CancelRefused::AlreadyUndoing => Error::conflict("the deployment is being taken back already")
                .hint(format!("follow it with `plimsoll deployments show {}`", now.id)),
            CancelRefused::Ended | CancelRefused::Stopped => {
                Error::unavailable("the deployment does not run at the moment, so it can't be cancelled")
                    .hint("try again in a moment; the server's log says why if it stays so")
            }
        })
    }
}

impl Handle<Resume> for Control {
    async fn handle(&self, caller: &Caller, request: DeploymentRequest) -> Result<Deployment, Error> {
        let deployment = deployment_with(self.store(), &request.deployment).await?.deployment;
        let not_stuck = || Error::conflict("the deployment is not stuck, so there is nothing to try again");
        if deployment.stuck.is_none() {
            return Err(not_stuck());
        }
        match self.inner.runner.unstick(&deployment.id, deployment.kind, &caller.name).await {
            Ok(()) => self.answer::<Resume>(caller, &deployment.id).await,
            Err(EngineError::NotStuck { .. }) => Err(not_stuck()),
            Err(EngineError::Journal { source: saga::JournalError::Unavailable(why), .. }) => {
                Err(Error::unavailable(format!("the deployment's journal can't be written: {why}")))
            }
            Err(e @ (EngineError::WrongVersion { .. } | EngineError::StagesChanged { .. })) => {
                Err(Error::new(ErrorKind::Conflict, e.to_string()))
            }
            Err(e) => {
                tracing::error!(deployment = %deployment.id, "can't resume: {e}");
                Err(Error::internal())
            }
        }
    }
}

impl Handle<Output> for Control {
    async fn handle(&self, _: &Caller, request: OutputRequest) -> Result<LogPage, Error> {
        let limit = page_limit(request.limit)? as usize;
        let id = deployment_with(self.store(), &request.deployment).await?.deployment.id;
        let path = self.world().layout.output(&id);
        let mut reader = self.world().outputs.reader(&id);
        let read = tokio::task::spawn_blocking(move || reader.read(request.after, limit));
        let lines = read.await.map_err(|_| Error::internal())?.map_err(|e| io_error("read", &path, &e))?;
        // Before the first line there is no number to go on from, and none is needed.
        let last = lines.last().map(|line| line.seq).or(request.after);
        Ok(LogPage { lines, cursor: last.map(|seq| seq.to_string()).unwrap_or_default() })
    }
}

impl Control {
    /// The deployment as it is after a request that the saga has written down.
    async fn answer<O>(&self, caller: &Caller, id: &DeploymentId) -> Result<Deployment, Error>
    where
        O: Operation<Response = Deployment>,
    {
        let deployment = deployment_with(self.store(), id).await?.deployment;
        if caller.key.is_some() {
            let tx = self.write().await?;
            self.remember::<O>(&tx, caller, &deployment).await?;
            commit(tx).await?;
        }
        Ok(deployment)
    }
}

fn active(deployment: &Deployment) -> Error {
    let Deployment { app, environment, .. } = deployment;
    Error::conflict("the deployment is active already")
        .hint(format!("go back with `plimsoll rollback --app {app} --env {environment}`"))
}

fn ended(deployment: &Deployment) -> Error {
    match deployment.phase {
        Phase::Active => active(deployment),
        phase => Error::conflict(format!("the deployment has ended already: it is {phase}")),
    }
}
