//! What a queued deployment waits for, as it is told to people.

use std::collections::BTreeMap;

use chrono::Utc;
use domain::phase::Phase;
use domain::queue::{Facts, Waiting, choose};
use domain::{AppId, DeploymentId, EnvironmentId};
use store::deployments::Record;
use store::environments::Environment;
use store::queue::Entry;
use store::{Session, StoreError};

use super::Gate;
use super::start::candidate;
use crate::control::Inner;

/// Who is asked about the queue; what is true of many entries is read once.
pub(crate) struct Waits<'a> {
    inner: &'a Inner,
    environments: BTreeMap<EnvironmentId, (Environment, Option<DeploymentId>)>,
    apps: BTreeMap<AppId, Facts>,
    windows: Option<Vec<store::windows::Record>>,
}

impl<'a> Waits<'a> {
    pub(crate) fn new(inner: &'a Inner) -> Self {
        Self { inner, environments: BTreeMap::new(), apps: BTreeMap::new(), windows: None }
    }

    /// Why this entry has not started yet.
    pub(crate) async fn of(&mut self, session: &impl Session, entry: &Entry) -> Result<Waiting, StoreError> {
        if !self.environments.contains_key(&entry.environment) {
            let environment = store::environments::get(session, &entry.environment).await?;
            let head = store::queue::head_of(session, &entry.environment).await?;
            self.environments.insert(entry.environment.clone(), (environment, head));
        }
        if !self.apps.contains_key(&entry.app) {
            self.apps.insert(entry.app.clone(), store::queue::facts_of(session, &entry.app).await?);
        }
        let (inner, now) = (self.inner, Utc::now());
        if self.windows.is_none() {
            self.windows = Some(store::windows::list(session, Some(now)).await?);
        }
        let windows = self.windows.as_deref().unwrap_or_default();
        let Some((environment, head)) = self.environments.get(&entry.environment) else { return Ok(Waiting::Turn) };
        let mut candidate = candidate(entry, environment);
        if candidate.running.is_none() {
            // Nothing is at work there: then the first of the queue goes before it.
            candidate.running = head.clone().filter(|head| *head != entry.deployment);
        }
        let slots = if entry.host == inner.member.host { inner.runner.free() } else { 1 };
        let candidates = vec![candidate];
        let gate = Gate::with(session, windows, &candidates, now).await?;
        let waits =
            choose(candidates, &self.apps, slots, now, |c| gate.closed(c)).wait.pop().map(|(_, waiting)| waiting);
        Ok(match waits {
            Some(waiting @ (Waiting::NotBefore { .. } | Waiting::Window(_))) => waiting,
            _ if !inner.member.host_lives(&entry.host) => Waiting::NoServer { host: entry.host.clone() },
            Some(waiting) => waiting,
            None => Waiting::Turn,
        })
    }

    /// Fills in what deployments wait for that are queued.
    pub(crate) async fn tell(&mut self, session: &impl Session, records: &mut [Record]) -> Result<(), StoreError> {
        let queued = |record: &&mut Record| record.deployment.phase == Phase::Queued;
        let ids: Vec<DeploymentId> = records.iter_mut().filter(queued).map(|r| r.deployment.id.clone()).collect();
        for entry in store::queue::find_all(session, &ids).await? {
            let waiting = self.of(session, &entry).await?.to_string();
            let record = records.iter_mut().find(|record| record.deployment.id == entry.deployment);
            if let Some(record) = record {
                record.deployment.metadata.waiting_for = Some(waiting);
            }
        }
        Ok(())
    }
}
