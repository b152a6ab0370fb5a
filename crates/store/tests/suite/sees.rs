//! Lists where data of several apps meets show what is seen, and nothing else.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::access::Sees;
use domain::event::EventKind;
use domain::phase::Phase;
use domain::{AppId, Name};
use store::bypasses::Bypass;
use store::{Store, apps, bypasses, deployments, environments, events, plans, queue, schedules, uploads};

use crate::database::Database;
use crate::fixture::{app, deployment, entry, environment, id, kept, name};
use crate::plans::plan;
use crate::schedules::{bypass, schedule};

/// The names of the apps in each list.
async fn shown(store: &Store, sees: &Sees) -> Vec<(&'static str, BTreeSet<String>)> {
    let of = |names: Vec<&Name>| names.into_iter().map(ToString::to_string).collect();
    let listed = apps::list_named(store, sees, None, None, 9).await.unwrap();
    let mut lists = vec![("apps", of(listed.iter().map(|app| &app.name).collect()))];
    for (what, filter) in [
        ("deployments", deployments::Filter::default()),
        ("queued deployments", deployments::Filter { phase: Some(Phase::Queued), ..Default::default() }),
        ("open deployments", deployments::Filter { open: true, ..Default::default() }),
        ("found deployments", deployments::Filter { search: Some("dep_01".into()), ..Default::default() }),
    ] {
        let filter = deployments::Filter { sees: sees.clone(), ..filter };
        let rows = deployments::list(store, &filter, None, 9).await.unwrap();
        assert!(rows.iter().rev().map(|row| &row.deployment.id).is_sorted(), "{what}: newest first");
        lists.push((what, of(rows.iter().map(|row| &row.deployment.app).collect())));
    }
    let filter = queue::Filter { sees: sees.clone(), ..Default::default() };
    let rows = queue::list(store, &filter, None, 9).await.unwrap();
    assert_eq!(queue::count(store, &filter).await.unwrap(), rows.len() as u64);
    let mut names = BTreeSet::new();
    for row in rows {
        names.insert(apps::get(store, &row.app).await.unwrap().name.to_string());
    }
    lists.push(("the queue", names));
    let filter = schedules::Filter { sees: sees.clone(), ..Default::default() };
    let rows = schedules::list(store, &filter).await.unwrap();
    lists.push(("schedules", of(rows.iter().map(|row| &row.app).collect())));
    let rows = schedules::named(store, sees, &name("nightly")).await.unwrap();
    lists.push(("schedules of a name", of(rows.iter().map(|row| &row.app).collect())));
    let filter = plans::Filter { sees: sees.clone(), ..Default::default() };
    let rows = plans::list(store, &filter, kept(), None, 9).await.unwrap();
    lists.push(("plans", of(rows.iter().map(|row| &row.plan.app).collect())));
    let rows = plans::find(store, sees, &"aaaaaaaa".parse().unwrap(), kept()).await.unwrap();
    lists.push(("plans by digest", of(rows.iter().map(|row| &row.plan.app).collect())));
    let rows = bypasses::list(store, sees, None, 9).await.unwrap();
    lists.push(("bypasses", of(rows.iter().map(|row| &row.app).collect())));
    let filter = events::Filter { sees: sees.clone(), ..Default::default() };
    let rows = events::list(store, &filter, 0, 99).await.unwrap();
    let none = name("none");
    lists.push(("events", of(rows.iter().map(|row| row.app.as_ref().unwrap_or(&none)).collect())));
    lists
}

pub(crate) async fn lists(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let mut ids = Vec::new();
    // Apps are of different times, and their rows mixed.
    let (shop, blog, wiki) = (app(&tx, "shop").await, app(&tx, "blog").await, app(&tx, "wiki").await);
    for (n, app) in [&shop, &blog, &wiki, &shop, &blog].into_iter().enumerate() {
        let live = environment(&tx, app, &format!("live-{n}")).await;
        ids.push(live.id.clone());
        let record = deployment(&tx, &live).await;
        queue::insert(&tx, &entry(&record, i64::try_from(n).unwrap())).await.unwrap();
        let at = kept() + TimeDelta::seconds(1);
        let record_of = Bypass { app: app.name.clone(), at, ..bypass(record.deployment.id.clone()) };
        bypasses::insert(&tx, &record_of).await.unwrap();
        let first = n < 3;
        if first {
            schedules::insert(&tx, &schedule(&live, "nightly")).await.unwrap();
        }
        plans::put(&tx, &plan(app, &live, &format!("aaaaaaaa{n}"), 24)).await.unwrap();
        let event = EventKind::EnvironmentCreated;
        events::insert(&tx, Some(&app.name), Some(&live.name), None, &event, kept()).await.unwrap();
    }
    let server = EventKind::ServerStarted { version: "1".into() };
    events::insert(&tx, None, None, None, &server, kept()).await.unwrap();
    // Of an app that had the name before.
    let before = kept() - TimeDelta::days(1);
    let ghost = EventKind::AppDeleted;
    let old = events::insert(&tx, Some(&shop.name), None, None, &ghost, before).await.unwrap();
    let past = Bypass { app: shop.name.clone(), at: before, ..bypass(id()) };
    bypasses::insert(&tx, &past).await.unwrap();
    tx.commit().await.unwrap();

    let only = |apps: &[&apps::App]| Sees::Only(apps.iter().map(|app| app.id.clone()).collect::<BTreeSet<AppId>>());
    for (what, names) in shown(&store, &Sees::All).await {
        let found: Vec<&str> = names.iter().map(String::as_str).collect();
        // A search by digest stops at two.
        let (events, two) = (what == "events", what == "plans by digest");
        let expected: &[&str] = match (events, two) {
            (true, _) => &["blog", "none", "shop", "wiki"],
            (_, true) => &["blog", "shop"],
            _ => &["blog", "shop", "wiki"],
        };
        assert_eq!(found, expected, "{what}");
    }
    for (sees, expected) in [
        (only(&[&shop]), &["shop"][..]),
        (only(&[&blog, &wiki]), &["blog", "wiki"]),
        (only(&[]), &[]),
        // More than are asked one by one, most of them gone.
        (Sees::Only((0..100).map(|_| id()).chain([shop.id.clone()]).collect()), &["shop"]),
    ] {
        for (what, names) in shown(&store, &sees).await {
            assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{what} of {sees:?}");
        }
    }
    let filter = events::Filter { sees: only(&[&shop]), ..Default::default() };
    let cursors: Vec<i64> =
        events::list(&store, &filter, 0, 99).await.unwrap().into_iter().map(|event| event.cursor).collect();
    assert!(cursors.len() == 2 && !cursors.contains(&old), "what an earlier `shop` did is not this one's: {cursors:?}");
    let rows = bypasses::list(&store, &only(&[&shop]), None, 9).await.unwrap();
    assert!(rows.len() == 2 && rows.iter().all(|row| row.id != past.id), "{rows:?}");

    // Pages go on where they ended, whoever looks.
    let filter = deployments::Filter { sees: only(&[&shop, &blog]), ..Default::default() };
    let (mut paged, mut last) = (Vec::new(), None);
    while let [row] = &deployments::list(&store, &filter, last.as_ref(), 1).await.unwrap()[..] {
        paged.push(row.deployment.environment.to_string());
        last = Some(row.deployment.id.clone());
    }
    assert_eq!(paged, ["live-4", "live-3", "live-1", "live-0"]);

    let of_two = environments::ids_of(&store, &BTreeSet::from([shop.id.clone(), wiki.id.clone()])).await.unwrap();
    let expected = BTreeSet::from([ids[0].clone(), ids[2].clone(), ids[3].clone()]);
    assert_eq!(of_two.into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(environments::ids_of(&store, &BTreeSet::new()).await.unwrap(), []);
    let newest = deployments::list(&store, &deployments::Filter::default(), None, 1).await.unwrap().remove(0);
    let owner = deployments::app_of(&store, &newest.deployment.id).await.unwrap();
    assert_eq!(owner, Some(blog.id.clone()));
    assert_eq!(deployments::app_of(&store, &id()).await.unwrap(), None);
    assert_eq!(uploads::list(&store, Some("nobody"), None, 9).await.unwrap(), []);
}

pub(crate) async fn passing(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (shop, blog) = (app(&tx, "shop").await, app(&tx, "blog").await);
    let (own, other) = (environment(&tx, &shop, "live").await, environment(&tx, &blog, "live").await);
    let mut entries = Vec::new();
    for (environment, rank) in [(&own, 10), (&other, 20), (&own, 30), (&own, 40), (&other, 40)] {
        let one = entry(&deployment(&tx, environment).await, rank);
        queue::insert(&tx, &one).await.unwrap();
        entries.push(one);
    }
    tx.commit().await.unwrap();
    for (which, rank, passes) in [
        (2, 25, false),
        (2, 15, true),
        (2, 20, true),
        (2, 50, false),
        (3, 35, false),
        (3, 25, false),
        (3, 5, true),
        // Its twin of the same rank was there first, and is of the other app's.
        (4, 39, true),
        (0, 0, false),
    ] {
        let found = queue::passes_others(&store, &entries[which], rank).await.unwrap();
        assert_eq!(found, passes, "{which} to {rank}");
    }
}
