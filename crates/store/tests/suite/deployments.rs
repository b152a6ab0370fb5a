//! Deployments.

use domain::DeploymentId;
use domain::access::Sees;
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

/// A failure counts until something of its environment ends well, or fails anew.
pub(crate) async fn unhealed(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let shop = fixture::app(&tx, "shop").await;
    let blog = fixture::app(&tx, "blog").await;
    let mut wanted = Vec::new();
    for (app, name, phases, counts) in [
        (&shop, "healed", &[Phase::Failed, Phase::Active][..], false),
        (&shop, "failed", &[Phase::Active, Phase::Failed], true),
        (&shop, "twice", &[Phase::RolledBack, Phase::Failed], true),
        (&shop, "cancelled", &[Phase::RolledBack, Phase::Cancelled], false),
        (&shop, "again", &[Phase::Failed, Phase::Building], false),
        (&shop, "well", &[Phase::Active], false),
        (&blog, "failed", &[Phase::RolledBack], true),
    ] {
        let environment = fixture::environment(&tx, app, name).await;
        for (generation, phase) in (1..).zip(phases) {
            let mut record = fixture::new_deployment(&environment, generation);
            record.deployment.phase = *phase;
            record.deployment.finished_at = phase.is_end().then(kept);
            deployments::insert(&tx, &record).await.unwrap();
            // What ends without a result, or has not ended, heals nothing.
            let is_it = counts && usize::try_from(generation).unwrap() == phases.len();
            let before = ["cancelled", "again"].contains(&name) && generation == 1;
            if is_it || before {
                wanted.push(record.deployment.id);
            }
        }
    }
    tx.commit().await.unwrap();
    wanted.reverse();
    let found = async |sees: Sees, limit| {
        let found = deployments::unhealed(&store, &sees, limit).await.unwrap();
        found.into_iter().map(|record| record.deployment.id).collect::<Vec<_>>()
    };
    assert_eq!(found(Sees::All, 50).await, wanted);
    assert_eq!(found(Sees::All, 2).await, wanted[..2]);
    let only = Sees::Only(std::collections::BTreeSet::from([blog.id.clone()]));
    assert_eq!(found(only, 50).await, wanted[..1]);
    assert!(found(Sees::Only(Default::default()), 50).await.is_empty());
}

/// Of many environments in few statements: the same as of each by itself.
pub(crate) async fn took(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let mut environments = Vec::new();
    let mut want = Vec::new();
    for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
        let environment = fixture::environment(&tx, &app, name).await;
        for generation in 1..=4_u32 {
            let mut record = fixture::new_deployment(&environment, generation.into());
            let ended = if generation == 3 { Phase::Failed } else { Phase::Active };
            let at = |seconds: u32| kept() + chrono::TimeDelta::seconds(seconds.into());
            let times = |phase, from| PhaseTimes { phase, started_at: at(from), finished_at: Some(at(from + 1)) };
            record.deployment.phase = ended;
            record.deployment.phases = vec![times(Phase::Queued, 0), times(Phase::PullingSource, generation)];
            record.deployment.finished_at = Some(at(10));
            deployments::insert(&tx, &record).await.unwrap();
            // The two newest of the first two; the third is not asked for.
            if n < 2 && [2, 4].contains(&generation) {
                want.push((environment.id.clone(), 10 - i64::from(generation)));
            }
        }
        environments.push(environment.id);
    }
    tx.commit().await.unwrap();
    let seconds = |all: Vec<deployments::Worked>| {
        let mut all: Vec<_> = all.into_iter().map(|w| (w.environment, (w.finished - w.began).num_seconds())).collect();
        all.sort();
        all
    };
    want.sort();
    let asked: Vec<_> = environments.iter().take(2).collect();
    assert_eq!(seconds(deployments::succeeded_in(&store, &asked, 2).await.unwrap()), want);
    assert_eq!(deployments::succeeded_in(&store, &[], 2).await.unwrap(), []);
    assert_eq!(seconds(deployments::succeeded(&store, 100).await.unwrap()).len(), 9);
    assert_eq!(deployments::succeeded(&store, 1).await.unwrap()[0].environment, environments[2]);
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
    let who = || Some(made[0].deployment.requested_by.clone());
    let filters: [(Filter, Holds); 10] = [
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
        (Filter { app: Some(shop.id.clone()), requested_by: who(), ..Default::default() }, |r, f| {
            Some(&r.app_id) == f.app.as_ref()
        }),
        (Filter { environment: Some(staging.id.clone()), requested_by: who(), ..Default::default() }, |r, f| {
            Some(&r.environment_id) == f.environment.as_ref()
        }),
        (Filter { phase: Some(Phase::Queued), requested_by: who(), ..Default::default() }, |r, _| {
            r.deployment.phase == Phase::Queued
        }),
        (Filter { app: Some(shop.id.clone()), requested_by: Some("nobody".into()), ..Default::default() }, |_, _| {
            false
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
    assert_eq!(store::apps::list_named(&store, &Sees::All, Some("lo"), None, 9).await.unwrap(), [blog]);
}

/// Of one app, or of one environment, those with a tag that more have than are gone through.
pub(crate) async fn searches_of_many(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (shop, blog) = (fixture::app(&tx, "shop").await, fixture::app(&tx, "blog").await);
    let many = fixture::environment(&tx, &shop, "production").await;
    let few = fixture::environment(&tx, &shop, "staging").await;
    let other = fixture::environment(&tx, &blog, "production").await;
    let release = fixture::release(&tx, &shop, "aa").await;
    let mut of_few = Vec::new();
    let mut of_shop = Vec::new();
    for n in 0..540_usize {
        let environment = if n % 90 == 0 { &few } else { &many };
        let record = fixture::deployment(&tx, environment).await;
        // Two of the few have not ended, and no tag.
        let tagged = n % 270 != 0;
        if tagged {
            let release = Some((release.id.clone(), 1));
            let update = DeploymentUpdate { phase: Some(Phase::Failed), release, ..Default::default() };
            deployments::update(&tx, &record.deployment.id, now(), update).await.unwrap();
            of_shop.push(record.deployment.id.clone());
            of_few.extend((n % 90 == 0).then_some(record.deployment.id));
        }
    }
    fixture::deployment(&tx, &other).await;
    tx.commit().await.unwrap();
    of_few.reverse();
    of_shop.reverse();
    assert_eq!((of_few.len(), of_shop.len()), (4, 538));
    let stable = || Filter { search: Some("stable".into()), ..Default::default() };
    let in_few = Filter { environment: Some(few.id.clone()), ..stable() };
    assert_eq!(pages(&store, &in_few, 3).await, of_few);
    assert_eq!(pages(&store, &Filter { app: Some(shop.id.clone()), ..stable() }, 200).await, of_shop);
    assert_eq!(pages(&store, &stable(), 200).await, of_shop);
    let failed = Filter { phase: Some(Phase::Failed), ..stable() };
    assert_eq!(pages(&store, &failed, 600).await, of_shop);
    assert_eq!(pages(&store, &Filter { environment: in_few.environment.clone(), ..failed }, 3).await, of_few);
    assert_eq!(pages(&store, &Filter { open: true, ..in_few }, 3).await, []);
    assert_eq!(pages(&store, &Filter { app: Some(blog.id.clone()), ..stable() }, 3).await, []);
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
