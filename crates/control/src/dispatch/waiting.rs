//! What a deployment waits for, as it is told to people.

use std::collections::{BTreeMap, BTreeSet};

use domain::deployment::Deployment;
use domain::phase::Phase;
use domain::queue::{Candidate, Facts, Waiting, choose};
use domain::{AppId, DeploymentId, EnvironmentId};
use store::deployments::Record;
use store::environments::Environment;
use store::queue::Entry;
use store::{Session, StoreError};

use super::Gate;
use crate::approvals::waiting;
use crate::control::Inner;

/// Who is asked about the queue; what is true of many entries is read once.
pub(crate) struct Waits<'a> {
    inner: &'a Inner,
    environments: BTreeMap<EnvironmentId, Environment>,
    heads: BTreeMap<EnvironmentId, DeploymentId>,
    apps: BTreeMap<AppId, Facts>,
    windows: Option<Vec<store::windows::Record>>,
    /// Of those that are held.
    approvals: BTreeMap<DeploymentId, Waiting>,
    /// Those that were looked at last, and what holds them.
    seen: BTreeSet<DeploymentId>,
    gate: Gate,
}

impl<'a> Waits<'a> {
    pub(crate) fn new(inner: &'a Inner) -> Self {
        Self {
            inner,
            environments: BTreeMap::new(),
            heads: BTreeMap::new(),
            apps: BTreeMap::new(),
            windows: None,
            approvals: BTreeMap::new(),
            seen: BTreeSet::new(),
            gate: Gate::default(),
        }
    }

    /// Reads what decides about these, with a few statements for all of them; at most a page.
    pub(crate) async fn look(&mut self, session: &impl Session, entries: &[Entry]) -> Result<(), StoreError> {
        let now = store::clock::now();
        let new: BTreeSet<&EnvironmentId> =
            entries.iter().map(|entry| &entry.environment).filter(|id| !self.environments.contains_key(id)).collect();
        let new: Vec<&EnvironmentId> = new.into_iter().collect();
        if !new.is_empty() {
            self.heads.extend(store::queue::heads_of(session, &new, now).await?);
            self.environments.extend(store::environments::many(session, &new).await?);
        }
        let apps: BTreeSet<AppId> =
            entries.iter().map(|entry| entry.app.clone()).filter(|id| !self.apps.contains_key(id)).collect();
        if !apps.is_empty() {
            self.apps.extend(store::queue::facts(session, &apps).await?);
        }
        let held: Vec<&DeploymentId> =
            entries.iter().filter(|entry| entry.held).map(|entry| &entry.deployment).collect();
        if !held.is_empty() {
            self.approvals.extend(approvals(session, &held).await?);
        }
        if self.windows.is_none() {
            self.windows = Some(store::windows::list(session, Some(now)).await?);
        }
        let windows = self.windows.as_deref().unwrap_or_default();
        let candidates: Vec<Candidate> = entries.iter().filter_map(|entry| self.candidate(entry)).collect();
        self.gate = Gate::with(session, windows, &candidates, now).await?;
        self.seen = entries.iter().map(|entry| entry.deployment.clone()).collect();
        Ok(())
    }

    fn candidate(&self, entry: &Entry) -> Option<Candidate> {
        let running = self.environments.get(&entry.environment)?.running.clone();
        // Where nothing is at work, the first of the queue whose time has come goes before it.
        let first = || self.heads.get(&entry.environment).cloned().filter(|head| *head != entry.deployment);
        Some(entry.candidate(running.or_else(first)))
    }

    /// Why this entry has not started yet.
    pub(crate) async fn of(&mut self, session: &impl Session, entry: &Entry) -> Result<Waiting, StoreError> {
        if !self.seen.contains(&entry.deployment) {
            self.look(session, std::slice::from_ref(entry)).await?;
        }
        if let Some(waiting) = self.approvals.get(&entry.deployment).filter(|_| entry.held) {
            return Ok(waiting.clone());
        }
        let (inner, now) = (self.inner, store::clock::now());
        let Some(candidate) = self.candidate(entry) else { return Ok(Waiting::Turn) };
        let slots = if entry.host == inner.member.host { inner.runner.free() } else { 1 };
        let waits = choose(vec![candidate], &self.apps, slots, now, |c| self.gate.closed(c)).wait.pop();
        let waits = waits.map(|(_, waiting)| waiting);
        Ok(match waits {
            Some(waiting @ (Waiting::NotBefore { .. } | Waiting::Window(_))) => waiting,
            _ if !inner.member.host_lives(&entry.host) => Waiting::NoServer { host: entry.host.clone() },
            Some(waiting) => waiting,
            None => Waiting::Turn,
        })
    }

    /// Fills in what deployments wait for: those that are queued, and those at work on a machine without a live server.
    pub(crate) async fn tell(&mut self, session: &impl Session, records: &mut [Record]) -> Result<(), StoreError> {
        let queued = |record: &&mut Record| record.deployment.phase == Phase::Queued;
        let ids: Vec<DeploymentId> = records.iter_mut().filter(queued).map(|r| r.deployment.id.clone()).collect();
        let entries = store::queue::find_all(session, &ids).await?;
        self.look(session, &entries).await?;
        for entry in entries {
            let waiting = self.of(session, &entry).await?.to_string();
            let record = records.iter_mut().find(|record| record.deployment.id == entry.deployment);
            if let Some(record) = record {
                record.deployment.metadata.waiting_for = Some(waiting);
            }
        }
        let open = |record: &&mut Record| !record.deployment.phase.is_end();
        self.missed(session, records.iter_mut().filter(open).collect()).await
    }

    /// The same of those at work alone: nobody goes on with them before a server of their machine is back.
    pub(crate) async fn missed(&self, session: &impl Session, mut records: Vec<&mut Record>) -> Result<(), StoreError> {
        records.retain(|record| {
            let Deployment { phase, stuck, .. } = &record.deployment;
            *phase != Phase::Queued && stuck.is_none()
        });
        if records.is_empty() {
            return Ok(());
        }
        let ids: BTreeSet<EnvironmentId> = records.iter().map(|record| record.environment_id.clone()).collect();
        let environments = store::environments::many(session, &ids.iter().collect::<Vec<_>>()).await?;
        for record in records {
            let Some(environment) = environments.get(&record.environment_id) else { continue };
            if !self.inner.member.host_lives(&environment.host) {
                let waiting = Waiting::NoServer { host: environment.host.clone() };
                record.deployment.metadata.waiting_for = Some(waiting.to_string());
            }
        }
        Ok(())
    }
}

/// What these wait for that others have to approve of.
async fn approvals(
    session: &impl Session,
    held: &[&DeploymentId],
) -> Result<BTreeMap<DeploymentId, Waiting>, StoreError> {
    let all = store::approvals::of_deployments(session, held).await?;
    let ids: Vec<_> = all.iter().map(|approval| &approval.id).collect();
    let votes = store::approvals::votes(session, &ids).await?;
    let told = |approval: &store::approvals::Approval| {
        let votes = votes.get(&approval.id).map(Vec::as_slice).unwrap_or_default();
        (approval.deployment.clone(), waiting(approval, votes))
    };
    Ok(all.iter().map(told).collect())
}
