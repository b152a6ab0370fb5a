//! Releases.

use std::collections::BTreeMap;

use domain::labels::Labels;
use domain::release::Digest;
use domain::source::Commit;
use store::deployments::DeploymentUpdate;
use store::releases::{self, NewRelease};
use store::{Constraint, StoreError, deployments, environments};

use crate::database::Database;
use crate::fixture::{self, id, kept, now};

pub(crate) async fn rows(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (shop, blog) = (fixture::app(&tx, "shop").await, fixture::app(&tx, "blog").await);
    let commit = Commit { sha: "ab".repeat(20), summary: "Fix \"it\"".into(), author: "Zoë".into(), time: -5 };
    let new = NewRelease { commit: Some(commit.clone()), created_at: now(), ..fixture::new_release(&shop, "aa") };
    let (one, created) = releases::insert_or_get(&tx, &new).await.unwrap();
    assert!(created);
    assert_eq!((one.number, &one.commit, one.created_at), (1, &Some(commit), kept()));
    assert_eq!((one.size, one.files, &one.tags, &one.metadata), (new.size, 7, &new.tags, &new.metadata));
    assert_eq!((&one.id, &one.digest, &one.spec), (&new.id, &new.digest, &new.spec));

    // The same digest is the same release, in this app.
    let (same, created) = releases::insert_or_get(&tx, &fixture::new_release(&shop, "aa")).await.unwrap();
    assert_eq!((same, created), (one.clone(), false));
    assert_eq!(fixture::release(&tx, &blog, "aa").await.number, 1);
    let two = fixture::release(&tx, &shop, "bb").await;
    assert_eq!(two.number, 2);
    let more = Labels {
        tags: vec!["stable".parse().unwrap(), "v2".parse().unwrap()],
        metadata: BTreeMap::from([("who".parse().unwrap(), "Ann".parse().unwrap())]),
    };
    for _ in 0..2 {
        releases::label(&tx, &two.id, &more).await.unwrap();
        let labelled = releases::get(&tx, &two.id).await.unwrap();
        assert_eq!((labelled.tags, labelled.metadata), (more.tags.clone(), more.metadata.clone()));
    }
    // The number of a deleted release is not given again.
    releases::delete(&tx, &two.id).await.unwrap();
    let three = fixture::release(&tx, &shop, "cc").await;
    assert_eq!(three.number, 3);
    let clash = NewRelease { id: one.id.clone(), ..fixture::new_release(&shop, "dd") };
    let taken = StoreError::Conflict(Constraint::Id { what: "release" });
    assert_eq!(releases::insert_or_get(&tx, &clash).await.unwrap_err(), taken);
    let orphan = NewRelease { app_id: id(), ..fixture::new_release(&shop, "ee") };
    assert!(matches!(releases::insert_or_get(&tx, &orphan).await, Err(StoreError::NotFound { .. })));
    for n in 4..20 {
        fixture::release(&tx, &shop, &format!("n{n}")).await;
    }
    tx.commit().await.unwrap();

    assert_eq!(releases::get(&store, &one.id).await.unwrap(), one);
    assert_eq!(releases::app_of(&store, &one.id).await.unwrap(), shop.id);
    assert_eq!(releases::snapshot(&store, &one.id).await.unwrap(), new.snapshot);
    assert_eq!(releases::find_by_number(&store, &shop.id, 3).await.unwrap(), Some(three));
    assert_eq!(releases::find_by_number(&store, &shop.id, 2).await.unwrap(), None);
    assert_eq!(releases::find_by_digest(&store, &shop.id, &Digest("aa".into())).await.unwrap(), Some(one));
    assert_eq!(releases::find_by_digest(&store, &shop.id, &Digest("bb".into())).await.unwrap(), None);

    let mut numbers = Vec::new();
    let mut before = None;
    loop {
        let page = releases::list(&store, &shop.id, before, 5).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.number);
        numbers.extend(page.iter().map(|r| r.number));
    }
    let expected: Vec<u32> = (4..20).rev().chain([3, 1]).collect();
    assert_eq!(numbers, expected);
}

pub(crate) async fn deletion(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let environment = fixture::environment(&tx, &app, "production").await;
    let in_use = || StoreError::Conflict(Constraint::ReleaseInUse);

    let (_, serving) = fixture::serve(&tx, &app, &environment, "aa").await;
    assert_eq!(releases::delete(&tx, &serving).await.unwrap_err(), in_use());

    // A cutover is going on, and may be taken back.
    let second = fixture::deployment(&tx, &environment).await.deployment;
    let v2 = fixture::release(&tx, &app, "bb").await;
    environments::claim(&tx, &environment.id, &second.id, second.generation).await.unwrap();
    environments::activate(&tx, &environment.id, &second.id, &v2.id, second.generation).await.unwrap();
    assert_eq!(releases::delete(&tx, &serving).await.unwrap_err(), in_use());
    environments::release_claim(&tx, &environment.id, &second.id).await.unwrap();
    releases::delete(&tx, &serving).await.unwrap();
    assert_eq!(releases::good(&tx, &environment.id).await.unwrap(), std::slice::from_ref(&v2.id));
    assert!(matches!(releases::delete(&tx, &serving).await, Err(StoreError::NotFound { .. })));

    // A deployment needs it until its end, and keeps its number after.
    let third = fixture::deployment(&tx, &environment).await.deployment;
    let v3 = fixture::release(&tx, &app, "cc").await;
    let update = DeploymentUpdate { release: Some((v3.id.clone(), v3.number)), ..Default::default() };
    deployments::update(&tx, &third.id, now(), update).await.unwrap();
    assert_eq!(releases::delete(&tx, &v3.id).await.unwrap_err(), in_use());
    let failed = DeploymentUpdate { phase: Some(domain::phase::Phase::Failed), ..Default::default() };
    deployments::update(&tx, &third.id, now(), failed).await.unwrap();
    releases::delete(&tx, &v3.id).await.unwrap();
    let third = deployments::get(&tx, &third.id).await.unwrap().deployment;
    assert_eq!((third.release, third.release_number), (None, Some(v3.number)));
    tx.commit().await.unwrap();
}
