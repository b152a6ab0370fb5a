//! Environments: rows, claims, activation.

use std::collections::{BTreeMap, BTreeSet};

use domain::DeploymentId;
use store::environments::{self, Claim};
use store::{Constraint, StoreError, releases};

use crate::database::Database;
use crate::fixture::{self, id, name};

pub(crate) async fn rows(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (shop, blog) = (fixture::app(&tx, "shop").await, fixture::app(&tx, "blog").await);
    let production = fixture::environment(&tx, &shop, "production").await;
    let staging = fixture::environment(&tx, &shop, "a-staging").await;
    let of_blog = fixture::environment(&tx, &blog, "production").await;
    let again = fixture::new_environment(&shop, "production");
    let taken = StoreError::Conflict(Constraint::EnvironmentName { name: "production".into() });
    assert_eq!(environments::insert(&tx, &again).await.unwrap_err(), taken);
    tx.commit().await.unwrap();

    assert_eq!(environments::get(&store, &production.id).await.unwrap(), production);
    assert_eq!(environments::find(&store, &shop.name, &staging.name).await.unwrap(), Some(staging.clone()));
    assert_eq!(environments::find(&store, &blog.name, &staging.name).await.unwrap(), None);
    assert_eq!(environments::list(&store, &shop.id).await.unwrap(), [staging.clone(), production.clone()]);
    assert_eq!(environments::list_all(&store).await.unwrap(), [of_blog, staging, production.clone()]);

    for expected in 1..=3 {
        let tx = store.write().await.unwrap();
        assert_eq!(environments::next_generation(&tx, &production.id).await.unwrap(), expected);
        tx.commit().await.unwrap();
    }
    let tx = store.write().await.unwrap();
    assert_eq!(environments::next_generation(&tx, &production.id).await.unwrap(), 4);
    drop(tx);
    assert_eq!(
        environments::get(&store, &production.id).await.unwrap().generation,
        3,
        "what was undone counts for nothing"
    );

    let tx = store.write().await.unwrap();
    let deployment = fixture::deployment(&tx, &production).await.deployment;
    environments::claim(&tx, &production.id, &deployment.id, deployment.generation).await.unwrap();
    let busy = StoreError::Conflict(Constraint::EnvironmentBusy { by: deployment.id.clone() });
    assert_eq!(environments::delete(&tx, &production.id).await.unwrap_err(), busy);
    environments::release_claim(&tx, &production.id, &deployment.id).await.unwrap();
    environments::delete(&tx, &production.id).await.unwrap();
    assert!(matches!(environments::delete(&tx, &production.id).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(environments::next_generation(&tx, &production.id).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(store::deployments::get(&tx, &deployment.id).await, Err(StoreError::NotFound { .. })));
    assert_eq!(environments::find(&tx, &shop.name, &name("production")).await.unwrap(), None);
    tx.commit().await.unwrap();
}

pub(crate) async fn claims(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let env = fixture::environment(&tx, &app, "production").await.id;
    let (one, two): (DeploymentId, DeploymentId) = (id(), id());
    assert_eq!(environments::claim(&tx, &env, &one, 1).await.unwrap(), Claim::Granted);
    assert_eq!(environments::claim(&tx, &env, &one, 1).await.unwrap(), Claim::Granted);
    assert_eq!(environments::claim(&tx, &env, &two, 2).await.unwrap(), Claim::Held { by: one.clone() });
    // Only the holder can let go.
    environments::release_claim(&tx, &env, &two).await.unwrap();
    assert_eq!(environments::get(&tx, &env).await.unwrap().acting, Some(one.clone()));
    tx.commit().await.unwrap();
    // It outlives the server that asked for it.
    store.close().await;
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    assert_eq!(environments::claim(&tx, &env, &two, 2).await.unwrap(), Claim::Held { by: one.clone() });
    environments::release_claim(&tx, &env, &one).await.unwrap();
    assert_eq!(environments::claim(&tx, &env, &two, 2).await.unwrap(), Claim::Granted);
    tx.commit().await.unwrap();
}

/// One that was asked for early and came up late holds up nobody who was asked for in between.
pub(crate) async fn activation_out_of_turn(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let environment = fixture::environment(&tx, &app, "production").await;
    let env = &environment.id;
    let first = fixture::deployment(&tx, &environment).await.deployment;
    let second = fixture::deployment(&tx, &environment).await.deployment;
    let third = fixture::deployment(&tx, &environment).await.deployment;
    assert_eq!(environments::serving(&tx, &environments::get(&tx, env).await.unwrap()).await.unwrap(), 0);

    // The third came first, and failed. The second acts under a generation of its own.
    environments::claim(&tx, env, &second.id, second.generation).await.unwrap();
    let acting = environments::next_generation(&tx, env).await.unwrap();
    let release = fixture::release(&tx, &app, "aa").await.id;
    environments::activate(&tx, env, &second.id, &release, acting).await.unwrap();
    environments::release_claim(&tx, env, &second.id).await.unwrap();
    let now = environments::get(&tx, env).await.unwrap();
    assert_eq!((now.active_generation, environments::serving(&tx, &now).await.unwrap()), (4, 2));

    let superseded = Claim::Superseded { by_generation: 2 };
    assert_eq!(environments::claim(&tx, env, &first.id, first.generation).await.unwrap(), superseded);
    assert_eq!(environments::claim(&tx, env, &third.id, third.generation).await.unwrap(), Claim::Granted);
}

pub(crate) async fn activation(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let environment = fixture::environment(&tx, &app, "production").await;
    let env = &environment.id;
    let old = fixture::deployment(&tx, &environment).await.deployment;
    let (first, v1) = fixture::serve(&tx, &app, &environment, "aa").await;
    let first = first.deployment;
    assert_eq!((first.generation, releases::good(&tx, env).await.unwrap()), (2, vec![v1.clone()]));

    // The older one finishes later, and must not win.
    let late = environments::claim(&tx, env, &old.id, old.generation).await.unwrap();
    assert_eq!(late, Claim::Superseded { by_generation: 2 });
    let fenced = environments::activate(&tx, env, &old.id, &v1, old.generation).await.unwrap_err();
    assert_eq!(fenced, StoreError::Fenced { what: "environment `shop/production`".into(), by: 2 });

    // Nor may one that has not claimed.
    let second = fixture::deployment(&tx, &environment).await.deployment;
    let v2 = fixture::release(&tx, &app, "bb").await.id;
    let refused = environments::activate(&tx, env, &second.id, &v2, second.generation).await.unwrap_err();
    let not_acting = Constraint::NotActing { deployment: second.id.clone(), acting: None };
    assert_eq!(refused, StoreError::Conflict(not_acting));

    environments::claim(&tx, env, &second.id, second.generation).await.unwrap();
    for _ in 0..2 {
        environments::activate(&tx, env, &second.id, &v2, second.generation).await.unwrap();
    }
    let now = environments::get(&tx, env).await.unwrap();
    assert_eq!((now.active_deployment, now.active_generation), (Some(second.id.clone()), 3));
    assert_eq!(now.active_release, Some(v2.clone()));
    assert_eq!(releases::good(&tx, env).await.unwrap(), [v2.clone(), v1.clone()]);

    // Taken back: the one before serves again.
    for _ in 0..2 {
        let back = environments::deactivate(&tx, env, &second.id).await.unwrap();
        assert_eq!((back.active_deployment, back.active_generation), (Some(first.id.clone()), 2));
        assert_eq!(back.active_release, Some(v1.clone()));
    }
    assert_eq!(releases::good(&tx, env).await.unwrap(), std::slice::from_ref(&v1));
    // It may try again while it holds the environment.
    environments::activate(&tx, env, &second.id, &v2, second.generation).await.unwrap();
    assert_eq!(releases::good(&tx, env).await.unwrap(), [v2.clone(), v1.clone()]);
    environments::release_claim(&tx, env, &second.id).await.unwrap();

    // A rollback serves an earlier release under a new generation; each good release is listed once.
    let third = fixture::deployment(&tx, &environment).await.deployment;
    environments::claim(&tx, env, &third.id, third.generation).await.unwrap();
    environments::activate(&tx, env, &third.id, &v1, third.generation).await.unwrap();
    assert_eq!(releases::good(&tx, env).await.unwrap(), [v1.clone(), v2.clone()]);

    // As a page, it is in the order of the numbers; what has served elsewhere alone is not in it.
    let staging = fixture::environment(&tx, &app, "staging").await;
    let (_, v3) = fixture::serve(&tx, &app, &staging, "cc").await;
    let numbers = |page: Vec<domain::release::Release>| page.iter().map(|release| release.number).collect::<Vec<_>>();
    let good = releases::list_good(&tx, &app.id, env, None, 9).await.unwrap();
    assert_eq!(numbers(good), [2, 1]);
    assert_eq!(numbers(releases::list_good(&tx, &app.id, env, None, 1).await.unwrap()), [2]);
    assert_eq!(numbers(releases::list_good(&tx, &app.id, env, Some(2), 9).await.unwrap()), [1]);
    assert_eq!(numbers(releases::list_good(&tx, &app.id, &staging.id, None, 9).await.unwrap()), [3]);
    let places = releases::good_in(&tx, &[&v1, &v2, &v3]).await.unwrap();
    let place = |id: &domain::EnvironmentId| BTreeSet::from([id.clone()]);
    let expected = [(v1.clone(), place(env)), (v2.clone(), place(env)), (v3.clone(), place(&staging.id))];
    assert_eq!(places, BTreeMap::from(expected));

    // The first of all was taken back: nothing serves.
    for id in [&third.id, &second.id, &first.id] {
        environments::deactivate(&tx, env, id).await.unwrap();
    }
    let none = environments::get(&tx, env).await.unwrap();
    assert_eq!((none.active_deployment, none.active_generation, none.active_release), (None, 0, None));
    assert_eq!(releases::good(&tx, env).await.unwrap(), []);
    assert_eq!(releases::list_good(&tx, &app.id, env, None, 9).await.unwrap(), []);
    assert_eq!(releases::good_in(&tx, &[&v1, &v2]).await.unwrap(), BTreeMap::new());
    tx.commit().await.unwrap();
}
