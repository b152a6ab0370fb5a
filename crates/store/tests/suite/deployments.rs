//! Deployments.

use domain::DeploymentId;
use domain::deployment::{DeploymentKind, Metadata, PhaseTimes};
use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::source::{Commit, Source};
use store::deployments::{self, DeploymentUpdate, Filter};
use store::{Constraint, StoreError};

use crate::database::Database;
use crate::fixture::{self, id, kept, now};

pub(crate) async fn rows(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let environment = fixture::environment(&tx, &app, "production").await;
    let release = fixture::release(&tx, &app, "aa").await;
    // Every field with a value.
    let mut record = fixture::new_deployment(&environment, 7);
    let d = &mut record.deployment;
    d.kind = DeploymentKind::Rollback;
    d.phase = Phase::HealthCheck;
    d.progress = 85;
    d.source = Some(Source::Directory { path: "/srv/app".into() });
    d.release = Some(release.id.clone());
    d.release_number = Some(1);
    d.metadata = Metadata { files_copied: Some(3), urls: vec!["http://a.localhost".into()], ..Metadata::default() };
    d.phases = vec![PhaseTimes { phase: Phase::Queued, started_at: kept(), finished_at: Some(kept()) }];
    d.failure = Some(failure());
    d.cancelling = true;
    d.stuck = Some("no disk".into());
    d.finished_at = Some(kept());
    deployments::insert(&tx, &record).await.unwrap();
    let mut twice = fixture::new_deployment(&environment, 7);
    let taken = StoreError::Conflict(Constraint::Id { what: "deployment" });
    assert_eq!(deployments::insert(&tx, &twice).await.unwrap_err(), taken, "a generation belongs to one deployment");
    twice.deployment.generation = 8;
    twice.deployment.id = record.deployment.id.clone();
    assert_eq!(deployments::insert(&tx, &twice).await.unwrap_err(), taken);
    tx.commit().await.unwrap();
    assert_eq!(deployments::get(&store, &record.deployment.id).await.unwrap(), record);
    let missing: DeploymentId = id();
    assert!(matches!(deployments::get(&store, &missing).await, Err(StoreError::NotFound { .. })));
}

pub(crate) fn failure() -> Failure {
    Failure {
        phase: Phase::Building,
        cause: Cause::Build,
        message: "npm said \0 no".into(),
        output: vec!["line".into()],
        hint: "read it".into(),
        smoke_tests: Vec::new(),
    }
}

/// Should a list with the filter have the record?
type Holds = fn(&deployments::Record, &Filter) -> bool;

pub(crate) async fn lists(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (shop, blog) = (fixture::app(&tx, "shop").await, fixture::app(&tx, "blog").await);
    let production = fixture::environment(&tx, &shop, "production").await;
    let staging = fixture::environment(&tx, &shop, "staging").await;
    let of_blog = fixture::environment(&tx, &blog, "production").await;
    let mut made = Vec::new();
    for n in 0..23 {
        let environment = [&production, &staging, &of_blog][n % 3];
        let record = fixture::deployment(&tx, environment).await;
        if n % 2 == 0 {
            let update = DeploymentUpdate { phase: Some(Phase::Failed), ..Default::default() };
            deployments::update(&tx, &record.deployment.id, now(), update).await.unwrap();
        }
        made.push(deployments::get(&tx, &record.deployment.id).await.unwrap());
    }
    tx.commit().await.unwrap();
    let filters: [(Filter, Holds); 6] = [
        (Filter::default(), |_, _| true),
        (Filter { app: Some(shop.id.clone()), ..Default::default() }, |r, f| Some(&r.app_id) == f.app.as_ref()),
        (Filter { environment: Some(staging.id.clone()), ..Default::default() }, |r, f| {
            Some(&r.environment_id) == f.environment.as_ref()
        }),
        (Filter { phase: Some(Phase::Failed), ..Default::default() }, |r, _| r.deployment.phase == Phase::Failed),
        (Filter { open: true, ..Default::default() }, |r, _| r.deployment.phase == Phase::Queued),
        (Filter { app: Some(shop.id.clone()), open: true, ..Default::default() }, |r, f| {
            Some(&r.app_id) == f.app.as_ref() && !r.deployment.phase.is_end()
        }),
    ];
    for (filter, holds) in filters {
        let mut expected: Vec<_> = made.iter().filter(|r| holds(r, &filter)).cloned().collect();
        expected.reverse();
        for limit in [1, 4, 100] {
            let mut seen = Vec::new();
            loop {
                let before = seen.last().map(|r: &deployments::Record| r.deployment.id.clone());
                let page = deployments::list(&store, &filter, before.as_ref(), limit).await.unwrap();
                if page.is_empty() {
                    break;
                }
                seen.extend(page);
            }
            assert_eq!(seen, expected, "{filter:?} by {limit}");
        }
    }
    let mut open = deployments::list_open(&store).await.unwrap();
    assert!(open.is_sorted_by_key(|r| r.deployment.id.clone()));
    open.reverse();
    assert_eq!(open, deployments::list(&store, &Filter { open: true, ..Default::default() }, None, 99).await.unwrap());
}

pub(crate) async fn searches(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (shop, blog) = (fixture::app(&tx, "shop").await, fixture::app(&tx, "blog").await);
    let of =
        [fixture::environment(&tx, &shop, "production").await, fixture::environment(&tx, &blog, "production").await];
    let release = fixture::release(&tx, &shop, "aa").await;
    let mut made = Vec::new();
    for n in 0..12_usize {
        let environment = &of[n % 2];
        let generation = store::environments::next_generation(&tx, &environment.id).await.unwrap();
        let mut record = fixture::new_deployment(environment, generation);
        record.deployment.requested_by = ["ci", "zoë"][n / 6].to_owned();
        deployments::insert(&tx, &record).await.unwrap();
        let sha = ["abcdef0123", "abcdef0199", "ffff000011"][n % 3].to_owned();
        let commit = Commit { sha, summary: String::new(), author: String::new(), time: 0 };
        let update = DeploymentUpdate {
            phase: Some(Phase::Failed),
            metadata: Some(Metadata { commit: Some(commit), ..Metadata::default() }),
            release: (n >= 8).then(|| (release.id.clone(), 1)),
            ..Default::default()
        };
        deployments::update(&tx, &record.deployment.id, now(), update).await.unwrap();
        made.push(record.deployment.id);
    }
    tx.commit().await.unwrap();
    let word = |word: &str| Filter { search: Some(word.to_owned()), ..Default::default() };
    let of_shop = |filter: Filter| Filter { app: Some(shop.id.clone()), ..filter };
    let whole = made[3].to_string();
    let filters: [(Filter, &dyn Fn(usize) -> bool); 15] = [
        (word(&whole), &|n| n == 3),
        (word(&whole[4..12]), &|_| true),
        (word("abcdef0"), &|n| n % 3 < 2),
        (word("ABCDEF01"), &|n| n % 3 < 2),
        (word("abcdef019"), &|n| n % 3 == 1),
        (word("abcdef"), &|_| false),
        (word("stable"), &|n| n >= 8),
        (word("stab"), &|_| false),
        (of_shop(word("stable")), &|n| n >= 8 && n % 2 == 0),
        (of_shop(word("abcdef0123")), &|n| n % 3 == 0 && n % 2 == 0),
        (Filter { phase: Some(Phase::Active), ..word("stable") }, &|_| false),
        (Filter { requested_by: Some("zoë".into()), ..word("abcdef0") }, &|n| n >= 6 && n % 3 < 2),
        (Filter { requested_by: Some("ci".into()), ..Default::default() }, &|n| n < 6),
        (word("%"), &|_| false),
        (word("'; --"), &|_| false),
    ];
    for (filter, holds) in filters {
        let expected: Vec<_> = (0..12).rev().filter(|n| holds(*n)).map(|n| made[n].clone()).collect();
        assert_eq!(pages(&store, &filter, 2).await, expected, "{filter:?}");
    }
    // Ids are made at a millisecond each, in this suite.
    let at = |n: usize| {
        let ulid: ulid::Ulid = made[n].as_str()[4..].parse().unwrap();
        chrono::DateTime::from_timestamp_millis(ulid.timestamp_ms() as i64).unwrap()
    };
    let between = Filter { since: Some(at(2)), until: Some(at(5)), ..Default::default() };
    assert_eq!(pages(&store, &between, 9).await, [4, 3, 2].map(|n| made[n].clone()));
    assert_eq!(store::apps::list_named(&store, Some("lo"), None, 9).await.unwrap(), [blog]);
}

async fn pages(store: &store::Store, filter: &Filter, limit: u64) -> Vec<DeploymentId> {
    let mut seen: Vec<DeploymentId> = Vec::new();
    loop {
        let page = deployments::list(store, filter, seen.last(), limit).await.unwrap();
        if page.is_empty() {
            return seen;
        }
        seen.extend(page.into_iter().map(|record| record.deployment.id));
    }
}

pub(crate) async fn phases(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let environment = fixture::environment(&tx, &app, "production").await;
    let release = fixture::release(&tx, &app, "aa").await;
    for from in Phase::ALL {
        for to in Phase::ALL {
            let mut record = fixture::new_deployment(&environment, 0);
            record.deployment.generation = store::environments::next_generation(&tx, &environment.id).await.unwrap();
            record.deployment.phase = from;
            deployments::insert(&tx, &record).await.unwrap();
            let id = &record.deployment.id;
            let change = DeploymentUpdate { phase: Some(to), progress: Some(42), ..Default::default() };
            let result = deployments::update(&tx, id, now(), change).await;
            if from == to || from.may_become(to) {
                let updated = result.unwrap();
                assert_eq!((updated.phase, updated.progress, updated.updated_at), (to, 42, kept()));
                assert_eq!(updated.finished_at.is_some(), to != from && to.is_end());
            } else {
                let illegal = StoreError::IllegalPhase { deployment: id.clone(), from, to };
                assert_eq!(result.unwrap_err(), illegal);
                assert_eq!(deployments::get(&tx, id).await.unwrap(), record, "nothing of it was written");
            }
        }
    }
    let id = fixture::deployment(&tx, &environment).await.deployment.id;
    let times = PhaseTimes { phase: Phase::Building, started_at: kept(), finished_at: None };
    let change = DeploymentUpdate {
        phase: Some(Phase::Building),
        progress: Some(20),
        metadata: Some(Metadata { detected_type: Some("node".into()), ..Metadata::default() }),
        phases: Some(vec![times.clone()]),
        failure: Some(failure()),
        release: Some((release.id.clone(), release.number)),
        cancelling: Some(true),
        stuck: Some(Some("output with a \0 in it".into())),
    };
    let updated = deployments::update(&tx, &id, now(), change).await.unwrap();
    assert_eq!(updated.metadata.detected_type.as_deref(), Some("node"));
    assert_eq!((updated.phases, updated.failure), (vec![times], Some(failure())));
    assert_eq!((updated.release, updated.release_number), (Some(release.id), Some(1)));
    assert_eq!((updated.cancelling, updated.stuck.as_deref()), (true, Some("output with a \u{fffd} in it")));
    // What is not named stays.
    let change = DeploymentUpdate { stuck: Some(None), cancelling: Some(false), ..Default::default() };
    let helped = deployments::update(&tx, &id, now(), change).await.unwrap();
    assert_eq!((helped.phase, helped.progress, helped.stuck, helped.cancelling), (Phase::Building, 20, None, false));
    assert_eq!(helped.failure, Some(failure()));
    let missing: DeploymentId = fixture::id();
    let gone = deployments::update(&tx, &missing, now(), DeploymentUpdate::default()).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })));
    tx.commit().await.unwrap();
}
