//! Settings, signs of life, and the removal of what is old.

use chrono::{TimeDelta, Utc};
use domain::event::EventKind;
use domain::phase::Phase;
use domain::retention::{Chosen, spare};
use domain::{DeploymentId, ReleaseId};
use store::beats::{self, Beat};
use store::deployments::{self, DeploymentUpdate};
use store::environments::{self, Environment};
use store::retention::{self, BATCH, Of};
use store::settings::{self, RETENTION};
use store::{StoreError, Tx, apps, events, releases};

use crate::database::Database;
use crate::fixture::{self, kept, now};

pub(crate) async fn settings_of_apps(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (shop, blog) = (fixture::app(&tx, "shop").await, fixture::app(&tx, "blog").await);
    let chosen = |releases| Chosen { releases: Some(releases), ..Chosen::default() };
    assert_eq!(settings::find::<Chosen>(&tx, None, RETENTION).await.unwrap(), None);
    for (app, releases) in [(None, 5), (Some(&shop.id), 2), (Some(&blog.id), 9), (Some(&shop.id), 3)] {
        settings::set(&tx, app, RETENTION, Some(&chosen(releases))).await.unwrap();
    }
    settings::set::<Chosen>(&tx, Some(&blog.id), RETENTION, None).await.unwrap();
    assert_eq!(settings::find(&tx, None, RETENTION).await.unwrap(), Some(chosen(5)));
    assert_eq!(settings::of_apps(&tx, RETENTION).await.unwrap(), [(shop.id.clone(), chosen(3))]);
    assert_eq!(settings::of_apps::<Chosen>(&tx, "other").await.unwrap(), []);
    apps::purge(&tx, &shop.id).await.unwrap();
    assert_eq!(settings::of_apps::<Chosen>(&tx, RETENTION).await.unwrap(), []);
    tx.commit().await.unwrap();
}

async fn become_(tx: &Tx, id: &DeploymentId, phase: Phase) {
    let update = DeploymentUpdate { phase: Some(phase), ..Default::default() };
    deployments::update(tx, id, now(), update).await.unwrap();
}

pub(crate) async fn signs_of_life(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let environment = fixture::environment(&tx, &app, "production").await;
    let mut ids = Vec::new();
    for phase in [Phase::Queued, Phase::Building, Phase::Building, Phase::Failed] {
        let id = fixture::deployment(&tx, &environment).await.deployment.id;
        if phase != Phase::Queued {
            become_(&tx, &id, phase).await;
        }
        ids.push(id);
    }
    let beat = |n: usize, output| Beat { deployment: ids[n].clone(), output_at: output };
    let later = kept() + TimeDelta::seconds(5);
    beats::beat(&tx, kept(), &[beat(1, Some(kept())), beat(2, None), beat(3, None)]).await.unwrap();
    // What is not said anew stays.
    beats::beat(&tx, later, &[beat(1, None)]).await.unwrap();
    beats::beat(&tx, later, &[]).await.unwrap();
    let working = beats::working(&tx).await.unwrap();
    let seen: Vec<_> =
        working.iter().map(|w| (&w.record.deployment.id, w.signs.beat_at, w.signs.output_at, w.signs.waits)).collect();
    assert_eq!(
        seen,
        [(&ids[1], Some(later), Some(kept()), false), (&ids[2], Some(kept()), None, false)],
        "what waits in the queue or has ended does not work"
    );
    assert!(beats::set_stalled(&tx, &ids[1], Some("silent")).await.unwrap());
    assert!(!beats::set_stalled(&tx, &ids[1], Some("still silent")).await.unwrap(), "that is no news");
    assert!(!beats::set_stalled(&tx, &ids[2], None).await.unwrap());
    assert!(!beats::set_stalled(&tx, &ids[3], Some("it has ended")).await.unwrap());
    assert_eq!(beats::count_stalled(&tx).await.unwrap(), 1);
    beats::beat(&tx, later, &[beat(1, None)]).await.unwrap();
    assert_eq!(beats::count_stalled(&tx).await.unwrap(), 1, "a sign of life alone changes nothing");
    become_(&tx, &ids[1], Phase::Failed).await;
    environments::end(&tx, &environment.id, &ids[1]).await.unwrap();
    assert_eq!(beats::count_stalled(&tx).await.unwrap(), 0, "it goes with the end");
    // Without one, it may be noted all the same.
    assert!(beats::set_stalled(&tx, &ids[2], None).await.is_ok_and(|news| !news));
    tx.commit().await.unwrap();
}

/// What is active is at work for as long as it holds its environment, and so is told of when it gets stuck or stalls there.
pub(crate) async fn cleaning_up(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let environment = fixture::environment(&tx, &app, "production").await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = fixture::deployment(&tx, &environment).await.deployment.id;
        environments::start(&tx, &environment.id, &id).await.unwrap();
        for phase in [Phase::HealthCheck, Phase::Active] {
            become_(&tx, &id, phase).await;
        }
        if ids.is_empty() {
            environments::end(&tx, &environment.id, &id).await.unwrap();
        }
        ids.push(id);
    }
    let [before, id] = &ids[..] else { panic!("{ids:?}") };
    let beat = |id: &DeploymentId| Beat { deployment: id.clone(), output_at: None };
    beats::beat(&tx, kept(), &[beat(before), beat(id)]).await.unwrap();
    let working = beats::working(&tx).await.unwrap();
    let seen: Vec<_> = working.iter().map(|w| (&w.record.deployment.id, w.signs.phase, w.signs.beat_at)).collect();
    assert_eq!(seen, [(id, Phase::Active, Some(kept()))], "what holds nothing has ended");
    assert!(working[0].cleans_up(), "nobody need look at it");
    assert_eq!(deployments::count_open(&tx).await.unwrap(), [(Phase::Active, 1, 0)]);

    assert!(beats::set_stalled(&tx, id, Some("silent")).await.unwrap());
    assert!(!beats::set_stalled(&tx, before, Some("it has ended")).await.unwrap());
    assert_eq!(beats::count_stalled(&tx).await.unwrap(), 1);
    assert!(beats::ask_again(&tx, id).await.unwrap());
    assert_eq!(beats::asked_again(&tx).await.unwrap(), std::slice::from_ref(id));
    assert!(!beats::working(&tx).await.unwrap()[0].cleans_up(), "it is stalled");
    assert!(beats::set_stalled(&tx, id, None).await.unwrap());
    let stuck = DeploymentUpdate { stuck: Some(Some("it can't be stopped".into())), ..Default::default() };
    deployments::update(&tx, id, now(), stuck).await.unwrap();
    let working = beats::working(&tx).await.unwrap();
    assert!(!working[0].cleans_up() && working[0].signs.waits, "{working:?}");
    assert_eq!(deployments::count_open(&tx).await.unwrap(), [(Phase::Active, 1, 1)]);

    environments::end(&tx, &environment.id, id).await.unwrap();
    beats::beat(&tx, kept(), &[beat(id)]).await.unwrap();
    assert!(!beats::set_stalled(&tx, id, Some("it has ended")).await.unwrap());
    assert_eq!((beats::asked_again(&tx).await.unwrap(), beats::working(&tx).await.unwrap()), (vec![], vec![]));
    assert_eq!(deployments::count_open(&tx).await.unwrap(), []);
    tx.commit().await.unwrap();
}

/// Lets a release serve, as a new deployment.
async fn serve(tx: &Tx, environment: &Environment, release: &ReleaseId) -> DeploymentId {
    let record = fixture::deployment(tx, environment).await;
    let (id, generation) = (record.deployment.id, record.deployment.generation);
    environments::claim(tx, &environment.id, &id, generation).await.unwrap();
    for phase in [Phase::HealthCheck, Phase::Active] {
        become_(tx, &id, phase).await;
    }
    environments::activate(tx, &environment.id, &id, release, generation).await.unwrap();
    environments::release_claim(tx, &environment.id, &id).await.unwrap();
    id
}

/// Nothing goes that serves or that a rollback would go to, however old it is.
pub(crate) async fn old_deployments(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let other = fixture::app(&tx, "blog").await;
    let production = fixture::environment(&tx, &app, "production").await;
    let of_other = fixture::environment(&tx, &other, "production").await;
    let mut releases = Vec::new();
    for digest in ["aa", "bb", "cc"] {
        releases.push(fixture::release(&tx, &app, digest).await.id);
    }
    let mut ids = Vec::new();
    // aa, bb, aa again, cc.
    for n in [0, 1, 0, 2] {
        ids.push(serve(&tx, &production, &releases[n]).await);
    }
    let failed = fixture::deployment(&tx, &production).await.deployment.id;
    become_(&tx, &failed, Phase::Failed).await;
    let queued = fixture::deployment(&tx, &production).await.deployment.id;
    let theirs = fixture::deployment(&tx, &of_other).await.deployment.id;
    become_(&tx, &theirs, Phase::Failed).await;
    store::sagas::create(&tx, failed.as_str(), "deploy", 1).await.unwrap();
    tx.commit().await.unwrap();

    let before = Utc::now() + TimeDelta::days(1000);
    let of = Of::App { id: app.id.clone(), name: app.name.clone() };
    let others = Of::Others(vec![(app.id.clone(), app.name.clone())]);
    assert_eq!(retention::count_deployments(&store, &Of::Others(Vec::new()), before).await.unwrap(), 3);
    assert_eq!(retention::count_deployments(&store, &others, before).await.unwrap(), 1);
    assert_eq!(retention::count_deployments(&store, &of, kept() - TimeDelta::days(1)).await.unwrap(), 0);
    let tx = store.write().await.unwrap();
    let gone = retention::remove_deployments(&tx, &of, before, None).await.unwrap();
    assert_eq!(gone, [ids[0].clone(), failed.clone()], "the first aa is in the shadow of the second");
    assert_eq!(retention::remove_deployments(&tx, &of, before, gone.last()).await.unwrap(), []);
    tx.commit().await.unwrap();
    assert!(matches!(store::sagas::get(&store, failed.as_str()).await, Err(StoreError::NotFound { .. })));
    let good = releases::good(&store, &production.id).await.unwrap();
    assert_eq!(good, [releases[2].clone(), releases[0].clone(), releases[1].clone()], "as before");
    assert_eq!(retention::still_open(&store, &[queued.clone(), theirs]).await.unwrap(), [queued]);

    // Without its files a release is no way back, and its deployment may go.
    let tx = store.write().await.unwrap();
    retention::files_gone(&tx, &releases[1..2], now()).await.unwrap();
    assert_eq!(retention::remove_deployments(&tx, &of, before, None).await.unwrap(), [ids[1].clone()]);
    tx.commit().await.unwrap();
}

pub(crate) async fn old_files(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let production = fixture::environment(&tx, &app, "production").await;
    let mut ids = Vec::new();
    for n in 0..6 {
        let release = fixture::release(&tx, &app, &format!("d{n}")).await.id;
        if n != 4 {
            serve(&tx, &production, &release).await;
        }
        ids.push(release);
    }
    assert_eq!(retention::apps_with_releases(&tx, 5).await.unwrap(), vec![app.id.clone()]);
    assert_eq!(retention::apps_with_releases(&tx, 6).await.unwrap(), []);
    let spared = |keep: u32| {
        let tx = &tx;
        let app = &app;
        async move {
            let (folders, good) = retention::folders(tx, &app.id, keep).await.unwrap()?;
            let held: Vec<_> = folders.into_iter().map(|folder| folder.held).collect();
            Some(spare(&held, &good, keep))
        }
    };
    assert_eq!(spared(3).await.unwrap(), [1, 0].map(|n: usize| ids[n].clone()), "five served, the fourth is new");
    assert_eq!(spared(1).await.unwrap(), [4, 3, 2, 1, 0].map(|n: usize| ids[n].clone()));
    // One that waits knows what it goes back to; one that has begun says what it takes, and may find any when it makes one.
    let waits = fixture::deployment(&tx, &production).await.deployment.id;
    let update = DeploymentUpdate { release: Some((ids[1].clone(), 2)), ..Default::default() };
    deployments::update(&tx, &waits, now(), update).await.unwrap();
    assert_eq!(spared(1).await.unwrap(), [4, 3, 2, 0].map(|n: usize| ids[n].clone()));
    let begun = fixture::deployment(&tx, &production).await.deployment.id;
    assert!(spared(1).await.is_some());
    become_(&tx, &begun, Phase::Building).await;
    assert_eq!(spared(1).await.unwrap(), [4, 3, 2, 0].map(|n: usize| ids[n].clone()), "while it builds");
    // Its files are there after all.
    retention::files_gone(&tx, &ids[2..3], now()).await.unwrap();
    let found = releases::get(&tx, &ids[2]).await.unwrap();
    releases::take(&tx, &found, &begun).await.unwrap();
    assert_eq!(releases::get(&tx, &ids[2]).await.unwrap().files_gone_at, None);
    let taken = deployments::get(&tx, &begun).await.unwrap().deployment;
    assert_eq!((taken.release, taken.release_number), (Some(found.id), Some(found.number)));
    assert_eq!(spared(1).await.unwrap(), [4, 3, 0].map(|n: usize| ids[n].clone()), "what it has taken stays");
    become_(&tx, &begun, Phase::CopyingFiles).await;
    assert_eq!(spared(1).await, None);
    become_(&tx, &begun, Phase::Failed).await;

    retention::files_gone(&tx, &ids[..1], now()).await.unwrap();
    assert_eq!(releases::get(&tx, &ids[0]).await.unwrap().files_gone_at, Some(kept()));
    assert_eq!(retention::apps_with_releases(&tx, 5).await.unwrap(), []);
    // Built again.
    let new = store::releases::NewRelease { size: 5, ..fixture::new_release(&app, "d0") };
    let (again, created) = releases::insert_or_get(&tx, &new).await.unwrap();
    assert_eq!((again.id, again.files_gone_at, again.size, created), (ids[0].clone(), None, 5, false));
    tx.commit().await.unwrap();
}

pub(crate) async fn old_events_and_keys(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let shop = fixture::app(&tx, "shop").await;
    let tell = |day: i64, ours: bool| {
        let (tx, name) = (&tx, &shop.name);
        let event = EventKind::ServerStarted { version: String::new() };
        async move {
            let at = kept() + TimeDelta::days(day);
            events::insert(tx, ours.then_some(name), None, None, &event, at).await.unwrap()
        }
    };
    let mut cursors = Vec::new();
    for n in 0..BATCH as i64 + 120 {
        cursors.push(tell(n / 100, n % 10 == 0).await);
    }
    tx.commit().await.unwrap();
    let first = retention::first_event_from(&store, kept() + TimeDelta::days(2)).await.unwrap();
    assert_eq!(first, cursors[200]);
    assert_eq!(retention::first_event_from(&store, kept() - TimeDelta::days(2)).await.unwrap(), 1.min(cursors[0]));
    let newest = *cursors.last().unwrap();
    assert_eq!(
        retention::first_event_from(&store, kept() + TimeDelta::days(99)).await.unwrap(),
        newest,
        "the last stays"
    );

    let own = Of::App { id: shop.id.clone(), name: shop.name.clone() };
    let others = Of::Others(vec![(shop.id.clone(), shop.name.clone())]);
    assert_eq!(retention::count_events(&store, &own, first).await.unwrap(), 20);
    assert_eq!(retention::count_events(&store, &others, first).await.unwrap(), 180);
    assert_eq!(retention::count_events(&store, &Of::Others(Vec::new()), first).await.unwrap(), 200);
    let tx = store.write().await.unwrap();
    assert_eq!(retention::remove_events(&tx, &others, 0, newest).await.unwrap().0, BATCH);
    let (gone, more) = retention::remove_events(&tx, &others, 0, newest).await.unwrap();
    assert_eq!((gone, more), (57, None));
    tx.commit().await.unwrap();
    let left = events::list(&store, &events::Filter::default(), 0, 1000).await.unwrap();
    assert_eq!(left.len(), 63, "those of the app, and the last");

    let tx = store.write().await.unwrap();
    let token = crate::nouns::token("5");
    store::tokens::insert(&tx, &token).await.unwrap();
    for n in 0..9 {
        let answer = store::idempotency::Answer {
            owner: token.id.to_string(),
            key: n.to_string(),
            operation: "x".into(),
            request_digest: "x".into(),
            status: 200,
            response: serde_json::json!({}),
            created_at: kept() + TimeDelta::hours(n),
        };
        store::idempotency::insert(&tx, &answer).await.unwrap();
    }
    let before = kept() + TimeDelta::hours(4);
    assert_eq!(retention::count_keys(&tx, before).await.unwrap(), 4);
    assert_eq!(retention::remove_keys(&tx, before).await.unwrap(), 4);
    assert_eq!(retention::remove_keys(&tx, before).await.unwrap(), 0);
    assert!(store::idempotency::find(&tx, token.id.as_str(), "4").await.unwrap().is_some());
    tx.commit().await.unwrap();
}
