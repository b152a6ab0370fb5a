//! Hosts, servers, the queue, and who drives what.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use domain::ServerId;
use domain::event::EventKind;
use domain::queue::Priority;
use serde_json::json;
use store::hosts::Host;
use store::queue::{Direction, Filter, Place};
use store::servers::Server;
use store::{
    Candidate, Constraint, Kind, StoreError, apps, deployments, environments, events, hosts, queue, sagas, servers,
};

use crate::database::Database;
use crate::fixture::{self, entry, id, kept};

fn host(name: &str, folder: &str, key: &str) -> Host {
    Host { name: name.into(), folder_id: folder.into(), key_fingerprint: key.into(), created_at: kept() }
}

fn server(host: &str) -> Server {
    Server {
        id: id(),
        host: host.into(),
        pid: 42,
        process_start: 4242,
        session: "s".into(),
        url: "http://127.0.0.1:1".into(),
        version: "1".into(),
        started_at: kept(),
        heartbeat: 0,
        lease: Duration::from_secs(10),
        leaving: false,
    }
}

pub(crate) async fn hosts(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let old = environments::Environment { host: String::new(), ..fixture::new_environment(&app, "old") };
    environments::insert(&tx, &old).await.unwrap();
    let restored = fixture::environment(&tx, &app, "restored").await;
    let waiting = fixture::deployment(&tx, &restored).await;
    queue::insert(&tx, &entry(&waiting, 1)).await.unwrap();

    // The first host gets all there is.
    hosts::register(&tx, &host("one", "f1", "k")).await.unwrap();
    for environment in environments::list_all(&tx).await.unwrap() {
        assert_eq!(environment.host, "one");
    }
    assert_eq!(queue::find(&tx, &waiting.deployment.id).await.unwrap().unwrap().host, "one");
    hosts::register(&tx, &host("one", "f1", "k")).await.unwrap();
    let taken = StoreError::Conflict(Constraint::HostName { host: "one".into() });
    assert_eq!(hosts::register(&tx, &host("one", "f2", "k")).await.unwrap_err(), taken);
    let key = StoreError::Conflict(Constraint::HostKey { host: "one".into() });
    assert_eq!(hosts::register(&tx, &host("two", "f2", "other")).await.unwrap_err(), key);
    // A second one gets nothing; one that is called by another name keeps what it has.
    hosts::register(&tx, &host("two", "f2", "k")).await.unwrap();
    hosts::register(&tx, &host("uno", "f1", "k")).await.unwrap();
    let names: Vec<_> = hosts::list(&tx).await.unwrap().into_iter().map(|h| h.name).collect();
    assert_eq!(names, ["two", "uno"]);
    assert_eq!(environments::get(&tx, &old.id).await.unwrap().host, "uno");
    // Another key is that of all; who has the one of before is told of another host than itself, if there is one.
    hosts::set_key(&tx, "k2").await.unwrap();
    let key = |host: &str| StoreError::Conflict(Constraint::HostKey { host: host.into() });
    assert_eq!(hosts::register(&tx, &host("two", "f2", "k")).await.unwrap_err(), key("uno"));
    assert_eq!(hosts::register(&tx, &host("uno", "f1", "k")).await.unwrap_err(), key("two"));
    hosts::register(&tx, &host("two", "f2", "k2")).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn servers(db: Database) {
    let (store, other) = (db.open().await, db.open().await);
    let one = server("here");
    let tx = store.write().await.unwrap();
    servers::insert(&tx, &one).await.unwrap();
    assert!(matches!(servers::insert(&tx, &one).await, Err(StoreError::Conflict(Constraint::Id { .. }))));
    tx.commit().await.unwrap();
    assert!(servers::beat(&store, &one.id).await.unwrap());
    assert_eq!(servers::list(&other).await.unwrap(), [Server { heartbeat: 1, ..one.clone() }]);
    if db.kind == Kind::Postgres {
        // A writer that stands still keeps nobody's heart from beating.
        let _still = other.write().await.unwrap();
        // Who writes is given up after 30 s.
        let beat = tokio::time::timeout(Duration::from_secs(20), servers::beat(&store, &one.id)).await;
        assert!(beat.expect("it waits for a writer").unwrap());
        assert_eq!(servers::observe(&store).await.unwrap()[0].heartbeat, 2);
        assert_ne!(store.session(), other.session());
    }
    let tx = store.write().await.unwrap();
    servers::leave(&tx, &one.id).await.unwrap();
    assert!(servers::list(&tx).await.unwrap()[0].leaving);
    assert!(servers::remove(&tx, &one.id).await.unwrap());
    assert!(!servers::remove(&tx, &one.id).await.unwrap());
    tx.commit().await.unwrap();
    assert!(!servers::beat(&store, &one.id).await.unwrap());
}

pub(crate) async fn queue(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let (production, staging) =
        (fixture::environment(&tx, &app, "production").await, fixture::environment(&tx, &app, "staging").await);
    let mut all = Vec::new();
    for (environment, rank) in [(&production, 10), (&staging, 20), (&production, 30), (&production, 30)] {
        let record = fixture::deployment(&tx, environment).await;
        let one = entry(&record, rank);
        queue::insert(&tx, &one).await.unwrap();
        all.push(one);
    }
    assert!(matches!(queue::insert(&tx, &all[0]).await, Err(StoreError::Conflict(Constraint::Id { .. }))));
    tx.commit().await.unwrap();

    let every = Filter::default();
    assert_eq!(queue::list(&store, &every, None, 9).await.unwrap(), all);
    let mut paged: Vec<queue::Entry> = Vec::new();
    loop {
        let after = paged.last().map(|e| Place { rank: e.rank, deployment: e.deployment.clone() });
        let page = queue::list(&store, &every, after.as_ref(), 1).await.unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let of = Filter { environment: Some(production.id.clone()), ..Filter::default() };
    assert_eq!(queue::count(&store, &of).await.unwrap(), 3);
    assert_eq!(queue::ahead(&store, &every, &all[3]).await.unwrap(), 3);
    assert_eq!(queue::ahead(&store, &of, &all[3]).await.unwrap(), 2);
    // Of those that somebody sees: among all, whatever is between them.
    let mut some = vec![all[1].clone(), all[3].clone()];
    let positions = async |of: &[queue::Entry]| queue::positions(&store, of).await.unwrap();
    let expected = BTreeMap::from([(all[1].deployment.clone(), 2), (all[3].deployment.clone(), 4)]);
    assert_eq!(positions(&some).await, expected);
    some[0].deployment = id();
    assert_eq!(positions(&some).await, BTreeMap::from([(all[3].deployment.clone(), 4)]), "it has started since");
    assert_eq!(positions(&[]).await, BTreeMap::new());
    let next = |of, way| {
        let store = &store;
        async move { queue::neighbour(store, of, way).await.unwrap().map(|e| e.deployment) }
    };
    assert_eq!(next(&all[0], Direction::Before).await, None);
    assert_eq!(next(&all[0], Direction::Behind).await, Some(all[1].deployment.clone()));
    let last = queue::end(&store, Direction::Behind).await.unwrap();
    assert_eq!(last, Some(all[3].clone()));
    assert_eq!(queue::end(&store, Direction::Before).await.unwrap(), Some(all[0].clone()));
    assert_eq!(next(&all[3], Direction::Before).await, Some(all[2].deployment.clone()));

    let tx = store.write().await.unwrap();
    let later = kept() + TimeDelta::hours(1);
    queue::set_rank(&tx, &all[3].deployment, 5).await.unwrap();
    queue::reschedule(&tx, &all[1].deployment, Some(later), 40).await.unwrap();
    queue::set_priority(&tx, &all[2].deployment, Priority::High, 7).await.unwrap();
    let changed = queue::list(&tx, &every, None, 9).await.unwrap();
    let order: Vec<_> = changed.iter().map(|e| e.deployment.clone()).collect();
    assert_eq!(order, [3, 2, 0, 1].map(|n: usize| all[n].deployment.clone()));
    assert_eq!((changed[1].priority, changed[3].not_before), (Priority::High, Some(later)));
    assert_eq!(queue::head_of(&tx, &production.id, kept()).await.unwrap(), Some(all[3].deployment.clone()));
    assert_eq!(queue::of_environment(&tx, &production.id).await.unwrap().len(), 3);
    assert_eq!(queue::remove(&tx, &all[0].deployment).await.unwrap(), Some(all[0].clone()));
    assert_eq!(queue::remove(&tx, &all[0].deployment).await.unwrap(), None);
    let missing = queue::set_rank(&tx, &all[0].deployment, 1).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
    // What is deleted waits for nothing.
    environments::delete(&tx, &production.id).await.unwrap();
    assert_eq!(queue::count(&tx, &every).await.unwrap(), 1);
    tx.commit().await.unwrap();
}

pub(crate) async fn heads(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let shop = fixture::app(&tx, "shop").await;
    let blog = fixture::app(&tx, "blog").await;
    let busy = fixture::environment(&tx, &shop, "busy").await;
    let long = fixture::environment(&tx, &shop, "long").await;
    let one = fixture::environment(&tx, &blog, "one").await;
    let elsewhere = environments::Environment { host: "there".into(), ..fixture::new_environment(&blog, "two") };
    environments::insert(&tx, &elsewhere).await.unwrap();

    let at_work = fixture::deployment(&tx, &busy).await;
    environments::start(&tx, &busy.id, &at_work.deployment.id).await.unwrap();
    let other = fixture::deployment(&tx, &busy).await;
    queue::insert(&tx, &entry(&other, 1)).await.unwrap();
    let held = environments::start(&tx, &busy.id, &other.deployment.id).await.unwrap_err();
    assert_eq!(held, StoreError::Conflict(Constraint::EnvironmentBusy { by: at_work.deployment.id.clone() }));
    let away = fixture::deployment(&tx, &elsewhere).await;
    queue::insert(&tx, &queue::Entry { host: "there".into(), ..entry(&away, 1) }).await.unwrap();

    let (now, soon) = (kept(), kept() + TimeDelta::minutes(5));
    let mut of_long = Vec::new();
    for n in 0..200 {
        let record = fixture::deployment(&tx, &long).await;
        // The first is for later, the last is critical.
        let not_before = (n == 0).then_some(soon);
        let priority = if n == 199 { Priority::Critical } else { Priority::Normal };
        queue::insert(&tx, &queue::Entry { not_before, priority, ..entry(&record, 10 + n) }).await.unwrap();
        of_long.push(record.deployment.id);
    }
    let single = fixture::deployment(&tx, &one).await;
    queue::insert(&tx, &entry(&single, 500)).await.unwrap();
    tx.commit().await.unwrap();

    let ids = |heads: Vec<queue::Head>| heads.into_iter().map(|head| head.candidate.deployment).collect::<Vec<_>>();
    let found = ids(queue::heads(&store, "here", now, None).await.unwrap());
    assert_eq!(found, [of_long[1].clone(), single.deployment.id.clone()], "one of each that may, and no more");
    assert_eq!(ids(queue::heads(&store, "here", soon, None).await.unwrap())[0], of_long[0]);
    // One for later is in nobody's way until its time.
    for (at, first) in [(now, &of_long[1]), (soon, &of_long[0])] {
        assert_eq!(queue::head_of(&store, &long.id, at).await.unwrap().as_ref(), Some(first));
    }
    // A newcomer lets those go first that may start and came before it, and no others: not those of a busy place, of another
    // host, for later, or behind it.
    for (rank, at, first) in [(11, now, false), (12, now, true), (11, soon, true), (10, soon, false), (9999, now, true)]
    {
        let newcomer = entry(&single, rank);
        assert_eq!(queue::any_before(&store, &newcomer, at).await.unwrap(), first, "{rank} at {at}");
    }
    let critical = ids(queue::heads(&store, "here", now, Some(Priority::Critical)).await.unwrap());
    assert_eq!(critical, [of_long[199].clone()]);
    assert_eq!(ids(queue::heads(&store, "there", now, None).await.unwrap()), [away.deployment.id]);
    assert_eq!(queue::heads(&store, "there", now, None).await.unwrap()[0].name.as_str(), "two");
    assert_eq!(queue::heads(&store, "nowhere", now, None).await.unwrap(), []);
    assert_eq!(queue::next_time(&store, "here", now).await.unwrap(), Some(soon));
    assert_eq!(queue::next_time(&store, "here", soon).await.unwrap(), None);

    let tx = store.write().await.unwrap();
    apps::started(&tx, &shop.id, soon).await.unwrap();
    apps::set_concurrency(&tx, &shop.id, 7).await.unwrap();
    let facts = queue::facts(&tx, &[shop.id.clone(), blog.id.clone()].into()).await.unwrap();
    let of_shop = facts[&shop.id];
    assert_eq!((of_shop.running, of_shop.limit, of_shop.last_started), (1, 7, soon.timestamp_micros()));
    assert_eq!((facts[&blog.id].running, facts[&blog.id].limit, facts[&blog.id].last_started), (0, 2, 0));
    // One that is stuck takes nobody's place but in its own environment.
    let stuck = deployments::DeploymentUpdate { stuck: Some(Some("why".into())), ..Default::default() };
    deployments::update(&tx, &at_work.deployment.id, now, stuck).await.unwrap();
    assert_eq!(queue::facts_of(&tx, &shop.id).await.unwrap().running, 0);
    let (id, generation) = (&at_work.deployment.id, at_work.deployment.generation);
    environments::claim(&tx, &busy.id, id, generation).await.unwrap();
    environments::end(&tx, &busy.id, &other.deployment.id).await.unwrap();
    let found = environments::get(&tx, &busy.id).await.unwrap();
    assert_eq!((found.running.as_ref(), found.acting.as_ref()), (Some(id), Some(id)), "that is another one's");
    environments::end(&tx, &busy.id, id).await.unwrap();
    assert_eq!(environments::get(&tx, &busy.id).await.unwrap().acting, None, "who has ended acts no more");
    assert_eq!(queue::heads(&tx, "here", now, None).await.unwrap().len(), 3);
    tx.commit().await.unwrap();
}

pub(crate) async fn orphans(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let one = server("here");
    servers::insert(&tx, &one).await.unwrap();
    let mut started = Vec::new();
    for name in ["mine", "left", "lost"] {
        let environment = fixture::environment(&tx, &app, name).await;
        let id = fixture::deployment(&tx, &environment).await.deployment.id;
        sagas::create(&tx, id.as_str(), "deploy", 1).await.unwrap();
        sagas::append(&tx, id.as_str(), 0, 0, &[json!(0)]).await.unwrap();
        environments::start(&tx, &environment.id, &id).await.unwrap();
        started.push(id);
    }
    let lost: ServerId = id();
    let mine = sagas::take(&tx, started[0].as_str(), &one.id, None).await.unwrap().unwrap();
    sagas::take(&tx, started[2].as_str(), &lost, None).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    let found = |host: &'static str| {
        let store = store.clone();
        async move {
            let all = queue::orphans(&store, host).await.unwrap();
            all.into_iter().map(|o| (o.deployment, o.owner)).collect::<std::collections::BTreeMap<_, _>>()
        }
    };
    let expected = [(started[1].clone(), None), (started[2].clone(), Some(lost))];
    assert_eq!(found("here").await, expected.clone().into());
    assert_eq!(found("there").await, [].into());
    // A stuck one waits for an operator.
    let tx = store.write().await.unwrap();
    sagas::give_up(&tx, started[0].as_str(), mine).await.unwrap();
    let stuck = deployments::DeploymentUpdate { stuck: Some(Some("why".into())), ..Default::default() };
    deployments::update(&tx, &started[0], kept(), stuck).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(found("here").await, expected.into());
    let tx = store.write().await.unwrap();
    sagas::request_resume(&tx, started[0].as_str(), Some("ann")).await.unwrap();
    tx.commit().await.unwrap();
    let resumed = queue::orphans(&store, "here").await.unwrap().into_iter().find(|o| o.deployment == started[0]);
    assert_eq!(resumed.unwrap().resume_by.as_deref(), Some("ann"));
}

pub(crate) async fn wishes(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let owner: ServerId = id();
    sagas::create(&tx, "a", "deploy", 1).await.unwrap();
    sagas::append(&tx, "a", 0, 0, &[json!("first")]).await.unwrap();
    sagas::reopen(&tx, "a", &json!("second")).await.unwrap();
    let fence = sagas::take(&tx, "a", &owner, None).await.unwrap().unwrap();
    assert!(sagas::cancels_of(&tx, &owner).await.unwrap().is_empty());
    sagas::request_cancel(&tx, "a", "ann").await.unwrap();
    let wish = sagas::cancels_of(&tx, &owner).await.unwrap().remove(0);
    assert_eq!((wish.id.as_str(), wish.cancel_by.as_deref()), ("a", Some("ann")));
    sagas::answer_cancel(&tx, "a", Some("past_pivot")).await.unwrap();
    assert!(sagas::cancels_of(&tx, &owner).await.unwrap().is_empty());
    assert_eq!(sagas::get(&tx, "a").await.unwrap().cancel_refused.as_deref(), Some("past_pivot"));
    sagas::request_cancel(&tx, "a", "bob").await.unwrap();
    assert_eq!(sagas::get(&tx, "a").await.unwrap().cancel_refused, None, "asked anew");
    sagas::answer_cancel(&tx, "a", None).await.unwrap();
    assert_eq!(sagas::load(&tx, "a").await.unwrap(), [(0, json!("second"))]);
    sagas::append(&tx, "a", fence, 1, &[json!(1)]).await.unwrap();
    let late = StoreError::Conflict(Constraint::SagaSequence { expected: 1, actual: 2 });
    assert_eq!(sagas::reopen(&tx, "a", &json!("third")).await.unwrap_err(), late);
    tx.commit().await.unwrap();
}

pub(crate) async fn leadership(db: Database) {
    let (one, two) = (db.open().await, db.open().await);
    let (mut this, mut that) = (Candidate::default(), Candidate::default());
    let mut first = this.lead(&one, "one").await.unwrap().unwrap();
    assert!(first.holds().await);
    if db.kind == Kind::Sqlite {
        return;
    }
    for _ in 0..3 {
        assert!(that.lead(&two, "two").await.unwrap().is_none());
    }
    first.step_down().await;
    let mut second = that.lead(&two, "two").await.unwrap().unwrap();
    assert_eq!(second.epoch, 2);
    let tx = one.write().await.unwrap();
    let fenced = store::leases::check(&tx, store::leases::LEADER, 1).await.unwrap_err();
    assert!(matches!(fenced, StoreError::Fenced { by: 2, .. }), "{fenced}");
    drop(tx);
    // A leader that stands still leads no more once its connections are ended.
    one.end_session(two.session()).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let third = loop {
        if let Some(third) = this.lead(&one, "one").await.unwrap() {
            break third;
        }
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(third.epoch, 3);
    assert!(!second.holds().await);
    assert!(environments::list_all(&two).await.is_ok(), "its store finds new connections");
}

pub(crate) async fn waking(db: Database) {
    if db.kind == Kind::Sqlite {
        // One process has the file; its own commits wake it, as the other cases show.
        return;
    }
    let (one, two) = (db.open().await, db.open().await);
    let (mut changes, mut dispatches) = (two.changes(), two.dispatches());
    let limit = Duration::from_secs(60);
    let tx = one.write().await.unwrap();
    events::insert(&tx, None, None, None, &EventKind::AppDeleted, kept()).await.unwrap();
    tx.commit().await.unwrap();
    tokio::time::timeout(limit, changes.changed()).await.expect("an event of another server wakes").unwrap();
    let _ = changes.borrow_and_update();
    assert!(!dispatches.has_changed().unwrap(), "an event moves no queue");
    let tx = one.write().await.unwrap();
    servers::insert(&tx, &server("here")).await.unwrap();
    drop(tx);
    let tx = one.write().await.unwrap();
    tx.wakes();
    tx.commit().await.unwrap();
    tokio::time::timeout(limit, dispatches.changed()).await.expect("the queue moved").unwrap();
    // Whoever lost its connection looks again, as it can't know what it missed.
    let _ = (changes.borrow_and_update(), dispatches.borrow_and_update());
    one.end_session(two.session()).await.unwrap();
    tokio::time::timeout(limit, dispatches.changed()).await.expect("woken after the connection was lost").unwrap();
    let _ = dispatches.borrow_and_update();
    let tx = one.write().await.unwrap();
    tx.wakes();
    tx.commit().await.unwrap();
    tokio::time::timeout(limit, dispatches.changed()).await.expect("it listens again").unwrap();
}
