//! Values to store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use domain::deployment::{Deployment, DeploymentKind, Metadata};
use domain::id::{Id, Kind};
use domain::phase::Phase;
use domain::release::{Digest, Release};
use domain::spec::AppSpec;
use domain::{Name, ReleaseId};
use store::apps::App;
use store::environments::Environment;
use store::releases::NewRelease;
use store::{Tx, apps, deployments, environments, queue, releases};

/// A new id; later ones are greater.
pub(crate) fn id<K: Kind>() -> Id<K> {
    static NEXT: AtomicU64 = AtomicU64::new(1_700_000_000_000);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    Id::from_ulid(ulid::Ulid::from_parts(n, n.into()))
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A time with more digits than are kept.
pub(crate) fn now() -> DateTime<Utc> {
    "2026-11-21T10:20:30.123456789Z".parse().unwrap()
}

/// The same as it comes back.
pub(crate) fn kept() -> DateTime<Utc> {
    "2026-11-21T10:20:30.123456Z".parse().unwrap()
}

pub(crate) async fn app(tx: &Tx, text: &str) -> App {
    let app =
        App { id: id(), name: name(text), source: None, created_at: kept(), concurrency: domain::queue::CONCURRENCY };
    apps::insert(tx, &app).await.unwrap();
    app
}

pub(crate) async fn environment(tx: &Tx, app: &App, text: &str) -> Environment {
    let environment = new_environment(app, text);
    environments::insert(tx, &environment).await.unwrap();
    environment
}

pub(crate) fn new_environment(app: &App, text: &str) -> Environment {
    Environment {
        id: id(),
        app_id: app.id.clone(),
        app: app.name.clone(),
        name: name(text),
        generation: 0,
        acting: None,
        active_deployment: None,
        active_generation: 0,
        active_release: None,
        created_at: kept(),
        host: "here".to_owned(),
        running: None,
        supersede: Default::default(),
    }
}

pub(crate) fn new_release(app: &App, digest: &str) -> NewRelease {
    NewRelease {
        id: id(),
        app_id: app.id.clone(),
        digest: Digest(digest.to_owned()),
        artifact: Digest(digest.to_owned()),
        promoted_from: None,
        commit: None,
        spec: AppSpec { builds: vec![], build_limits: Default::default(), components: vec![], smoke_tests: vec![] },
        size: u64::from(u32::MAX) * 4,
        files: 7,
        tags: vec!["stable".parse().unwrap()],
        metadata: BTreeMap::from([("who".parse().unwrap(), "Zoë \u{1f6a2}".parse().unwrap())]),
        snapshot: vec![0, 159, 146, 150],
        created_at: kept(),
    }
}

pub(crate) async fn release(tx: &Tx, app: &App, digest: &str) -> Release {
    releases::insert_or_get(tx, &new_release(app, digest)).await.unwrap().0
}

/// A queued deployment with the next generation.
pub(crate) async fn deployment(tx: &Tx, environment: &Environment) -> deployments::Record {
    let generation = environments::next_generation(tx, &environment.id).await.unwrap();
    let record = new_deployment(environment, generation);
    deployments::insert(tx, &record).await.unwrap();
    record
}

pub(crate) fn new_deployment(environment: &Environment, generation: u64) -> deployments::Record {
    let deployment = Deployment {
        id: id(),
        app: environment.app.clone(),
        environment: environment.name.clone(),
        kind: DeploymentKind::Deploy,
        generation,
        phase: Phase::Queued,
        progress: 0,
        source: None,
        release: None,
        release_number: None,
        metadata: Metadata::default(),
        phases: vec![],
        failure: None,
        cancelling: false,
        stuck: None,
        requested_by: "admin".into(),
        created_at: kept(),
        updated_at: kept(),
        finished_at: None,
    };
    deployments::Record { app_id: environment.app_id.clone(), environment_id: environment.id.clone(), deployment }
}

/// Claims the environment for a new deployment, and lets it serve a new release.
pub(crate) async fn serve(
    tx: &Tx,
    app: &App,
    environment: &Environment,
    digest: &str,
) -> (deployments::Record, ReleaseId) {
    let record = deployment(tx, environment).await;
    let release = release(tx, app, digest).await.id;
    let (id, generation) = (&record.deployment.id, record.deployment.generation);
    let claim = environments::claim(tx, &environment.id, id, generation).await.unwrap();
    assert_eq!(claim, environments::Claim::Granted);
    environments::activate(tx, &environment.id, id, &release, generation).await.unwrap();
    environments::release_claim(tx, &environment.id, id).await.unwrap();
    (record, release)
}

/// The deployment in the queue of the host `here`, at this rank.
pub(crate) fn entry(record: &deployments::Record, rank: i64) -> queue::Entry {
    queue::Entry {
        deployment: record.deployment.id.clone(),
        app: record.app_id.clone(),
        environment: record.environment_id.clone(),
        host: "here".to_owned(),
        priority: Default::default(),
        rank,
        not_before: None,
        enqueued_at: kept(),
        attempt: 1,
        held: false,
    }
}
