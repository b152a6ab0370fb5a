//! The route table and the rules by which it changes. Pure: a change gives a new table or a reason.

use std::collections::BTreeMap;

use domain::route::{Host, PathPrefix};
use domain::{DeploymentId, EnvironmentId};
use serde::{Deserialize, Serialize};

use crate::route::{EnvironmentRoutes, Route};

/// All environments, and for those that are gone the generation that removed them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// Grows by one with every change.
    pub sequence: u64,
    pub environments: BTreeMap<EnvironmentId, EnvironmentRoutes>,
    /// The generation that removed an environment: only a newer one may bring it back.
    #[serde(default)]
    pub tombstones: BTreeMap<EnvironmentId, u64>,
}

/// What to do with a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Serve this, in place of what the environment served.
    Put(EnvironmentRoutes),
    /// Serve nothing of it any longer, and nothing that a deployment of this generation or an older one decides.
    Remove { environment: EnvironmentId, generation: u64 },
}

/// Why a table stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Refused {
    #[error(
        "the ingress already serves generation {current} of this environment; generation {offered} is older or belongs to another deployment"
    )]
    OlderGeneration {
        current: u64,
        offered: u64,
        /// Who decided the current one; none if the environment was removed.
        by: Option<DeploymentId>,
    },
    #[error(
        "`{host}{path}` belongs to {owner_app}/{owner_environment}; give this app another host or path, or remove that one"
    )]
    Conflict { host: Host, path: PathPrefix, owner_app: String, owner_environment: String },
    #[error("these routes can't be served: {reason}")]
    Invalid { reason: String },
}

impl RouteTable {
    /// The table after `change`. An equal table (same sequence) means that there was nothing to do.
    pub fn apply(&self, change: &Change) -> Result<RouteTable, Refused> {
        match change {
            Change::Put(offered) => self.put(offered),
            Change::Remove { environment, generation } => self.remove(environment, *generation),
        }
    }

    /// Whether `offered` could be put, without doing it.
    pub fn check(&self, offered: &EnvironmentRoutes) -> Result<(), Refused> {
        offered.validate().map_err(|reason| Refused::Invalid { reason })?;
        self.check_generation(offered)?;
        self.check_owners(offered)
    }

    /// The lowest generation that may still be put for `environment`.
    pub fn floor(&self, environment: &EnvironmentId) -> u64 {
        match (self.environments.get(environment), self.tombstones.get(environment)) {
            (Some(current), _) => current.generation,
            (None, Some(removed)) => removed.saturating_add(1),
            (None, None) => 0,
        }
    }

    /// The route that answers `path` on `host`: the longest matching path of exactly this host.
    pub fn find(&self, host: &Host, path: &str) -> Option<(&EnvironmentRoutes, &Route)> {
        self.environments
            .values()
            .flat_map(|e| e.routes.iter().map(move |r| (e, r)))
            .filter(|(_, r)| &r.host == host && r.path.matches(path))
            .max_by_key(|(_, r)| r.path.as_str().len())
    }

    fn put(&self, offered: &EnvironmentRoutes) -> Result<RouteTable, Refused> {
        self.check(offered)?;
        if self.environments.get(&offered.environment) == Some(offered) {
            return Ok(self.clone());
        }
        let mut next = self.clone();
        next.sequence += 1;
        next.tombstones.remove(&offered.environment);
        next.environments.insert(offered.environment.clone(), offered.clone());
        Ok(next)
    }

    fn remove(&self, environment: &EnvironmentId, generation: u64) -> Result<RouteTable, Refused> {
        let current = self.environments.get(environment);
        let removed = self.tombstones.get(environment).copied();
        match (current, removed) {
            (Some(current), _) if current.generation > generation => Err(Refused::OlderGeneration {
                current: current.generation,
                offered: generation,
                by: Some(current.deployment.clone()),
            }),
            // Gone already, by this or by a later decision: the wish is fulfilled.
            (None, Some(removed)) if removed >= generation => Ok(self.clone()),
            _ => {
                let mut next = self.clone();
                next.sequence += 1;
                next.environments.remove(environment);
                next.tombstones.insert(environment.clone(), generation);
                Ok(next)
            }
        }
    }

    fn check_generation(&self, offered: &EnvironmentRoutes) -> Result<(), Refused> {
        let older = |current, by| Refused::OlderGeneration { current, offered: offered.generation, by };
        match (self.environments.get(&offered.environment), self.tombstones.get(&offered.environment)) {
            (Some(current), _) if current.generation > offered.generation => {
                Err(older(current.generation, Some(current.deployment.clone())))
            }
            // The same deployment may decide again: that is how it takes its cutover back.
            (Some(current), _)
                if current.generation == offered.generation && current.deployment != offered.deployment =>
            {
                Err(older(current.generation, Some(current.deployment.clone())))
            }
            (None, Some(&removed)) if removed >= offered.generation => Err(older(removed, None)),
            _ => Ok(()),
        }
    }

    fn check_owners(&self, offered: &EnvironmentRoutes) -> Result<(), Refused> {
        let others = || self.environments.values().filter(|e| e.environment != offered.environment);
        for route in &offered.routes {
            let owner = others().find(|e| e.routes.iter().any(|r| r.host == route.host && r.path == route.path));
            if let Some(owner) = owner {
                return Err(Refused::Conflict {
                    host: route.host.clone(),
                    path: route.path.clone(),
                    owner_app: owner.app.to_string(),
                    owner_environment: owner.environment_name.to_string(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use domain::ReleaseId;
    use proptest::prelude::*;
    use ulid::Ulid;

    use super::*;
    use crate::route::{Gate, Target};

    /// Routes of environment `env`, decided by deployment `dep`, at `places` (indexes of hosts and paths).
    pub(crate) fn routes(env: u128, generation: u64, dep: u128, places: &[usize]) -> EnvironmentRoutes {
        let hosts = ["a.localhost", "b.localhost"];
        let paths = ["/", "/api", "/api/v2"];
        let route = |n: &usize| Route {
            host: hosts[n % 2].parse().unwrap(),
            path: paths[n / 2 % 3].parse().unwrap(),
            component: "web".parse().unwrap(),
            target: Target::Upstreams {
                upstreams: vec![([127, 0, 0, 1], 4000 + *n as u16).into()],
                standby: vec![],
                gate: Gate::Tcp,
            },
            limits: crate::route::RouteLimits::default(),
        };
        EnvironmentRoutes {
            environment: EnvironmentId::from_ulid(Ulid::from_parts(1, env)),
            app: format!("app-{env}").parse().unwrap(),
            environment_name: "production".parse().unwrap(),
            generation,
            deployment: DeploymentId::from_ulid(Ulid::from_parts(2, dep)),
            release: ReleaseId::from_ulid(Ulid::from_parts(3, dep)),
            routes: places.iter().map(route).collect(),
        }
    }

    fn put(table: &RouteTable, routes: &EnvironmentRoutes) -> Result<RouteTable, Refused> {
        table.apply(&Change::Put(routes.clone()))
    }

    #[test]
    fn older_generations_are_refused_and_the_own_deployment_may_decide_again() {
        let table = put(&RouteTable::default(), &routes(1, 5, 50, &[0])).unwrap();
        assert!(matches!(put(&table, &routes(1, 4, 40, &[0])), Err(Refused::OlderGeneration { current: 5, .. })));
        assert!(matches!(put(&table, &routes(1, 5, 51, &[0])), Err(Refused::OlderGeneration { current: 5, .. })));
        assert_eq!(put(&table, &routes(1, 5, 50, &[0])).unwrap(), table, "a repeat does nothing");
        let back = put(&table, &routes(1, 5, 50, &[2])).unwrap();
        assert_eq!((back.sequence, back.environments.len()), (2, 1));
        assert!(put(&back, &routes(1, 6, 60, &[0])).is_ok());
    }

    #[test]
    fn removed_environments_stay_removed_for_older_deployments() {
        let table = put(&RouteTable::default(), &routes(1, 5, 50, &[0])).unwrap();
        let environment = routes(1, 0, 0, &[]).environment;
        let remove =
            |t: &RouteTable, generation| t.apply(&Change::Remove { environment: environment.clone(), generation });
        assert!(matches!(remove(&table, 4), Err(Refused::OlderGeneration { current: 5, .. })));
        let gone = remove(&table, 6).unwrap();
        assert!(gone.environments.is_empty());
        assert_eq!(remove(&gone, 6).unwrap(), gone);
        assert!(matches!(put(&gone, &routes(1, 6, 50, &[0])), Err(Refused::OlderGeneration { by: None, .. })));
        assert!(put(&gone, &routes(1, 7, 70, &[0])).unwrap().tombstones.is_empty());
    }

    #[test]
    fn a_host_and_path_has_one_owner() {
        let table = put(&RouteTable::default(), &routes(1, 1, 1, &[0, 2])).unwrap();
        let refused = put(&table, &routes(2, 1, 2, &[1, 2])).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`a.localhost/api` belongs to app-1/production; give this app another host or path, or remove that one"
        );
        assert!(put(&table, &routes(2, 1, 2, &[1, 3, 4])).is_ok(), "other paths of the host are free");
        assert!(matches!(put(&table, &routes(2, 1, 2, &[1, 1])), Err(Refused::Invalid { .. })));
    }

    #[test]
    fn the_longest_path_of_the_exact_host_wins() {
        let table = put(&RouteTable::default(), &routes(1, 1, 1, &[0, 2, 4])).unwrap();
        let found = |host: &str, path: &str| table.find(&host.parse().unwrap(), path).map(|(_, r)| r.path.to_string());
        assert_eq!(found("a.localhost", "/api/v2/x").as_deref(), Some("/api/v2"));
        assert_eq!(found("a.localhost", "/api/v21").as_deref(), Some("/api"));
        assert_eq!(found("a.localhost", "/apix").as_deref(), Some("/"));
        assert_eq!(found("b.localhost", "/"), None);
    }

    pub(crate) fn changes() -> impl Strategy<Value = Vec<Change>> {
        let put = (0..4_u128, 0..6_u64, 0..3_u128, proptest::collection::vec(0..6_usize, 0..4))
            .prop_map(|(env, generation, dep, places)| Change::Put(routes(env, generation, dep, &places)));
        let remove = (0..4_u128, 0..6_u64).prop_map(|(env, generation)| Change::Remove {
            environment: routes(env, 0, 0, &[]).environment,
            generation,
        });
        proptest::collection::vec(prop_oneof![3 => put, 1 => remove], 0..40)
    }

    proptest! {
        #[test]
        fn no_sequence_lowers_a_generation_or_shares_a_route(changes in changes()) {
            let mut table = RouteTable::default();
            let mut decided: BTreeMap<EnvironmentId, u64> = BTreeMap::new();
            for change in changes {
                let Ok(next) = table.apply(&change) else { continue };
                let (environment, generation) = match &change {
                    Change::Put(r) => (r.environment.clone(), r.generation),
                    Change::Remove { environment, generation } => (environment.clone(), *generation),
                };
                // What is accepted is in the table, unless a later removal fulfilled the wish already.
                let highest = decided.entry(environment.clone()).or_insert(0);
                if next != table {
                    prop_assert!(generation >= *highest);
                    prop_assert_eq!(next.sequence, table.sequence + 1);
                    *highest = generation;
                }
                match &change {
                    Change::Put(r) => prop_assert_eq!(next.environments.get(&environment), Some(r)),
                    Change::Remove { .. } => prop_assert!(!next.environments.contains_key(&environment)),
                }
                for (environment, highest) in &decided {
                    prop_assert!(next.floor(environment) >= *highest);
                }
                let mut owned = BTreeSet::new();
                for route in next.environments.values().flat_map(|e| &e.routes) {
                    prop_assert!(owned.insert((&route.host, &route.path)), "two owners");
                }
                table = next;
            }
        }
    }
}
