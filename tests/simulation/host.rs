//! The model of a machine: what outlives the servers on it, and what their steps do to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::Mutation;

/// One environment's part of the ingress: who gets the requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Route {
    pub(crate) generation: u64,
    /// The deployment whose instance the requests go to.
    pub(crate) to: Option<u32>,
}

/// Instances, routes and folders of one machine. Keys are deployments and environments.
#[derive(Debug, Default)]
pub(crate) struct Host {
    /// Deployment to environment.
    pub(crate) instances: BTreeMap<u32, u32>,
    pub(crate) workspaces: BTreeSet<u32>,
    pub(crate) routes: BTreeMap<u32, Route>,
    /// The newest generation that has started anything, by environment.
    admitted: BTreeMap<u32, u64>,
    /// The highest epoch under which anything was done, by deployment.
    epochs: BTreeMap<u32, u64>,
    mutation: Option<Mutation>,
}

/// A newer generation has been here.
pub(crate) struct Older;

impl Host {
    pub(crate) fn new(mutation: Option<Mutation>) -> Self {
        Self { mutation, ..Self::default() }
    }

    /// Notes that something is done for `deployment` under `epoch`. `Err` names a higher one that was there already: two act.
    pub(crate) fn acts(&mut self, deployment: u32, epoch: u64) -> Result<(), u64> {
        let highest = self.epochs.entry(deployment).or_default();
        if epoch < *highest {
            return Err(*highest);
        }
        *highest = epoch;
        Ok(())
    }

    pub(crate) fn admit(&mut self, environment: u32, generation: u64) -> Result<(), Older> {
        let newest = self.admitted.entry(environment).or_default();
        if generation < *newest && self.mutation != Some(Mutation::LetTheOlderPass) {
            return Err(Older);
        }
        *newest = generation.max(*newest);
        Ok(())
    }

    /// Adopts one that runs.
    pub(crate) fn start(&mut self, deployment: u32, environment: u32) {
        self.instances.insert(deployment, environment);
    }

    pub(crate) fn stop(&mut self, deployment: u32) {
        self.instances.remove(&deployment);
    }

    /// The routes of an environment from now on, whoever had them before.
    pub(crate) fn route(&mut self, environment: u32, generation: u64, to: Option<u32>) -> Result<(), Older> {
        let route = self.routes.entry(environment).or_default();
        if generation < route.generation && self.mutation != Some(Mutation::LetTheOlderPass) {
            return Err(Older);
        }
        *route = Route { generation, to };
        Ok(())
    }

    /// Removes what these have left that have ended, but for instances that requests go to or that are `active`.
    pub(crate) fn clean(&mut self, ended: &BTreeSet<u32>, active: &BTreeSet<u32>) {
        let routed: BTreeSet<u32> = self.routes.values().filter_map(|route| route.to).collect();
        let wanted = |deployment: &u32| active.contains(deployment) || routed.contains(deployment);
        self.instances.retain(|deployment, _| !ended.contains(deployment) || wanted(deployment));
        self.workspaces.retain(|deployment| !ended.contains(deployment));
    }

    /// Who answers a request now: nobody when the instance is gone.
    pub(crate) fn answers(&self, environment: u32) -> Option<u32> {
        self.routes.get(&environment)?.to.filter(|deployment| self.instances.contains_key(deployment))
    }
}
