//! Claims and activation against a tiny model, under random sequences.

use std::collections::BTreeMap;

use domain::deployment::Deployment;
use domain::{EnvironmentId, ReleaseId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use store::environments::{self, Claim};
use store::{Constraint, Kind, StoreError, Tx, releases};

use crate::database::Database;
use crate::fixture;

/// What a deployment, named by its place in the order of generations, does.
#[derive(Debug, Clone, Copy)]
enum Step {
    Claim(usize),
    Release(usize),
    Activate(usize),
    Deactivate(usize),
}

/// The rules: one holder; what serves is the newest that was not taken back.
#[derive(Default)]
struct Model {
    acting: Option<usize>,
    good: BTreeMap<usize, ()>,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Done,
    Granted,
    Held(usize),
    /// By this one.
    Older(usize),
    NotActing(Option<usize>),
}

impl Model {
    fn active(&self) -> Option<usize> {
        self.good.keys().next_back().copied()
    }

    fn apply(&mut self, step: Step) -> Answer {
        match step {
            Step::Claim(d) | Step::Activate(d) if self.active().is_some_and(|a| a > d) => {
                Answer::Older(self.active().unwrap())
            }
            Step::Claim(d) => match self.acting {
                Some(other) if other != d => Answer::Held(other),
                _ => {
                    self.acting = Some(d);
                    Answer::Granted
                }
            },
            Step::Activate(d) if self.acting != Some(d) => Answer::NotActing(self.acting),
            Step::Activate(d) => {
                self.good.insert(d, ());
                Answer::Done
            }
            Step::Release(d) => {
                self.acting = self.acting.filter(|a| *a != d);
                Answer::Done
            }
            Step::Deactivate(d) => {
                if self.active() == Some(d) {
                    self.good.remove(&d);
                }
                Answer::Done
            }
        }
    }
}

const DEPLOYMENTS: usize = 4;

struct World {
    environment: EnvironmentId,
    deployments: Vec<Deployment>,
    releases: Vec<ReleaseId>,
}

impl World {
    async fn apply(&self, tx: &Tx, step: Step) -> Answer {
        let env = &self.environment;
        let place = |id: &domain::DeploymentId| self.deployments.iter().position(|d| &d.id == id).unwrap();
        let by = |generation: u64| self.deployments.iter().position(|d| d.generation == generation).unwrap();
        match step {
            Step::Claim(d) => {
                let deployment = &self.deployments[d];
                match environments::claim(tx, env, &deployment.id, deployment.generation).await.unwrap() {
                    Claim::Granted => Answer::Granted,
                    Claim::Held { by } => Answer::Held(place(&by)),
                    Claim::Superseded { by_generation } => Answer::Older(by(by_generation)),
                }
            }
            Step::Release(d) => {
                environments::release_claim(tx, env, &self.deployments[d].id).await.unwrap();
                Answer::Done
            }
            Step::Activate(d) => {
                let deployment = &self.deployments[d];
                let release = &self.releases[d];
                match environments::activate(tx, env, &deployment.id, release, deployment.generation).await {
                    Ok(()) => Answer::Done,
                    Err(StoreError::Fenced { by: generation, .. }) => Answer::Older(by(generation)),
                    Err(StoreError::Conflict(Constraint::NotActing { acting, .. })) => {
                        Answer::NotActing(acting.as_ref().map(place))
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            Step::Deactivate(d) => {
                environments::deactivate(tx, env, &self.deployments[d].id).await.unwrap();
                Answer::Done
            }
        }
    }

    async fn check(&self, tx: &Tx, model: &Model) {
        let row = environments::get(tx, &self.environment).await.unwrap();
        let active = model.active();
        assert_eq!(row.acting, model.acting.map(|d| self.deployments[d].id.clone()));
        assert_eq!(row.active_deployment, active.map(|d| self.deployments[d].id.clone()));
        assert_eq!(row.active_release, active.map(|d| self.releases[d].clone()));
        assert_eq!(row.active_generation, active.map_or(0, |d| self.deployments[d].generation));
        let good: Vec<_> = model.good.keys().rev().map(|d| self.releases[*d].clone()).collect();
        assert_eq!(releases::good(tx, &self.environment).await.unwrap(), good);
    }
}

fn step() -> impl Strategy<Value = Step> {
    (0..4u8, 0..DEPLOYMENTS).prop_map(|(what, d)| match what {
        0 => Step::Claim(d),
        1 => Step::Release(d),
        2 => Step::Activate(d),
        _ => Step::Deactivate(d),
    })
}

fn follows_the_model(kind: Kind, cases: u32) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = Database::fresh(kind);
    let (store, world) = runtime.block_on(async {
        let store = db.open().await;
        let tx = store.write().await.unwrap();
        let app = fixture::app(&tx, "shop").await;
        let environment = fixture::environment(&tx, &app, "production").await;
        let mut world = World { environment: environment.id.clone(), deployments: vec![], releases: vec![] };
        for n in 0..DEPLOYMENTS {
            world.deployments.push(fixture::deployment(&tx, &environment).await.deployment);
            world.releases.push(fixture::release(&tx, &app, &format!("d{n}")).await.id);
        }
        tx.commit().await.unwrap();
        (store, world)
    });
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&vec(step(), 0..40), |steps| {
        runtime.block_on(async {
            // Never committed, so each sequence begins afresh.
            let tx = store.write().await.unwrap();
            let mut model = Model::default();
            for step in steps {
                assert_eq!(world.apply(&tx, step).await, model.apply(step), "{step:?}");
                world.check(&tx, &model).await;
            }
        });
        Ok(())
    });
    run.unwrap();
}

#[test]
fn sqlite_follows_the_model() {
    follows_the_model(Kind::Sqlite, 100);
}

#[test]
fn postgres_follows_the_model() {
    follows_the_model(Kind::Postgres, 40);
}
