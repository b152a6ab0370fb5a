//! Deployments that exist: looking at them, cancelling, helping them on.

use std::time::Duration;

use domain::DeploymentId;
use domain::deployment::Deployment;
use domain::phase::Phase;
use operations::deployments::{
    Abandon, Cancel, DeploymentRequest, Get, List, ListRequest, Output, OutputRequest, Resume,
};
use operations::logs::LogPage;
use operations::{Error, ErrorKind, Page};
use saga::{CancelRefused, EngineError};
use store::deployments::Filter;

use super::{app_named, commit, deployment_with, page_cursor, page_limit};
use crate::Control;
use crate::access::Admitted;
use crate::audit::Act;
use crate::caller::Handle;
use crate::deployment::journal::{Unwanted, abandon, end_unstarted};
use crate::deployment::runner::Taken;
use crate::deployment::strand;
use crate::dispatch::{ANSWER, Waits, count_end, refusal};
use crate::error::{io_error, store_error};
use crate::output::reader::{Most, last_lines};
use crate::reconcile::correct_idle;

/// Between two looks for another server's word, should a notice be lost.
const LOOK: Duration = Duration::from_millis(250);

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, request: ListRequest) -> Result<Page<Deployment>, Error> {
        let limit = page_limit(request.limit)?;
        let before = page_cursor::<DeploymentId>(request.cursor.as_deref())?;
        for (name, word) in [("search", &request.search), ("requested_by", &request.requested_by)] {
            super::check_word(name, word.as_deref())?;
        }
        let mut filter = Filter {
            phase: request.phase,
            requested_by: request.requested_by,
            since: request.since,
            until: request.until,
            search: request.search,
            sees: who.sees(),
            ..Filter::default()
        };
        match (&request.app, &request.environment) {
            (Some(app), Some(environment)) => {
                filter.environment = Some(super::environment_named(self.store(), app, environment).await?.1.id);
            }
            (Some(app), None) => filter.app = Some(app_named(self.store(), app).await?.id),
            (None, Some(_)) => return Err(super::environment_of_no_app()),
            (None, None) => {}
        }
        let records = store::deployments::list(self.store(), &filter, before.as_ref(), u64::from(limit) + 1).await;
        let mut records = records.map_err(store_error)?;
        Waits::new(&self.inner).tell(self.store(), &mut records).await.map_err(store_error)?;
        let deployments = records.into_iter().map(|record| record.deployment).collect();
        Ok(Page::of(deployments, limit, |deployment: &Deployment| deployment.id.to_string()))
    }
}

impl Handle<Get> for Control {
    async fn handle(&self, _: &Admitted, request: DeploymentRequest) -> Result<Deployment, Error> {
        let mut record = deployment_with(self.store(), &request.deployment).await?;
        let records = std::slice::from_mut(&mut record);
        Waits::new(&self.inner).tell(self.store(), records).await.map_err(store_error)?;
        Ok(record.deployment)
    }
}

impl Handle<Cancel> for Control {
    async fn handle(&self, who: &Admitted, request: DeploymentRequest) -> Result<Deployment, Error> {
        let deployment = deployment_with(self.store(), &request.deployment).await?.deployment;
        // One that is active may be, too.
        if deployment.stuck.is_some() {
            return Err(Error::conflict("the deployment is stuck and can't be taken back by itself")
                .hint(resume_or_abandon(&deployment)));
        }
        if deployment.phase.is_end() {
            return Err(ended(&deployment));
        }
        let act = self.begin_act::<Cancel>(who).await?;
        let cancelled = self.cancelled(&act, &deployment.id, &who.name).await;
        act.end(cancelled).await
    }
}

impl Control {
    async fn cancelled(&self, act: &Act<'_, Cancel>, id: &DeploymentId, by: &str) -> Result<Deployment, Error> {
        let asked = self.cancel(act, id, by).await?;
        let now = deployment_with(self.store(), id).await?.deployment;
        let Err(refused) = asked else { return Ok(now) };
        Err(match refused {
            CancelRefused::PastPivot => active(&now),
            CancelRefused::Ended if now.phase.is_end() => ended(&now),
            CancelRefused::AlreadyUndoing => Error::conflict("the deployment is being taken back already")
                .hint(format!("follow it with `plimsoll deployments show {}`", now.id)),
            CancelRefused::Stopped => {
                let hint = format!("see what becomes of it with `plimsoll deployments show {}`", now.id);
                Error::unavailable(
                    "the server that runs the deployment has not answered; the wish to cancel is kept for it",
                )
                .hint(hint)
            }
            CancelRefused::Ended => {
                Error::unavailable("the deployment does not run at the moment, so it can't be cancelled")
                    .hint("try again in a moment; the server's log says why if it stays so")
            }
        })
    }
}

impl Handle<Resume> for Control {
    async fn handle(&self, who: &Admitted, request: DeploymentRequest) -> Result<Deployment, Error> {
        let deployment = deployment_with(self.store(), &request.deployment).await?.deployment;
        if deployment.stuck.is_none() {
            // One that is stalled runs its step again, on the server that drives it; one that nobody drives is taken over anyway.
            let tx = self.write().await?;
            if !store::beats::ask_again(&tx, &deployment.id).await.map_err(store_error)? {
                return Err(Error::conflict("the deployment is not stuck, so there is nothing to try again"));
            }
            let recorded = self.conclude::<Resume>(&tx, who, &deployment).await?;
            commit(tx, recorded).await?;
            return Ok(deployment);
        }
        let act = self.begin_act::<Resume>(who).await?;
        let resumed = self.resumed(&act, &deployment, &who.name).await;
        act.end(resumed).await
    }
}

impl Control {
    async fn resumed(&self, act: &Act<'_, Resume>, deployment: &Deployment, by: &str) -> Result<Deployment, Error> {
        let Some(taken) = self.take_stuck(act, deployment).await? else {
            return self.ask_to_resume(act, deployment, by).await;
        };
        let fence = taken.fence;
        let resumed = self.inner.runner.unstick(taken, by).await;
        if resumed.is_err() {
            let tx = self.write().await?;
            store::sagas::give_up(&tx, deployment.id.as_str(), fence).await.map_err(store_error)?;
            commit(tx, act.step()).await?;
        }
        match resumed {
            Ok(()) => Ok(deployment_with(self.store(), &deployment.id).await?.deployment),
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

impl Handle<Abandon> for Control {
    /// Any server can: nothing runs of it any more, and its end is written here and now. What it has left is the reconciler's.
    async fn handle(&self, who: &Admitted, request: DeploymentRequest) -> Result<Deployment, Error> {
        let tx = self.write().await?;
        let record = deployment_with(&tx, &request.deployment).await?;
        let id = &record.deployment.id;
        if record.deployment.stuck.is_none() {
            return Err(Error::conflict("the deployment is not stuck, so there is nothing to abandon")
                .hint(format!("take back what is at work with `plimsoll cancel {id}`")));
        }
        // A server that is about to try it again is refused from here on, before it has begun.
        let saga = store::sagas::get(&tx, id.as_str()).await.map_err(store_error)?;
        let taken = store::sagas::take(&tx, id.as_str(), &self.inner.member.id, saga.owner.as_ref()).await;
        let Some(fence) = taken.map_err(store_error)? else { return Err(ended(&record.deployment)) };
        if !abandon(&tx, id, fence, &who.name).await.map_err(store_error)? {
            strand::end(&tx, &record, &who.name).await.map_err(store_error)?;
        }
        let now = deployment_with(&tx, id).await?.deployment;
        let recorded = self.conclude::<Abandon>(&tx, who, &now).await?;
        commit(tx, recorded).await?;
        tracing::warn!(deployment = %id, by = who.name, "abandoned");
        count_end(&self.inner, id).await;
        // At once if that can be, and else by the reconciler of its machine.
        let (world, host) = (self.inner.world.clone(), self.inner.member.host.clone());
        let environment = record.environment_id.clone();
        self.inner.tasks.spawn(async move {
            if let Err(e) = correct_idle(&world, &host, &environment).await {
                tracing::warn!("what an abandoned deployment has left can't be corrected yet: {e}");
            }
        });
        Ok(now)
    }
}

impl Handle<Output> for Control {
    async fn handle(&self, _: &Admitted, request: OutputRequest) -> Result<LogPage, Error> {
        let OutputRequest { deployment, after, before, tail, limit } = request;
        let limit = page_limit(limit)? as usize;
        let id = deployment_with(self.store(), &deployment).await?.deployment.id;
        let path = self.world().layout.output(&id);
        let mut reader = self.world().outputs.reader(&id);
        let file = path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut lines = match tail || (before.is_some() && after.is_none()) {
                true => last_lines(&file, before, limit)?,
                false => reader.read(after, Most::lines(limit))?,
            };
            lines.retain(|line| after.is_none_or(|n| line.seq > n) && before.is_none_or(|n| line.seq < n));
            std::io::Result::Ok(lines)
        });
        let lines = read.await.map_err(|_| Error::internal())?.map_err(|e| io_error("read", &path, &e))?;
        // Before the first line there is no number to go on from, and none is needed.
        let last = lines.last().map(|line| line.seq).or(after);
        Ok(LogPage { lines, cursor: last.map(|seq| seq.to_string()).unwrap_or_default() })
    }
}

impl Control {
    /// Has a deployment taken back, whoever drives it: `Ok(Ok)` is a promise that it will be.
    async fn cancel(
        &self,
        act: &Act<'_, Cancel>,
        id: &DeploymentId,
        by: &str,
    ) -> Result<Result<(), CancelRefused>, Error> {
        if let Some(answer) = self.inner.runner.cancel(id, by).await {
            return Ok(answer);
        }
        let mut moved = self.store().dispatches();
        let tx = self.write().await?;
        let queued = store::queue::find(&tx, id).await.map_err(store_error)?.is_some();
        let unwanted = Unwanted::Cancelled { by: by.to_owned() };
        if queued && end_unstarted(&tx, id, unwanted).await.map_err(store_error)? {
            store::queue::remove(&tx, id).await.map_err(store_error)?;
            commit(tx, act.step()).await?;
            count_end(&self.inner, id).await;
            return Ok(Ok(()));
        }
        if store::sagas::get(&tx, id.as_str()).await.map_err(store_error)?.finished {
            return Ok(Err(CancelRefused::Ended));
        }
        store::sagas::request_cancel(&tx, id.as_str(), by).await.map_err(store_error)?;
        commit(tx, act.step()).await?;
        let asked = tokio::time::timeout(ANSWER, async {
            loop {
                moved.borrow_and_update();
                let saga = store::sagas::get(self.store(), id.as_str()).await.map_err(store_error)?;
                if !saga.cancel_requested {
                    return Ok(saga.cancel_refused.map_or(Ok(()), |word| Err(refusal(&word))));
                }
                if saga.finished {
                    // Without an answer: it had ended before the owner came to it, or by the very cancel.
                    let phase = deployment_with(self.store(), id).await?.deployment.phase;
                    return Ok(if phase == Phase::Cancelled { Ok(()) } else { Err(CancelRefused::Ended) });
                }
                tokio::select! {
                    _ = moved.changed() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        });
        asked.await.unwrap_or(Ok(Err(CancelRefused::Stopped)))
    }

    /// Makes a stuck deployment this server's, if it is one of this machine and nobody's.
    async fn take_stuck(&self, act: &Act<'_, Resume>, deployment: &Deployment) -> Result<Option<Taken>, Error> {
        let id = deployment.id.as_str();
        let tx = self.write().await?;
        let record = deployment_with(&tx, &deployment.id).await?;
        let environment = store::environments::get(&tx, &record.environment_id).await.map_err(store_error)?;
        let saga = store::sagas::get(&tx, id).await.map_err(store_error)?;
        if environment.host != self.inner.member.host || saga.owner.is_some() {
            return Ok(None);
        }
        let Some(fence) = store::sagas::take(&tx, id, &self.inner.member.id, None).await.map_err(store_error)? else {
            return Ok(None);
        };
        // It may be from before there was a queue.
        store::environments::start(&tx, &environment.id, &deployment.id).await.map_err(store_error)?;
        commit(tx, act.step()).await?;
        Ok(Some(Taken {
            deployment: deployment.id.clone(),
            kind: deployment.kind,
            fence,
            cancel_by: None,
            begun: None,
        }))
    }

    /// Has a server of its machine try a stuck deployment again, and waits for that.
    async fn ask_to_resume(
        &self,
        act: &Act<'_, Resume>,
        deployment: &Deployment,
        by: &str,
    ) -> Result<Deployment, Error> {
        let mut moved = self.store().dispatches();
        let tx = self.write().await?;
        store::sagas::request_resume(&tx, deployment.id.as_str(), Some(by)).await.map_err(store_error)?;
        commit(tx, act.step()).await?;
        let resumed = tokio::time::timeout(ANSWER, async {
            loop {
                moved.borrow_and_update();
                let now = deployment_with(self.store(), &deployment.id).await?.deployment;
                if now.stuck.is_none() {
                    return Ok::<(), Error>(());
                }
                tokio::select! {
                    _ = moved.changed() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        });
        match resumed.await {
            Ok(resumed) => resumed?,
            Err(_) => {
                let hint = format!("see what becomes of it with `plimsoll deployments show {}`", deployment.id);
                return Err(Error::unavailable(
                    "no server of its machine has answered; the wish to try again is kept for it",
                )
                .hint(hint));
            }
        }
        Ok(deployment_with(self.store(), &deployment.id).await?.deployment)
    }
}

fn resume_or_abandon(deployment: &Deployment) -> String {
    let id = &deployment.id;
    format!("see to the reason, then `plimsoll resume {id}`, or end it as it is with `plimsoll abandon {id}`")
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
