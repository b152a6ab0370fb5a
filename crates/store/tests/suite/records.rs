//! Sagas, leases, events.

use domain::event::{Event, EventKind};
use domain::phase::Phase;
use domain::{DeploymentId, ServerId};
use serde_json::json;
use store::{Constraint, StoreError, events, leases, sagas};

use crate::database::Database;
use crate::fixture::{self, id, kept, name, now};

pub(crate) async fn sagas(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    sagas::create(&tx, "b", "deploy", 3).await.unwrap();
    sagas::create(&tx, "a", "rollback", 1).await.unwrap();
    let taken = StoreError::Conflict(Constraint::Id { what: "saga" });
    assert_eq!(sagas::create(&tx, "a", "deploy", 1).await.unwrap_err(), taken);
    let records = [json!({"started": {"text": "\u{0}é"}}), json!("recovered"), json!({"n": u64::MAX})];
    assert_eq!(sagas::append(&tx, "a", 0, 0, &records[..1]).await.unwrap(), 1);
    let owner = id();
    let fence = sagas::take(&tx, "a", &owner, None).await.unwrap().unwrap();
    assert_eq!(fence, 1);
    assert_eq!(sagas::append(&tx, "a", fence, 1, &[]).await.unwrap(), 1);
    assert_eq!(sagas::append(&tx, "a", fence, 1, &records[1..]).await.unwrap(), 3);
    for expected in [0, 2, 4] {
        let error = sagas::append(&tx, "a", fence, expected, &records).await.unwrap_err();
        assert_eq!(error, StoreError::Conflict(Constraint::SagaSequence { expected, actual: 3 }));
    }
    sagas::request_cancel(&tx, "a", "ann").await.unwrap();
    tx.commit().await.unwrap();

    let numbered: Vec<_> = (0..).zip(records).collect();
    assert_eq!(sagas::load(&store, "a").await.unwrap(), numbered);
    assert_eq!(sagas::load(&store, "b").await.unwrap(), []);
    let a = sagas::SagaRow {
        id: "a".into(),
        name: "rollback".into(),
        version: 1,
        fence,
        seq: 3,
        finished: false,
        cancel_requested: true,
        owner: Some(owner.clone()),
        cancel_by: Some("ann".into()),
        cancel_refused: None,
        resume_by: None,
    };
    assert_eq!(sagas::get(&store, "a").await.unwrap(), a);
    let open = sagas::open(&store).await.unwrap();
    assert_eq!(open.iter().map(|s| (s.id.as_str(), s.version, s.seq)).collect::<Vec<_>>(), [("a", 1, 3), ("b", 3, 0)]);

    let tx = store.write().await.unwrap();
    sagas::finish(&tx, "a").await.unwrap();
    let finished = sagas::append(&tx, "a", fence, 3, &[json!(1)]).await.unwrap_err();
    assert_eq!(finished, StoreError::Conflict(Constraint::SagaFinished));
    assert_eq!(sagas::open(&tx).await.unwrap().len(), 1);
    assert!(sagas::get(&tx, "a").await.unwrap().finished);
    for missing in [sagas::finish(&tx, "x").await, sagas::request_cancel(&tx, "x", "ann").await] {
        assert!(matches!(missing, Err(StoreError::NotFound { .. })));
    }
    assert!(matches!(sagas::append(&tx, "x", fence, 0, &[]).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(sagas::get(&tx, "x").await, Err(StoreError::NotFound { .. })));
    tx.commit().await.unwrap();
}

pub(crate) async fn fences(db: Database) {
    let (old, new) = (db.open().await, db.open().await);
    let (one, two): (ServerId, ServerId) = (id(), id());
    let tx = old.write().await.unwrap();
    sagas::create(&tx, "a", "deploy", 1).await.unwrap();
    sagas::append(&tx, "a", 0, 0, &[json!(0)]).await.unwrap();
    let first = sagas::take(&tx, "a", &one, None).await.unwrap().unwrap();
    assert_eq!(sagas::take(&tx, "a", &two, None).await.unwrap(), None, "it has an owner");
    assert_eq!(sagas::of_owner(&tx, &one).await.unwrap().len(), 1);
    tx.commit().await.unwrap();

    let tx = new.write().await.unwrap();
    let second = sagas::take(&tx, "a", &two, Some(&one)).await.unwrap().unwrap();
    assert_eq!(sagas::take(&tx, "a", &two, Some(&one)).await.unwrap(), None, "somebody was quicker");
    tx.commit().await.unwrap();
    assert_eq!((first, second), (1, 2));

    // The old owner is refused, although its number is right, and although the new one has written nothing.
    let tx = old.write().await.unwrap();
    let fenced = StoreError::Fenced { what: "saga `a`".into(), by: 2 };
    assert_eq!(sagas::append(&tx, "a", first, 1, &[json!(1)]).await.unwrap_err(), fenced);
    // Nor does it take away what it has no more.
    sagas::give_up(&tx, "a", first).await.unwrap();
    assert_eq!(sagas::get(&tx, "a").await.unwrap().owner, Some(two.clone()));
    tx.commit().await.unwrap();
    let tx = new.write().await.unwrap();
    assert_eq!(sagas::append(&tx, "a", second, 1, &[json!(1)]).await.unwrap(), 2);
    tx.commit().await.unwrap();
    assert_eq!(sagas::load(&old, "a").await.unwrap().len(), 2);

    // Once its owner is known to be gone nobody may write before somebody has taken it.
    let tx = new.write().await.unwrap();
    assert_eq!(sagas::release_owner(&tx, &two).await.unwrap(), 1);
    assert!(sagas::append(&tx, "a", second, 2, &[json!(2)]).await.is_err());
    let third = sagas::take(&tx, "a", &one, None).await.unwrap().unwrap();
    assert_eq!(sagas::append(&tx, "a", third, 2, &[json!(2)]).await.unwrap(), 3);
    sagas::finish(&tx, "a").await.unwrap();
    assert_eq!(sagas::take(&tx, "a", &two, Some(&one)).await.unwrap(), None, "it has ended");
    tx.commit().await.unwrap();
}

pub(crate) async fn leases(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    assert_eq!(leases::find(&tx, leases::SERVER).await.unwrap(), None);
    let never = StoreError::Fenced { what: "lease `server`".into(), by: 0 };
    assert_eq!(leases::check(&tx, leases::SERVER, 1).await.unwrap_err(), never);
    let first = leases::acquire(&tx, leases::SERVER, "old").await.unwrap();
    assert_eq!(leases::acquire(&tx, "other", "old").await.unwrap(), 1, "leases are counted apart");
    leases::check(&tx, leases::SERVER, first).await.unwrap();
    assert_eq!(leases::acquire(&tx, leases::SERVER, "new").await.unwrap(), 2);
    let lease = leases::find(&tx, leases::SERVER).await.unwrap().unwrap();
    assert_eq!((lease.holder.as_str(), lease.fence), ("new", 2));
    let fenced = StoreError::Fenced { what: "lease `server`".into(), by: 2 };
    assert_eq!(leases::check(&tx, leases::SERVER, first).await.unwrap_err(), fenced);
    tx.commit().await.unwrap();
}

pub(crate) async fn events(db: Database) {
    let store = db.open().await;
    assert_eq!(events::latest(&store).await.unwrap(), 0);
    let (shop, blog, production, staging) = (name("shop"), name("blog"), name("production"), name("staging"));
    let deployments: Vec<DeploymentId> = vec![id(), id()];
    let kinds = [
        EventKind::PhaseChanged { phase: Phase::Building, progress: 15 },
        EventKind::VariablesChanged { set: vec!["A".into()], unset: vec![] },
        EventKind::DeploymentFinished { phase: Phase::Active, failure: None },
        EventKind::ServerStarted { version: "1".into() },
    ];
    let mut written = Vec::new();
    for n in 0..40 {
        let tx = store.write().await.unwrap();
        let kind = &kinds[n % 4];
        let app = (n % 4 != 3).then_some(if n % 3 == 0 { &blog } else { &shop });
        let environment = app.map(|_| if n % 2 == 0 { &production } else { &staging });
        let deployment = (n % 4 == 2).then(|| &deployments[n % 8 / 4]);
        let cursor = events::insert(&tx, app, environment, deployment, kind, now()).await.unwrap();
        if n % 7 == 0 {
            // Undone; at most a gap is left.
            continue;
        }
        tx.commit().await.unwrap();
        written.push(Event {
            cursor,
            at: kept(),
            app: app.cloned(),
            environment: environment.cloned(),
            deployment: deployment.cloned(),
            kind: kind.clone(),
        });
    }
    assert!(written.is_sorted_by(|a, b| a.cursor < b.cursor));
    assert_eq!(events::latest(&store).await.unwrap(), written.last().unwrap().cursor);
    let filters = [
        events::Filter::default(),
        events::Filter { app: Some(shop.clone()), ..Default::default() },
        events::Filter { app: Some(shop), environment: Some(staging), ..Default::default() },
        events::Filter { deployment: Some(deployments[1].clone()), ..Default::default() },
    ];
    for filter in filters {
        let holds = |e: &&Event| {
            (filter.app.is_none() || filter.app == e.app)
                && (filter.environment.is_none() || filter.environment == e.environment)
                && (filter.deployment.is_none() || filter.deployment == e.deployment)
        };
        let expected: Vec<_> = written.iter().filter(holds).cloned().collect();
        assert!(!expected.is_empty());
        for limit in [1, 5, 100] {
            let mut seen: Vec<Event> = Vec::new();
            loop {
                let after = seen.last().map_or(0, |e| e.cursor);
                let page = events::list(&store, &filter, after, limit).await.unwrap();
                if page.is_empty() {
                    break;
                }
                seen.extend(page);
            }
            assert_eq!(seen, expected, "{filter:?} by {limit}");
        }
    }
    let tx = store.write().await.unwrap();
    fixture::app(&tx, "unrelated").await;
    tx.commit().await.unwrap();
}
