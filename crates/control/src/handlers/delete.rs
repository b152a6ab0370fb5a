//! Taking an environment out of the world, step by step: each step may be repeated, so a
//! deletion that was interrupted is finished by asking for it again.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use domain::deployment::Deployment;
use domain::{DeploymentId, EnvironmentId};
use operations::{Error, Operation};
use store::deployments::Filter;
use store::environments::Environment;
use store::{Session, Tx};

use super::commit;
use crate::Control;
use crate::audit::Act;
use crate::error::store_error;
use crate::layout::remove_dir;

/// How long a deployment that is active may go on to clean up before it is told of.
const CLEANING: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);

impl Control {
    /// `Conflict` while a deployment of the environment has not ended. What is active, and has moments to go until it has cleaned
    /// up, is waited for: nobody sees it at work.
    pub(super) async fn refuse_while_busy(&self, id: &EnvironmentId) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            let Some(busy) = busy(self.store(), id).await? else { return Ok(()) };
            if !busy.phase.is_end() || busy.stuck.is_some() || began.elapsed() > CLEANING {
                return Err(refusal(&busy));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The last look, in the transaction that deletes: nothing may have been deployed since `seen` was read.
    pub(super) async fn refuse_if_changed(
        &self,
        tx: &Tx,
        now: &Environment,
        seen: &[Environment],
    ) -> Result<(), Error> {
        if let Some(busy) = busy(tx, &now.id).await? {
            return Err(refusal(&busy));
        }
        match seen.iter().find(|e| e.id == now.id) {
            Some(before) if before.generation == now.generation => Ok(()),
            _ => {
                Err(Error::conflict(format!("{}/{} was deployed to meanwhile", now.app, now.name))
                    .hint("delete it again"))
            }
        }
    }

    /// Stops everything that an environment serves or runs; its rows stay.
    pub(super) async fn take_down(
        &self,
        act: &Act<'_, impl Operation>,
        environment: &Environment,
    ) -> Result<(), Error> {
        let world = self.world();
        self.refuse_elsewhere(environment)?;
        if environment.generation > 0 {
            let removed = world.ingress.remove(&environment.id, environment.generation).await;
            removed.map_err(|e| Error::unavailable(e.to_string()).hint("nothing is lost; delete it again"))?;
        }
        let rows = store::instances::list_by_environment(self.store(), &environment.id).await.map_err(store_error)?;
        let mut names: BTreeSet<String> = rows.iter().map(|row| row.key.name()).collect();
        if rows.iter().any(|row| !row.retired) {
            // Nobody may start them again once they are stopped.
            let tx = self.write().await?;
            for name in &names {
                match store::instances::retire(&tx, name).await {
                    Err(store::StoreError::NotFound { .. }) => {}
                    other => other.map_err(store_error)?,
                }
            }
            commit(tx, act.step()).await?;
        }
        let (runtime, id) = (world.runtime.clone(), environment.id.clone());
        let found = tokio::task::spawn_blocking(move || {
            let all = runtime.list().into_iter().filter(|status| status.key.environment == id);
            all.map(|status| status.key.name()).collect::<Vec<_>>()
        });
        names.extend(found.await.map_err(|_| Error::internal())?);
        // Side by side, as each may take its whole stop timeout.
        let removals = futures::future::join_all(names.iter().map(|name| world.runtime.remove(name))).await;
        for (name, removal) in names.iter().zip(removals) {
            removal.map_err(|e| Error::unavailable(format!("can't stop {name}: {e}")).hint("delete it again"))?;
        }
        let tx = self.write().await?;
        for name in &names {
            store::instances::delete(&tx, name).await.map_err(store_error)?;
        }
        commit(tx, act.step()).await?;
        self.remove_sites(&environment.id).await
    }

    async fn remove_sites(&self, id: &EnvironmentId) -> Result<(), Error> {
        let inner = self.inner.clone();
        let prefix = format!("{id}-");
        let removed = tokio::task::spawn_blocking(move || {
            let sites = &inner.world.sites;
            sites.list().iter().filter(|site| site.starts_with(&prefix)).try_for_each(|site| sites.remove(site))
        });
        let removed = removed.await.map_err(|_| Error::internal())?;
        removed.map_err(|e| Error::unavailable(e.to_string()).hint("delete it again"))
    }

    /// All deployments that `filter` lets through.
    pub(super) async fn deployment_ids(&self, filter: Filter) -> Result<Vec<DeploymentId>, Error> {
        let mut ids: Vec<DeploymentId> = Vec::new();
        loop {
            let before = ids.last().cloned();
            let page =
                store::deployments::list(self.store(), &filter, before.as_ref(), 500).await.map_err(store_error)?;
            if page.is_empty() {
                return Ok(ids);
            }
            ids.extend(page.into_iter().map(|record| record.deployment.id));
        }
    }

    /// Deletes what no row names any more. What can't be deleted costs disk and nothing else.
    pub(super) async fn delete_files(&self, folders: Vec<PathBuf>, outputs: Vec<DeploymentId>) {
        let inner = self.inner.clone();
        let deleted = tokio::task::spawn_blocking(move || {
            for folder in folders {
                if let Err(e) = remove_dir(&folder) {
                    tracing::warn!(path = %folder.display(), "can't delete a folder that nobody needs any more: {e}");
                }
            }
            for deployment in outputs {
                if let Err(e) = inner.world.outputs.delete(&deployment) {
                    tracing::warn!(%deployment, "can't delete the output of a deployment: {e}");
                }
            }
        });
        if deleted.await.is_err() {
            tracing::error!("deleting files panicked");
        }
    }
}

/// A deployment of the environment that has not ended, or that is active and holds it still.
async fn busy(session: &impl Session, id: &EnvironmentId) -> Result<Option<Deployment>, Error> {
    let filter = Filter { environment: Some(id.clone()), open: true, ..Filter::default() };
    let open = store::deployments::list(session, &filter, None, 1).await.map_err(store_error)?;
    if let Some(record) = open.into_iter().next() {
        return Ok(Some(record.deployment));
    }
    let environment = store::environments::get(session, id).await.map_err(store_error)?;
    let Some(holder) = environment.running.or(environment.acting) else { return Ok(None) };
    let record = store::deployments::get(session, &holder).await.map_err(store_error)?;
    Ok(Some(record.deployment))
}

fn refusal(deployment: &Deployment) -> Error {
    let Deployment { id, app, environment, .. } = deployment;
    let hint = match deployment.stuck {
        Some(_) => {
            format!(
                "it is stuck: help it with `plimsoll resume {id}` or end it with `plimsoll abandon {id}`, then delete"
            )
        }
        None if deployment.phase.is_end() => {
            "it is active and still cleans up: wait for it; `plimsoll doctor` says what it is at".to_owned()
        }
        None => format!("wait for it, or `plimsoll cancel {id}`"),
    };
    Error::conflict(format!("deployment {id} of {app}/{environment} has not ended")).hint(hint)
}
