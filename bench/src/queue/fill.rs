//! Deployments that wait, recorded as the server records them.

use std::time::Instant;

use chrono::Utc;
use domain::deployment::{Deployment, DeploymentKind, Metadata, PhaseTimes};
use domain::event::EventKind;
use domain::phase::Phase;
use domain::queue::{Priority, rank};
use domain::{AppId, DeploymentId, EnvironmentId, Name};
use futures::{StreamExt, TryStreamExt, stream};
use saga::Saga;
use store::queue::Entry;
use store::{Store, StoreError, Tx, apps, deployments, environments, events, queue, sagas};
use ulid::Ulid;

use crate::passes::{Passes, State};

pub(super) const HOST: &str = "bench";
/// Each of an app of its own, so that neither they nor the apps' limits hold anything back.
const ENVIRONMENTS: usize = 1000;
/// Clients.
const AT_ONCE: usize = 64;

/// Puts so many deployments in; returns how many a second.
pub(super) async fn fill(store: &Store, jobs: usize) -> Result<f64, StoreError> {
    let tx = store.write().await?;
    let mut places = Vec::new();
    for n in 0..ENVIRONMENTS {
        places.push(place(&tx, n).await?);
    }
    tx.commit().await?;
    let began = Instant::now();
    stream::iter(0..jobs)
        .map(|n| {
            let (app, environment, name) = places[n % places.len()].clone();
            let generation = (n / places.len() + 1) as u64;
            store.write_together(move |tx| {
                let (app, environment, name) = (app.clone(), environment.clone(), name.clone());
                Box::pin(async move { accept(tx, app, environment, name, generation).await })
            })
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await?;
    Ok(jobs as f64 / began.elapsed().as_secs_f64())
}

async fn place(tx: &Tx, n: usize) -> Result<(AppId, EnvironmentId, Name), StoreError> {
    let name = |text: &str| -> Name { text.parse().unwrap() };
    let app = apps::App {
        id: AppId::from_ulid(Ulid::generate()),
        name: name(&format!("app-{n}")),
        source: None,
        created_at: Utc::now(),
        concurrency: 2,
    };
    apps::insert(tx, &app).await?;
    let environment = environments::Environment {
        id: EnvironmentId::from_ulid(Ulid::generate()),
        app_id: app.id.clone(),
        app: app.name.clone(),
        name: name("production"),
        generation: 0,
        acting: None,
        active_deployment: None,
        active_generation: 0,
        active_release: None,
        created_at: Utc::now(),
        host: HOST.to_owned(),
        running: None,
        supersede: Default::default(),
    };
    environments::insert(tx, &environment).await?;
    Ok((app.id, environment.id, app.name))
}

/// What the server writes when it accepts a deployment that has to wait.
async fn accept(
    tx: &Tx,
    app: AppId,
    environment: EnvironmentId,
    name: Name,
    generation: u64,
) -> Result<(), StoreError> {
    let at = store::time::micros(Utc::now());
    let id = DeploymentId::from_ulid(Ulid::generate());
    let state = State { passed: 0, deployment: Some((environment.clone(), id.clone())) };
    let opening = saga::opening::<Passes<1>>(state, at).unwrap();
    let record = deployments::Record {
        app_id: app.clone(),
        environment_id: environment.clone(),
        deployment: Deployment {
            id: id.clone(),
            app: name.clone(),
            environment: "production".parse().unwrap(),
            kind: DeploymentKind::Deploy,
            generation,
            phase: Phase::Queued,
            progress: 0,
            source: None,
            release: None,
            release_number: None,
            metadata: Metadata::default(),
            phases: vec![PhaseTimes { phase: Phase::Queued, started_at: at, finished_at: None }],
            failure: None,
            cancelling: false,
            stuck: None,
            requested_by: "bench".to_owned(),
            created_at: at,
            updated_at: at,
            finished_at: None,
        },
    };
    deployments::insert(tx, &record).await?;
    sagas::create(tx, id.as_str(), Passes::<1>::NAME, Passes::<1>::VERSION).await?;
    sagas::append(tx, id.as_str(), 0, 0, &[serde_json::to_value(opening).unwrap()]).await?;
    let queued = EventKind::DeploymentQueued { requested_by: "bench".to_owned() };
    let place = &record.deployment.environment;
    events::insert(tx, Some(&name), Some(place), Some(&id), &queued, at).await?;
    let entry = Entry {
        deployment: id,
        app,
        environment,
        host: HOST.to_owned(),
        priority: Priority::default(),
        rank: rank(at, None, Priority::default()),
        not_before: None,
        enqueued_at: at,
        attempt: 1,
        held: false,
    };
    queue::insert(tx, &entry).await
}
