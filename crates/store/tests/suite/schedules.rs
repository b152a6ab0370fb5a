//! Schedules, windows and bypasses.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::DeploymentId;
use domain::access::Sees;
use domain::deployment::DeploymentKind;
use domain::schedule::{LastRun, Missed, RunOutcome};
use domain::window::{Freeze, Rule};
use store::bypasses::{self, Bypass};
use store::environments::Environment;
use store::schedules::{self, Filter, Schedule};
use store::windows::{self, Record};
use store::{Constraint, StoreError, apps, deployments, environments, queue, sagas, starts};

use crate::database::Database;
use crate::fixture::{app, entry, environment, id, kept, name, new_deployment, now};

pub(crate) fn schedule(environment: &Environment, text: &str) -> Schedule {
    Schedule {
        id: id(),
        app_id: environment.app_id.clone(),
        environment_id: environment.id.clone(),
        app: environment.app.clone(),
        environment: environment.name.clone(),
        name: name(text),
        cron: "0 6 * * MON-FRI Europe/London".parse().unwrap(),
        missed: Missed::Skip,
        enabled: true,
        template: serde_json::json!({ "reference": "main" }),
        created_by: "admin".into(),
        owner: "usr_01hf7yat00000000000000000a".into(),
        created_at: kept(),
        next_at: Some(kept()),
        last_planned_at: None,
        last_run: None,
    }
}

pub(crate) fn freeze(environment: Option<&Environment>) -> Record {
    let until = Some(kept() + TimeDelta::hours(1));
    Record {
        id: id(),
        app: environment.map(|e| (e.app_id.clone(), e.app.clone())),
        environment: environment.map(|e| e.name.clone()),
        rule: Rule::Freeze(Freeze { from: kept(), until, reason: "sale \u{1f6a2}".into() }),
        created_by: "admin".into(),
        created_at: kept(),
    }
}

pub(crate) fn bypass(deployment: DeploymentId) -> Bypass {
    Bypass {
        id: id(),
        deployment,
        app: name("shop"),
        environment: name("production"),
        window: Some(id()),
        rule: Some("frozen".into()),
        reason: "outage".into(),
        requested_by: "admin".into(),
        approved_by: None,
        at: kept(),
    }
}

pub(crate) async fn rows(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let shop = app(&tx, "shop").await;
    let live = environment(&tx, &shop, "production").await;
    let one = schedule(&live, "nightly");
    schedules::insert(&tx, &one).await.unwrap();
    let same = Schedule { id: id(), ..one.clone() };
    assert_eq!(schedules::insert(&tx, &same).await, Err(StoreError::Conflict(Constraint::Id { what: "schedule" })));
    let other = Schedule { next_at: None, enabled: false, ..schedule(&live, "weekly") };
    schedules::insert(&tx, &other).await.unwrap();
    tx.commit().await.unwrap();
    let all = Filter { app: Some(shop.id.clone()), environment: Some(live.id.clone()), sees: Sees::All };
    assert_eq!(schedules::list(&store, &all).await.unwrap(), [one.clone(), other.clone()]);
    assert_eq!(schedules::named(&store, &Sees::All, &other.name).await.unwrap(), std::slice::from_ref(&other));
    assert_eq!(schedules::due(&store, kept() - TimeDelta::microseconds(1), 9).await.unwrap(), []);
    assert_eq!(schedules::due(&store, now(), 9).await.unwrap(), std::slice::from_ref(&one));

    // Each plan is carried out once.
    let run = LastRun { planned_at: kept(), at: kept(), outcome: RunOutcome::Deployed { deployment: id() } };
    let next = Some(kept() + TimeDelta::days(1));
    let tx = store.write().await.unwrap();
    assert!(schedules::advance(&tx, &one, next, &run).await.unwrap());
    assert!(!schedules::advance(&tx, &one, next, &run).await.unwrap());
    tx.commit().await.unwrap();
    let found = schedules::find(&store, &one.id).await.unwrap().unwrap();
    let advanced = Schedule { next_at: next, last_planned_at: Some(kept()), last_run: Some(run), ..one.clone() };
    assert_eq!(found, advanced);

    // One that was changed since it was read is not moved on, also when the next run is at the same time.
    let changed = Schedule {
        cron: "0 6 * * * UTC".parse().unwrap(),
        missed: Missed::RunOnce,
        owner: "tok_01hf7yat00000000000000000b".into(),
        created_by: "Zoë".into(),
        ..advanced.clone()
    };
    let tx = store.write().await.unwrap();
    schedules::change(&tx, &changed).await.unwrap();
    assert_eq!(schedules::find(&tx, &one.id).await.unwrap().as_ref(), Some(&changed));
    let run = advanced.last_run.clone().unwrap();
    assert!(!schedules::advance(&tx, &advanced, None, &run).await.unwrap());
    schedules::change(&tx, &Schedule { enabled: false, next_at: None, ..changed }).await.unwrap();
    let nobody = schedules::change(&tx, &Schedule { id: id(), ..one.clone() }).await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })));
    assert!(schedules::remove(&tx, &other.id).await.unwrap());
    assert!(!schedules::remove(&tx, &other.id).await.unwrap());
    tx.commit().await.unwrap();
    let found = schedules::find(&store, &one.id).await.unwrap().unwrap();
    assert_eq!((found.enabled, found.next_at), (false, None));
    // It goes with its environment.
    let tx = store.write().await.unwrap();
    environments::delete(&tx, &live.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(schedules::find(&store, &one.id).await.unwrap(), None);
}

pub(crate) async fn windows(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let shop = app(&tx, "shop").await;
    let live = environment(&tx, &shop, "production").await;
    let (own, everywhere) = (freeze(Some(&live)), freeze(None));
    let weekly = serde_json::json!({
        "kind": "deploy", "days": "mon-fri", "from": "09:00", "to": "17:00", "zone": "Europe/Berlin"
    });
    let weekly = Record { rule: serde_json::from_value(weekly).unwrap(), ..freeze(None) };
    for record in [&own, &everywhere, &weekly] {
        windows::insert(&tx, record).await.unwrap();
    }
    assert_eq!(windows::insert(&tx, &own).await, Err(StoreError::Conflict(Constraint::Id { what: "window" })));
    tx.commit().await.unwrap();
    let all = [own.clone(), everywhere.clone(), weekly.clone()];
    assert_eq!(windows::list(&store, None).await.unwrap(), all);
    assert_eq!(windows::list(&store, Some(now())).await.unwrap(), all);
    let later = Some(kept() + TimeDelta::hours(1));
    assert_eq!(windows::list(&store, later).await.unwrap(), std::slice::from_ref(&weekly));
    assert!(own.holds(&shop.id, &live.name) && everywhere.holds(&shop.id, &live.name));
    assert!(!own.holds(&id(), &live.name) && !own.holds(&shop.id, &name("staging")));

    let tx = store.write().await.unwrap();
    assert!(windows::remove(&tx, &everywhere.id).await.unwrap());
    assert!(!windows::remove(&tx, &everywhere.id).await.unwrap());
    // Those of an app go with it.
    environments::delete(&tx, &live.id).await.unwrap();
    apps::delete(&tx, &shop.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(windows::list(&store, None).await.unwrap(), [weekly]);
    assert_eq!(windows::find(&store, &own.id).await.unwrap(), None);
}

pub(crate) async fn bypasses(db: Database) {
    let store = db.open().await;
    let (one, two): (DeploymentId, DeploymentId) = (id(), id());
    let (first, second) = (bypass(one.clone()), Bypass { window: None, rule: None, ..bypass(two.clone()) });
    let tx = store.write().await.unwrap();
    bypasses::insert(&tx, &first).await.unwrap();
    bypasses::insert(&tx, &second).await.unwrap();
    let again = bypasses::insert(&tx, &bypass(two.clone())).await;
    assert_eq!(again, Err(StoreError::Conflict(Constraint::Id { what: "bypass" })));
    tx.commit().await.unwrap();
    assert_eq!(bypasses::list(&store, &Sees::All, None, 1).await.unwrap(), std::slice::from_ref(&second));
    assert_eq!(bypasses::list(&store, &Sees::All, Some(&second.id), 9).await.unwrap(), [first]);
    let many: Vec<DeploymentId> = (0..1200).map(|_| id()).chain([two.clone()]).collect();
    let many: Vec<&DeploymentId> = many.iter().collect();
    assert_eq!(bypasses::among(&store, &many).await.unwrap(), BTreeSet::from([two]));
    assert_eq!(bypasses::among(&store, &[]).await.unwrap(), BTreeSet::new());
}

pub(crate) async fn not_held(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let shop = app(&tx, "shop").await;
    let live = environment(&tx, &shop, "production").await;
    let kinds = [DeploymentKind::Deploy, DeploymentKind::Rollback, DeploymentKind::Promotion, DeploymentKind::Deploy];
    let mut ids = Vec::new();
    for (generation, kind) in (1..).zip(kinds) {
        let mut record = new_deployment(&live, generation);
        record.deployment.kind = kind;
        deployments::insert(&tx, &record).await.unwrap();
        queue::insert(&tx, &entry(&record, 10 - generation as i64)).await.unwrap();
        ids.push(record.deployment.id);
    }
    let (rollback, recorded) = (ids[1].clone(), ids[3].clone());
    // One has both, and is told of once.
    bypasses::insert(&tx, &bypass(rollback.clone())).await.unwrap();
    bypasses::insert(&tx, &bypass(recorded.clone())).await.unwrap();
    tx.commit().await.unwrap();
    let all: Vec<&DeploymentId> = ids.iter().collect();
    assert_eq!(bypasses::among(&store, &all).await.unwrap(), BTreeSet::from([rollback.clone(), recorded.clone()]));
    let passing = async |host: &str| -> Vec<DeploymentId> {
        let found = queue::passing(&store, host, now()).await.unwrap();
        found.into_iter().map(|candidate| candidate.deployment).collect()
    };
    assert_eq!(passing("here").await, [recorded.clone(), rollback.clone()], "lower ranks first");
    assert_eq!(passing("elsewhere").await, []);

    // Not before its time, and not while another one is at work there.
    let tx = store.write().await.unwrap();
    queue::remove(&tx, &recorded).await.unwrap();
    let later = queue::Entry {
        not_before: Some(now() + TimeDelta::hours(1)),
        ..entry(&deployments::get(&tx, &recorded).await.unwrap(), 1)
    };
    queue::insert(&tx, &later).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(passing("here").await, std::slice::from_ref(&rollback));
    let tx = store.write().await.unwrap();
    let other = entry(&deployments::get(&tx, &ids[0]).await.unwrap(), 1);
    sagas::create(&tx, ids[0].as_str(), "deploy", 1).await.unwrap();
    assert_eq!(starts::start(&tx, &id(), &[other], now()).await.unwrap().len(), 1);
    tx.commit().await.unwrap();
    assert_eq!(passing("here").await, []);
}
